"""A service that is begun again answers from the compiled form that it kept, and edits go on from there."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.running import Pki, Service, ask, until

PLACE = "GET /v1/items/{id}"


@pytest.fixture
def make(pki: Pki, policies: Path, tmp_path: Path) -> Iterator[Callable[[int], Service]]:
    """Begins a service of so many workers; all are ended at last, whatever the test came to."""
    settings = tmp_path / "pdp.toml"
    settings.write_text(f'[policies]\npath = "{policies}"\ncompiled = "{tmp_path}/kept"\n', encoding="utf-8")
    with ExitStack() as made:

        def begun(workers: int) -> Service:
            service = Service(pki, policies, "--config", str(settings), "--workers", str(workers))
            made.callback(service.stop)
            return service

        yield begun


@pytest.mark.parametrize("workers", [1, 2])
def test_begun_again_it_answers_and_follows_edits(
    make: Callable[[int], Service], policies: Path, tmp_path: Path, workers: int
) -> None:
    main, image = policies / "main.policy", tmp_path / "kept" / "compiled.image"
    text = main.read_text(encoding="utf-8")
    service = make(workers)
    first = ask(service).json
    until(image.exists)
    assert service.stop() == 0

    service = make(workers)
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
def test_begun_again_after_an_edit_it_parses_only_what_changed(
    make: Callable[[int], Service], policies: Path, tmp_path: Path, workers: int
) -> None:
    (policies / "more.policy").write_text("language 1\nservice more {}\n", encoding="utf-8")
    service = make(workers)
    until((tmp_path / "kept" / "trees.parsed").exists)
    service.stop()
    (policies / "more.policy").write_text("language 1\nservice other {}\n", encoding="utf-8")

    service = make(workers)

    assert ask(service).json["decision"] == "allow"
    assert any("1 of 2 policy files were parsed" in line for line in service.lines)


@pytest.mark.parametrize("workers", [1, 2])
def test_one_that_is_damaged_is_told_and_the_files_are_read(
    make: Callable[[int], Service], tmp_path: Path, workers: int
) -> None:
    image = tmp_path / "kept" / "compiled.image"
    service = make(workers)
    until(image.exists)
    service.stop()
    content = bytearray(image.read_bytes())
    content[len(content) // 2] ^= 1
    image.write_bytes(content)

    service = make(workers)

    assert ask(service).json["decision"] == "allow"
    assert sum("the kept compiled form is not used" in line for line in service.lines) == 1
