"""What tests of texts share: policy sets from text, their test blocks, and fenced blocks of Markdown.

The test blocks are run here by hand, straight on the engine, so that a page or an example
does not depend on the command that runs them for people.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pdp.diagnostics import Source
from pdp.engine.decide import decide
from pdp.index.rule_index import RuleIndex
from pdp.lang import ast
from pdp.lang.parser import Parsed
from pdp.principals import ANONYMOUS, Principal, dns_principal, spiffe_principal
from pdp.store.bundle import make_bundle
from pdp.store.snapshot import Loaded, Loader, Snapshot
from pdp.vocabulary import FAMILIES, AttributeValue, Decision, Reason, Request, User

__all__ = ["NOW", "Block", "asked", "blocks", "failing_cases", "files_in", "load", "load_bytes"]

#: Now, for every question of a text that does not say when.
NOW: Final = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp() * 1000)

_FENCE: Final = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE: Final = re.compile(r"^-- (\S+) --\n", re.MULTILINE)


# -- texts -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block: what stands behind its fence, its text, the line of the page it begins on."""

    info: str
    text: str
    line: int


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a Markdown page, in order."""
    return [
        Block(info=found["info"].strip(), text=found["text"], line=page.count("\n", 0, found.start()) + 1)
        for found in _FENCE.finditer(page)
    ]


def files_in(text: str) -> dict[str, str]:
    """The files of a block: those between `-- path --` lines, or one."""
    head, *parts = _FILE.split(text)
    if not parts:
        return {"example.policy": text}
    assert not head.strip(), "text before the first `-- path --` belongs to no file"
    return dict(zip(parts[::2], parts[1::2], strict=True))


# -- policy sets -----------------------------------------------------------------------


def load(files: Mapping[str, str]) -> Loaded:
    """Load files of text as one policy set."""
    return load_bytes({path: text.encode() for path, text in files.items()})


def load_bytes(files: Mapping[str, bytes]) -> Loaded:
    """Load files as one policy set."""
    return Loader().load(make_bundle(files))


# -- test blocks -----------------------------------------------------------------------


def failing_cases(loaded: Loaded, now: int = NOW) -> list[str]:
    """Every test case of a set whose answer is another than it says, as `file:line: got`."""
    assert loaded.snapshot is not None, "a set with errors answers nothing"
    names = _Names.of(loaded.snapshot.files)
    return [
        f"{parsed.file.path}:{_line(loaded.sources[parsed.file.path], case)}: {problem}"
        for parsed in loaded.snapshot.files
        for case in _cases(parsed)
        if (problem := _problem(case, loaded.snapshot, names, now))
    ]


def asked(loaded: Loaded) -> list[tuple[ast.TestCase, Request]]:
    """Every test case with the request that it makes."""
    assert loaded.snapshot is not None
    names = _Names.of(loaded.snapshot.files)
    return [
        (case, _request(case, names, NOW)) for parsed in loaded.snapshot.files for case in _cases(parsed)
    ]


def _cases(parsed: Parsed) -> Iterator[ast.TestCase]:
    for item in parsed.file.items:
        if isinstance(item, ast.TestBlock):
            yield from item.cases


def _line(source: Source, case: ast.TestCase) -> int:
    return source.position(case.span.start)[0]


def _problem(case: ast.TestCase, snapshot: Snapshot, names: "_Names", now: int) -> str:
    decision = decide(snapshot.index, _request(case, names, now))
    by = _rule_names(snapshot.index, case.service.text, decision)
    if decision.effect is not case.effect:
        return f"wanted {case.effect.value}, got {decision.effect.value} ({decision.reason.value} {by})"
    if case.expectation is ast.Expectation.DEFAULT:
        defaults = {Reason.NO_RULE_MATCHED, Reason.OBSERVED, Reason.UNKNOWN_SERVICE}
        return "" if decision.reason in defaults else f"wanted no rule, got {decision.reason.value} {by}"
    if case.rule is not None and case.rule.text not in by:
        return f"wanted `{case.rule.text}`, got {decision.reason.value} {by}"
    return ""


def _rule_names(index: RuleIndex, service: str, decision: Decision) -> list[str]:
    """Names with and without the service that they are given in."""
    full = [index.rule(service, rule).name for rule in decision.rules]
    return [*(name.partition("/")[2] for name in full), *full]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    domains: Mapping[str, str]
    issuers: Mapping[str, str]
    families: frozenset[str]

    @classmethod
    def of(cls, files: tuple[Parsed, ...]) -> "_Names":
        items = [item for parsed in files for item in parsed.file.items]
        declared = {i.name.text.partition(".")[0] for i in items if isinstance(i, ast.AttributeDecl)}
        return cls(
            domains={i.name.text: i.domain for i in items if isinstance(i, ast.TrustDomainDecl)},
            issuers={i.name.text: i.url for i in items if isinstance(i, ast.IssuerDecl)},
            families=FAMILIES | declared,
        )


def _request(case: ast.TestCase, names: _Names, now: int) -> Request:
    context = {name.text: _value(values) for name, values in case.context}
    supplying = names.families if case.supplying is None else {name.text for name in case.supplying}
    return Request(
        principal=_principal(case, names),
        service=case.service.text,
        method=case.method,
        path=case.path,
        now=now if case.at is None else case.at,
        user=_user(case, names, context),
        context=context,
        supplied=frozenset(supplying),
    )


def _principal(case: ast.TestCase, names: _Names) -> Principal:
    match case.principal:
        case None:
            return ANONYMOUS
        case ast.DnsPattern(name=name):
            return dns_principal(name)
        case ast.PrincipalPattern(trust_domain=alias, segments=segments, form=form):
            domain = alias if form is ast.SpiffeForm.URI else names.domains[alias]
            path = "/".join(segment.text for segment in segments if isinstance(segment, ast.LiteralSegment))
            return spiffe_principal(f"spiffe://{domain}/{path}")


def _user(case: ast.TestCase, names: _Names, context: Mapping[str, AttributeValue | None]) -> User | None:
    if case.user is None:
        return None
    groups = context.get("user.groups")
    listed = (groups,) if isinstance(groups, str) else groups
    return User(
        issuer=names.issuers[case.user.issuer],
        subject=case.user.name,
        groups=listed if isinstance(listed, tuple) else (),
    )


def _value(values: tuple[ast.Value, ...] | None) -> AttributeValue | None:
    if values is None:
        return None
    plain = tuple(value.text if isinstance(value, ast.AddressValue) else value.value for value in values)
    return plain[0] if len(plain) == 1 else tuple(map(str, plain))
