"""Run a command under the system call filters of a systemd unit: `confined.py UNIT COMMAND...`.

What systemd does for `SystemCallFilter`, `MemoryDenyWriteExecute` and `RestrictAddressFamilies`, with the
same library and systemd's own lists of calls. The rest of a unit takes a running systemd.
"""

import ctypes
import errno
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

__all__ = ["LIBRARY", "settings"]

LIBRARY: Final = "libseccomp.so.2"
_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000
_EQUAL, _GREATER, _MASKED = 4, 6, 7
_WRITE_EXEC, _EXEC, _SHM_EXEC = 0x6, 0x4, 0o100000
_HIGHEST_FAMILY: Final = 45
_PR_SET_NO_NEW_PRIVS: Final = 38


class _Compare(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def settings(unit: Path) -> dict[str, list[str]]:
    """The settings of `[Service]`, each with all its values in order."""
    found: dict[str, list[str]] = {}
    section = unit.read_text(encoding="utf-8").partition("[Service]")[2].partition("[Install]")[0]
    for name, value in re.findall(r"^(\w+)=(.*)$", section, re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def _calls(name: str) -> set[str]:
    """The calls of a group, and of those in it."""
    if not name.startswith("@"):
        return {name}
    listed = subprocess.run(
        ["systemd-analyze", "--no-pager", "syscall-filter", name], capture_output=True, text=True, check=True
    ).stdout.splitlines()[1:]
    return {call for line in listed if (word := line.strip()) and word[0] != "#" for call in _calls(word)}


class _Filter:
    def __init__(self, library: Any, default: int) -> None:
        self._library = library
        self._context = library.seccomp_init(ctypes.c_uint32(default))
        assert self._context

    def add(self, action: int, call: str, *compare: tuple[int, int, int, int]) -> None:
        number = self._library.seccomp_syscall_resolve_name(call.encode())
        if number < 0:
            return  # not of this machine
        tests = (_Compare * len(compare))(*compare)
        added = self._library.seccomp_rule_add_array(self._context, action, number, len(tests), tests)
        assert added == 0, (call, added)

    def load(self) -> None:
        assert self._library.seccomp_load(self._context) == 0


def confine(unit: Path) -> None:
    """Confine this process, and all that it begins, as a unit says."""
    library = ctypes.CDLL(LIBRARY)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_load.argtypes = [ctypes.c_void_p]
    library.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p,
    ]  # fmt: skip
    found = settings(unit)
    allowed, *rest = found["SystemCallFilter"]
    calls = _calls(allowed) | _calls("@default")
    for less in rest:
        assert less.startswith("~")
        for name in less[1:].split():
            calls -= _calls(name)
    listed = _Filter(library, _ERRNO | errno.EPERM)
    for call in sorted(calls):
        listed.add(_ALLOW, call)
    memory = _Filter(library, _ALLOW)
    assert found["MemoryDenyWriteExecute"] == ["yes"]
    memory.add(_ERRNO | errno.EPERM, "mmap", (2, _MASKED, _WRITE_EXEC, _WRITE_EXEC))
    memory.add(_ERRNO | errno.EPERM, "mprotect", (2, _MASKED, _EXEC, _EXEC))
    memory.add(_ERRNO | errno.EPERM, "pkey_mprotect", (2, _MASKED, _EXEC, _EXEC))
    memory.add(_ERRNO | errno.EPERM, "shmat", (2, _MASKED, _SHM_EXEC, _SHM_EXEC))
    families = _Filter(library, _ALLOW)
    open_to = {getattr(socket, name).value for name in found["RestrictAddressFamilies"][0].split()}
    for family in set(range(_HIGHEST_FAMILY + 1)) - open_to:
        families.add(_ERRNO | errno.EAFNOSUPPORT, "socket", (0, _EQUAL, family, 0))
    families.add(_ERRNO | errno.EAFNOSUPPORT, "socket", (0, _GREATER, _HIGHEST_FAMILY, 0))
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for each in (memory, families, listed):
        each.load()


if __name__ == "__main__":
    confine(Path(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - the test names the command
