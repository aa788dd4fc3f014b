"""A Unix socket is ours alone, or there is none."""

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pdp.adapters.unix_socket import SocketTakenError, UnsafeSocketError, bound, peer_uid

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user, which takes root")
OTHER = 65533


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_directory_and_socket_are_ours_alone_and_the_socket_goes_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "run" / "s"

    with bound(path) as listener:
        assert (mode(path.parent), mode(path)) == (0o700, 0o600)
        assert stat.S_ISSOCK(path.lstat().st_mode)
        assert listener.getsockname() == str(path)
        assert not listener.get_inheritable()

    assert path.parent.is_dir()
    assert not path.exists()
    assert listener.fileno() == -1


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o177, 0o777])
def test_whatever_the_umask_is(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "run" / "s"
    path.parent.mkdir(0o700)
    before = os.umask(umask)
    try:
        with bound(path):
            assert mode(path) == 0o600
    finally:
        os.umask(before)


def test_it_is_removed_when_something_fails(tmp_path: Path) -> None:
    path = tmp_path / "run" / "s"

    with pytest.raises(ZeroDivisionError), bound(path):
        raise ZeroDivisionError

    assert not path.exists()
    with bound(path):
        pass


# -- the directory -------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [0o755, 0o701, 0o710, 0o750, 0o777, 0o1777, 0o500, 0o600])
def test_a_directory_of_another_mode_is_refused_and_left_as_it_is(tmp_path: Path, bits: int) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    folder.chmod(bits)

    with pytest.raises(UnsafeSocketError, match=r"mode|cannot be used"), bound(folder / "s"):
        pass

    assert mode(folder) == bits
    folder.chmod(0o700)
    assert list(folder.iterdir()) == []


@AS_ROOT
def test_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir(0o700)
    os.chown(folder, OTHER, OTHER)

    with pytest.raises(UnsafeSocketError, match=f"belongs to user {OTHER}, and not to us, user 0"):
        bound(folder / "s").__enter__()


@pytest.mark.parametrize("kind", ["link", "dangling", "file", "missing above", "no directory above"])
def test_what_is_no_directory_is_refused(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "run"
    (tmp_path / "real").mkdir(0o700)
    if kind in {"link", "dangling"}:
        folder.symlink_to(tmp_path / ("real" if kind == "link" else "none"))
    elif kind == "file":
        folder.write_text("x")
    else:
        folder = folder / "below"
        if kind == "no directory above":
            folder.parent.write_text("x")

    said = "is a symbolic link" if kind in {"link", "dangling"} else "cannot be used"
    with pytest.raises(UnsafeSocketError, match=said), bound(folder / "s"):
        pass

    assert list((tmp_path / "real").iterdir()) == []


# -- what is there already -----------------------------------------------------------------


def stale(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))


def test_one_that_was_left_over_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "run" / "s"
    path.parent.mkdir(0o700)
    stale(path)
    before = path.lstat().st_ino

    with bound(path) as listener:
        listener.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
        assert (path.lstat().st_ino, mode(path)) != (before, 0o755)


@pytest.mark.parametrize("backlog", [0, 8])
def test_one_that_somebody_answers_on_is_taken(tmp_path: Path, backlog: int) -> None:
    """Also if it is too busy to accept."""
    path = tmp_path / "run" / "s"
    path.parent.mkdir(0o700)
    with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as waiting:
        other.bind(str(path))
        other.listen(backlog)
        if not backlog:
            waiting.connect(str(path))

        with pytest.raises(SocketTakenError, match="somebody answers there"), bound(path):
            pass

        assert path.exists()


def test_a_second_service_is_refused_even_before_the_first_listens(tmp_path: Path) -> None:
    path = tmp_path / "run" / "s"
    with bound(path):
        before = path.lstat().st_ino
        for other in (path, path.with_name("t")):
            with pytest.raises(SocketTakenError, match="in use by another service"), bound(other):
                pass
        assert path.lstat().st_ino == before
        assert not path.with_name("t").exists()


@pytest.mark.parametrize("kind", ["file", "directory", "link to a socket", "datagrams"])
def test_what_is_no_socket_of_ours_is_never_removed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "run" / "s"
    path.parent.mkdir(0o700)
    held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    if kind == "file":
        path.write_text("x")
    elif kind == "directory":
        path.mkdir()
    elif kind == "datagrams":
        held.bind(str(path))
    else:
        stale(tmp_path / "other")
        path.symlink_to(tmp_path / "other")
    before = path.lstat().st_ino

    with held, pytest.raises(UnsafeSocketError, match=r"not a socket of ours|taken"), bound(path):
        pass

    assert path.lstat().st_ino == before


@AS_ROOT
def test_a_socket_of_another_user_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "run" / "s"
    path.parent.mkdir(0o700)
    stale(path)
    os.chown(path, OTHER, OTHER)

    with pytest.raises(UnsafeSocketError, match="not a socket of ours"), bound(path):
        pass

    assert path.exists()


def test_what_somebody_else_has_put_in_its_place_is_left(tmp_path: Path) -> None:
    path = tmp_path / "run" / "s"
    with bound(path):
        path.unlink()
        path.write_text("theirs")

    assert path.read_text() == "theirs"


def test_a_forked_process_that_ends_removes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run" / "s"
    code = (
        "import os, sys, pathlib\n"
        "from pdp.adapters.unix_socket import bound\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "with bound(path):\n"
        "    child = os.fork()\n"
        "    if child:\n"
        "        os.waitpid(child, 0)\n"
        "        print(path.exists())\n"
        "print(path.exists())\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout.split() == ["True", "True", "False"]


# -- who is at the other end ---------------------------------------------------------------


def test_the_user_that_connects_is_told_by_the_kernel(tmp_path: Path) -> None:
    with bound(tmp_path / "run" / "s") as listener, socket.socket(socket.AF_UNIX) as client:
        listener.listen()
        client.connect(listener.getsockname())
        accepted, _ = listener.accept()
        with accepted:
            assert peer_uid(accepted) == os.geteuid()


def test_over_tcp_there_is_no_telling() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert peer_uid(accepted) is None
