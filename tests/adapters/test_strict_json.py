"""JSON from outside is read in exactly one way or refused, with a code and one plain sentence."""

import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pdp.adapters import strict_json
from pdp.adapters.strict_json import BadJsonError, decode
from pdp.limits import MAX_JSON_DEPTH


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    name: str


class Document(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    count: int = 0
    inner: Inner | None = None
    others: dict[str, Any] = {}
    listed: tuple[str, ...] = ()


def refusal(body: bytes, type_: Any = Any, max_bytes: int = 10_000) -> tuple[str, str]:
    with pytest.raises(BadJsonError) as caught:
        decode(body, type_, max_bytes=max_bytes)
    assert str(caught.value) == caught.value.message
    assert caught.value.message.isprintable()
    return caught.value.code, caught.value.message


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


REFUSED = {
    "nothing": (b"", "invalid_json", "the body is empty"),
    "blank": (b" \r\n\t", "invalid_json", "the body is empty"),
    "invalid UTF-8": (b'{"a": "\xff"}', "not_utf8", "the body is not UTF-8: byte 7 is 0xff"),
    "overlong UTF-8": (b'"\xc0\xaf"', "not_utf8", "byte 1 is 0xc0"),
    "UTF-8 of a surrogate": (b'"\xed\xa0\x80"', "not_utf8", "byte 1 is 0xed"),
    "UTF-16": ('{"a":1}'.encode("utf-16"), "not_utf8", "byte 0 is 0xff"),
    "byte order mark": (b"\xef\xbb\xbf{}", "invalid_json", "byte order mark"),
    "duplicate key": (b'{"a":1,"a":1}', "duplicate_key", "the key `a` stands twice in one object"),
    "duplicate key, spaced": (b'{"a":1,"a" :2}', "duplicate_key", "`a`"),
    "duplicate key, escaped": (rb'{"a":1,"\u0061":2}', "duplicate_key", "`a`"),
    "duplicate key, inside": (b'[{"b":{"a":1,"c":2,"a":3}}]', "duplicate_key", "`a`"),
    "duplicate key with a colon": (b'{":a":1,":a":2}', "duplicate_key", "`:a`"),
    "duplicate empty key": (b'{"":1,"":2}', "duplicate_key", "``"),
    "duplicate key, bidirectional": ('{"\u202ea":1,"\u202ea":2}'.encode(), "duplicate_key", r"`\u{202e}a`"),
    "NUL": (b'{"a":"\x00"}', "nul_character", "line 1, column 7"),
    "NUL outside": (b'{"a":1}\x00', "nul_character", "line 1, column 8"),
    "NUL, escaped": (rb'{"a":"\u0000"}', "nul_character", "escaped NUL"),
    "NUL, escaped in a key": (rb'{"a\u0000":1}', "nul_character", "escaped NUL"),
    "NUL, escaped in a list": (rb'{"a":["x",{"b":"\u0000"}]}', "nul_character", "escaped NUL"),
    "lone high surrogate": (rb'"\ud800"', "lone_surrogate", "half of a surrogate pair"),
    "lone low surrogate": (rb'{"\udc00":1}', "lone_surrogate", "half of a surrogate pair"),
    "surrogates the wrong way round": (rb'"\udc00\ud800"', "lone_surrogate", "half"),
    "control character": (b'"a\nb"', "invalid_json", "a control character, which must be escaped"),
    "NaN": (b'{"a":NaN}', "invalid_number", "`NaN`"),
    "Infinity": (b"[Infinity]", "invalid_number", "`Infinity`"),
    "-Infinity": (b"-Infinity", "invalid_number", "`-Infinity`"),
    "infinite float": (b"[1e999]", "number_out_of_range", "`1e999`"),
    "2 ** 63": (b"9223372036854775808", "number_out_of_range", "is not a signed 64-bit integer"),
    "-2 ** 63 - 1": (b"-9223372036854775809", "number_out_of_range", "64-bit"),
    "very long integer": (b"[" + b"1" * 6000 + b"]", "number_out_of_range", "1...` is not"),
    "very long fraction": (b"0." + b"1" * 6000, "number_out_of_range", "too long"),
    "leading zero": (b"[01]", "invalid_json", "`,` or a closing bracket is missing at line 1, column 3"),
    "hexadecimal": (b"[0x1]", "invalid_json", "column 3"),
    "plus sign": (b"[+1]", "invalid_json", "a value is missing or malformed"),
    "trailing data": (b"{} {}", "trailing_data", "something follows the JSON value at line 1, column 4"),
    "trailing comma": (b'{"a":1,}', "invalid_json", "a key in double quotes is missing"),
    "trailing comma in a list": (b"[1,]", "invalid_json", "a value is missing"),
    "single quotes": (b"{'a':1}", "invalid_json", "a key in double quotes is missing at line 1, column 2"),
    "comment": (b"{} // x", "trailing_data", "column 4"),
    "missing colon": (b'{"a" 1}', "invalid_json", "a `:` is missing"),
    "missing comma": (b'{"a":1 "b":2}', "invalid_json", "a `,` or a closing bracket is missing"),
    "second line": (b'{"a":1,\n"b"}', "invalid_json", "line 2, column 4"),
    "open string": (b'{"a":"x', "invalid_json", "a string is not closed"),
    "open string, escape": (b'"x\\', "invalid_json", "a string is not closed"),
    "bad escape": (rb'"\x41"', "invalid_json", "an escape that does not exist"),
    "short escape": (rb'"\u12"', "invalid_json", "without four hexadecimal digits"),
    "too deep": (nested(MAX_JSON_DEPTH + 1), "too_deep", f"more than {MAX_JSON_DEPTH} deep"),
    "too deep, objects": (b'{"a":' * 17 + b"1" + b"}" * 17, "too_deep", "deep"),
    "too deep, never closed": (b"[" * 5000, "too_deep", "deep"),
    "too deep, behind brackets in a string": (b'["]]]]",' + nested(16) + b"]", "too_deep", "deep"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_strict_json_is_refused_by_name(case: str) -> None:
    body, code, said = REFUSED[case]

    found, message = refusal(body)

    assert found == code
    assert said in message


ACCEPTED = {
    "deepest": (nested(MAX_JSON_DEPTH), None),
    "brackets in strings": (b'["[[[[[[[[[[[[[[[[[[", "\\"]", {"a": "}{"}]', ["[" * 18, '"]', {"a": "}{"}]),
    "wide": (b"[" + b"[],{}," * 40 + b"1]", [*[[], {}] * 40, 1]),
    "greatest integer": (b"9223372036854775807", 2**63 - 1),
    "least integer": (b"-9223372036854775808", -(2**63)),
    "surrogate pair": (rb'"\ud83d\ude00"', "\U0001f600"),
    "UTF-8": ('{"é": "ü"}'.encode(), {"é": "ü"}),
    "same key in different objects": (b'[{"a":1},{"b":{"a":3}}]', [{"a": 1}, {"b": {"a": 3}}]),
    "key and value alike": (b'{"a":"a","b":"a"}', {"a": "a", "b": "a"}),
    "colons in strings": (b'{"a":":","b":"\\":","c":" :"}', {"a": ":", "b": '":', "c": " :"}),
    "white space": (b' \t\r\n{ "a" : 1 } \n', {"a": 1}),
    "a digit run in a string": (b'{"a":"12345678901234567890123"}', {"a": "12345678901234567890123"}),
    "fraction": (b"1.5e3", 1500.0),
}  # fmt: skip


@pytest.mark.parametrize("case", ACCEPTED)
def test_strict_json_is_read_as_the_standard_library_reads_it(case: str) -> None:
    body, value = ACCEPTED[case]

    assert decode(body, Any, max_bytes=1000) == (json.loads(body) if value is None else value)


def test_length_is_bounded_and_one_more_is_too_long() -> None:
    body = b'"' + b"x" * 98 + b'"'

    assert decode(body, str, max_bytes=100) == "x" * 98
    assert refusal(body, str, max_bytes=99) == ("body_too_large", "the body has more than 99 bytes")


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"{}", "missing_field", "the field `name` is missing"),
        (b'{"name":"x","inner":{}}', "missing_field", "the field `name` of `inner` is missing"),
        (b'{"name":"x","nmae":1}', "unknown_field", "the field `nmae` is not known"),
        (
            b'{"name":"x","inner":{"name":"y","z":1}}',
            "unknown_field",
            "the field `z` of `inner` is not known",
        ),
        (b'{"name":"x","\\u202e":1}', "unknown_field", r"the field `\u{202e}` is not known"),
        (b'{"name":1}', "wrong_type", "`name`: expected a string, got an integer"),
        (b'{"name":"x","count":1.0}', "wrong_type", "`count`: expected an integer, got a number"),
        (b'{"name":"x","count":true}', "wrong_type", "`count`: expected an integer, got true or false"),
        (b'{"name":"x","inner":[]}', "wrong_type", "`inner`: expected an object or null, got a list"),
        (b'{"name":"x","listed":["a",2]}', "wrong_type", "`listed[1]`: expected a string, got an integer"),
        (b'{"name":null}', "wrong_type", "`name`: expected a string, got null"),
        (b"[]", "wrong_type", "the body: expected an object, got a list"),
    ],
)
def test_what_is_not_of_the_type_is_refused_in_plain_words(body: bytes, code: str, message: str) -> None:
    assert refusal(body, Document) == (code, message)


