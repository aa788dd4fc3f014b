"""Edits of every kind reach the answers of the running process, and broken ones do not."""

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.running import JSON, POLICY, Pki, Service, ask, question, send, until

WITHIN = 1.0  # seconds from the write to the answer: the promise


def policy(number: int) -> str:
    """A set in which /v1/edit-N is open for one N alone."""
    return POLICY.replace(
        "service pay.shop {",
        f"service pay.shop {{\n    allow prod/ns/shop/sa/* to GET /v1/edit-{number} as edit-{number}",
    )


def shows(service: Service, number: int) -> bool:
    reply = ask(service, service="pay.shop", path=f"/v1/edit-{number}")
    assert reply.status == 200
    found: bool = reply.json["decision"] == "allow"
    return found


def write(folder: Path, number: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "main.policy").write_text(policy(number), encoding="utf-8")


@contextmanager
def running(pki: Pki, policies: Path) -> Iterator[Service]:
    service = Service(pki, policies)
    try:
        yield service
    finally:
        assert service.stop() == 0, service.log
    assert "Traceback" not in service.log


# -- ways of editing: where the set is, and edits of it -------------------------------------------


def directory(folder: Path) -> tuple[Path, list[Callable[[int], None]]]:
    """Files written in place; renamed over, as editors save; and the whole directory replaced."""
    root = folder / "set"
    write(root, 0)

    def rename(number: int) -> None:
        write(folder / "new", number)
        (folder / "new" / "main.policy").replace(root / "main.policy")
        (folder / "new").rmdir()

    def replace(number: int) -> None:
        write(folder / "new", number)
        root.rename(folder / f"old-{number}")
        (folder / "new").rename(root)

    return root, [lambda number: write(root, number), rename, replace]


def config_map(folder: Path) -> tuple[Path, list[Callable[[int], None]]]:
    """As the kubelet does: files are links through `..data`, which is swapped."""
    root = folder / "mount"
    write(root / "..0", 0)
    (root / "..data").symlink_to("..0")
    (root / "main.policy").symlink_to("..data/main.policy")

    def edit(number: int) -> None:
        write(root / f"..{number}", number)
        (root / "..data_tmp").symlink_to(f"..{number}")
        (root / "..data_tmp").replace(root / "..data")
        shutil.rmtree(root / f"..{number - 1}")

    return root, [edit]


def root_link(folder: Path) -> tuple[Path, list[Callable[[int], None]]]:
    """As git-sync does: the root is a link, which is pointed elsewhere."""
    write(folder / "0", 0)
    (folder / "current").symlink_to("0")

    def edit(number: int) -> None:
        write(folder / str(number), number)
        (folder / "next").symlink_to(str(number))
        (folder / "next").replace(folder / "current")

    return folder / "current", [edit]


def checkout(folder: Path) -> tuple[Path, list[Callable[[int], None]]]:
    root = folder / "work"
    for number in range(3):
        write(root, number)
        if number == 0:
            git(root, "init", "--quiet", "--initial-branch=v0")
        else:
            git(root, "switch", "--quiet", "--create", f"v{number}")
        git(root, "add", "main.policy")
        git(root, "commit", "--quiet", "--message", f"version {number}")
    git(root, "switch", "--quiet", "v0")
    return root, [lambda number: git(root, "switch", "--quiet", f"v{number}")]


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize("way", [directory, config_map, root_link, checkout])
def test_edit_is_live_within_a_second(
    pki: Pki, tmp_path: Path, way: Callable[[Path], tuple[Path, list[Callable[[int], None]]]]
) -> None:
    root, edits = way(tmp_path)
    with running(pki, root) as service:
        assert shows(service, 0)
        for number, edit in enumerate([edit for edit in edits for _ in range(2)], start=1):
            mark = service.mark()

            edit(number)
            took = until(lambda n=number: shows(service, n), 5)  # type: ignore[misc]

            assert took < WITHIN
            assert not shows(service, number - 1)
            said = service.wait_line("revision ", mark)
            assert said == f"revision {ask(service).json['revision']}: 1 granted, 1 revoked"


# -- what is broken --------------------------------------------------------------------


