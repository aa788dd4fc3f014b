"""Laws of `pdp.paths`, held against models of the servers that disagree about paths."""

import pickle
import re
import time
import unicodedata
from functools import reduce
from operator import or_
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import HealthCheck, assume, example, given, reject, settings
from hypothesis import strategies as st

import pdp.paths.targets
from pdp.limits import (
    MAX_HOST_CHARS,
    MAX_METHOD_CHARS,
    MAX_PATH_BYTES,
    MAX_PATH_SEGMENTS,
)
from pdp.paths import (
    AmbiguousHostError,
    AmbiguousPathError,
    HostProblem,
    MethodProblem,
    PathProblem,
    Relaxation,
    canonical,
    canonical_host,
    is_canonical_segment,
    method_problem,
    plainly_canonical,
    readings,
)

# RFC 3986 `pchar` without unreserved characters (which `quote` always leaves alone) and `;`.
SEGMENT_DELIMITERS = "!$&'()*+,=:@"
ANY_TEXT = st.text(st.characters(exclude_categories=()))  # surrogates included

# Pieces that collide and combine: two spellings of one character, halves of what is refused,
# what relaxations touch. Text drawn at random would nearly always be refused at once.
PIECES = st.sampled_from(
    """/ / / // a b A %61 %41 %2d - ~ %7e . .. %2e @ %40 : %3A + %2B %2F %2f \\ %5c % %2 %25 2F ; %3b ? # %23
    %20 %C3%A9 %c3%a9 %C3%89 %C3 %A9 e %CC%81 H %CC%B1 %C4%B1 %C3%9F %00 %C2%85 %C2%A0 %CD%BE %EF%BC%8F
    %EF%BD%81 %E2%84%AA %E2%80%8C %E2%80%A5 %E2%88%95 %C0%AF %ED%A0%80 \u00e9 [ %5B""".split()  # noqa: SIM905  # sixty quotes hide what is in them
)
MILD_PIECES = st.sampled_from(
    ["/", "/", "a", "B", "%62", "%4b", ".", "-", "@", "%40", "%3a", "%20", "%C3%A9", "%c3%a9", "%2F", "//"]
)
HARMLESS_SEGMENT = st.lists(
    st.sampled_from(["a", "B", "%62", "%4b", ".x", "@", "%40", "%3a", "%C3%A9", "%c3%a9", "%5b", "%20_"]),
    min_size=1,
    max_size=4,
).map("".join)
TARGETS = st.one_of(
    st.lists(PIECES, max_size=8).map(lambda pieces: "/" + "".join(pieces)),
    st.lists(MILD_PIECES, max_size=10).map(lambda pieces: "/a" + "".join(pieces)),
    st.lists(HARMLESS_SEGMENT, max_size=5).map(lambda segments: "/" + "/".join(segments)),
    st.lists(st.text(max_size=3), max_size=4).map(lambda parts: "/" + quote("/".join(parts))),
    st.lists(PIECES, max_size=8).map("".join),
)
RELAXATIONS = st.sets(st.sampled_from(list(Relaxation))).map(
    lambda chosen: reduce(or_, chosen, Relaxation.NONE)
)


def law(**arguments):
    """`given` for laws about what is accepted: many examples are refused, as they should be."""
    relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
    return lambda test: relaxed(given(**arguments)(test))


def accepted(target, relaxations=Relaxation.NONE):
    """The readings of `target`; a refused one is no example of what is asked."""
    try:
        return readings(target, relaxations)
    except AmbiguousPathError:
        reject()


def outcome(read, *arguments):
    """What a reader returns, or the problem that it raises: all that it may ever do."""
    try:
        return read(*arguments)
    except (AmbiguousPathError, AmbiguousHostError) as refused:
        return refused.problem


# -- servers ---------------------------------------------------------------------------
# Each turns a request target into the segments that it would route by.


def _decoded(path):
    return unquote(path, errors="surrogateescape")


def _resolved(segments):
    result = []
    for segment in segments:
        if segment == "..":
            del result[-1:]
        elif segment != ".":
            result.append(segment)
    return result


