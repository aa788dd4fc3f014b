"""The edges of what a token may claim: first and last instants, fractions, and what is said of spans."""

from dataclasses import replace

import pytest

from pdp.identity.tokens.claims import TokenTimes, check_times, times_of
from pdp.identity.tokens.jws import split_compact
from pdp.identity.tokens.refusal import RefusedTokenError
from tests.identity.tokens import NOW, issuer, key_for

LAST = 253_402_300_799  # 9999-12-31T23:59:59Z


def test_the_first_and_the_last_second_of_the_calendar_are_times() -> None:
    assert times_of({"exp": LAST, "nbf": 0, "iat": 0.0}) == TokenTimes(
        expires=LAST * 1000, not_before=0, issued=0
    )


@pytest.mark.parametrize("name", ["nbf", "iat", "exp"])
@pytest.mark.parametrize("value", [LAST + 1, -1, -0.001])
def test_one_beyond_them_is_none(name: str, value: float) -> None:
    with pytest.raises(RefusedTokenError, match=f"`{name}` is refused: it is no time"):
        times_of({"exp": LAST, name: value})


def test_a_fraction_of_a_second_is_cut_to_whole_milliseconds() -> None:
    times = times_of({"exp": 1_800_000_000.0006, "iat": 1_799_999_999.9999})

    assert times == TokenTimes(expires=1_800_000_000_000, not_before=None, issued=1_799_999_999_999)
    assert {type(times.expires), type(times.issued)} == {int}


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(1000, "1000 seconds"), (7199, "7199 seconds"), (7200, "2 hours"), (7201, "2 hours")],
)
def test_how_long_ago_a_token_expired_is_said_in_a_unit_that_people_read(seconds: int, said: str) -> None:
    expired = TokenTimes(expires=NOW - seconds * 1000, not_before=None, issued=None)
    strict = replace(issuer(key_for("ES256").named("a")), leeway=0)

    with pytest.raises(RefusedTokenError, match=f"the token has expired, {said} ago"):
        check_times(expired, strict, NOW)


@pytest.mark.parametrize("word", ["Bearer", "bearer", "BEARER"])
def test_a_whole_authorization_header_is_told_from_a_token(word: str) -> None:
    with pytest.raises(RefusedTokenError, match="give the token alone"):
        split_compact(f"{word} a.b.c")
