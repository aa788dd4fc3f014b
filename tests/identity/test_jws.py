"""Tokens are taken apart in one way, or refused: serialisation, base64url, JSON, headers."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.identity.tokens.base64url import decode_base64url, encode_base64url
from pdp.identity.tokens.jws import parse_compact
from pdp.identity.tokens.refusal import RefusedTokenError, TokenRefusal
from pdp.limits import MAX_JSON_DEPTH, MAX_KEY_ID_CHARS, MAX_TOKEN_BYTES
from tests.identity.tokens import b64, encoded

SIGNATURE = b64(b"x" * 64)
HEADER = {"alg": "ES256", "kid": "a", "typ": "JWT"}
CLAIMS = {"sub": "alice", "exp": 1}


def made(header: object = HEADER, claims: object = CLAIMS) -> str:
    return f"{encoded(header, claims)}.{SIGNATURE}"


def refused(text: str) -> TokenRefusal:
    with pytest.raises(RefusedTokenError) as caught:
        parse_compact(text)
    assert caught.value.message
    assert SIGNATURE not in caught.value.message
    return caught.value.code


def test_a_token_is_taken_apart() -> None:
    token = parse_compact(made())

    assert (token.header, token.claims) == (HEADER, CLAIMS)
    assert (token.algorithm, token.key_id, token.type) == ("ES256", "a", "JWT")
    assert json.loads(token.payload) == CLAIMS


def test_what_may_be_left_out_may_be() -> None:
    token = parse_compact(made({"alg": "RS256", "x5t": "abc", "nonce": "n"}, {}))

    assert (token.key_id, token.type, token.claims) == (None, None, {})


def test_white_space_within_the_json_is_part_of_what_is_signed() -> None:
    """RFC 7515, appendix A.1, has line breaks there."""
    token = parse_compact(made('{"typ":"JWT",\r\n "alg":"ES256"}', '\t{ "exp" : 1 }\n'))

    assert (token.algorithm, token.claims) == ("ES256", {"exp": 1})


# -- serialisations --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "malformed"),
        (".", "malformed"),
        ("..", "malformed"),
        ("a", "malformed"),
        ("a.b", "malformed"),
        (made().rpartition(".")[0], "malformed"),
        (made() + ".", "malformed"),
        (made() + ".x", "malformed"),
        ("." + made(), "malformed"),
        (made() + "...", "malformed"),
        (made() + ".a.b", "encrypted"),
        (f"{b64(json.dumps({'alg': 'dir', 'enc': 'A256GCM'}))}..a.b.c", "encrypted"),
        (f"{encoded(HEADER, CLAIMS)}.", "unsigned"),
        (f"{encoded({'alg': 'none'}, CLAIMS)}.", "unsigned"),
        (f"{b64(json.dumps(HEADER))}..{SIGNATURE}", "detached"),
        (f".{b64(json.dumps(CLAIMS))}.{SIGNATURE}", "malformed"),
        ('{"payload":"e30","protected":"e30","signature":"e30"}', "json_serialization"),
        (' {"payload":"e30","signatures":[]}', "json_serialization"),
        ("Bearer " + made(), "malformed"),
        ("bearer " + made(), "malformed"),
        ("\ufeff" + made(), "malformed"),
    ],
)
def test_only_the_compact_serialisation_is_read(text: str, code: str) -> None:
    assert refused(text).value == code


@pytest.mark.parametrize(
    "space", [" ", "\n", "\r\n", "\t", "\0", "\x0b", "\u00a0", "\u2028", "=", "==", "+", "/", "%", ","]
)
@pytest.mark.parametrize("place", ["first", "last", "before a dot", "after a dot", "within"])
def test_no_other_character_stands_anywhere(space: str, place: str) -> None:
    text = made()
    dot = text.index(".")
    at = {"first": 0, "last": len(text), "before a dot": dot, "after a dot": dot + 1, "within": 5}[place]

    assert refused(text[:at] + space + text[at:]) is TokenRefusal.MALFORMED


def test_a_token_has_a_bound() -> None:
    room = MAX_TOKEN_BYTES - len(made(claims={"sub": ""}))
    widest = next(
        text for size in range(room // 4 * 3 + 4, 0, -1)
        if len(text := made(claims={"sub": "x" * size})) <= MAX_TOKEN_BYTES
    )  # fmt: skip

    assert MAX_TOKEN_BYTES - 4 < len(widest) <= MAX_TOKEN_BYTES
    assert parse_compact(widest)
    assert refused(widest + "x" * (MAX_TOKEN_BYTES + 1 - len(widest))) is TokenRefusal.TOO_LARGE
    assert refused("." * 10_000_000) is TokenRefusal.TOO_LARGE


# -- base64url -------------------------------------------------------------------------


@given(data=st.binary(max_size=200))
def test_octets_survive_base64url(data: bytes) -> None:
    assert decode_base64url(encode_base64url(data)) == data


@given(text=st.text(alphabet="ABcd019-_+/= \n\u00e9Qgw", max_size=12))
def test_no_two_texts_stand_for_the_same_octets(text: str) -> None:
    try:
        data = decode_base64url(text)
    except ValueError:
        return
    assert encode_base64url(data) == text
    assert base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) == data


@pytest.mark.parametrize(
    "text", ["A", "AAAAA", "QR", "QQ==", "QQ=", "QUF", "Q\nQ", "Q Q", "Q+Q", "Q/Q", "\u0661\u0661", "QQ\n"]
)
def test_what_is_not_canonical_is_refused(text: str) -> None:
    """`QR` and `QQ` are the same octet to a decoder that drops the bits left over."""
    with pytest.raises(ValueError, match="base64url"):
        decode_base64url(text)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_every_part_is_canonical(part: int) -> None:
    good = made('{"alg":"ES256"} ', '{"sub":"x"}').split(".")
    assert len(good[part]) % 4, "there are bits left over"
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    good[part] = good[part][:-1] + alphabet[alphabet.index(good[part][-1]) + 1]

    assert refused(".".join(good)) is TokenRefusal.MALFORMED


# -- JSON ------------------------------------------------------------------------------

BAD_JSON = [
    "", " ", "null", "[]", '"x"', "1", "true", "{", "{}{}", "{} x", "{'a':1}", '{"a":1,}', '{"a":NaN}',
    '{"a":Infinity}',
    '{"a":-Infinity}', '{"a":01}', '{"a":1e999}', '{"a":9223372036854775808}', '{"a":"\\ud800"}',
    '{"a":"\\u0000"}',
    '{"a":"\0"}', '{"a":"\x01"}', '{"a":1,"a":1}', '{"a":{"b":1,"b":2}}', '{"a":1,"\\u0061":2}',
    '\ufeff{"a":1}',
    "{/**/}", '{"a":[' + "[" * MAX_JSON_DEPTH + "]" * MAX_JSON_DEPTH + "]}", '{"a":1}\0',
]  # fmt: skip


@pytest.mark.parametrize("text", BAD_JSON)
def test_header_and_claims_are_objects_read_in_one_way(text: str) -> None:
    with_alg = text.replace("{", '{"alg":"ES256",', 1) if text.startswith('{"a') else text

    assert refused(f"{b64(with_alg)}.{b64('{}')}.{SIGNATURE}") in {
        TokenRefusal.MALFORMED,
        TokenRefusal.DETACHED,
    }
    assert refused(f"{b64(json.dumps(HEADER))}.{b64(text)}.{SIGNATURE}") in {
        TokenRefusal.MALFORMED,
        TokenRefusal.DETACHED,
    }


@pytest.mark.parametrize(("part", "name"), [(0, "alg"), (0, "kid"), (1, "sub"), (1, "exp"), (1, "aud")])
def test_a_member_that_stands_twice_is_refused(part: int, name: str) -> None:
    twice = ['{"alg":"ES256","kid":"a"}', '{"sub":"a","exp":1,"aud":"b"}']
    twice[part] = twice[part][:-1] + f',"{name}":"b"}}'

    assert refused(made(*twice)) is TokenRefusal.MALFORMED


@pytest.mark.parametrize(
    "data", [b'{"sub":"\xff"}', b'{"sub":"\xc0\xaf"}', b'{"sub":"\xed\xa0\x80"}', b"\xff\xfe{\0}\0"]
)
def test_what_is_not_utf_8_is_refused(data: bytes) -> None:
    assert refused(f"{b64(json.dumps(HEADER))}.{b64(data)}.{SIGNATURE}") is TokenRefusal.MALFORMED


# -- headers ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"crit": []}, "critical"),
        ({"crit": ["exp"]}, "critical"),
        ({"crit": ["exp"], "exp": 1}, "critical"),
        ({"crit": ["b64"], "b64": True}, "critical"),
        ({"crit": ["alg"]}, "critical"),
        ({"crit": None}, "critical"),
        ({"crit": "alg"}, "critical"),
        ({"b64": False}, "header"),
        ({"b64": True}, "header"),
        ({"jwk": {"kty": "EC"}}, "embedded_key"),
        ({"jwk": None}, "embedded_key"),
        ({"jku": "https://evil.example/keys"}, "embedded_key"),
        ({"x5u": "https://evil.example/cert"}, "embedded_key"),
        ({"x5c": []}, "embedded_key"),
        ({"x5c": ["MIIB"]}, "embedded_key"),
        ({"cty": "JWT"}, "header"),
        ({"enc": "A256GCM"}, "header"),
        ({"zip": "DEF"}, "header"),
        ({"alg": ""}, "header"),
        ({"alg": None}, "header"),
        ({"alg": 1}, "header"),
        ({"alg": ["ES256"]}, "header"),
        ({"kid": ""}, "header"),
        ({"kid": None}, "header"),
        ({"kid": 1}, "header"),
        ({"kid": {}}, "header"),
        ({"kid": "x" * (MAX_KEY_ID_CHARS + 1)}, "header"),
        ({"typ": ""}, "header"),
        ({"typ": 1}, "header"),
        ({"typ": None}, "header"),
    ],
)
def test_a_header_says_no_more_than_it_may(more: dict, code: str) -> None:
    assert refused(made(HEADER | more)).value == code


def test_a_header_names_its_algorithm() -> None:
    assert refused(made({"kid": "a"})) is TokenRefusal.HEADER
    assert parse_compact(made({"alg": "x", "kid": "x" * MAX_KEY_ID_CHARS})).algorithm == "x"


def test_a_message_shows_what_it_quotes_without_control_characters() -> None:
    with pytest.raises(RefusedTokenError) as caught:
        parse_compact(made({"alg": "ES256", "kid": "\x1b[31m" + "x" * 300}))

    assert "\x1b" not in caught.value.message
    assert len(caught.value.message) < 200


# -- laws ------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(claims=st.dictionaries(st.sampled_from(["sub", "exp", "a", "\u00e9", "\u202e"]), VALUES, max_size=5))
def test_what_is_written_is_read(claims: dict) -> None:
    assert parse_compact(made(claims=claims)).claims == claims


@given(text=st.text(max_size=60) | st.text(alphabet="eyJ0.={}\"' \n", max_size=40))
def test_any_text_is_a_token_or_refused(text: str) -> None:
    try:
        token = parse_compact(text)
    except RefusedTokenError as error:
        assert error.message  # noqa: PT017 - it may also be a token
    else:
        assert token.text == text