def splits_then_decodes(target):
    return [_decoded(segment) for segment in target.partition("?")[0].split("/")[1:]]


def decodes_then_splits(target):
    return _decoded(target.partition("?")[0]).split("/")[1:]


def decodes_merges_and_resolves(target):
    return _resolved(re.sub("//+", "/", _decoded(target.partition("?")[0])).split("/")[1:])


def decodes_twice(target):
    return _decoded(_decoded(target.partition("?")[0])).split("/")[1:]


def decodes_and_forwards(target):
    return decodes_then_splits(re.split("[?#]", _decoded(target.partition("?")[0]))[0])


def parses_as_a_url(target):
    return _decoded(urlsplit(target).path).split("/")[1:]


def cuts_parameters_off(target):
    path = "/".join(segment.partition(";")[0] for segment in target.partition("?")[0].split("/"))
    return _resolved(segment.partition(";")[0] for segment in _decoded(path).split("/")[1:])


def takes_backslashes(target):
    return _resolved(_decoded(target.partition("?")[0]).replace("\\", "/").split("/")[1:])


def drops_dots_and_spaces(target):
    segments = splits_then_decodes(target)
    return [segment for segment in segments[:-1] if segment.strip(". ")] + segments[-1:]


def ends_at_nul(target):
    return _decoded(target.partition("?")[0]).partition("\0")[0].split("/")[1:]


def normalises_unicode(target):
    return unicodedata.normalize("NFKC", _decoded(target.partition("?")[0])).split("/")[1:]


def skips_invisible_characters(target):
    path = _decoded(target.partition("?")[0])
    return "".join(char for char in path if unicodedata.category(char) not in {"Cf", "Cc"}).split("/")[1:]


def converts_to_a_legacy_code_page(target):
    return re.sub("[\u2044\u2215\u2216\u00a5]", "/", _decoded(target.partition("?")[0])).split("/")[1:]


SERVERS = [
    splits_then_decodes,
    decodes_then_splits,
    decodes_merges_and_resolves,
    decodes_twice,
    decodes_and_forwards,
    parses_as_a_url,
    cuts_parameters_off,
    takes_backslashes,
    drops_dots_and_spaces,
    ends_at_nul,
    normalises_unicode,
    skips_invisible_characters,
    converts_to_a_legacy_code_page,
]


def spelled(segments):
    """The one canonical spelling of decoded segments."""
    return "/" + "/".join(quote(s, safe=SEGMENT_DELIMITERS, errors="surrogateescape") for s in segments)


# -- one reading -----------------------------------------------------------------------


@pytest.mark.parametrize("server", SERVERS)
@law(target=TARGETS)
@example("/a%40b/%61%7E?x//y")
@example("/caf%c3%a9/%20a/")
@example("/a..b/.c/d.")
def test_every_server_routes_an_accepted_target_by_its_canonical_path(server, target):
    (path,) = accepted(target)

    assert spelled(server(target)) == path


@pytest.mark.parametrize(
    ("server", "target"),
    [
        (splits_then_decodes, "/%61;"),
        (decodes_then_splits, "/a%2Fb"),
        (decodes_merges_and_resolves, "/a/../b"),
        (decodes_twice, "/a%252Fb"),
        (decodes_and_forwards, "/a%3Fb"),
        (parses_as_a_url, "//a/b"),
        (cuts_parameters_off, "/a;x/b"),
        (takes_backslashes, "/a%5Cb"),
        (drops_dots_and_spaces, "/a/..%20/b"),
        (ends_at_nul, "/a%00b"),
        (normalises_unicode, "/a%EF%BC%8Fb"),
        (skips_invisible_characters, "/a%E2%80%8Cb"),
        (converts_to_a_legacy_code_page, "/a%E2%88%95b"),
    ],
)
def test_each_server_model_disagrees_about_some_refused_target(server, target):
    """Without this the agreement above could hold because a model does nothing."""
    with pytest.raises(AmbiguousPathError):
        canonical(target)

    assert server(target) != target.split("/")[1:]


