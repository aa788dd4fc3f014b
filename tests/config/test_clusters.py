"""Settings about clusters: refused with the reason, or they come to whom we believe."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pdp.config.load import load_identity_settings
from pdp.config.model import Settings
from pdp.config.tokens import token_trust
from pdp.diagnostics import Source
from pdp.identity.tokens.service_account import ClusterRules
from pdp.identity.tokens.signature import KUBERNETES_ALGORITHMS
from pdp.process.parcel import pack_settings, unpack_settings
from tests.config.test_config_command import PAGE, check
from tests.config.test_config_command import folder as folder  # noqa: PLC0414 - a fixture
from tests.config.test_tokens import BASE, BUNDLE, HEAD, loaded, settings
from tests.identity.clusters import CLUSTER, OURS
from tests.identity.mint import authority
from tests.identity.tokens import DOMAIN, ISSUER, rsa_key

SET = json.dumps({"keys": [rsa_key().named("one")]})
KEYS = f"jwks = '{SET}'\n"
PEM = authority("Roots").pem
WEST = "https://kubernetes.west.example.org"


def table(*lines: str, name: str = CLUSTER, audience: str = OURS, domain: str = DOMAIN) -> str:
    head = f'[clusters."{name}"]\naudiences = ["{audience}"]\ntrust_domain = "{domain}"\n'
    return head + "".join(f"{line}\n" for line in lines)


REVIEW = ('review_url = "https://10.96.0.1"', 'review_token_file = "reviewer"')


def test_a_cluster_has_keys_or_is_asked_or_both() -> None:
    def rules(*lines: str) -> ClusterRules:
        trust = token_trust(settings(table(*lines)))[0].now()
        found = trust.clusters[CLUSTER].cluster
        assert found is not None
        return found

    assert rules(KEYS) == ClusterRules(trust_domain=DOMAIN)
    assert rules(*REVIEW) == ClusterRules(trust_domain=DOMAIN, signed=False, reviewed=True)
    assert rules(KEYS, *REVIEW) == ClusterRules(trust_domain=DOMAIN, reviewed=True)
    assert rules(KEYS, 'path = "/{namespace}/{name}"').path == "/{namespace}/{name}"


def test_what_is_not_set_has_its_default() -> None:
    found = settings(table(KEYS))
    cluster = token_trust(found)[0].now().clusters[CLUSTER]

    assert (cluster.algorithms, cluster.audiences) == (KUBERNETES_ALGORITHMS, frozenset({OURS}))
    assert (cluster.leeway, cluster.max_lifetime, cluster.name) == (10_000, None, CLUSTER)
    assert [key.key_id for key in cluster.keys.keys] == ["one"]
    assert found.clusters[CLUSTER].review_seconds == 10


def test_files_are_relative_to_that_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(SET)
    text = table('jwks_file = "keys.json"', *REVIEW, 'review_ca_file = "ca"')

    found = load_identity_settings(Source(path="x", text=text), {}, folder=tmp_path).settings

    assert found is not None
    given = found.clusters[CLUSTER]
    assert given.review_token_file == tmp_path / "reviewer"
    assert given.review_ca_file == tmp_path / "ca"
    assert [key.key_id for key in token_trust(found)[0].now().clusters[CLUSTER].keys.keys] == ["one"]


def test_workers_get_the_same_settings() -> None:
    before = settings(
        table(
            "jwks_discovery = true", 'jwks_origins = ["https://10.0.0.1:6443"]', *REVIEW, "review_seconds = 5"
        )
    )

    assert unpack_settings(pack_settings(before)) == before


ONE = "name the keys by one of `jwks`, `jwks_file`, `jwks_url`, `jwks_discovery`, or `review_url`"
MISTAKES: dict[str, tuple[str, str]] = {
    "no way": (table(), ONE),
    "two ways": (table(KEYS, 'jwks_file = "x"'), "`jwks` and `jwks_file` both name the keys"),
    "two other ways": (
        table("jwks_discovery = true", 'jwks_url = "https://a/"'), "`jwks_url` and `jwks_discovery` both",
    ),
    "no token of our own": (table('review_url = "https://10.96.0.1"'), "needs `review_token_file`"),
    "a token for nothing": (table(KEYS, 'review_token_file = "x"'), "for `review_url` alone"),
    "roots for nothing": (table(KEYS, 'review_ca_file = "x"'), "for `review_url` alone"),
    "roots for keys at hand": (table(KEYS, 'jwks_ca_file = "x"'), "for keys that are fetched alone"),
    "a token for keys at hand": (table(KEYS, 'jwks_token_file = "x"'), "for keys that are fetched alone"),
    "origins without discovery": (
        table(KEYS, 'jwks_origins = ["https://a"]'), "`jwks_origins` is for `jwks_discovery` alone",
    ),
    "an origin with a path": (
        table("jwks_discovery = true", 'jwks_origins = ["https://a/b"]'), "an origin is `https://HOST`",
    ),
    "plaintext": (table('review_url = "http://a"', 'review_token_file = "x"'), "write `https://HOST/PATH`"),
    "a query": (table('review_url = "https://a/?b"', 'review_token_file = "x"'), "the API server alone"),
    "a review that holds too long": (table(*REVIEW, "review_seconds = 301"), "less than or equal to 300"),
    "a review that holds too short": (table(*REVIEW, "review_seconds = 4"), "greater than or equal to 5"),
    "an algorithm that no API server has": (table(KEYS, 'algorithms = ["EdDSA"]'), "`EdDSA` is not accepted"),
    "a path that mixes names": (table(KEYS, 'path = "/{namespace}-{name}"'), "each a segment of the path"),
    "no trust domain": (
        f'[clusters."{CLUSTER}"]\naudiences = ["{OURS}"]\n{KEYS}', "trust_domain` is not set",
    ),
    "another trust domain": (table(KEYS, domain="A"), "is not a trust domain"),
    "no audience": (f'[clusters."x"]\ntrust_domain = "a"\n{KEYS}', "audiences` is not set"),
    "the issuer of Secrets": (table(KEYS, name="kubernetes/serviceaccount"), "--service-account-issuer"),
    "discovery of no URL": (table("jwks_discovery = true", name="east"), "write `https://HOST/PATH`"),
    "an issuer of users": (
        f"{HEAD}jwks = '{SET}'\n{table(KEYS, name=ISSUER)}", "is one of `issuers` as well",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_told(case: str) -> None:
    text, said = MISTAKES[case]

    found = loaded(text)

    assert found.settings is None
    (diagnostic,) = found.diagnostics
    assert said in diagnostic.message
    assert found.source.position(diagnostic.span.start)[0] > BASE.count("\n")


@pytest.mark.parametrize(
    "audience",
    [
        CLUSTER, f"{CLUSTER}/", "https://kubernetes.default.svc.cluster.local", "https://kubernetes.default.svc",
        "https://kubernetes.default", "kubernetes.default.svc", "kubernetes", "https://kubernetes:443/",
        "k3s", "rke2", "api",
        "https://kubernetes.default.svc.k8s.example.org", CLUSTER.upper(), "https://Kubernetes.Default.svc",
        "K3S", "https://10.96.0.1", "https://10.96.0.1:443/", "HTTPS://10.96.0.1", "10.96.0.1", "http://10.96.0.1",
    ],
)  # fmt: skip
def test_a_token_for_the_api_server_is_for_nobody_else(audience: str) -> None:
    found = loaded(table(KEYS, *REVIEW, audience=audience))

    assert found.settings is None
    assert "is that of the API server" in found.diagnostics[0].message


@pytest.mark.parametrize(
    ("lines", "audience"),
    [
        (('jwks_url = "https://api.example:6443/openid/v1/jwks"',), "https://API.example:6443"),
        (
            ('jwks_url = "https://api.example:6443/openid/v1/jwks"',),
            "https://api.example:6443/openid/v1/jwks",
        ),
        (('jwks_url = "https://api.example:6443/openid/v1/jwks"',), "https://api.example"),
        (("jwks_discovery = true", 'jwks_origins = ["https://10.0.0.1:6443"]'), "https://10.0.0.1:6443/"),
    ],
)
def test_nor_is_one_for_where_its_keys_are(lines: tuple[str, ...], audience: str) -> None:
    found = loaded(table(*lines, audience=audience))

    assert found.settings is None
    assert "is that of the API server" in found.diagnostics[0].message


def two(*lines: str, other: tuple[str, ...] = (), domain: str = DOMAIN) -> str:
    return table(KEYS, *lines) + table(KEYS, *other, name=WEST, domain=domain)


def test_two_clusters_share_a_trust_domain_only_if_both_say_so() -> None:
    shared = "share_trust_domain = true"

    for text in (two(), two(shared), two(other=(shared,))):
        found = loaded(text)
        assert found.settings is None
        assert f"the trust domain `{DOMAIN}`" in found.diagnostics[0].message
    assert len(settings(two(domain="west.example.org")).clusters) == 2
    assert len(settings(two(shared, other=(shared,))).clusters) == 2


def said(folder: Path, more: str) -> tuple[int, str]:
    done = check(folder, more=more)
    return done.exit_code, done.output


def test_a_trust_domain_that_has_an_authority_is_told_as_a_note(folder: Path) -> None:
    code, output = said(folder, table(KEYS))
    assert (code, "warning" in output, "who runs this cluster can name" in output) == (0, True, True)


def test_a_trust_domain_that_has_a_bundle_is_told_as_well(folder: Path) -> None:
    bundle = json.dumps({"keys": [rsa_key().named("a", use="jwt-svid")]})
    other = BUNDLE.replace(DOMAIN, "east.example.org")
    code, output = said(folder, f"{other}bundle = '{bundle}'\n{table(KEYS, domain='east.example.org')}")
    assert (code, "who runs this cluster can name" in output) == (0, True)


def test_a_trust_domain_of_its_own_is_not_told(folder: Path) -> None:
    code, output = said(folder, table(KEYS, domain="east.example.org"))
    assert (code, "who runs this cluster" in output) == (0, False)


def test_files_that_reviews_take_are_looked_at(folder: Path) -> None:
    lines = (*REVIEW, 'review_ca_file = "roots.pem"')
    code, output = said(folder, table(*lines, domain="east.example.org"))
    assert (code, "reviewer: cannot be read" in output) == (1, True)

    roots = folder / "roots.pem"
    for content in (b"", b"x", b"-----BEGIN CERTIFICATE-----\n"):
        roots.write_bytes(content)
        code, output = said(folder, "")
        assert (code, "roots.pem: there are no certificates in it" in output) == (1, True)
    roots.unlink()
    assert "roots.pem: cannot be read: No such file" in said(folder, "")[1]
    roots.write_bytes(PEM)
    reviewer = folder / "reviewer"
    reviewer.write_text("x")
    reviewer.chmod(0o644)  # as Kubernetes projects it
    assert said(folder, "") == (0, said(folder, "")[1])
    reviewer.chmod(0o666)
    code, output = said(folder, "")
    assert (code, "can be written by others" in output) == (1, True)


def test_a_cluster_that_is_asked_about_whatever_anybody_makes_up_is_told(folder: Path) -> None:
    (folder / "reviewer").write_text("x")
    warning = "asked about whatever anybody makes up"

    code, output = said(folder, table(*REVIEW, domain="east.example.org"))
    assert (code, warning in output, "clusters" in output) == (0, True, True)


def test_one_that_has_keys_besides_is_not_told(folder: Path) -> None:
    (folder / "reviewer").write_text("x")
    code, output = said(folder, table(KEYS, *REVIEW, domain="east.example.org"))
    assert (code, "makes up" in output) == (0, False)


@pytest.mark.parametrize("way", ['jwks_url = "https://10.0.0.1/keys"', "jwks_discovery = true"])
@pytest.mark.parametrize("content", [b"", b"x", b"# \xc3\xa4\n", None])
def test_roots_that_cannot_be_used_are_the_fault_of_their_cluster_alone(
    tmp_path: Path, way: str, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    text = table(way, 'jwks_ca_file = "ca.pem"') + f"{HEAD}jwks = '{SET}'\n"
    found = load_identity_settings(Source(path="x", text=text), {}, folder=tmp_path).settings
    assert found is not None

    live, ((setting, message, *_),) = token_trust(found)

    believed = live.now()
    assert setting == ("clusters", CLUSTER, "jwks_ca_file")
    assert f"{tmp_path / 'ca.pem'}: " in message
    assert believed.clusters[CLUSTER].keys.fault == message
    assert [key.key_id for key in believed.issuers[ISSUER].keys.keys] == ["one"]


def test_roots_may_have_comments_of_any_kind(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes("# Zürich\n".encode() + PEM + b"# \xff\n")
    text = table('jwks_url = "https://10.0.0.1/keys"', 'jwks_ca_file = "ca.pem"')
    found = load_identity_settings(Source(path="x", text=text), {}, folder=tmp_path).settings
    assert found is not None

    assert token_trust(found)[1] == []


def test_settings_of_a_cluster_are_those_that_take_a_restart() -> None:
    """Whom we believe is not changed by a signal."""
    from pdp.config.reread import reread  # noqa: PLC0415

    before, after = settings(table(KEYS)), settings(table(KEYS, "leeway_seconds = 1"))
    found: Any = reread(before, after)
    assert isinstance(found.settings, Settings)
    assert found.settings == before


def test_the_example_of_the_page_is_believed(folder: Path) -> None:
    (example,) = re.findall(r"^```toml clusters\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (folder / "west-keys.json").write_text(SET)
    (folder / "west-reviewer").write_text("x")
    (folder / "west-ca.pem").write_bytes(PEM)

    done = check(folder, more=example)

    assert (done.exit_code, "warning" in done.output) == (0, False), done.output
