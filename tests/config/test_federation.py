"""Settings about federation: refused with what is wrong, or they come to a bundle that is followed."""

import re
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pdp.config.federation import FederationSettings, federation_problems, followed_bundle
from pdp.config.live_sources import live_problems
from pdp.config.load import load_settings
from pdp.config.model import Settings
from pdp.diagnostics import Source
from pdp.identity.federation.endpoint import EndpointProfile
from pdp.identity.trust import TrustStore
from tests.config.test_config_command import PAGE, check
from tests.config.test_config_command import folder as folder  # noqa: PLC0414 - a fixture
from tests.identity.federating import (
    ENDPOINT,
    PARTNER,
    document,
    endpoint,
    now,
    root,
    root_entry,
    server_of,
)
from tests.identity.revoking import crl

BASE = '[policies]\npath = "policies"\n[http]\ncertificate = "c"\nkey = "k"\n[trust]\n"prod.example" = "r"\n'
URL = 'endpoint_url = "https://bundles.partner.example/"\n'
WEB = f'{URL}profile = "https_web"\n'
SPIFFE = f'{URL}profile = "https_spiffe"\nendpoint_spiffe_id = "{ENDPOINT}"\n'
HUB = f'{URL}profile = "https_spiffe"\nendpoint_spiffe_id = "spiffe://hub.example/bundles"\n'


def table(text: str, domain: str = PARTNER) -> str:
    return f'[federation."{domain}"]\n{text}'


def loaded(text: str, folder: Path | None = None) -> Any:
    return load_settings(Source(path="pdp.toml", text=BASE + text), {}, {}, folder=folder)


def settings(text: str, folder: Path | None = None) -> Settings:
    found = loaded(text, folder)
    assert found.settings is not None, found.diagnostics
    return found.settings


def wrong(given: Settings, *known: str) -> list[tuple[str, str]]:
    found = list(federation_problems(given.federation, {*given.trust, *given.federation, *known}))
    assert all(each.refused for each in found)
    return [(".".join(each.setting), each.message) for each in found]


@pytest.fixture
def bootstrap(tmp_path: Path) -> Path:
    (tmp_path / "partner.json").write_bytes(document(root_entry(root()), sequence=1))
    return tmp_path


# -- what is good ----------------------------------------------------------------------


def test_an_endpoint_is_known_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(root().pem)
    given = settings(table(f'{WEB}ca_file = "ca.pem"\n'), tmp_path)
    found = given.federation[PARTNER]

    assert (found.profile, found.ca_file) == (EndpointProfile.HTTPS_WEB, tmp_path / "ca.pem")
    assert wrong(given) == []
    followed = followed_bundle(PARTNER, found, lambda: TrustStore(domains={}))
    assert (followed.trust_domain, followed.in_force()) == (PARTNER, None)


def test_an_endpoint_is_known_by_its_spiffe_id_and_a_bootstrap_bundle(bootstrap: Path) -> None:
    given = settings(table(f'{SPIFFE}bootstrap_file = "partner.json"\n'), bootstrap)
    found = given.federation[PARTNER]

    assert found.bootstrap_file == bootstrap / "partner.json"
    assert wrong(given) == []
    assert followed_bundle(PARTNER, found, lambda: TrustStore(domains={})).in_force() is None


def test_lists_that_settings_name_count_for_an_endpoint_of_its_own_trust_domain(tmp_path: Path) -> None:
    ours = root()
    server = server_of(ours)
    (tmp_path / "partner.json").write_bytes(document(root_entry(ours)))
    (tmp_path / "endpoint").mkdir()
    hour = timedelta(hours=1)
    with endpoint(tmp_path / "endpoint", server) as publisher:
        given = FederationSettings(
            endpoint_url=publisher.url, profile=EndpointProfile.HTTPS_SPIFFE, endpoint_spiffe_id=ENDPOINT,
            bootstrap_file=tmp_path / "partner.json",
        )  # fmt: skip
        lists = {PARTNER: (crl(ours, server, start=now() - hour, end=now() + hour),)}
        followed = followed_bundle(PARTNER, given, lambda: TrustStore(domains={}, crls=lists))

        followed.look()

        assert "was revoked by its authority" in followed.problem
        assert publisher.asked == []