@law(target=TARGETS)
def test_canonical_is_idempotent(target):
    (path,) = accepted(target)

    assert canonical(path) == path


@law(target=TARGETS)
def test_canonical_path_has_nothing_left_to_dispute(target):
    (path,) = accepted(target)

    *inner, last = path.split("/")[1:]
    assert path.startswith("/")
    assert all(inner)
    assert not {".", ".."} & {*inner, last}
    assert re.fullmatch(r"[!-~]+", path)
    assert not re.search(r"%(?![0-9A-F]{2})|%(?:[01].|7F|2[EF35]|3[BF]|5C)|[\\;?#]", path)
    assert len(path) <= MAX_PATH_BYTES
    assert len(inner) < MAX_PATH_SEGMENTS


@law(target=TARGETS)
def test_decoding_a_canonical_path_again_never_yields_another_split(target):
    (path,) = accepted(target)

    assert [unquote(segment) for segment in path.split("/")] == unquote(path).split("/")
    assert unquote(unquote(path)) == unquote(path)


@law(target=st.one_of(TARGETS, ANY_TEXT))
@example("/a/../b")
@example("/a\n")
@example("/.")
@example("/a/...")
def test_plainly_canonical_implies_its_own_reading(target):
    assume(plainly_canonical(target))

    assert canonical(target) == target


@law(
    segments=st.lists(
        st.text("aZ0-_~@.", min_size=1, max_size=3), min_size=1, max_size=MAX_PATH_SEGMENTS - 1
    ),
    trailing=st.sampled_from(["", "/"]),
)
def test_ordinary_paths_are_plainly_canonical(segments, trailing):
    assume(not any(segment.startswith("..") or segment == "." for segment in segments))

    assert plainly_canonical("/" + "/".join(segments) + trailing)


@pytest.mark.parametrize(
    "target", ["", "/%41", "/a%20b", "/a?b", "/a#b", "//", "/a//b", "/a/./b", "/a;b", "a"]
)
def test_what_has_to_be_read_is_not_plainly_canonical(target):
    assert not plainly_canonical(target)


def test_plain_path_never_takes_the_slow_way(monkeypatch):
    monkeypatch.delattr(pdp.paths.targets, "_read")

    assert canonical("/v1/charges/41/refunds/8") == "/v1/charges/41/refunds/8"


def test_documented_expression_for_clients_is_the_plain_test():
    page = (Path(__file__).parents[2] / "docs/paths.md").read_text("utf-8")
    (expression,) = re.findall(r"```regex\n(.+)\n```", page)

    @law(target=st.one_of(TARGETS, st.text("/.a%;", max_size=9).map(lambda text: f"/{text}")))
    @example("/..a")
    @example("/.a/.b/")
    @example("/")
    @example("/a" * (MAX_PATH_SEGMENTS - 1) + "/")
    @example("/a" * MAX_PATH_SEGMENTS)
    @example("/" + "".join(map(chr, range(0x21, 0x7F))))
    @example("/a\n")
    def agree(target):
        assert bool(re.fullmatch(expression, target)) == plainly_canonical(target)

    agree()


# -- readings --------------------------------------------------------------------------


@law(target=TARGETS)
def test_without_relaxations_the_canonical_path_is_the_only_reading(target):
    assert outcome(readings, target, Relaxation.NONE) == outcome(lambda text: (canonical(text),), target)


@law(target=TARGETS, relaxations=RELAXATIONS)
def test_readings_are_sorted_distinct_and_few(target, relaxations):
    found = accepted(target, relaxations)
    doubling = relaxations & ~Relaxation.MERGE_SLASHES

    assert list(found) == sorted(set(found))
    assert 1 <= len(found) <= 2 ** len(doubling)


@law(target=TARGETS, relaxations=RELAXATIONS)
def test_every_reading_is_canonical_but_for_the_slash_that_was_kept(target, relaxations):
    for path in accepted(target, relaxations):
        if Relaxation.ENCODED_SLASH not in relaxations:
            assert "%2F" not in path
        assert canonical(path.replace("%2F", "-")) == path.replace("%2F", "-")


