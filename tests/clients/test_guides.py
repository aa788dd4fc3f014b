"""Each guide names its files and each file is what it says; programs run them in `tests/e2e/proxies`."""

import re
import subprocess
from pathlib import Path

import pytest

from pdp.diagnostics import Source
from pdp.lang.formatter import format_source
from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader
from tests.clients.guides import CLIENTS, GUIDES, Guide, profile
from tests.docs.pages import DOCS
from tests.e2e.proxies.samples import SAMPLES, SOON, Sample
from tests.programs import needs

POLICIES = [file for guide in GUIDES for file in guide.named(r".*\.policy")]
SETTINGS = [file for guide in GUIDES for file in guide.named(r"pdp\.toml") if guide.folder.name != "istio"]


def named(file: Path) -> str:
    return file.relative_to(CLIENTS).as_posix()


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.folder.name)
def test_a_guide_says_what_to_copy_to_change_to_try_and_to_watch_out_for(guide: Guide) -> None:
    assert re.findall(r"^## (.*)$", guide.text, re.MULTILINE) == ["Copy", "Change", "Try", "Watch out"]
    linked = {(guide.folder / link).resolve() for link in re.findall(r"\]\(([^)#]+)\)", guide.text)}
    assert set(guide.files) <= linked
    assert len(guide.text.splitlines()) < 70, "a guide is one page"


def test_every_guide_can_be_reached_from_the_index_and_from_the_page_on_all() -> None:
    for page in (DOCS / "README.md", CLIENTS / "README.md"):
        links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
        found = {(page.parent / link).resolve() for link in links}
        assert {guide.folder / "README.md" for guide in GUIDES} <= found


def test_those_said_to_be_tried_are_those_that_are_run() -> None:
    page = (CLIENTS / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[.*\]\(([\w-]+)/README\.md\) \|.*\| (.*) \|$", page, re.MULTILINE)
    tried = {folder for folder, by in rows if re.search(r"\d", by)}

    assert len(rows) == len(GUIDES)
    assert tried == {sample.folder.partition("/")[0] for sample in SAMPLES}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_guide_says_what_a_client_is_told_while_the_pdp_is_away(sample: Sample) -> None:
    page = CLIENTS / sample.folder.partition("/")[0] / "README.md"
    (told,) = re.findall(r"^While the PDP is away the answer is (.*)$", page.read_text("utf-8"), re.MULTILINE)

    assert {int(status) for status in re.findall(r"\b\d{3}\b", told)} == sample.unavailable
    assert ("half a second" in told) is (sample.slow <= SOON)


@pytest.mark.parametrize("file", POLICIES, ids=named)
def test_a_policy_is_loaded_without_a_word_and_in_the_one_layout(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    loaded = Loader().load(make_bundle({file.name: text.encode()}), now=0)

    assert loaded.snapshot is not None
    assert not loaded.diagnostics
    assert format_source(Source(path=file.name, text=text)).text == text


@pytest.mark.parametrize("file", SETTINGS, ids=named)
def test_settings_and_policy_speak_of_the_same_proxy_and_headers(file: Path) -> None:
    settings, policy = profile(file), (file.parent / "edge.policy").read_text(encoding="utf-8")
    (caller,) = re.findall(r"^caller (\S+) fronts", policy, re.MULTILINE)
    told = set(re.findall(r"(?:set|remove) header ([\w-]+)", policy))

    assert settings["callers"] == [caller.replace("prod/", "spiffe://prod.example.org/", 1)]
    assert told == set(settings["headers"])


@pytest.mark.parametrize("file", SETTINGS, ids=named)
def test_the_proxy_takes_over_each_header_that_the_settings_name(file: Path) -> None:
    own = [f for f in file.parent.iterdir() if f.suffix not in {".toml", ".policy", ".md"}]
    text = "".join(f.read_text(encoding="utf-8") for f in own)
    by_message = "grpc_service" in text  # Envoy does as the answer says, whatever the header

    for header in profile(file)["headers"]:
        assert by_message or re.search(rf"\b{header}\b", text)


@needs("haproxy")
def test_what_is_said_to_be_lua_is(tmp_path: Path) -> None:
    (tmp_path / "check.lua").write_text(
        "".join(f'assert(loadfile("{file}"))\n' for file in sorted(CLIENTS.rglob("*.lua"))), encoding="utf-8"
    )
    (tmp_path / "check.cfg").write_text(f"global\n    lua-load {tmp_path}/check.lua\n", encoding="utf-8")

    ran = subprocess.run(
        ["haproxy", "-c", "-f", str(tmp_path / "check.cfg")], capture_output=True, text=True, check=False
    )

    assert "Configuration file has no error" in ran.stdout + ran.stderr
