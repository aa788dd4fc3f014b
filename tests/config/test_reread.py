"""Settings that were read again: each holds at once or takes a restart, as the page says."""

import re
from typing import Any

import pytest

from pdp.config.model import Settings
from pdp.config.reread import reread
from tests.config.test_config_command import PAGE, names

BEFORE: dict[str, Any] = {
    "policies": {"path": "p"},
    "http": {"listen": "127.0.0.1:1", "certificate": "c", "key": "k"},
    "trust": {"prod.example.org": "r"},
    "dns": {"trust": "c"},
    "local": {},
    "workload_api": {"socket": "unix:/run/agent.sock"},
    "grpc": {"listen": "127.0.0.1:2"},
    "health": {"listen": "127.0.0.1:3"},
    "quarantine": {"file": "l"},
    "admin": {"listen": "127.0.0.1:4", "trust": {"ops.example.org": "r"}},
    "freshness": {"services": {"payments": {}}},
    "proxies": {"edge": {"kind": "nginx", "callers": {"spiffe://prod.example.org/m"}}},
    "issuers": {
        "https://a": {"audiences": ["x"], "jwks_file": "a.json"},
        "https://b": {"audiences": ["x"], "jwks": "{}"},
        "https://c": {"audiences": ["x"], "jwks_url": "https://c/", "jwks_ca_file": "r"},
    },
    "jwt_bundles": {
        "a": {"audiences": ["x"], "bundle_file": "a.json"},
        "b": {"audiences": ["x"], "bundle": "{}"},
        "c": {"audiences": ["x"], "bundle_url": "https://c/", "bundle_ca_file": "r"},
    },
    "federation": {
        "d": {"endpoint_url": "https://d/", "profile": "https_web", "ca_file": "r"},
        "e": {
            "endpoint_url": "https://e/",
            "profile": "https_spiffe",
            "endpoint_spiffe_id": "spiffe://e/x",
            "bootstrap_file": "b",
        },
    },
    "clusters": {
        "a": {"audiences": ["x"], "trust_domain": "a", "jwks_file": "a.json"},
        "b": {"audiences": ["x"], "trust_domain": "b", "jwks": "{}"},
        "c": {
            "audiences": ["x"],
            "trust_domain": "c",
            "jwks_url": "https://c/",
            "jwks_ca_file": "r",
            "jwks_token_file": "t",
            "review_url": "https://c",
            "review_ca_file": "r",
            "review_token_file": "t",
        },
        "https://d": {
            "audiences": ["x"],
            "trust_domain": "d",
            "jwks_discovery": True,
            "jwks_origins": ["https://d"],
            "review_url": "https://c",
            "review_token_file": "t",
        },
        "https://e": {
            "audiences": ["x"],
            "trust_domain": "e",
            "jwks_discovery": True,
            "review_url": "https://c",
            "review_token_file": "t",
        },
    },
}
#: Tables among equals, each by one of them in which the setting stands.
TABLES = {
    "freshness.services.": "freshness.services.payments.",
    "proxies.": "proxies.edge.",
    "issuers.jwks": "issuers.https://b.jwks",
    "issuers.jwks_file": "issuers.https://a.jwks_file",
    "issuers.jwks_url": "issuers.https://c.jwks_url",
    "issuers.jwks_ca_file": "issuers.https://c.jwks_ca_file",
    "issuers.": "issuers.https://a.",
    "jwt_bundles.bundle": "jwt_bundles.b.bundle",
    "jwt_bundles.bundle_file": "jwt_bundles.a.bundle_file",
    "jwt_bundles.bundle_url": "jwt_bundles.c.bundle_url",
    "jwt_bundles.bundle_ca_file": "jwt_bundles.c.bundle_ca_file",
    "jwt_bundles.": "jwt_bundles.a.",
    "federation.ca_file": "federation.d.ca_file",
    "federation.": "federation.e.",
    "clusters.jwks": "clusters.b.jwks",
    "clusters.jwks_file": "clusters.a.jwks_file",
    "clusters.jwks_discovery": "clusters.https://e.jwks_discovery",
    "clusters.jwks_origins": "clusters.https://d.jwks_origins",
    "clusters.jwks_url": "clusters.c.jwks_url",
    "clusters.jwks_ca_file": "clusters.c.jwks_ca_file",
    "clusters.jwks_token_file": "clusters.c.jwks_token_file",
    "clusters.review_": "clusters.c.review_",
    "clusters.": "clusters.a.",
}
#: What settings are beside, where they do not go with what stands in `BEFORE`.
_AT_URL = {"quarantine": {"url": "https://c/", "ca_file": "r", "kept": "k"}, "admin": None}
BESIDE: dict[str, dict[str, Any]] = {f"quarantine.{name}": _AT_URL for name in ("url", "ca_file", "kept")}
#: For each setting another value than it has.
OTHER: dict[str, Any] = {
    "policies.path": "q",
    "policies.compiled": "k",
    "http.listen": "127.0.0.1:9",
    "http.plaintext": True,
    "http.direct": False,
    "http.remembered_answers": 1,
    "http.certificate": "d",
    "http.key": "l",
    "trust": {"prod.example.org": "s"},
    "workload_api.socket": "unix:/run/other.sock",
    "workload_api.trust_domains": {"other.example.org"},
    "workload_api.certificate": True,
    "workload_api.spiffe_id": "spiffe://prod.example.org/w",
    "dns.trust": "ca",
    "dns.crls": "lists",
    "crls": {"prod.example.org": "l"},
    "local.caller": "spiffe://prod.example.org/x",
    "local.uids": {7},
    "local.hosts": {"pdp.local"},
    "local.forwarded": "xfcc",
    "local.identity": "spiffe://prod.example.org/y",
    "evidence.xfcc_hops": 2,
    "evidence.nginx_certificate_header": "x-cert",
    "evidence.nginx_verify_header": "x-verify",
    "proxies.kind": "caddy",
    "proxies.callers": {"spiffe://prod.example.org/n"},
    "proxies.service": "cart",
    "proxies.principal": "traefik",
    "proxies.without_certificate": "anonymous",
    "proxies.user_token": True,
    "proxies.headers": {"x-plan"},
    "proxies.source_ip_header": "x-real-ip",
    "grpc.listen": "127.0.0.1:8",
    "grpc.remembered_answers": 1,
    "health.listen": "127.0.0.1:7",
    "health.max_staleness_seconds": 7,
    "quarantine.file": "list",
    "quarantine.url": "https://list.example.org/",
    "quarantine.ca_file": "ca",
    "quarantine.kept": "kept",
    "quarantine.poll_seconds": 7,
    "admin.listen": "127.0.0.1:6",
    "admin.trust": {"ops.example.org": "o"},
    "admin.may_quarantine": {"spiffe://ops.example.org/a"},
    "admin.may_lift": {"spiffe://ops.example.org/b"},
    "metrics.readers": {"spiffe://prod.example.org/z"},
    "freshness.max_staleness_seconds": 60,
    "freshness.when_stale": "serve",
    "freshness.services.max_staleness_seconds": 30,
    "freshness.services.when_stale": "refuse",
    "decision_log.to": "stdout",
    "decision_log.mode": "block",
    "decision_log.one_in": 7,
    "decision_log.max_bytes": 1 << 20,
    "decision_log.keep": 1,
    "decision_log.plain_headers": {"x-a"},
    "decision_log.digest_key": "key",
    "limits.in_flight": 7,
    "limits.per_caller_per_second": 7,
    "limits.max_age_ms": 7,
    "limits.connection_seconds": 7,
    "drain.grace_seconds": 7,
    "process.workers": 3,
    "issuers.audiences": {"y"},
    "issuers.algorithms": {"ES256"},
    "issuers.jwks": '{"keys": []}',
    "issuers.jwks_file": "b.json",
    "issuers.jwks_url": "https://d/",
    "issuers.jwks_ca_file": "s",
    "issuers.leeway_seconds": 7,
    "issuers.max_lifetime_seconds": 7,
    "jwt_bundles.audiences": {"y"},
    "jwt_bundles.algorithms": {"ES256"},
    "jwt_bundles.bundle": '{"keys": []}',
    "jwt_bundles.bundle_file": "b.json",
    "jwt_bundles.bundle_url": "https://d/",
    "jwt_bundles.bundle_ca_file": "s",
    "jwt_bundles.leeway_seconds": 7,
    "jwt_bundles.max_lifetime_seconds": 7,
    "federation.endpoint_url": "https://g/",
    "federation.profile": "https_web",
    "federation.endpoint_spiffe_id": "spiffe://e/y",
    "federation.bootstrap_file": "c",
    "federation.ca_file": "s",
    "clusters.audiences": {"y"},
    "clusters.trust_domain": "f",
    "clusters.share_trust_domain": True,
    "clusters.path": "/{namespace}/{name}",
    "clusters.algorithms": {"ES256"},
    "clusters.jwks": '{"keys": []}',
    "clusters.jwks_file": "b.json",
    "clusters.jwks_url": "https://d/",
    "clusters.jwks_discovery": False,
    "clusters.jwks_origins": {"https://e:443"},
    "clusters.jwks_ca_file": "s",
    "clusters.jwks_token_file": "u",
    "clusters.review_url": "https://d",
    "clusters.review_ca_file": "s",
    "clusters.review_token_file": "u",
    "clusters.review_seconds": 7,
    "clusters.leeway_seconds": 7,
    "clusters.max_lifetime_seconds": 7,
}
AT_ONCE = set(
    re.findall(r"`([a-z_.]+)`", PAGE.partition("\n## Settings that change\n")[2].partition("\nAll others")[0])
) & set(OTHER)