@pytest.fixture(scope="module")
def live(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    root = tmp_path_factory.mktemp("live") / "set"
    write(root, 1)
    with running(pki, root) as service:
        yield service


@pytest.fixture
def healed(live: Service) -> Iterator[Service]:
    """The service with version 1 in force, before and after."""
    yield live
    before = ask(live).json["revision"]
    live.policies.mkdir(exist_ok=True)
    (live.policies / "main.policy").write_text(f"{policy(1)}# {time.time_ns()}\n", encoding="utf-8")
    until(lambda: ask(live).json["revision"] != before)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (policy(2) + "allow everybody\n", "error[PDP101]"),
        (policy(2).replace("prod/ns/shop/sa/alice", "nobody-knows"), "error[PDP2"),
        (policy(2).replace("language 1", "language 99"), "error[PDP103]"),
        (policy(2) + "\nnever prod/ns/shop/sa/* may any /v1/charges on pay.shop\n", "error[PDP"),
    ],
    ids=["syntax", "name", "version", "invariant"],
)
def test_broken_edit_changes_nothing_and_is_shown(healed: Service, text: str, said: str) -> None:
    before, mark = ask(healed).json["revision"], healed.mark()

    (healed.policies / "main.policy").write_text(text, encoding="utf-8")
    healed.wait_line(f"still serving {before}", mark)

    assert shows(healed, 1)
    assert not shows(healed, 2)
    assert ask(healed).json["revision"] == before
    assert any(line.startswith("main.policy:") and said in line for line in healed.lines[mark:])


@pytest.mark.parametrize("how", ["empty directory", "no directory", "not UTF-8", "no policy file"])
def test_set_that_is_gone_leaves_the_last_good_one(healed: Service, how: str) -> None:
    before, mark = ask(healed).json["revision"], healed.mark()

    file = healed.policies / "main.policy"
    match how:
        case "empty directory":
            file.unlink()
        case "no directory":
            shutil.rmtree(healed.policies)
        case "not UTF-8":
            file.write_bytes(b"\xff\xfe" + policy(2).encode())
        case _:
            file.rename(file.with_suffix(".txt"))
    healed.wait_line(f"still serving {before}", mark)

    assert shows(healed, 1)
    assert ask(healed).json["revision"] == before
    assert any("error[PDP" in line for line in healed.lines[mark:])


def test_return_to_an_earlier_version_is_a_new_revision(healed: Service) -> None:
    first = ask(healed).json["revision"]
    text = (healed.policies / "main.policy").read_text()
    write(healed.policies, 2)
    until(lambda: shows(healed, 2))
    (healed.policies / "main.policy").write_text(text)
    until(lambda: shows(healed, 1))

    again = ask(healed).json["revision"]

    assert again != first
    assert ask(healed, at_least=again).json["revision"] == again


def test_callers_are_part_of_what_is_edited(healed: Service) -> None:
    """Whoever is taken off the table is refused at once, on the connection that is open."""
    connection = healed.connect()
    assert send(connection, question()).status == 200

    text = policy(1).replace("caller prod/ns/pdp/sa/pep", "caller prod/ns/pdp/sa/other")
    (healed.policies / "main.policy").write_text(text, encoding="utf-8")
    until(lambda: send(connection, question()).status == 403)
    refused = send(connection, question())
    (healed.policies / "main.policy").write_text(policy(1), encoding="utf-8")
    until(lambda: send(connection, question()).status == 200)
    connection.close()

    # The second entry is for `pep.pdp`, which no service is called.
    assert refused.code == "service_not_permitted"


# -- under load ------------------------------------------------------------------------


def test_every_answer_is_that_of_exactly_one_version(healed: Service) -> None:
    """Three connections ask without pause while two versions alternate ten times a second."""
    paths = [f"/v1/edit-{number}" for number in (1, 2)]
    body = json.dumps({"questions": [question(service="pay.shop", path=path) for path in paths]}).encode()
    stop = threading.Event()
    failures: list[object] = []
    seen: list[tuple[str, tuple[str, ...]]] = []

    def hammer() -> None:
        connection = healed.connect()
        try:
            while not stop.is_set():
                reply = send(connection, body, path="/v1/decide/batch", headers=JSON)
                if reply.status != 200:
                    failures.append(reply)
                answers = reply.json["answers"]
                revisions = {answer["revision"] for answer in answers}
                if len(revisions) != 1:
                    failures.append(reply)
                seen.append((revisions.pop(), tuple(answer["decision"] for answer in answers)))
        except Exception as error:  # noqa: BLE001 - whatever it is fails the test
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=hammer) for _ in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(25):
        replace_whole(healed.policies, 2 - turn % 2)
        time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join(15)

    assert failures == []
    assert not any(thread.is_alive() for thread in threads)
    by_revision: dict[str, set[tuple[str, ...]]] = {}
    for revision, decisions in seen:
        by_revision.setdefault(revision, set()).add(decisions)
    assert all(len(decisions) == 1 for decisions in by_revision.values()), by_revision
    assert set().union(*by_revision.values()) == {("allow", "deny"), ("deny", "allow")}
    assert len(by_revision) > 5
    published = {line.split()[1].rstrip(":") for line in healed.lines if line.startswith("revision ")}
    started = healed.lines[0].split()[2]
    assert set(by_revision) <= published | {started}
    assert len(seen) > 100


def replace_whole(folder: Path, number: int) -> None:
    new = folder.parent / "new.policy"
    new.write_text(policy(number), encoding="utf-8")
    new.replace(folder / "main.policy")