def test_malformed_json_is_said_before_a_wrong_type_on_both_ways() -> None:
    plain, other = b'{"name":1,"count":}', b'{"name" :1,"count":}'

    assert refusal(plain, Document)[0] == refusal(other, Document)[0] == "invalid_json"


@pytest.mark.parametrize(
    "body",
    [
        b'{"principal": "spiffe://a.test/x", "method": "GET", "context": {"tls.sni": "10.0.0.1"}, "b": [1]}',
        b"{}",
        b'{"a":":b","c":"d:"}',
    ],
)
def test_documents_as_libraries_write_them_take_the_short_way(body: bytes) -> None:
    assert strict_json._plainly_strict(body)


@pytest.mark.parametrize(
    "body",
    [
        b'"\\n"', b'"\x7f"', '"é"'.encode(), b"{}\n", b'{"a" :1}', b'{"a":1,"a":2}', b'{":a":1,":a":2}',
        b'{":":1,":":2}', b"[1234567890123456789]", nested(MAX_JSON_DEPTH + 1),
    ],
)  # fmt: skip
def test_anything_doubtful_takes_the_long_way(body: bytes) -> None:
    assert not strict_json._plainly_strict(body)


# -- the two ways agree ----------------------------------------------------------------

_WORDS = st.text(alphabet='ab:," {}[]\\"', max_size=4)
_KEYS = st.sampled_from(["a", r"\u0061", ":a", ":", "", "name", ",", r"\"", r"\\"])
_SCALARS = st.none() | st.booleans() | st.integers(-(2**64), 2**64) | _WORDS | st.floats(allow_nan=False)


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """JSON text written by hand: duplicate keys, odd spaces, and now and then a broken character."""
    space = st.sampled_from(["", "", "", " ", "  "])

    def write(depth: int) -> str:
        kind = draw(st.integers(0, 3 if depth else 1))
        if kind <= 1:
            return json.dumps(draw(_SCALARS), ensure_ascii=draw(st.booleans()))
        items = range(draw(st.integers(0, 3)))
        if kind == 2:
            return "[" + ",".join(write(depth - 1) for _ in items) + "]"
        members = [f'"{draw(_KEYS)}"{draw(space)}:{draw(space)}{write(depth - 1)}' for _ in items]
        return "{" + ",".join(members) + "}"

    text = write(4)
    if draw(st.booleans()):
        at = draw(st.integers(0, len(text)))
        text = (
            text[:at]
            + draw(st.sampled_from(['"', ":", ",", "}", "]", "1", " ", "\n", "", "x"]))
            + text[at + 1 :]
        )
    return text.encode()