@law(target=TARGETS, relaxations=RELAXATIONS)
def test_relaxing_never_drops_the_strict_reading(target, relaxations):
    (path,) = accepted(target)

    assert path in accepted(target, relaxations)


@law(target=TARGETS, relaxations=RELAXATIONS, more=RELAXATIONS)
def test_a_further_relaxation_never_drops_a_reading(target, relaxations, more):
    assert set(accepted(target, relaxations)) <= set(accepted(target, relaxations | more))


@law(target=TARGETS, relaxations=RELAXATIONS)
@example("/a%2F", Relaxation.ENCODED_SLASH | Relaxation.IGNORE_TRAILING_SLASH | Relaxation.MERGE_SLASHES)
def test_readings_of_a_reading_are_readings(target, relaxations):
    found = accepted(target, relaxations)

    for path in found:
        try:
            again = readings(path, relaxations)
        except AmbiguousPathError:  # `/a%2F/` decodes to `/a//`, which only merging can read
            assert Relaxation.MERGE_SLASHES not in relaxations
        else:
            assert set(again) <= set(found)


@law(
    target=TARGETS,
    relaxations=RELAXATIONS,
    decodes_slashes=st.booleans(),
    slash=st.sampled_from([str, lambda path: path.rstrip("/") or "/"]),
    case=st.sampled_from([str, str.lower, str.casefold]),
)
@example(
    target="/A%2fB/%C3%A9/", relaxations=~Relaxation.NONE, decodes_slashes=True, slash=str, case=str.lower
)
def test_whatever_a_relaxed_server_does_is_among_the_readings(
    target, relaxations, decodes_slashes, slash, case
):
    found = accepted(target, relaxations)
    path = target.partition("?")[0]
    if decodes_slashes and Relaxation.ENCODED_SLASH in relaxations:
        path = re.sub("%2F", "/", path, flags=re.IGNORECASE)
    if Relaxation.MERGE_SLASHES in relaxations:
        path = re.sub("//+", "/", path)
    if Relaxation.IGNORE_TRAILING_SLASH in relaxations:
        path = slash(path)
    segments = splits_then_decodes(path)
    if Relaxation.IGNORE_CASE in relaxations:
        segments = [case(segment) for segment in segments]

    assert spelled(segments) in found


@pytest.mark.parametrize("kept", list(Relaxation))
def test_what_a_relaxation_is_about_is_left_alone_without_it(kept):
    """The others together do nothing of what it does."""
    target, one = {
        Relaxation.ENCODED_SLASH: ("/A%2FB", PathProblem.ENCODED_SLASH),
        Relaxation.MERGE_SLASHES: ("/A//B", PathProblem.EMPTY_SEGMENT),
        Relaxation.IGNORE_TRAILING_SLASH: ("/a", ("/a",)),
        Relaxation.IGNORE_CASE: ("/A/B", ("/A/B", "/A/B/")),
    }[kept]

    assert outcome(readings, target, ~kept) == one


def test_no_target_has_more_than_eight_readings():
    found = readings("/A%2F/B", ~Relaxation.NONE)

    assert len(found) == 8


@pytest.mark.parametrize(
    ("target", "relaxations"),
    [
        ("/a%2Fb%2Fc", Relaxation.ENCODED_SLASH),
        ("/A/B/C", Relaxation.IGNORE_CASE),
    ],
)
def test_a_relaxation_is_all_or_nothing(target, relaxations):
    assert len(readings(target, relaxations)) == 2


# -- literals of patterns --------------------------------------------------------------


@law(target=TARGETS, relaxations=RELAXATIONS)
def test_segments_of_lower_case_readings_may_be_literals(target, relaxations):
    for path in accepted(target, relaxations):
        if Relaxation.IGNORE_CASE in relaxations and re.search("[A-Z]", re.sub("%..", "", path)):
            continue
        segments = [segment for segment in path.split("/")[1:] if segment]
        assert [text for text in segments if not is_canonical_segment(text, relaxations)] == []


