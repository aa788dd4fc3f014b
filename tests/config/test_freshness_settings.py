"""How old the policies may be: what is set for all services, for one, and what comes of it."""

import pytest

from pdp.config.load import load_settings
from pdp.config.model import Settings
from pdp.config.unsafe import problems
from pdp.diagnostics import Source, render
from pdp.store.freshness import UNLIMITED, Freshness, Limit
from tests.config.test_settings import FILE


def load(text: str, **environment: str):
    return load_settings(Source(path="pdp.toml", text=FILE + text), environment, {})


def freshness(text: str, **environment: str) -> Freshness:
    loaded = load(text, **environment)
    assert loaded.settings is not None, loaded.diagnostics
    # As a worker gets them.
    return Settings.model_validate_json(loaded.settings.model_dump_json()).freshness.limits()


def limit(seconds: float, *, refuse: bool = False) -> Limit:
    return Limit(max_staleness_ms=round(seconds * 1000), refuse=refuse)


def test_nothing_has_a_limit_unless_one_is_set() -> None:
    assert freshness("") == UNLIMITED
    assert freshness('[freshness]\nwhen_stale = "refuse"\n').limit("payments") is None


def test_a_limit_denies_unless_it_says_otherwise() -> None:
    assert freshness("[freshness]\nmax_staleness_seconds = 60\n").limit("payments") == limit(60)


@pytest.mark.parametrize(
    ("own", "payments"),
    [
        ("", limit(60)),
        ("max_staleness_seconds = 1.5\n", limit(1.5)),
        ('when_stale = "refuse"\n', limit(60, refuse=True)),
        ('max_staleness_seconds = 7\nwhen_stale = "refuse"\n', limit(7, refuse=True)),
        ("max_staleness_seconds = 0\n", None),
        ('when_stale = "serve"\n', None),
    ],
)
def test_what_a_service_leaves_out_it_takes_from_the_default(own: str, payments: Limit | None) -> None:
    found = freshness(f'[freshness]\nmax_staleness_seconds = 60\n[freshness.services."payments"]\n{own}')

    assert found.limit("payments") == payments
    assert found.limit("orders") == limit(60)


def test_a_limit_of_next_to_nothing_is_still_one() -> None:
    assert freshness("[freshness]\nmax_staleness_seconds = 1e-9\n").limit("x") == limit(0.001)


def test_a_variable_sets_the_limit_of_a_service() -> None:
    found = freshness(
        "",
        PDP_FRESHNESS__SERVICES__PAYMENTS__MAX_STALENESS_SECONDS="30",
        PDP_FRESHNESS__SERVICES__PAYMENTS__WHEN_STALE="refuse",
        PDP_FRESHNESS__MAX_STALENESS_SECONDS="60",
    )

    assert (found.limit("payments"), found.limit("orders")) == (limit(30, refuse=True), limit(60))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[freshness]\nwhen_stale = "allow"\n', "pdp.toml:13:1: error[setting]: `freshness.when_stale`"),
        ("[freshness]\nmax_staleness_seconds = -1\n", "`freshness.max_staleness_seconds`: "),
        ("[freshness]\nmax_staleness_seconds = nan\n", "`freshness.max_staleness_seconds`: "),
        ('[freshness.services."a.b"]\nwhen_stal = "deny"\n', "did you mean `when_stale`?"),
        (
            "[freshness.services]\npayments = 60\n",
            "pdp.toml:13:1: error[setting]: `freshness.services.payments`",
        ),
    ],
)
def test_a_slip_is_told(text: str, said: str) -> None:
    loaded = load(text)

    assert loaded.settings is None
    assert said in "".join(render(each, {"pdp.toml": loaded.source}) for each in loaded.diagnostics)


def test_limits_that_are_passed_though_nothing_is_wrong_are_doubtful() -> None:
    settings = load(
        "[freshness]\nmax_staleness_seconds = 4.9\n[freshness.services.a]\nmax_staleness_seconds = 5\n"
        '[freshness.services.b]\nwhen_stale = "serve"\n[freshness.services.c]\nmax_staleness_seconds = 1\n'
        '[freshness.services.d]\nwhen_stale = "refuse"\n'
    ).settings
    assert settings is not None

    doubts = [each.setting for each in problems(settings) if not each.refused]

    assert doubts == [
        ("freshness", "max_staleness_seconds"), ("freshness", "services", "c", "max_staleness_seconds"),
    ]  # fmt: skip
