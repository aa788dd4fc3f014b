"""A service that is begun again answers from the compiled form that it kept, and edits go on from there."""

from pathlib import Path

import pytest

from tests.e2e.running import Pki, Service, ask, until

PLACE = "GET /v1/items/{id}"


def make(pki: Pki, policies: Path, folder: Path, workers: int) -> Service:
    settings = folder / "pdp.toml"
    settings.write_text(f'[policies]\npath = "{policies}"\ncompiled = "{folder}/kept"\n', encoding="utf-8")
    return Service(pki, policies, "--config", str(settings), "--workers", str(workers))


@pytest.mark.parametrize("workers", [1, 2])
def test_begun_again_it_answers_and_follows_edits(
    pki: Pki, policies: Path, tmp_path: Path, workers: int
) -> None:
    main, image = policies / "main.policy", tmp_path / "kept" / "compiled.image"
    text = main.read_text(encoding="utf-8")
    service = make(pki, policies, tmp_path, workers)
    first = ask(service).json
    until(image.exists)
    assert service.stop() == 0

    service = make(pki, policies, tmp_path, workers)
    again = ask(service).json
    for number in (1, 2):
        mark = len(service.lines)
        part = policies / "new"
        part.write_text(f"{text}\nservice more{number} {{}}\n", encoding="utf-8")
        part.rename(main)
        service.wait_line(f"`more{number}` is new", since=mark)
        assert ask(service).json["decision"] == "allow"
    assert service.stop() == 0

    assert first["decision"] == again["decision"] == "allow"
    assert {**first, "decision_id": "", "age_seconds": 0} == {**again, "decision_id": "", "age_seconds": 0}
    assert not any("compiled form" in line for line in service.lines)


@pytest.mark.parametrize("workers", [1, 2])
def test_one_that_is_damaged_is_told_and_the_files_are_read(
    pki: Pki, policies: Path, tmp_path: Path, workers: int
) -> None:
    image = tmp_path / "kept" / "compiled.image"
    service = make(pki, policies, tmp_path, workers)
    until(image.exists)
    service.stop()
    content = bytearray(image.read_bytes())
    content[len(content) // 2] ^= 1
    image.write_bytes(content)

    service = make(pki, policies, tmp_path, workers)

    assert ask(service).json["decision"] == "allow"
    assert sum("the kept compiled form is not used" in line for line in service.lines) == 1
    service.stop()