@law(text=st.one_of(HARMLESS_SEGMENT, st.lists(PIECES, max_size=4).map("".join), ANY_TEXT))
def test_a_literal_is_what_some_request_is_read_as(text):
    assume(is_canonical_segment(text))

    assert canonical(f"/a/{text}/b").split("/")[1:] == ["a", text, "b"]


@law(text=HARMLESS_SEGMENT.map(str.lower), flips=st.lists(st.booleans(), min_size=40, max_size=40))
def test_where_case_is_ignored_a_literal_is_met_in_every_spelling(text, flips):
    literal = canonical(f"/{text}").removeprefix("/")
    assume(is_canonical_segment(literal, Relaxation.IGNORE_CASE))
    spelling = "".join(char.upper() if up else char for char, up in zip(literal, flips, strict=False))

    assert f"/{literal}" in readings(f"/{spelling}", Relaxation.IGNORE_CASE)


# -- totality and cost -----------------------------------------------------------------


@law(target=st.one_of(ANY_TEXT, ANY_TEXT.map(lambda text: f"/{text}"), TARGETS), relaxations=RELAXATIONS)
def test_any_text_is_read_or_refused_as_ambiguous(target, relaxations):
    assert isinstance(outcome(canonical, target), str | PathProblem)
    assert isinstance(outcome(readings, target, relaxations), tuple | PathProblem)
    assert isinstance(plainly_canonical(target), bool)
    assert isinstance(is_canonical_segment(target, relaxations), bool)


@law(text=ANY_TEXT)
def test_any_text_is_a_method_or_has_a_problem(text):
    assert method_problem(text) is None or isinstance(method_problem(text), MethodProblem)
    assert (method_problem(text) is None) == bool(re.fullmatch(r"[A-Z][A-Z0-9_-]{0,63}", text))


HUGE = 1_000_000


