"""Who asks, as a sidecar says it: one element, for us, with one name in it, or nobody."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.identity.forwarded.refusal import ForwardedError, ForwardedFault
from pdp.identity.forwarded.xfcc import forwarded_identity, parse_elements

OURS = "spiffe://prod.example.org/ns/pdp/sa/pdp"
PROXY = "spiffe://prod.example.org/ns/edge/sa/proxy"
ADMIN = "spiffe://prod.example.org/ns/edge/sa/admin"
HASH = "468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688"
PEM = quote("-----BEGIN CERTIFICATE-----\nMIIB+/==\n-----END CERTIFICATE-----\n", safe="")


def fault(*lines: str) -> ForwardedFault:
    with pytest.raises(ForwardedError) as refused:
        forwarded_identity([line.encode("latin-1") for line in lines], OURS)
    assert refused.value.message
    return refused.value.fault


# -- what proxies write --------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        f"By={OURS};URI={PROXY}",
        f'By={OURS};Hash={HASH};Subject="";URI={PROXY}',  # Istio
        f'By={OURS};Hash={HASH};Cert="{PEM}";Chain="{PEM}";Subject="CN=a,O=b";URI={PROXY};DNS=a.b;DNS=c.d',
        f'Hash={HASH};uri={PROXY};by="{OURS}"',
        f'By={OURS};Subject="CN=\\"a\\"\\;URI={ADMIN}\\,O=x";URI={PROXY}',
        f" \tBy={OURS};URI={PROXY} ",
        f"By={OURS};SAN={PROXY}",  # before Envoy 1.5
    ],
)
def test_the_workload_that_was_verified_is_the_one(line: str) -> None:
    assert forwarded_identity([line.encode()], OURS).id == PROXY


# -- what is nobody ------------------------------------------------------------------------


def test_no_header_is_nobody() -> None:
    assert fault() is ForwardedFault.MISSING


def test_a_header_for_somebody_else_is_for_nobody() -> None:
    for by in (ADMIN, OURS + "x", OURS.upper(), "", OURS[:-1]):
        assert fault(f"By={by};URI={PROXY}") is ForwardedFault.ELSEWHERE


@pytest.mark.parametrize(
    "lines",
    [
        ("",),
        (" ",),
        (f"By={OURS}",),
        (f"URI={PROXY}",),
        (f'By={OURS};Hash={HASH};Subject="CN=a"',),
        # several elements, lines, names
        (f"By={OURS};URI={PROXY}", f"By={OURS};URI={PROXY}"),
        (f"By={OURS};URI={PROXY}", ""),
        (f"By={OURS};URI={PROXY},By={OURS};URI={PROXY}",),
        (f"By={OURS};URI={ADMIN},By={OURS};URI={PROXY}",),
        (f"By={OURS};URI={PROXY}, By={OURS};URI={PROXY}",),
        (f"By={OURS};URI={PROXY},",),
        (f",By={OURS};URI={PROXY}",),
        (f"By={OURS};URI={PROXY};URI={ADMIN}",),
        (f"By={OURS};URI={PROXY};uri={PROXY}",),
        (f"By={OURS};URI=;URI={PROXY}",),
        (f"By={OURS};By={OURS};URI={PROXY}",),
        (f"By={ADMIN};By={OURS};URI={PROXY}",),
        (f"By={OURS};Hash={HASH};Hash={HASH};URI={PROXY}",),
        # a name that is none of a workload
        (f"By={OURS};URI=",),
        (f"By={OURS};URI=spiffe://prod.example.org",),
        (f"By={OURS};URI=https://prod.example.org/x",),
        (f"By={OURS};URI={PROXY}/",),
        (f"By={OURS};URI={PROXY}/../admin",),
        (f"By={OURS};URI={PROXY}%41",),
        (f"By={OURS};URI=SPIFFE://prod.example.org/x",),
        # a name in a certificate that is written as if it were more of the header
        (f"By={OURS};URI={PROXY};DNS=a;URI={ADMIN}",),
        (f"By={OURS};URI=;DNS=a;URI={ADMIN}",),
        (f"By={OURS};URI={PROXY};DNS=a,By={OURS};URI={ADMIN}",),
        (f'By={OURS};Subject="CN=a";URI={ADMIN};x="";URI={PROXY}',),
        # nothing that can be read
        (f"By={OURS};URI={PROXY};",),
        (f";By={OURS};URI={PROXY}",),
        (f"By={OURS};;URI={PROXY}",),
        (f"By={OURS}; URI={PROXY}",),
        (f"By = {OURS};URI={PROXY}",),
        (f"By={OURS};URI={PROXY}\x00",),
        (f"By={OURS};URI={PROXY}\r\n",),
        (f"By={OURS};URI={PROXY}\u00e9",),
        (f"By={OURS};SAN={PROXY};URI={PROXY}",),
        (f"By={OURS};URI={PROXY};Other=x",),
        (f"By={OURS};URI",),
        (f"={OURS};URI={PROXY}",),
        (f'By={OURS};Subject="a;URI={PROXY}',),
        (f'By={OURS};Subject=a";URI={PROXY}',),
        (f'By={OURS};Subject="a"b;URI={PROXY}',),
        (f'By={OURS};Subject="a""b";URI={PROXY}',),
        (f'By={OURS};URI="{PROXY}',),
        # whether the quote ends here, two parsers would not agree
        (f'By={OURS};Subject="CN=a\\\\";URI={PROXY}',),
        (f'By={OURS};Subject="CN=a\\\\";URI={PROXY};DNS="x"',),
        (f'By={OURS};Subject="CN=a\\',),
        ("[" * 30000,),
        (f'By={OURS};Subject="' + "\\" * 30000,),
    ],
)
def test_everything_else_is_refused(lines: tuple[str, ...]) -> None:
    assert fault(*lines) is ForwardedFault.INVALID


FIRST = "spiffe://prod.example.org/ns/edge/sa/ingress"
ELSEWHERE, INVALID = ForwardedFault.ELSEWHERE, ForwardedFault.INVALID


@pytest.mark.parametrize(
    ("hops", "elements", "came_to"),
    [
        (2, (f"By={FIRST};URI={PROXY}", f"By={OURS};URI={FIRST}"), PROXY),
        (3, (f"By={ADMIN};URI={PROXY}", f"By={FIRST};URI={ADMIN}", f"By={OURS};URI={FIRST}"), PROXY),
        # too few, and too many
        (2, (f"By={OURS};URI={FIRST}",), INVALID),
        (2, (f"By={FIRST};URI={ADMIN}", f"By={FIRST};URI={PROXY}", f"By={OURS};URI={FIRST}"), INVALID),
        (1, (f"By={FIRST};URI={PROXY}", f"By={OURS};URI={FIRST}"), INVALID),
        # the proxies are not one behind the other
        (2, (f"By={FIRST};URI={PROXY}", f"By={FIRST};URI={FIRST}"), ELSEWHERE),
        (2, (f"By={OURS};URI={PROXY}", f"By={OURS};URI={FIRST}"), ELSEWHERE),
        (2, (f"By={ADMIN};URI={PROXY}", f"By={OURS};URI={FIRST}"), ELSEWHERE),
        (2, (f"By={OURS};URI={FIRST}", f"By={FIRST};URI={PROXY}"), ELSEWHERE),
        # a proxy that does not say whom it has verified, or for whom
        (2, (f"By={FIRST};URI={PROXY}", f"By={OURS}"), INVALID),
        (2, (f"URI={PROXY}", f"By={OURS};URI={FIRST}"), INVALID),
        (2, (f"By={FIRST};URI={PROXY};URI={ADMIN}", f"By={OURS};URI={FIRST}"), INVALID),
    ],
)
def test_of_several_proxies_each_has_verified_the_one_before_it(
    hops: int, elements: tuple[str, ...], came_to: object
) -> None:
    line = [",".join(elements).encode()]
    try:
        found: object = forwarded_identity(line, OURS, hops).id
    except ForwardedError as error:
        found = error.fault

    assert found == came_to


@pytest.mark.parametrize(("hops", "why"), [(1, "several elements"), (2, "2 elements"), (3, "3 elements")])
def test_it_is_told_how_many_proxies_should_be_in_it(hops: int, why: str) -> None:
    elements = [f"By={OURS};URI={PROXY}"] * 4

    with pytest.raises(ForwardedError, match=why):
        forwarded_identity([",".join(elements).encode()], OURS, hops)


def test_nothing_of_the_header_is_told() -> None:
    with pytest.raises(ForwardedError) as refused:
        forwarded_identity([f"By={OURS};URI={PROXY};secret=x".encode()], OURS)

    assert "secret" not in refused.value.message


# -- properties ----------------------------------------------------------------------------

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
BARE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='",;'), max_size=20)
ONCE = st.lists(st.sampled_from(["By", "Hash", "Cert", "Chain", "Subject", "URI"]), unique=True, max_size=6)


def quoted(value: str) -> str:
    """As Envoy writes it: only a quote is escaped, so that a backslash may not stand before one."""
    return '"' + value.replace('"', '\\"') + '"'


def is_clear(value: str) -> bool:
    return '\\"' not in value and not value.endswith("\\")


values = st.one_of(
    BARE.map(lambda value: (value, value)),
    PRINTABLE.filter(is_clear).map(lambda value: (value, quoted(value))),
)


@st.composite
def elements(draw: st.DrawFn) -> tuple[tuple[tuple[str, str], ...], str]:
    keys = [*draw(ONCE), *(["DNS"] * draw(st.integers(0, 3)))]
    keys = draw(st.permutations(keys or ["Hash"]))
    pairs = [(key, *draw(values)) for key in keys]
    cased = [draw(st.sampled_from([str.lower, str.upper, str]))(key) for key in keys]
    written = ";".join(f"{key}={text}" for key, (_, _, text) in zip(cased, pairs, strict=True))
    return tuple((key.lower(), value) for key, value, _ in pairs), written


@given(elements())
def test_what_was_written_is_what_is_read(element: tuple[tuple[tuple[str, str], ...], str]) -> None:
    pairs, written = element

    assert parse_elements(written) == (pairs,)


@given(st.lists(elements(), min_size=1, max_size=4), st.sampled_from([",", ", ", " ,\t"]))
def test_elements_are_read_one_by_one(several, comma: str) -> None:
    """Whatever stands in them: no quoting makes a comma between two elements part of a value."""
    assert parse_elements(comma.join(text for _, text in several)) == tuple(pairs for pairs, _ in several)


@given(elements(), elements())
def test_of_several_elements_none_is_about_who_asks(one, other) -> None:
    assert fault(f"{one[1]},{other[1]}") is ForwardedFault.INVALID


@given(st.text(st.sampled_from('ByURIDNS=;,"\\ :/.ax\t\u00e9\n'), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse_elements(text)
    except ForwardedError:
        return
    assert all(found)
    assert all(key in {"by", "uri", "dns"} for pairs in found for key, _ in pairs)


@given(
    st.lists(
        st.sampled_from(
            [f"By={OURS}", f"URI={PROXY}", f"URI={ADMIN}", "URI=", "DNS=a", 'Subject="', '"', f"By={PROXY}"]
        ),
        max_size=6,
    ),
    st.lists(st.sampled_from([";", ",", "", '"', "\\"]), min_size=6, max_size=6),
)
def test_nobody_is_named_but_by_the_only_uri_of_the_only_element(parts: list[str], joints: list[str]) -> None:
    line = "".join(part + joint for part, joint in zip(parts, joints, strict=False))
    try:
        found = forwarded_identity([line.encode()], OURS)
    except ForwardedError:
        return
    outside = "".join(line.replace('\\"', "").split('"')[::2])
    assert outside.count("URI=") == 1
    assert f"URI={found.id}" in outside
    assert outside.count("By=") == 1
    assert "," not in outside