def changed(*settings: str) -> tuple[Settings, Settings]:
    """Settings, and the same with these changed."""
    base = BEFORE | (BESIDE.get(settings[0], {}) if len(settings) == 1 else {})
    tree: dict[str, Any] = {name: None if table is None else dict(table) for name, table in base.items()}
    for name in settings:
        *tables, key = placed(name).split(".")
        inner = tree
        for table in tables:
            inner[table] = dict(inner.get(table, {}))
            inner = inner[table]
        inner[key] = OTHER[name]
    return Settings.model_validate(base), Settings.model_validate(tree)


def placed(name: str) -> str:
    """A setting with the names of the tables in which it stands."""
    if name in TABLES:
        return TABLES[name]
    return next((name.replace(table, one) for table, one in TABLES.items() if name.startswith(table)), name)


def told(name: str) -> str:
    """What a setting is called where it is told of."""
    known = {
        "trust": "trust.prod.example.org",
        "admin.trust": "admin.trust.ops.example.org",
        "crls": "crls.prod.example.org",
    }
    return known.get(name, placed(name))


def test_there_is_another_value_for_every_setting() -> None:
    assert sorted(OTHER) == sorted(names())


@pytest.mark.parametrize("name", OTHER)
def test_each_setting_holds_at_once_or_takes_a_restart_as_the_page_says(name: str) -> None:
    before, after = changed(name)

    found = reread(before, after)

    if name in AT_ONCE:
        kept = ("limits.connection_seconds over gRPC",) if name == "limits.connection_seconds" else ()
        assert (found.applied, found.kept) == ((told(name),), kept)
        assert found.settings == after
    else:
        assert (found.applied, found.kept) == ((), (told(name),))
        assert found.settings == before


