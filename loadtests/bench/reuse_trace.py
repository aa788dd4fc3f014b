"""What a client of a real service gains by keeping answers, on a trace whose paths have parameters.

.venv/bin/python loadtests/bench/reuse_trace.py [--questions 20000] [--rounds 3]

The trace is drawn: services, workloads and routes, some more often than others, identifiers anew for each
request, a few denied, a few paths that have to be asked about. It goes through the Python client over mutual
TLS, one question after the other, with and without reuse, by turns. Beside it: how many of the very same
questions a cache by request would have found.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from statistics import median

from pdp_client import Client, Question, TlsFiles
from tests.e2e.running import PROD, Pki, Service, make_policies

ROUTES = (
    ("GET", "/v1/orders/{}"),
    ("GET", "/v1/orders/{}/items/{}"),
    ("POST", "/v1/orders"),
    ("GET", "/v1/carts/{}"),
    ("PUT", "/v1/carts/{}/items/{}"),
    ("GET", "/v1/users/{}/profile"),
    ("GET", "/v1/users/{}/orders"),
    ("DELETE", "/v1/carts/{}"),
    ("GET", "/v1/products/{}/reviews/{}"),
    ("GET", "/assets/{}.css"),
    ("GET", "/admin/users/{}"),
    ("GET", "/v1/search?q={}"),
)
SERVICES, WORKLOADS = 8, 40
POLICY = """service s{n} {{
    allow prod/ns/shop/sa/* to GET /v1/orders/*, GET /v1/orders/*/items/*, POST /v1/orders
    allow prod/ns/shop/sa/* to GET /v1/carts/*, PUT /v1/carts/*/items/*, DELETE /v1/carts/*
    allow prod/ns/shop/sa/* to GET /v1/users/*/**, GET /v1/products/**, GET /assets/*.css, GET /v1/search
    deny anyone to any /admin/** as no-admin
    deny prod/ns/shop/sa/w{n} to DELETE /v1/carts/** as no-deletes
}}
"""


def policy() -> str:
    services = "\n".join(POLICY.format(n=number) for number in range(SERVICES))
    caller = "caller prod/ns/pdp/sa/pep fronts any service may assert any principal of prod\n"
    return f'language 1\n\ntrust domain prod = "{PROD}"\n\n{services}\n{caller}'


def used(random: Random, count: int) -> int:
    """One of so many, the first ones more often."""
    return min(int(random.expovariate(4 / count)), count - 1)


def trace(questions: int) -> Iterator[Question]:
    random = Random(1)
    for _ in range(questions):
        method, path = ROUTES[used(random, len(ROUTES))]
        filled = path.format(*(random.randrange(100_000) for _ in range(2)))
        if random.random() < 0.01:
            filled = filled.replace("/v1/", "/v1/%7e/", 1)  # canonical, but not plainly: asked about
        yield Question(
            principal=f"spiffe://{PROD}/ns/shop/sa/w{used(random, WORKLOADS)}",
            service=f"s{used(random, SERVICES)}",
            method=method,
            path=filled,
        )


def seconds(client: Client, questions: Sequence[Question]) -> list[float]:
    """How long each question took."""
    found = []
    for each in questions:
        began = time.perf_counter()
        client.decide(each)
        found.append(time.perf_counter() - began)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    asked = list(trace(given.questions))
    same = 1 - len({(q.principal, q.service, q.method, q.path) for q in asked}) / len(asked)
    rows: dict[str, list[tuple[float, float, float, float]]] = {"with": [], "without": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pki").mkdir()
        pki = Pki(folder / "pki")
        service = Service(pki, make_policies(folder / "policies", policy()))
        files = TlsFiles(*(str(pki.folder / f"{each}.pem") for each in ("pep", "pep-key", "prod")))
        try:
            for _ in range(given.rounds):
                for kind, kept in rows.items():
                    at = [f"https://127.0.0.1:{service.port}"]
                    with Client(at, tls=files, reuse=kind == "with") as client:
                        client.decide(asked[0])
                        while kind == "with" and not client.is_reusing:
                            time.sleep(0.05)
                        took = sorted(seconds(client, asked))
                        hits = client.counts.hits / len(asked)
                    mean = sum(took) / len(took)
                    kept.append((hits, mean, median(took), took[int(len(took) * 0.99)]))
        finally:
            service.stop()
    print("| reuse | hits | mean us | median us | p99 us |\n|---|---|---|---|---|")
    for kind, found in rows.items():
        hits, *times = (median(column) for column in zip(*found, strict=True))
        print(f"| {kind} | {hits:.1%} | " + " | ".join(f"{1e6 * each:.0f}" for each in times) + " |")
    gain = median(one[1] for one in rows["without"]) / median(one[1] for one in rows["with"])
    print(f"\nmean time without / with: {gain:.1f}; the very same question again: {same:.1%}")


if __name__ == "__main__":
    main()
