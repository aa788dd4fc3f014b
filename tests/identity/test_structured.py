"""Byte Sequences and Lists of them, by RFC 9651: what its grammar has is read, and nothing else."""

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.identity.forwarded.refusal import ForwardedError
from pdp.identity.forwarded.structured import byte_sequence, byte_sequences

NAME = b"client-cert"
#: Parameters of every type that RFC 8941 has.
PARAMETERS = [
    "", ";a", "; a", ";  a", ";a=1", ";a=-1", ";a=0.5", ";a=-0.125", ";a=999999999999999",
    ";a=999999999999.999", ";a=?0", ";a=?1", ';a="x"', ';a=""', ';a="\\"\\\\"', ';a=", :eA==:"', ";a=tok",
    ";a=*t/:x!#$%&'*+-.^_`|~", ";a=:eA==:", ";a=::", ";a=:eHg=:", ";*a", ";a-b_c.d*1=1", ";a;a;b=2;c",
    ";a=1;  b=?0",
]  # fmt: skip
NO_PARAMETERS = [
    ";", "; ", ";A", ";1", ";-a", ";a=", ";a= 1", ";a =1", " ;a", "\t;a", ";\ta", ";a=1.", ";a=.5",
    ";a=1.2345", ";a=--1", ";a=1234567890123456", ";a=1234567890123.1", ";a=?2", ";a=?", ';a="x', ';a="\\x"',
    ';a="\x7f"', ";a='x'", ";a=:eA==", ";a=:eA:", ";a=:e:", ";a=:eA=:", ";a=:e\nA==:", ";a=(1)", ";a=@1",
    ';a=%"x"', ";a=;b=", ";;a", ";a;", ";a==1", ";a=1=2", ";a=b,",
]  # fmt: skip


def listed(name: bytes, text: str, *, besides: int) -> tuple[bytes, ...]:
    return byte_sequences(name, [text], besides=besides)


def refused(read: Callable[..., object], text: str, **more: int) -> str:
    with pytest.raises(ForwardedError) as error:
        read(NAME, text, **more)
    return error.value.message


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_parameters_are_read_and_ignored(parameters: str) -> None:
    assert byte_sequence(NAME, f":YQ==:{parameters}") == b"a"
    assert listed(NAME, f":YQ==:{parameters}, :Yg==:{parameters}", besides=1) == (b"a", b"b")


@pytest.mark.parametrize("parameters", NO_PARAMETERS)
def test_what_is_no_parameter_is_refused(parameters: str) -> None:
    assert "there is more in it" in refused(byte_sequence, f":YQ==:{parameters}") or parameters.endswith(",")
    refused(listed, f":YQ==:{parameters}", besides=1)
    refused(listed, f":YQ==:{parameters}, :Yg==:", besides=1)


def test_spaces_around_a_field_do_not_belong_to_it_and_tabs_do() -> None:
    assert byte_sequence(NAME, "  :YQ==:  ") == b"a"
    assert listed(NAME, " :YQ==:\t,\t :Yg==: ", besides=1) == (b"a", b"b")
    for text in ("\t:YQ==:", ":YQ==:\t"):
        refused(byte_sequence, text)
        refused(listed, text, besides=1)


@pytest.mark.parametrize(
    "text",
    [
        "YQ==", ":YQ==", "YQ==:", ":", "::", ":YQ:", ":YQ=:", ":YR==:", ":Y Q==:", ":YQ==:x", ": YQ==:",
        ":YQ== :", ":Y-Q=:", ":YQ==::YQ==:", ":YQ==: :YQ==:", '"YQ=="', "YQ", "1", "?1", "@1", '%"YQ"',
        "(:YQ==:)", "a=:YQ==:", "::YQ==:",
    ],
)  # fmt: skip
def test_what_is_no_byte_sequence_is_refused(text: str) -> None:
    assert refused(byte_sequence, text)
    assert refused(listed, text, besides=1)


@pytest.mark.parametrize("text", [",", ":YQ==:,", ",:YQ==:", ":YQ==:,,:Yg==:", ":YQ==: , ", ":YQ==:;:Yg==:"])
def test_a_list_has_a_member_on_either_side_of_a_comma(text: str) -> None:
    refused(listed, text, besides=1)


def test_a_list_is_not_one_byte_sequence() -> None:
    for text in (":YQ==:,:Yg==:", ":YQ==:, :Yg==:", ":YQ==:\t,", ":YQ==:;a,:Yg==:"):
        assert "it is a list" in refused(byte_sequence, text)


def test_a_list_counts_what_is_besides() -> None:
    text = ", ".join([":YQ==:"] * 7)

    assert len(listed(NAME, text, besides=1)) == 7
    assert "more than 8" in refused(listed, text, besides=2)
    assert "more than 8" in refused(listed, f"{text}, :YQ==:", besides=1)


@given(
    lines=st.lists(
        st.lists(st.tuples(st.binary(min_size=1), st.sampled_from(PARAMETERS)), min_size=1, max_size=3),
        min_size=1,
        max_size=2,
    ),
    comma=st.sampled_from([",", ", ", "\t,", " , \t"]),
)
def test_what_is_serialised_is_read(lines: list[list[tuple[bytes, str]]], comma: str) -> None:
    """In lines of any number of members (RFC 9651, section 3.1)."""
    written = [
        comma.join(f":{base64.b64encode(data).decode()}:{tail}" for data, tail in members)
        for members in lines
    ]

    found = byte_sequences(NAME, written, besides=1)

    assert found == tuple(data for members in lines for data, _ in members)


def test_all_lines_are_counted() -> None:
    assert len(byte_sequences(NAME, [":YQ==:"] * 7, besides=1)) == 7
    with pytest.raises(ForwardedError, match="more than 8"):
        byte_sequences(NAME, [":YQ==:"] * 8, besides=1)


def test_every_line_is_a_list_by_itself() -> None:
    """RFC 9651, section 4.2, allows it: joined, the quotes of two lines could make a String."""
    for lines in (
        [':YQ==:;t="', '";b'],
        [':YQ==:;t="', ':Yg==:;t="'],
        [":YQ==:,", ":Yg==:"],
        [":YQ==:", ",:Yg==:"],
        [":YQ", "==:"],
        [":YQ==:", ";a"],
    ):
        with pytest.raises(ForwardedError):
            byte_sequences(NAME, lines, besides=1)
