"""A token is verified once by one configuration, and never used beyond what it says or whom we believe."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from pdp.identity.tokens.issuer import TokenIssuer, TokenTrust
from pdp.identity.tokens.refusal import RefusedTokenError
from pdp.service.known_tokens import KnownTokens
from pdp.service.metrics import Metrics
from tests.identity.tokens import (
    NOW,
    SECONDS,
    WEB,
    bundle,
    claims,
    ec_key,
    issuer,
    svid_claims,
    token,
    trust,
    verify_text,
)

KEY, HEADER = ec_key(), {"alg": "ES256", "kid": "a"}
CORP, PROD = issuer(KEY.named("a"), leeway=30_000), bundle(KEY.named("a"))
GOOD, SVID = token(HEADER, claims(), KEY), token(HEADER, svid_claims(), KEY)
END = NOW + 300_000


class Believed:
    """Whom we believe, which changes."""

    def __init__(self, *issuers) -> None:
        self.now = trust(*issuers)

    def __call__(self) -> TokenTrust:
        return self.now


def counting(trust: Callable[[], TokenTrust], **more: Any) -> tuple[KnownTokens, list[str]]:
    """Tokens that are remembered, and what became of each look."""
    looks: list[str] = []
    return KnownTokens(trust, count=looks.append, **more), looks


def tally(looks: list[str]) -> tuple[int, int]:
    """How many were answered from memory, and how many not."""
    cached = looks.count("cached")
    return cached, len(looks) - cached


def refused(known: KnownTokens, text: str, now: int = NOW) -> str:
    with pytest.raises(RefusedTokenError) as caught:
        known.find(text, now)
    return caught.value.code.value


@pytest.mark.parametrize("text", [GOOD, SVID])
def test_a_token_is_verified_once_and_is_the_same_each_time(text: str) -> None:
    known, looks = counting(Believed(CORP, PROD))

    first = known.find(text, NOW)

    assert first == verify_text(text, trust(CORP, PROD), NOW)
    assert [known.find(text, NOW + later) is first for later in (0, 1, 299_999)] == [True] * 3
    assert tally(looks) == (3, 1)


def test_one_that_is_remembered_costs_the_same_however_many_are_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = KnownTokens(Believed(CORP, PROD))
    first = known.find(GOOD, NOW)

    def listed(_: TokenTrust) -> tuple[TokenIssuer, ...]:
        raise AssertionError("everybody was put into a list")

    monkeypatch.setattr(TokenTrust, "everybody", property(listed))

    assert known.find(GOOD, NOW) is first


def test_nothing_is_answered_from_memory_once_the_token_has_expired() -> None:
    known, looks = counting(Believed(CORP))
    known.find(GOOD, NOW)

    assert known.find(GOOD, END).subject == "alice"  # the leeway: verified again
    assert tally(looks) == (0, 2)
    assert refused(known, GOOD, END + 30_000) == "expired"
    assert tally(looks) == (0, 3)


def test_a_clock_that_is_set_back_makes_no_token_hold_before_its_time() -> None:
    known = KnownTokens(Believed(CORP))
    text = token(HEADER, claims(nbf=SECONDS, iat=None), KEY)
    known.find(text, NOW)

    assert refused(known, text, NOW - 30_001) == "not_yet_valid"


@pytest.mark.parametrize(
    "after",
    [
        [],
        [issuer()],
        [issuer(ec_key(which=1).named("a"), leeway=30_000)],
        [issuer(KEY.named("a"), audiences=frozenset({"other"}), leeway=30_000)],
        [issuer(KEY.named("a"), algorithms=frozenset({"RS256"}), leeway=30_000)],
        [issuer(KEY.named("a"), name="https://other.example.com")],
        [PROD],
    ],
    ids=[
        "nobody",
        "no keys",
        "another key",
        "another audience",
        "other algorithms",
        "another name",
        "only a bundle",
    ],
)
def test_what_was_verified_ends_with_what_it_was_verified_by(after: list) -> None:
    believed = Believed(CORP)
    known, looks = counting(believed)
    known.find(GOOD, NOW)

    believed.now = trust(*after)

    refused(known, GOOD)
    assert tally(looks) == (0, 2)


def test_what_others_change_ends_nothing() -> None:
    believed = Believed(CORP)
    known, looks = counting(believed)
    known.find(GOOD, NOW)

    believed.now = trust(issuer(KEY.named("a", use="sig"), leeway=30_000), PROD)

    known.find(GOOD, NOW)
    assert tally(looks) == (1, 1)


def test_a_key_that_is_added_takes_good_tokens_at_once_and_one_that_is_removed_takes_them_away() -> None:
    believed = Believed(issuer(KEY.named("a")))
    known = KnownTokens(believed)
    renewed = token({"alg": "ES256", "kid": "b"}, claims(), ec_key(which=1))
    assert refused(known, renewed) == "unknown_key"

    believed.now = trust(issuer(KEY.named("a"), ec_key(which=1).named("b")))
    assert known.find(renewed, NOW).key_id == "b"
    assert known.find(GOOD, NOW).key_id == "a"

    believed.now = trust(issuer(ec_key(which=1).named("b")))
    assert known.find(renewed, NOW).key_id == "b"
    assert refused(known, GOOD) == "unknown_key"


def test_a_users_token_that_would_now_be_a_workloads_is_looked_at_again() -> None:
    believed = Believed(CORP)
    known, looks = counting(believed)
    text = token(HEADER, claims(sub=WEB), KEY)
    assert known.find(text, NOW).user is not None

    believed.now = trust(CORP, PROD)

    assert known.find(text, NOW).principal is not None
    believed.now = trust(CORP)
    assert known.find(text, NOW).user is not None
    assert tally(looks) == (0, 3)


def test_a_refusal_is_not_kept() -> None:
    known, looks = counting(Believed(CORP))

    assert [refused(known, GOOD[:-8] + "AAAAAAAA") for _ in range(2)] == ["signature"] * 2
    assert refused(known, "\ud800") == "malformed"
    assert tally(looks) == (0, 3)


def test_memory_is_bounded_by_the_length_of_tokens() -> None:
    known, looks = counting(Believed(CORP), size=len(GOOD) + 10)
    other = token(HEADER, claims(sub="bob00"), KEY)
    assert len(other) == len(GOOD)

    for text in (GOOD, other, GOOD, GOOD):
        known.find(text, NOW)
    assert tally(looks) == (1, 3)

    small, looks = counting(Believed(CORP), size=len(GOOD) - 1)
    assert [small.find(GOOD, NOW).subject for _ in range(2)] == ["alice"] * 2
    assert tally(looks) == (0, 2)


def test_several_threads_get_what_each_asked_for() -> None:
    believed = Believed(CORP)
    texts = {name: token(HEADER, claims(sub=name), KEY) for name in ("alice", "bob", "carol", "dave")}
    known, looks = counting(believed, size=2 * len(GOOD))
    wrong: list[object] = []

    def ask(turn: int) -> None:
        try:
            for step in range(200):
                name = list(texts)[(turn + step) % 4]
                if known.find(texts[name], NOW).subject != name:
                    wrong.append(name)
        except BaseException as error:  # noqa: BLE001 - told below
            wrong.append(error)

    threads = [threading.Thread(target=ask, args=(turn,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert sum(tally(looks)) == 800


def test_what_becomes_of_each_token_is_counted() -> None:
    metrics = Metrics()
    known = KnownTokens(Believed(CORP, PROD), count=metrics.token_looked_at)

    for text in (GOOD, GOOD, SVID, GOOD):
        known.find(text, NOW)
    refused(known, "nonsense")
    refused(known, GOOD, END + 30_000)

    assert metrics.counts().tokens == {"cached": 2, "verified": 2, "refused": 2}