@pytest.mark.parametrize(
    "target",
    [
        "/" * HUGE,
        "/a" * (HUGE // 2),
        "/" + "a" * HUGE,
        "/" + "." * HUGE,
        "%" * HUGE,
        "/" + "%2F" * (HUGE // 3),
        "/a?" + "b" * HUGE,
        "/a?" + "?" * HUGE,
        "/a?" + "b" * HUGE + "#",
        "/" + "\u0301" * HUGE,
        "/" + "\ud800" * HUGE,
        # the longest that are read at all, and the most work
        "/" + "a/" * 127 + "a" * (MAX_PATH_BYTES - 256) + "%",
        "/" + "..a" * 2730,
        "/" + ".a" * 4000 + "/.",
        "/" + "%2F.." * 1600,
        "/" + "%CC%81" * 1365,
        "/a" + "%CC%96%CC%81" * 682,
        "/a" + "%CC%81%CC%96" * 682,
        "/" + "%E1%84%80" * 910,
        "/" + "%F0%9F%98%80" * 682,
    ],
    ids=lambda target: f"{target[:12]!a}x{len(target)}",
)
@pytest.mark.parametrize("relaxations", [Relaxation.NONE, ~Relaxation.NONE], ids=["strict", "relaxed"])
def test_hostile_targets_are_dealt_with_at_once(target, relaxations):
    start = time.thread_time()
    outcome(readings, target, relaxations)
    plainly_canonical(target)

    assert time.thread_time() - start < 1.0  # anything quadratic in a megabyte takes minutes


@pytest.mark.parametrize(
    "text", ["a" * HUGE, "[" + ":" * HUGE, "a." * HUGE, "A" * HUGE, "1" * HUGE, "a:" + "9" * HUGE]
)
def test_hostile_hosts_and_methods_are_dealt_with_at_once(text):
    start = time.thread_time()
    problems = outcome(canonical_host, text), method_problem(text)

    assert problems == (HostProblem.TOO_LONG, MethodProblem.TOO_LONG)
    assert time.thread_time() - start < 1.0


# -- bounds ----------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["a", "..a"])
def test_longest_path_is_read_and_one_byte_more_is_not(unit):
    longest = ("/" + unit * MAX_PATH_BYTES)[:MAX_PATH_BYTES]

    assert canonical(longest) == longest
    with pytest.raises(AmbiguousPathError) as caught:
        canonical(longest + "a")
    assert caught.value.problem is PathProblem.TOO_LONG
    assert not plainly_canonical(longest + "a")


@pytest.mark.parametrize("first", ["/a", "/%61"])
def test_most_segments_are_read_and_one_more_is_not(first):
    most = first + "/a" * (MAX_PATH_SEGMENTS - 1)

    assert canonical(most).count("/") == MAX_PATH_SEGMENTS
    for beyond in (f"{most}/", f"{most}/a"):
        with pytest.raises(AmbiguousPathError) as caught:
            canonical(beyond)
        assert caught.value.problem is PathProblem.TOO_MANY_SEGMENTS
        assert not plainly_canonical(beyond)


def test_longest_method_is_a_method_and_one_character_more_is_not():
    assert method_problem("M" * MAX_METHOD_CHARS) is None
    assert method_problem("M" * (MAX_METHOD_CHARS + 1)) is MethodProblem.TOO_LONG


def test_longest_host_is_a_host_and_one_character_more_is_not():
    longest = "a." * (MAX_HOST_CHARS // 2) + "a"

    assert len(longest) == MAX_HOST_CHARS
    assert canonical_host(f"{longest}.:65535") == (longest, 65535)
    for beyond in (f"{longest}a", f"a{longest}.:65535", f"{longest}a:1"):
        with pytest.raises(AmbiguousHostError) as caught:
            canonical_host(beyond)
        assert caught.value.problem is HostProblem.TOO_LONG


# -- hosts -----------------------------------------------------------------------------

HOST_PIECES = st.one_of(
    st.sampled_from(["a", "B", ".", "-", "_", ":", "80", "0", "1", "127.0.0.1", "0x7f", "xn--"]),
    st.sampled_from(["[", "]", "::1", "[::1]", "ffff", "@", ",", "%", "/", " ", "\n", "\u212a", "\u3002"]),
)


@law(authority=st.one_of(ANY_TEXT, st.lists(HOST_PIECES, max_size=6).map("".join)))
def test_any_text_is_a_host_in_one_form_or_refused(authority):
    result = outcome(canonical_host, authority)
    if isinstance(result, HostProblem):
        return

    host, port = result
    assert canonical_host(host) == (host, None)
    assert canonical_host(host if port is None else f"{host}:{port}") == (host, port)
    assert re.fullmatch(r"\[[0-9a-f:]+\]|[a-z0-9_.-]+", host)
    assert not host.endswith(".")
    assert port is None or 1 <= port <= 65535


# -- errors ----------------------------------------------------------------------------


@pytest.mark.parametrize("problem", PathProblem, ids=lambda problem: problem.value)
def test_path_error_says_what_is_wrong_in_one_plain_line(problem):
    error = AmbiguousPathError(problem)

    assert str(error) == f"the path is ambiguous: {problem.sentence}"
    assert re.fullmatch(r"[ -~]+", str(error))
    assert problem.value == problem.name.lower()


@pytest.mark.parametrize(
    "error", [AmbiguousPathError(PathProblem.FRAGMENT), AmbiguousHostError(HostProblem.BAD_PORT)]
)
def test_errors_survive_the_way_between_processes(error):
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes, made on this line

    assert (type(copy), copy.problem, str(copy)) == (type(error), error.problem, str(error))


def test_error_never_repeats_what_the_request_said():
    with pytest.raises(AmbiguousPathError) as caught:
        canonical("/secret\x1b[2J")

    assert "secret" not in str(caught.value)
    assert "\x1b" not in repr(caught.value)


def test_host_error_says_what_is_wrong():
    with pytest.raises(AmbiguousHostError, match="the host is ambiguous: its port is not a number"):
        canonical_host("a:b")
