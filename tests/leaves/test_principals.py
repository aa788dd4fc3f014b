"""Identities as text: each is read in one way, or refused."""

import pytest

from pdp.diagnostics import Span
from pdp.lang.patterns import PatternError, dns_pattern
from pdp.principals import InvalidIdentityError, dns_principal


@pytest.mark.parametrize(
    "text", ["boo\u212a.example.org", "\u212a", "\u017fhop.example.org", "b\u00fccher.example"]
)
def test_a_dns_name_beyond_ascii_is_no_identity(text: str) -> None:
    """In lower case the Kelvin sign is `k`: the name would be that of somebody else."""
    with pytest.raises(InvalidIdentityError):
        dns_principal(text)
    with pytest.raises(PatternError):
        dns_pattern(f"*.{text}", Span(file="a.policy", start=0, end=0))


def test_a_dns_name_is_the_same_in_any_case_and_with_one_trailing_dot() -> None:
    assert dns_principal("Web.EXAMPLE.org.") == dns_principal("web.example.org")
