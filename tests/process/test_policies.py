"""The service put together: a defect of ours is told, and takes nothing down."""

import time
from pathlib import Path

import pytest

from pdp.process import policies
from pdp.store.bundle import read_bundle
from pdp.store.loader import Loader
from pdp.store.publish import Publisher
from tests.docs.sets import NOW


class BrokenLoader:
    """Fails as only a defect could."""

    circumstances = ""

    def load(self, *_: object, **__: object) -> None:
        raise RecursionError("too deep\n\x1b[31m")


def test_a_defect_while_an_edit_is_read_is_told_with_what_is_still_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.policy"
    file.write_text("language 1\nservice s {}\n")
    bundle = read_bundle(tmp_path)
    snapshot = Loader().load(bundle, now=NOW).snapshot
    assert snapshot is not None
    publisher = Publisher(BrokenLoader(), snapshot, on_event=lambda _: None, now=NOW)  # type: ignore[arg-type]
    said: list[str] = []
    monkeypatch.setattr(policies, "clock", lambda: NOW)

    watcher = policies.follow_policies(tmp_path, bundle, publisher, said.append)
    try:
        file.write_text("language 1\nservice t {}\n")
        deadline = time.monotonic() + 10
        while not said:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        watcher.stop()

    first, last = said[0].split("\n")
    assert "by a defect of pdp: RecursionError: too deep\\u{a}\\u{1b}[31m" in first
    assert last == f"still serving {snapshot.revision}"
    assert publisher.current.snapshot is snapshot
