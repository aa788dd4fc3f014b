"""Questions about a policy set, made from its own rules, for `pdp bench`."""

from collections.abc import Iterator
from random import Random

from pdp.cli.bench_shapes import Asked
from pdp.compiler.atoms import Atom, ExactAtom, PatternAtom, SetAtom
from pdp.compiler.rows import Row
from pdp.lang import ast
from pdp.store.snapshot import Snapshot

__all__ = ["questions_of"]

_STRANGER = "spiffe://prod.example.org/ns/nobody/sa/nobody"


def questions_of(snapshot: Snapshot, count: int, seed: int = 1) -> Iterator[Asked]:
    """Questions that the set's rules are about; one in ten comes from a stranger."""
    random = Random(seed)  # noqa: S311 - traffic, not secrets
    rows = [
        (service, row) for unit in snapshot.units for service, own in unit.by_service.items() for row in own
    ]
    services = list(snapshot.index.services)
    everywhere = [row for unit in snapshot.units for row in unit.on_any]
    rows += [(random.choice(services), row) for row in everywhere if services]
    atoms = {number: atom for atom, number in snapshot.index.principals.numbers().items()}
    methods = list(snapshot.index.methods.items())
    for number in range(count if rows else 0):
        service, row = random.choice(rows)
        principal = _STRANGER if number % 10 == 0 else _member(atoms[row.atom], random)
        fitting = [method for method, bit in methods if row.mask & bit] or ["GET"]
        yield principal, service, random.choice(fitting), _path(row, random)


def _member(atom: Atom, random: Random) -> str:
    """Some principal that an atom holds, as far as that is easily found."""
    match atom:
        case ExactAtom(id=id_) if id_.startswith("spiffe:"):
            return id_
        case PatternAtom(trust_domain=domain, segments=segments):
            path = "/".join(segment or f"n{random.randrange(100)}" for segment in segments)
            return f"spiffe://{domain or 'prod.example.org'}/{path}"
        case SetAtom(terms=terms) if terms:
            return _member(random.choice(sorted(terms, key=repr)), random)
        case _:
            return _STRANGER


def _path(row: Row, random: Random) -> str:
    parts = []
    for segment in row.path:
        match segment:
            case ast.LiteralSegment(text=text):
                parts.append(text)
            case ast.PrefixSegment(text=text):
                parts.append(f"{text}{random.randrange(1000)}")
            case ast.SuffixSegment(text=text):
                parts.append(f"{random.randrange(1000)}{text}")
            case _:
                parts.append(f"{random.randrange(1000)}")
    return "/" + "/".join(parts)