@pytest.mark.parametrize("hub", ["prod.example", "hub.example"])
def test_an_endpoint_of_another_trust_domain_needs_no_bundle(hub: str) -> None:
    more = "" if hub == "prod.example" else table(WEB, hub)

    assert wrong(settings(table(HUB.replace("hub.example", hub)) + more)) == []


def test_the_examples_of_the_page_are_good(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```toml federation\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "partner-bundle.json").write_bytes(document(root_entry(root())))
    given = settings(example, tmp_path)

    assert {each.profile for each in given.federation.values()} == set(EndpointProfile)
    assert (wrong(given), list(live_problems(given))) == ([], [])


# -- what is refused -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (table('profile = "https_web"\n'), "endpoint_url` is not set"),
        (table(URL), "profile` is not set"),
        (table(f'{URL}profile = "http"\n'), "https_web"),
        (table(WEB.replace("https:", "http:")), "https://HOST/PATH"),
        (table(WEB.replace("//", "//user@")), "https://HOST/PATH"),
        (table(SPIFFE.replace(ENDPOINT, f"spiffe://{PARTNER}")), "it has no path"),
        (table(f'{WEB}bundle_file = "b"\n'), "there is no setting"),
        (table(WEB, "Partner.example"), "not a trust domain"),
        (table(WEB, "spiffe://partner.example"), "not a trust domain"),
    ],
)
def test_mistakes_are_told(text: str, said: str) -> None:
    found = loaded(text)

    assert found.settings is None
    assert said in " ".join(each.message for each in found.diagnostics)


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        (f'{URL}profile = "https_spiffe"\n', "", "`https_spiffe` needs `endpoint_spiffe_id`"),
        (
            f'{SPIFFE}bootstrap_file = "partner.json"\nca_file = "ca.pem"\n',
            ".ca_file",
            "for `https_web` alone",
        ),
        (f'{WEB}endpoint_spiffe_id = "{ENDPOINT}"\n', ".endpoint_spiffe_id", "for `https_spiffe` alone"),
        (f'{WEB}bootstrap_file = "partner.json"\n', ".bootstrap_file", "for `https_spiffe` alone"),
    ],
)
def test_settings_of_another_profile_are_refused(bootstrap: Path, text: str, name: str, said: str) -> None:
    (bootstrap / "ca.pem").write_bytes(root().pem)

    ((setting, message),) = wrong(settings(table(text), bootstrap))

    assert setting == f"federation.{PARTNER}{name}"
    assert said in message


def test_an_endpoint_that_nothing_names_is_not_followed() -> None:
    (given,) = settings(table(f'{URL}profile = "https_spiffe"\n')).federation.values()
    with pytest.raises(ValueError, match="SPIFFE ID"):
        followed_bundle(PARTNER, given, lambda: TrustStore(domains={}))


def test_an_endpoint_that_serves_itself_needs_a_bundle_to_begin_with() -> None:
    ((setting, message),) = wrong(settings(table(SPIFFE)))

    assert setting == f"federation.{PARTNER}"
    assert message == f"its endpoint is of `{PARTNER}` itself, and no bundle says who that is"


def test_a_bootstrap_bundle_that_would_not_be_looked_at_is_refused(bootstrap: Path) -> None:
    ((setting, message),) = wrong(
        settings(table(f'{HUB}bootstrap_file = "partner.json"\n'), bootstrap), "hub.example"
    )

    assert setting.endswith("bootstrap_file")
    assert message == "it is not looked at: the bundle of `hub.example` says who the endpoint is"


