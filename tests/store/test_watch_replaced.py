"""A directory that is removed and made again at once, faster than anybody looks."""

import shutil
import threading
import time

from pdp.store.watch import DirectoryWatcher

SLOW_POLL = 60.0  # events alone have to do it
DEADLINE = 20.0
PATIENCE = 1.0


def write(root, edit):
    (root / "a.policy").write_text(f"language 1\n# {edit}\n", encoding="utf-8")


def test_edits_after_a_directory_was_replaced_at_once_are_noticed_by_events(tmp_path):
    root = tmp_path / "policies"
    root.mkdir()
    write(root, 0)
    seen, changed, errors = [], threading.Condition(), []

    def on_change(bundle):
        with changed:
            seen.append(bundle.files.get("a.policy", b""))
            changed.notify_all()

    watcher = DirectoryWatcher(
        root, on_change, on_error=errors.append, poll_seconds=SLOW_POLL, content_seconds=SLOW_POLL
    )
    watcher.start()
    try:
        for round_ in range(1, 4):
            shutil.rmtree(root)
            root.mkdir()
            write(root, f"made again {round_}")
            for edit in range(3):
                noticed, text, began = False, "", time.monotonic()
                # Until the new directory is listened to, events are lost; then none is. A watcher that
                # has gone deaf would notice nothing before the poll.
                while not noticed and time.monotonic() - began < DEADLINE:
                    text = f"round {round_} edit {edit} at {time.monotonic()}"
                    write(root, text)
                    with changed:
                        noticed = changed.wait_for(
                            lambda text=text: text.encode() in b"".join(seen), PATIENCE
                        )

                assert noticed, (text, errors)
    finally:
        watcher.stop()
