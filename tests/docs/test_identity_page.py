"""`docs/identity.md` names what there is: its entries load, and every kind of evidence is on the page."""

import re
from pathlib import Path

import pytest

from pdp.config.load import load_identity_settings, load_settings
from pdp.config.unsafe import problems
from pdp.diagnostics import Source, render
from pdp.vocabulary import EvidenceKind
from tests.docs.session import Session, steps
from tests.docs.sets import Block, blocks, load

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "identity.md").read_text(encoding="utf-8")
ENTRIES = [block for block in blocks(PAGE) if block.info == "policy fragment"]
SETTINGS = [block for block in blocks(PAGE) if block.info == "toml"]
MACHINES = PAGE.partition("### A machine without anything")[2]
SET = """language 1
trust domain prod = "prod.example.org"
service payments {}
"""

assert len(steps(MACHINES)) > 10, "no commands found: this would pass by testing nothing"
assert len(ENTRIES) > 4, "no entries found: this would pass by testing nothing"
assert SETTINGS, "no settings found: this would pass by testing nothing"


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"line-{entry.line}")
def test_an_entry_loads_and_gives_rights(entry: Block) -> None:
    result = load({"first.policy": SET, "example.policy": f"language 1\n{entry.text}"})

    assert result.snapshot is not None, "\n".join(render(d, result.sources) for d in result.diagnostics)
    assert all(each.presents or each.itself or each.asserts for each in result.snapshot.callers)


@pytest.mark.parametrize("block", SETTINGS, ids=lambda block: f"line-{block.line}")
def test_settings_can_be_pasted(block: Block) -> None:
    found = load_settings(Source(path="pdp.toml", text=block.text), {}, {})

    assert found.settings is not None, found.diagnostics
    assert [each for each in problems(found.settings) if each.refused] == []


def test_the_settings_of_clusters_are_for_the_audience_of_the_volume() -> None:
    texts = [block.text for block in blocks(PAGE) if "[clusters" in block.text]
    found = [load_identity_settings(Source(path="pdp.toml", text=text), {}).settings for text in texts]
    audience = re.search(r"audience: (\S+),", PAGE)

    assert audience is not None
    assert found
    for settings in found:
        assert settings is not None
        (cluster,) = settings.clusters.values()
        assert cluster.audiences == {audience[1]}


@pytest.mark.parametrize("page", ["identity.md", "api.md"])
def test_every_kind_of_evidence_is_on_the_page(page: str) -> None:
    named = set(re.findall(r"`([a-z-]+)`", (DOCS / page).read_text(encoding="utf-8")))

    assert {"user-token", *(kind.value for kind in EvidenceKind)} <= named


def test_a_machine_without_anything_gets_an_identity_as_written(tmp_path: Path) -> None:
    operations = (DOCS / "operations.md").read_text(encoding="utf-8")
    first = operations.partition("## First configuration")[2].partition("\n## ")[0]
    session = Session(tmp_path, after={})
    try:
        session.follow(first)
        session.follow(MACHINES)
    finally:
        session.stop()

    assert "Traceback" not in session.log


KINDS = (
    "Istio",
    "Linkerd",
    "Consul",
    "SPIRE on machines",
    "nginx",
    "AWS ALB",
    "Plain Kubernetes",
    "A machine",
)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_deployment_says_its_evidence_its_settings_and_who_is_trusted(kind: str) -> None:
    (section,) = re.findall(rf"^### {kind}[^\n]*\n(.*?)(?=^### |\Z)", PAGE, re.MULTILINE | re.DOTALL)

    assert re.search(r"^caller ", section, re.MULTILINE)
    assert "configuration.md#" in section or "ettings" in section or "[trust]" in section
    said = " ".join(section.split())
    assert " Trusted: " in said
    assert " Not trusted: " in said


def test_fragments_of_settings_are_settings() -> None:
    texts = [block.text for block in blocks(PAGE) if block.info == "toml fragment"]

    assert len(texts) > 2
    for text in texts:
        found = load_identity_settings(Source(path="pdp.toml", text=text), {})
        assert found.settings is not None, found.diagnostics