def test_what_holds_at_once_does_so_whatever_else_changed() -> None:
    before, after = changed(*(OTHER.keys() - BESIDE.keys()))

    found = reread(before, after)

    assert found.settings == changed(*AT_ONCE)[1]
    assert set(found.applied) == {told(name) for name in AT_ONCE}
    assert set(found.kept) == {
        *map(told, OTHER.keys() - AT_ONCE - BESIDE.keys()),
        "limits.connection_seconds over gRPC",
    }


def test_nothing_changed_is_nothing_told() -> None:
    before, after = changed()

    assert reread(before, after) == (before, (), ())


def test_a_listener_that_is_added_or_left_out_takes_a_restart() -> None:
    with_probes = Settings.model_validate(
        {**BEFORE, "health": {"listen": "127.0.0.1:3", "max_staleness_seconds": 7}}
    )
    without = Settings.model_validate({key: value for key, value in BEFORE.items() if key != "health"})

    for before, after in ((with_probes, without), (without, with_probes)):
        found = reread(before, after)

        assert (found.settings, found.applied) == (before, ())
        assert found.kept == ("health.listen", "health.max_staleness_seconds")


def test_a_service_that_is_left_out_has_the_general_limit_again() -> None:
    before = changed("freshness.services.when_stale", "freshness.max_staleness_seconds")[1]
    after = changed("freshness.max_staleness_seconds")[1]

    found = reread(before, after)

    assert found.applied == ("freshness.services.payments.when_stale",)
    assert found.settings.freshness.limits() == after.freshness.limits()
