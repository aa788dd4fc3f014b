"""`pdp identity explain` of service account tokens: what they come to, or which rule they break."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pdp.cli.identity import identity
from tests.identity.clusters import OURS, Cluster, cluster
from tests.identity.publishing import send
from tests.identity.tokens import DOMAIN

WEST = "https://kubernetes.west.example.org"


@pytest.fixture
def at(tmp_path: Path) -> Iterator[tuple[Cluster, Cluster, Path]]:
    """A cluster with keys, one that is asked, and settings."""
    with cluster(tmp_path / "east", issuer="") as east, cluster(tmp_path / "west", issuer=WEST) as west:
        file = tmp_path / "pdp.toml"
        file.write_text(
            f'[clusters."{east.issuer}"]\naudiences = ["{OURS}"]\ntrust_domain = "{DOMAIN}"\n'
            'jwks_discovery = true\njwks_ca_file = "east/roots.pem"\n'
            f'[clusters."{WEST}"]\naudiences = ["{OURS}"]\ntrust_domain = "west.example.org"\n'
            f'review_url = "{west.url}"\nreview_ca_file = "west/roots.pem"\n'
            'review_token_file = "west/reviewer"\n',
            encoding="utf-8",
        )
        yield east, west, file


def explain(text: str, file: Path) -> tuple[bool, str, dict[str, Any]]:
    done = CliRunner().invoke(
        identity, ["explain", "--jwt", "-", "--config", str(file), "--json"], input=text
    )
    found = json.loads(done.stdout)
    assert done.exit_code == (0 if found["accepted"] else 1)
    return found["accepted"], found["reason"], found["parts"]


def test_a_token_is_taken_apart_and_named(at: tuple[Cluster, Cluster, Path]) -> None:
    east, _, file = at

    accepted, reason, parts = explain(east.mint(), file)

    assert accepted
    assert reason == "the token verifies, and names system:serviceaccount:shop:web"
    assert (parts["profile"], parts["issuer"]) == ("kubernetes", east.issuer)
    assert (parts["spiffe_id"], parts["trust_domain"]) == (f"spiffe://{DOMAIN}/ns/shop/sa/web", DOMAIN)
    assert parts["maps_to"] == f"spiffe://{DOMAIN}/ns/{{namespace}}/sa/{{name}}"
    assert parts["claims"]["kubernetes.io"]["pod"]["name"] == "web-0"
    assert [key["kid"] for key in parts["keys"]] == ["one"]
    assert "review" not in parts


def test_a_token_that_breaks_a_rule_is_told_which(at: tuple[Cluster, Cluster, Path]) -> None:
    east, west, file = at

    for text, code, why in (
        (east.mint(which=7), "signature", "not by the issuer's key"),
        (east.mint(sub="system:serviceaccount:shop:other"), "invalid_claim", "name two service accounts"),
        (east.mint(exp=None, aud=None), "legacy", "mount a projected one"),
        (east.mint(iss="kubernetes/serviceaccount"), "legacy", "mount a projected one"),
        (east.mint(aud=["api"]), "audience", "not for us"),
        (west.mint(aud=["api"]), "audience", "not for us"),
    ):
        accepted, reason, parts = explain(text, file)
        assert (accepted, parts["code"], why in reason) == (False, code, True)
    assert west.server.asked == []


def test_the_cluster_is_asked_where_the_settings_have_it_asked(at: tuple[Cluster, Cluster, Path]) -> None:
    _, west, file = at
    text = west.mint()

    accepted, _, parts = explain(text, file)
    assert (accepted, parts["spiffe_id"]) == (True, "spiffe://west.example.org/ns/shop/sa/web")
    assert parts["review"] == "its cluster was asked just now, and takes the token"

    west.gone.add("web-0")
    accepted, reason, parts = explain(text, file)
    assert (accepted, parts["code"], "does not hold" in reason) == (False, "review", True)

    west.fails = lambda handler: send(handler, b"", 503)
    accepted, _, parts = explain(text, file)
    assert (accepted, parts["code"]) == (False, "not_reviewed")
    assert parts["review"].startswith("could not be had: ")
    assert "answered with 503" in parts["review"]


def test_what_a_cluster_is_verified_by_may_be_missing(at: tuple[Cluster, Cluster, Path]) -> None:
    _, west, file = at
    west.roots.unlink()

    accepted, _, parts = explain(west.mint(), file)

    assert (accepted, parts["code"]) == (False, "not_reviewed")
    assert "`review_ca_file` cannot be used" in parts["review"]
