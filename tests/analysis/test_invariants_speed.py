"""How long invariants take on a set of ordinary size."""

from time import perf_counter

from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader

NOW = 1_795_262_400_000
SERVICES, RULES = 10, 1000

INVARIANTS = """language 1
never prod/ns/dev/** may any /** on any service
never anyone except sre may GET /debug/** on any service
never anyone may DELETE /** on any service when not source.ip in 10.0.0.0/8
never dns *.test may any /** on any service
never prod/ns/sre/** may any /v1/things11/** on any service
never sa prod/n1/web may any /v1/things2/** on s0
never anyone except any principal of prod may any /** on any service
never any principal of prod except sre may any /v1/admin9/** on s1
always sa prod/n1/web may GET /v1/things1/{id} on s0
never sa prod/n5/web may GET /v1/teams6/other/** on s0
"""


def rule(number: int) -> str:
    match number % 10:
        case 6:
            path = f"/v1/teams{number}/{{team}}"
            return f"allow prod/ns/{{team}}/sa/* to GET {path}/** except {path}/secrets/**"
        case 7:
            condition = f'source.ip in 10.0.0.0/8 and header.x-a has "b{number}"'
            return f"allow namespace prod/n{number} to GET /v2/{{id}}/x{number} when {condition}"
        case 8:
            condition = "during mon-fri 09:00-17:00 in Europe/Berlin"
            return f"allow any principal of prod to GET /pub{number}/** when {condition}"
        case 9:
            return f"deny anyone to any /v1/admin{number}/** unless principal in sre"
        case _:
            return f"allow sa prod/n{number}/web to GET /v1/things{number}/{{id}}"


def files() -> dict[str, bytes]:
    platform = """language 1
trust domain prod = "prod.test"
group sre = { namespace prod/sre }
deny prod/ns/dev/** to any /** on any service
deny anyone to any /debug/** on any service unless principal in sre
deny anyone to DELETE /** on any service unless source.ip in 10.0.0.0/8
"""
    texts = {"platform.policy": platform, "invariants.policy": INVARIANTS}
    for service in range(SERVICES):
        rules = "\n".join(map(rule, range(RULES)))
        texts[f"s{service}.policy"] = f"language 1\nservice s{service} {{\n{rules}\n}}\n"
    return {name: text.encode() for name, text in texts.items()}


def seconds(loader: Loader, texts: dict[str, bytes]) -> float:
    start = perf_counter()
    loaded = loader.load(make_bundle(texts), now=NOW)
    taken = perf_counter() - start
    assert loaded.snapshot is not None
    return taken


def test_ten_invariants_over_ten_thousand_rules_take_less_than_a_second_and_nothing_when_unchanged():
    loader, texts = Loader(), files()
    without = {**texts, "invariants.policy": b"language 1\n"}
    seconds(loader, without)

    deciding = seconds(loader, texts)
    again = seconds(loader, texts)

    assert deciding < 1.5  # 0.2 s on an idle machine
    assert again < deciding / 2