def accepted(body: bytes, *, by_the_long_way: bool) -> tuple[bool, object]:
    if by_the_long_way:
        try:
            strict_json.require_strict(body, "it")
        except BadJsonError:
            return False, None
    try:
        return True, msgspec.json.decode(body)
    except msgspec.DecodeError:
        return False, None


@settings(max_examples=1500, deadline=None)
@given(body=documents())
@example(body=b'{":":1,":":2}')
@example(body=b'{"":":","":2}')
@example(body=b'{"a":"x:","a":2}')
@example(body=rb'{"a":1,"\u0061":2}')
def test_what_is_plainly_strict_is_accepted_by_both_ways_alike(body: bytes) -> None:
    if strict_json._plainly_strict(body):
        assert accepted(body, by_the_long_way=False) == accepted(body, by_the_long_way=True)


@settings(max_examples=1500, deadline=None)
@given(body=documents())
def test_nothing_with_a_duplicate_key_is_accepted_by_either_way(body: bytes) -> None:
    """Held against the standard library's own idea of which keys an object has."""
    repeated = []

    def note(pairs: list[tuple[str, object]]) -> None:
        repeated.append(len({key for key, _ in pairs}) < len(pairs))

    try:
        json.loads(body, object_pairs_hook=note)
    except ValueError:
        repeated.append(True)

    try:
        decode(body, Any, max_bytes=10_000)
    except BadJsonError:
        return
    assert not any(repeated)


@settings(max_examples=500, deadline=None)
@given(body=st.binary(max_size=60) | documents())
def test_any_bytes_are_a_value_or_a_refusal(body: bytes) -> None:
    found = ""
    try:
        decode(body, Document, max_bytes=50)
    except BadJsonError as error:
        found = f"{error.code}{error.message}"

    assert found.isprintable()


@pytest.mark.parametrize("piece", [b'"\\"', b'\\"', b'"', b"[", b"[]", b"{", b'"a":', b"\\", b"1", b'{"a":'])
def test_time_is_linear_in_the_length_whatever_is_repeated(piece: bytes) -> None:
    def seconds(size: int) -> float:
        body = b"[" + piece * (size // len(piece))
        start = time.thread_time()
        with pytest.raises(BadJsonError):
            decode(body, Any, max_bytes=1 << 20)
        return time.thread_time() - start

    seconds(1000)

    # Quadratic would be 64 times as long for 8 times the length; anything linear is far below.
    assert seconds(1 << 18) < 40 * max(seconds(1 << 15), 0.001)