def test_somebody_has_to_vouch_for_the_endpoint() -> None:
    ((setting, message),) = wrong(settings(table(HUB)))

    assert setting.endswith("endpoint_spiffe_id")
    assert message == "nobody is trusted for `hub.example`, the trust domain of the endpoint"


def test_endpoints_that_wait_for_each_other_are_refused() -> None:
    def of(domain: str, server: str) -> str:
        return table(HUB.replace("hub.example", server), domain)

    given = settings(
        of("a.example", "b.example") + of("b.example", "c.example") + of("c.example", "a.example")
    )
    assert [setting for setting, _ in wrong(given)] == [
        f"federation.{name}.example.endpoint_spiffe_id" for name in "abc"
    ]

    more = of("d.example", "a.example")
    assert len(wrong(settings(more + of("a.example", "b.example") + of("b.example", "a.example")))) == 2
    assert wrong(settings(more + table(WEB, "a.example"))) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty"),
        (b"{}", "no list `keys`"),
        (b'{"keys": []}', "there is no root in it"),
        (document(root_entry(root(uris=["spiffe://other.example"]))), "its URI is not"),
        (b" " * (1024 * 1024 + 1), "more than 1048576 bytes"),
    ],
)
def test_a_bootstrap_file_holds_a_bundle_with_roots(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / "b.json").write_bytes(content)

    ((setting, message),) = wrong(settings(table(f'{SPIFFE}bootstrap_file = "b.json"\n'), tmp_path))

    assert setting.endswith("bootstrap_file")
    assert said in message


@pytest.mark.parametrize(("content", "said"), [(None, "cannot be read"), (b"x", "no certificates in it")])
def test_a_ca_file_holds_certificates(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)

    ((setting, message),) = wrong(settings(table(f'{WEB}ca_file = "ca.pem"\n'), tmp_path))

    assert setting.endswith("ca_file")
    assert said in message


def test_the_systems_roots_are_loaded_for_nobody_who_names_none(
    bootstrap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nothing to be wrong with them, and they take a while."""
    (bootstrap / "ca.pem").write_bytes(root().pem)
    loaded_for: list[str] = []
    make = ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda cafile: loaded_for.append(cafile) or make())

    for text in (f'{SPIFFE}bootstrap_file = "partner.json"\n', WEB, f'{WEB}ca_file = "ca.pem"\n'):
        assert wrong(settings(table(text), bootstrap)) == []

    assert loaded_for == [str(bootstrap / "ca.pem")]


def test_a_trust_domain_has_one_source() -> None:
    file_too = settings(table(WEB, "prod.example"))
    ((setting, message, *_),) = live_problems(file_too)
    assert setting == ("federation", "prod.example")
    assert message == "`prod.example` has a source already, `trust.prod.example`: a trust domain has one"

    tokens = f'[jwt_bundles."{PARTNER}"]\naudiences = ["x"]\n'
    assert list(live_problems(settings(table(WEB) + tokens))) == []
    ((setting, message, *_),) = live_problems(settings(f'{table(WEB)}{tokens}bundle_file = "b"\n'))
    assert setting == ("jwt_bundles", PARTNER)
    assert message == f"its keys come from `federation.{PARTNER}`: a trust domain has one source"


def test_the_command_tells_of_it(folder: Path) -> None:
    result = check(folder, more=table(SPIFFE))

    assert result.exit_code == 1
    assert "no bundle says who that is" in result.output


def test_an_endpoint_knows_whose_it_is() -> None:
    url = "https://x.example/"
    by_id = FederationSettings(
        endpoint_url=url, profile=EndpointProfile.HTTPS_SPIFFE, endpoint_spiffe_id=ENDPOINT
    )

    assert by_id.endpoint_domain == PARTNER
    assert FederationSettings(endpoint_url=url, profile=EndpointProfile.HTTPS_WEB).endpoint_domain is None
