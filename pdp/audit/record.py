"""One decision as a line of the log: an allow-list of what it may hold.

A line holds the question, the answer and the attributes that the deciding rules read; never query
strings, other headers, tokens or certificates. Values of attributes that may be secrets stand there
as keyed digests: equal values can be told to be equal, and nothing else.
"""

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Final, final

import msgspec

from pdp.audit.instants import instant
from pdp.audit.reuse import ReuseReport, reuse_record
from pdp.index.rule_index import RuleIndex
from pdp.vocabulary import AttributeValue, Decision, Millis, Request

__all__ = ["Entry", "LogUser", "Record", "Recorder", "ShadowRecord"]

_NOTHING: Final[Mapping[str, AttributeValue | None]] = {}
_NOT_PROVEN: Final[Mapping[str, str]] = {}
_DIGEST_BYTES: Final = 8  # enough to tell values apart, too few to be looked up in a table of guesses
_NOT_PATH: Final = re.compile("[?#;]|%(?:3[fFbB]|23)")
_DIGESTED: Final = "header."  # requests carry tokens and cookies in headers of any name


class Entry(msgspec.Struct, frozen=True, gc=False):
    """What a record is made from, later and elsewhere: nothing is formatted where decisions are made.

    Attributes:
        decision_id: The answer's name.
        now: When it was given.
        caller: Id of whoever asked.
        request: What was decided.
        decision: What came of it.
        index: What it was decided under.
        revision: The name of that version.
        proven: Members of the question that evidence proved, and of which kind that was.
        quarantine: The name of the entry for which it was denied; empty if it was for none.
    """

    decision_id: str
    now: Millis
    caller: str
    request: Request
    decision: Decision
    index: RuleIndex
    revision: str
    proven: tuple[tuple[str, str], ...] = ()
    quarantine: str = ""


class LogUser(msgspec.Struct, frozen=True, kw_only=True):
    """The user that a question was about."""

    issuer: str
    subject: str


class ShadowRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the decision would have been with the shadow rules enforced."""

    decision: str
    reason: str
    rules: tuple[str, ...]


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the log; `docs/operations.md` says what each field means."""

    time: str
    decision_id: str
    revision: str
    caller: str
    principal: str
    service: str
    method: str
    path: str
    decision: str
    reason: str
    rules: tuple[str, ...]
    enforced: bool = True
    user: LogUser | None = None
    read: Mapping[str, AttributeValue | None] = {}
    valid_until: str | None = None
    shadow: ShadowRecord | None = None
    evidence: Mapping[str, str] = {}
    quarantine: str = ""


@final
class Recorder:
    """Makes lines of entries."""

    def __init__(self, key: bytes, *, plain: frozenset[str] = frozenset()) -> None:
        """Digests are keyed with `key`; `plain` names headers that hold no secrets."""
        self._key = key
        self._plain = plain
        self._encode = msgspec.json.Encoder().encode_lines

    def showing(self, plain: frozenset[str]) -> "Recorder":
        """One with the same key to which these headers hold no secrets."""
        return Recorder(self._key, plain=plain)

    def lines(self, entries: Sequence[Entry | ReuseReport]) -> bytes:
        """The entries as JSON, each with its newline."""
        record = self.record
        return self._encode(
            [reuse_record(each) if isinstance(each, ReuseReport) else record(each) for each in entries]
        )

    def record(self, entry: Entry) -> Record:
        """The entry in the form of a record."""
        request, decision, index = entry.request, entry.decision, entry.index
        service, user, region = request.service, request.user, decision.region
        shadow, until, proven = decision.shadow, decision.valid_until, entry.proven
        # `_value_`: `value` of an enum is a call, and this is done for each decision.
        return Record(
            time=instant(entry.now),
            decision_id=entry.decision_id,
            revision=entry.revision,
            caller=entry.caller,
            principal=request.principal.id,
            user=None if user is None else LogUser(issuer=user.issuer, subject=user.subject),
            service=service,
            method=request.method,
            path=_path_of(request.path),
            decision=decision.effect._value_,
            reason=decision.reason._value_,
            rules=_names(index, service, decision.rules),
            enforced=decision.enforced,
            read=_NOTHING if region is None or not region.context else self._read(region.context),
            valid_until=None if until is None else instant(until),
            shadow=None
            if shadow is None
            else ShadowRecord(
                decision=shadow.effect.value,
                reason=shadow.reason.value,
                rules=_names(index, service, shadow.rules),
            ),
            evidence=dict(proven) if proven else _NOT_PROVEN,
            quarantine=entry.quarantine,
        )

    def _read(self, context: Mapping[str, AttributeValue | None]) -> Mapping[str, AttributeValue | None]:
        return {
            name: self._digest(value) if name.startswith(_DIGESTED) and name not in self._plain else value
            for name, value in context.items()
        }

    def _digest(self, value: AttributeValue | None) -> str | None:
        if value is None:
            return None
        digest = blake2b(repr(value).encode(), key=self._key, digest_size=_DIGEST_BYTES)
        return f"keyed:{digest.hexdigest()}"


def _names(index: RuleIndex, service: str, rules: tuple[int, ...]) -> tuple[str, ...]:
    if len(rules) == 1:  # as nearly always
        return (index.rule(service, rules[0]).name,)
    return tuple(index.rule(service, rule).name for rule in rules)


def _path_of(target: str) -> str:
    """The path of a request target, refused ones included, without what may hold a secret.

    Queries and fragments, parameters such as `;jsessionid=`, the same written as `%3F`, `%23` and
    `%3B`, and all of a target that does not begin with a slash: a URL may hold a password.
    """
    if target[:1] != "/":
        return ""
    found = _NOT_PATH.search(target)
    return target if found is None else target[: found.start()]
