"""`pdp check`: every diagnostic, in every format, and exit codes that CI can rely on."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.cli.example import policies, run

# Errors, a warning and a note, in files of their own.
ERROR = "language 1\nservice orders {\n    allow chekout to GET /v1/** as nonsense\n}\n"
REPEATED = "language 1\nservice twice {\n    allow anyone to GET /x\n    allow anyone to GET /x\n}\n"
ENDING = "language 1\ndeny anyone to any /x on payments until 2030-01-01 as ending\n"


@pytest.fixture
def fine(tmp_path: Path) -> Path:
    return policies(tmp_path / "fine")


@pytest.fixture
def warned(tmp_path: Path) -> Path:
    return policies(tmp_path / "warned", twice=REPEATED)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    return policies(tmp_path / "broken", teams_orders=ERROR, twice=REPEATED, ending=ENDING)


# -- exit codes ------------------------------------------------------------------------


def test_a_set_without_errors_is_fine(fine: Path) -> None:
    done = run("check", fine)

    assert done.exit_code == 0
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "2 files, 11 rules: 0 errors, 0 warnings, 1 note"


def test_errors_end_with_1(broken: Path) -> None:
    done = run("check", broken)

    assert done.exit_code == 1
    assert re.fullmatch(r"5 files: 1 error, \d warnings?, \d notes?", done.stdout.splitlines()[-1])


def test_warnings_end_with_1_only_where_they_count(warned: Path) -> None:
    assert run("check", warned).exit_code == 0
    assert run("check", "--strict", warned).exit_code == 1


def test_notes_never_count(fine: Path) -> None:
    assert run("check", "--strict", fine).exit_code == 0


@pytest.mark.parametrize("format_", ["text", "json", "sarif", "github", "gitlab"])
def test_a_set_that_cannot_be_read_whole_ends_with_3(tmp_path: Path, format_: str) -> None:
    folder = policies(tmp_path / "set")
    (folder / "gone.policy").symlink_to("nowhere")

    done = run("check", folder, "--format", format_)

    assert done.exit_code == 3
    assert "PDP905" in done.stdout
    assert "gone.policy" in done.stdout


def test_one_file_is_a_set(fine: Path) -> None:
    done = run("check", fine / "payments.policy")

    assert done.exit_code == 0
    assert f"{fine / 'payments.policy'}:" in done.stdout


def test_json_and_another_format_exclude_each_other(fine: Path) -> None:
    assert run("check", fine, "--json", "--format", "sarif").exit_code == 2
    assert run("check", fine, "--json", "--format", "json").exit_code == 0
    assert run("check", fine, "--format", "xml").exit_code == 2


# -- formats ---------------------------------------------------------------------------


def test_text_shows_the_line_with_a_path_that_leads_there(broken: Path) -> None:
    done = run("check", broken)

    place = f"{broken}/teams/orders.policy:3:11: error["
    (head,) = [line for line in done.stdout.splitlines() if line.startswith(place)]
    following = done.stdout.splitlines()[done.stdout.splitlines().index(head) + 1 :]
    assert following[1] == "3 |     allow chekout to GET /v1/** as nonsense"
    assert following[2].startswith("  |           ^^^^^^^")


def test_paths_begin_with_what_was_given(broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(broken.parent)
    assert "\nbroken/teams/orders.policy:3:11:" in f"\n{run('check', 'broken/').stdout}"

    monkeypatch.chdir(broken)
    assert "\nteams/orders.policy:3:11:" in f"\n{run('check', '.').stdout}"
    assert "\n../broken/teams/orders.policy:3:11:" in f"\n{run('check', '../broken').stdout}"


def test_json_holds_every_diagnostic_and_the_counts(broken: Path) -> None:
    done = run("check", broken, "--json")

    found = json.loads(done.stdout)
    assert done.exit_code == 1
    assert done.stderr == ""
    assert (found["files"], found["rules"], found["errors"]) == (5, None, 1)
    assert len(found["diagnostics"]) == found["errors"] + found["warnings"] + found["notes"]
    (error,) = [item for item in found["diagnostics"] if item["severity"] == "error"]
    assert error["file"] == f"{broken}/teams/orders.policy"
    assert (error["line"], error["column"], error["end_line"], error["end_column"]) == (3, 11, 3, 18)
    assert "chekout" in error["message"]
    assert "checkout" in error["help"]


def test_json_of_a_fine_set_counts_its_rules(fine: Path) -> None:
    found = json.loads(run("check", fine, "--json").stdout)

    assert (found["files"], found["rules"], found["errors"]) == (2, 11, 0)


def test_related_places_are_given_in_every_format_that_has_them(warned: Path) -> None:
    (shown,) = [
        item for item in json.loads(run("check", warned, "--json").stdout)["diagnostics"] if item["related"]
    ]
    (result,) = [item for item in sarif(warned)["results"] if "relatedLocations" in item]

    assert shown["related"][0]["file"] == f"{warned}/twice.policy"
    assert shown["related"][0]["line"] == 3
    (related,) = result["relatedLocations"]
    assert related["id"] == 0
    assert related["message"]["text"]
    assert related["physicalLocation"]["region"]["startLine"] == 3


def sarif(folder: Path) -> dict[str, Any]:
    done = run("check", folder, "--format", "sarif")
    log = json.loads(done.stdout)
    assert log["version"] == "2.1.0"
    assert log["$schema"].startswith("https://")
    (found,) = log["runs"]
    return dict(found)


def test_sarif_has_what_the_standard_requires(broken: Path) -> None:
    found = sarif(broken)

    driver = found["tool"]["driver"]
    assert (driver["name"], found["columnKind"]) == ("pdp", "unicodeCodePoints")
    codes = [rule["id"] for rule in driver["rules"]]
    assert codes == sorted(set(codes))
    assert {item["level"] for item in found["results"]} == {"error", "warning", "note"}
    for item in found["results"]:
        assert codes[item["ruleIndex"]] == item["ruleId"]
        assert item["message"]["text"]
        (location,) = item["locations"]
        region = location["physicalLocation"]["region"]
        assert all(region[key] >= 1 for key in ("startLine", "startColumn", "endLine", "endColumn"))
        assert (region["startLine"], region["startColumn"]) <= (region["endLine"], region["endColumn"])


def uris(folder: Path | str) -> set[str]:
    found = sarif(Path(folder))["results"]
    return {item["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for item in found}


def test_sarif_names_files_by_references_that_resolve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "a b#c%?é.policy"
    folder = policies(tmp_path / "x:y", **{name.removesuffix(".policy"): ERROR})

    absolute = uris(folder)
    monkeypatch.chdir(tmp_path)
    relative = uris(folder)
    monkeypatch.chdir(folder)
    inside = uris(".")

    assert all(urlsplit(uri).scheme == "file" for uri in absolute)
    assert str(folder / name) in {unquote(urlsplit(uri).path) for uri in absolute}
    # A colon in the first segment would make a scheme of it (RFC 3986 section 4.2).
    assert "x%3Ay/a%20b%23c%25%3F%C3%A9.policy" in relative
    assert "a%20b%23c%25%3F%C3%A9.policy" in inside
    assert not any(urlsplit(uri).scheme for uri in relative | inside)


INJECTION = 'language 1\nservice a {{\n    allow "{}" to GET /x\n}}\n'


def test_sarif_messages_hold_no_links_and_no_placeholders(tmp_path: Path) -> None:
    folder = policies(tmp_path / "set", bad=INJECTION.format("[click](https://evil.test) {0}"))

    texts = [item["message"]["text"] for item in sarif(folder)["results"] if item["level"] == "error"]

    assert any("evil.test" in text for text in texts)
    assert not any("](" in text or re.search(r"(?<!\{)\{0\}(?!\})", text) for text in texts)


def test_github_annotations_are_one_line_each(broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(broken.parent)

    done = run("check", "broken", "--format", "github")

    lines = done.stdout.splitlines()
    assert len(lines) == len(json.loads(run("check", "broken", "--json").stdout)["diagnostics"])
    assert all(
        re.match(r"::(error|warning|notice) file=broken/[a-z/]+\.policy,line=\d+,", line) for line in lines
    )
    (error,) = [line for line in lines if line.startswith("::error ")]
    assert re.match(
        r"::error file=broken/teams/orders\.policy,line=3,endLine=3,col=11,endColumn=17,title=PDP\d{3}::"
        r"unknown group `chekout`.*did you mean `checkout`\?$",
        error,
    )


def test_absolute_paths_below_the_current_directory_are_made_relative_for_ci(
    broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(broken.parent)

    assert "file=broken/teams/orders.policy," in run("check", broken, "--format", "github").stdout


def test_policy_text_cannot_end_an_annotation_or_begin_another(tmp_path: Path) -> None:
    folder = policies(tmp_path / "set", **{"a,b:c%25": INJECTION.format("100%::error x::warning::")})

    lines = run("check", folder, "--format", "github").stdout.splitlines()

    errors = [line for line in lines if line.startswith("::error")]
    assert len(errors) >= 1
    assert all(line.startswith("::") for line in lines)
    assert all("file=" in line and "a%2Cb%3Ac%2525.policy" in line for line in errors)
    assert any("100%25::error x" in line for line in errors)


def test_gitlab_reports_have_fingerprints_of_their_own(broken: Path) -> None:
    done = run("check", broken, "--format", "gitlab")

    found = json.loads(done.stdout)
    assert len({item["fingerprint"] for item in found}) == len(found) > 0
    for item in found:
        assert item["severity"] in {"critical", "minor", "info"}
        assert item["location"]["lines"]["begin"] >= 1
        assert item["location"]["path"].endswith(".policy")
        assert re.fullmatch(r"PDP\d{3}", item["check_name"])
        assert item["description"]


def test_gitlab_fingerprints_tell_the_same_words_twice_apart(tmp_path: Path) -> None:
    thrice = REPEATED.replace("}\n", "    allow anyone to GET /x\n}\n")
    folder = policies(tmp_path / "set", twice=thrice)

    found = json.loads(run("check", folder, "--format", "gitlab").stdout)

    repeated = [item["description"] for item in found if item["location"]["path"].endswith("twice.policy")]
    assert len(repeated) > len(set(repeated))
    assert len({item["fingerprint"] for item in found}) == len(found)


def test_gitlab_fingerprints_survive_an_edit_above(broken: Path) -> None:
    before = json.loads(run("check", broken, "--format", "gitlab").stdout)
    path = broken / "teams" / "orders.policy"
    path.write_text(path.read_text().replace("language 1\n", "language 1\n\n# moved\n"))

    after = json.loads(run("check", broken, "--format", "gitlab").stdout)

    assert [item["fingerprint"] for item in after] == [item["fingerprint"] for item in before]
    assert after != before


UGLY = {
    "empty file": b"",
    "not UTF-8": b"language 1\n\xff\n",
    "NUL": b"language 1\n\0\n",
    "carriage returns": b"language 1\r\nservice x {\r\n allow nobody to GET /\r\n}\r\n",
    "open block": b"language 1\nservice x {",
    "bidirectional": "language 1\nservice \u202ex { }\n".encode(),
    "end of file": b"language 1\nservice",
    "tabs": b"language 1\nservice x {\n\tallow\tnobody\tto\tGET\t/\n}\n",
    "very long line": b"language 1\nservice x { allow " + b"a, " * 20_000 + b"}\n",
}


@pytest.mark.parametrize("format_", ["text", "json", "sarif", "github", "gitlab"])
@pytest.mark.parametrize("case", UGLY)
def test_any_file_is_reported_in_any_format(tmp_path: Path, case: str, format_: str) -> None:
    path = tmp_path / "ugly.policy"
    path.write_bytes(UGLY[case])

    done = run("check", path, "--format", format_)

    assert done.exit_code == 1
    assert "ugly.policy" in done.stdout
    assert "\u202e" not in done.stdout
    if format_ in {"json", "sarif", "gitlab"}:
        assert json.loads(done.stdout)
    if format_ == "github":
        assert all(line.startswith("::") for line in done.stdout.splitlines())


def test_the_example_policy_has_no_warnings(fine: Path) -> None:
    assert json.loads(run("check", fine, "--json").stdout)["warnings"] == 0
