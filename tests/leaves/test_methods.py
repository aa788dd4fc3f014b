"""What stands for another method in a query, as frameworks read it."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.paths import overridden_by_query


@pytest.mark.parametrize(
    "query",
    [
        "_method=DELETE", "a=b&_method=DELETE", "a;_method=PUT", "_method", "_method=", "&_method=DELETE&",
        "_METHOD=DELETE", "_Method=DELETE",
        # percent-decoded, once
        "%5Fmethod=DELETE", "_m%65thod=DELETE", "_method=%44ELETE", "_method=G%45T%20", "%5F%4D%45THOD=PUT",
        # the one that counts may be any
        "_method=GET&_method=DELETE", "_method=DELETE&_method=GET",
        # as PHP reads names
        ".method=DELETE", "+_method=DELETE", "%20.method=PUT", "_method[]=DELETE", "_method%5B%5D=DELETE",
        "%5bmethod=PUT", "++_method=PUT",
    ],
)  # fmt: skip
def test_a_parameter_stands_for_another_method(query: str) -> None:
    assert overridden_by_query(f"/x?{query}", "GET")


@pytest.mark.parametrize(
    "query",
    [
        "", "_method=GET", "_method=get", "_method=%47ET&a", "method=DELETE", "the_method=PUT", "a=_method",
        "a=_method%3DDELETE", "_%6dethod=GET", "_method=GET&_method=get", "_methods=PUT", "m%2565thod=PUT",
    ],
)  # fmt: skip
def test_any_other_query_stands_for_nothing(query: str) -> None:
    assert not overridden_by_query(f"/x?{query}", "GET")


def test_a_path_is_no_query() -> None:
    assert not overridden_by_query("/_method=DELETE", "GET")
    assert not overridden_by_query("/x&_method=DELETE?", "GET")
    assert overridden_by_query("/x?a?b&_method=DELETE", "GET")


@given(st.text(st.sampled_from("_methodGETDEL=&;%5F.+[]?"), max_size=40))
def test_a_query_that_clients_may_reuse_answers_for_stands_for_nothing(query: str) -> None:
    """The rule of docs/caching.md for clients is the wider one."""
    if "method" not in unquote(query).lower():
        assert not overridden_by_query(f"/x?{query}", "GET")
