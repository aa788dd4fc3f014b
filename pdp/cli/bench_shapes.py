"""Policy sets of five shapes and any size, with questions about them, for `pdp bench`.

Each shape is the worst for another part of the look-up: many paths, many principals, many rules in
one place, one place with very many principals, and wildcards before literals in many services.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final, TypeAlias, final

__all__ = ["SHAPES", "Asked", "Shape"]

#: Principal, service, method and path of one question.
Asked: TypeAlias = tuple[str, str, str, str]

_DOMAIN: Final = "prod.example.org"
_HEADER: Final = "principal,methods,path\n"
_PER_PATH: Final = 40
_SERVICES: Final = 1000
_DECLARED: Final = f'language 1\ntrust domain prod = "{_DOMAIN}"\n'


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One shape.

    Attributes:
        name: Its name on the command line.
        title: What it is, in a few words.
        files: The policy set with so many rules, as file names and texts.
        ask: One question that a rule of a set with so many rules allows.
    """

    name: str
    title: str
    files: Callable[[int], Mapping[str, str]]
    ask: Callable[[int, Random], Asked]

    def questions(self, rules: int, count: int, seed: int) -> Iterator[Asked]:
        """Seven in ten are allowed; two ask another method, one comes from a stranger."""
        random = Random(seed)  # noqa: S311 - traffic, not secrets
        for number in range(count):
            principal, service, method, path = self.ask(rules, random)
            match number % 10:
                case 0 | 1:
                    yield principal, service, "DELETE", path
                case 2:
                    yield f"spiffe://{_DOMAIN}/ns/other/sa/n{random.randrange(1000)}", service, method, path
                case _:
                    yield principal, service, method, path


def _id(number: int) -> str:
    return f"spiffe://{_DOMAIN}/ns/n{number}/sa/web"


def _one_service(lines: Iterator[str]) -> dict[str, str]:
    policy = f'{_DECLARED}service api {{\n    allow from "grants.csv"\n}}\n'
    return {"bench.policy": policy, "grants.csv": _HEADER + "".join(lines)}


def _own_path(rules: int) -> dict[str, str]:
    return _one_service(f"{_id(0)},GET,/v1/resource{i}/{{id}}\n" for i in range(rules))


def _own_path_and_principal(rules: int) -> dict[str, str]:
    return _one_service(f"{_id(i)},GET,/v1/resource{i}/{{id}}\n" for i in range(rules))


def _forty_a_path(rules: int) -> dict[str, str]:
    return _one_service(f"{_id(i)},GET,/v1/resource{i // _PER_PATH}/{{id}}\n" for i in range(rules))


def _one_path(rules: int) -> dict[str, str]:
    return _one_service(f"{_id(i)},GET,/v1/resource/{{id}}\n" for i in range(rules))


def _wildcards(rules: int) -> dict[str, str]:
    services = min(_SERVICES, rules)
    parts = [_DECLARED]
    files: dict[str, str] = {}
    for service in range(services):
        parts.append(f'service s{service} {{ allow from "s{service}.csv" }}\n')
        lines = (
            f"prod/ns/{{ns}}/sa/*,GET POST,/{{tenant}}/kind{i}/*/items/**\n"
            for i in range(service, rules, services)
        )
        files[f"s{service}.csv"] = _HEADER + "".join(lines)
    return {"bench.policy": "".join(parts), **files}


def _item(random: Random) -> int:
    return random.randrange(100_000)


def _ask_own_path(rules: int, random: Random) -> Asked:
    return _id(0), "api", "GET", f"/v1/resource{random.randrange(rules)}/{_item(random)}"


def _ask_own_path_and_principal(rules: int, random: Random) -> Asked:
    rule = random.randrange(rules)
    return _id(rule), "api", "GET", f"/v1/resource{rule}/{_item(random)}"


def _ask_forty(rules: int, random: Random) -> Asked:
    rule = random.randrange(rules)
    return _id(rule), "api", "GET", f"/v1/resource{rule // _PER_PATH}/{_item(random)}"


def _ask_one_path(rules: int, random: Random) -> Asked:
    return _id(random.randrange(rules)), "api", "GET", f"/v1/resource/{_item(random)}"


def _ask_wildcards(rules: int, random: Random) -> Asked:
    rule = random.randrange(rules)
    service = rule % min(_SERVICES, rules)
    return _id(rule % 1000), f"s{service}", "GET", f"/t{_item(random)}/kind{rule}/{_item(random)}/items/a/b"


SHAPES: Final = {
    shape.name: shape
    for shape in (
        Shape(name="path", title="own path per rule", files=_own_path, ask=_ask_own_path),
        Shape(
            name="path-principal",
            title="own path and principal per rule",
            files=_own_path_and_principal,
            ask=_ask_own_path_and_principal,
        ),
        Shape(name="forty", title="forty rules a path", files=_forty_a_path, ask=_ask_forty),
        Shape(name="principals", title="all principals on one path", files=_one_path, ask=_ask_one_path),
        Shape(name="wildcards", title="1 000 services of wildcards", files=_wildcards, ask=_ask_wildcards),
    )
}
