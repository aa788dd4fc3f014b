"""What an engine does for a container, by the kernel's own means: no engine, and no stand-in for the process.

Namespaces of its own for mounts and processes, the image at its real paths over this machine's root, which
is read-only, volumes at theirs, no capabilities, no environment but the image's, another user. The process
has the number 1, so that signals reach it as they would.
"""

import os
import shlex
import signal
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.inspecting import children_of
from tests.programs import is_skipped_without

__all__ = ["arguments", "needs_namespaces", "signal_to"]

_SCRIPT: Final = """
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs {over}
mkdir {over}/upper {over}/work {over}/root
mount -t overlay overlay -o lowerdir=/,upperdir={over}/upper,workdir={over}/work {over}/root
{reachable}
{mounts}
mount -t proc proc {over}/root/proc
mount --bind /dev {over}/root/dev
mount -o remount,bind,ro {over}/root/dev
mount -o remount,bind,ro {over}/root
exec chroot {over}/root /usr/bin/setpriv --reuid {uid} --regid {gid} --clear-groups --no-new-privs \
    --inh-caps=-all --bounding-set=-all env -i {environment} {command}
"""


def _possible() -> bool:
    if os.geteuid() != 0 or is_skipped_without("unshare", "chroot", "mount", "setpriv"):
        return False
    probe = "mount --make-rprivate / && mount -t tmpfs tmpfs /mnt"
    return (
        subprocess.run(["unshare", "-m", "sh", "-c", probe], capture_output=True, check=False).returncode == 0
    )


needs_namespaces = pytest.mark.skipif(
    not _possible(), reason="making mount namespaces takes root, and a kernel that lets it"
)


def arguments(
    over: Path,
    command: Sequence[str],
    *,
    mounts: Mapping[str, Path],
    environment: Mapping[str, str],
    user: str,
) -> list[str]:
    """The command that runs another one in a container.

    Args:
        over: An empty directory for what the container is put together in.
        command: What runs in it.
        mounts: By path in the container, what is mounted there, read-only.
        environment: All variables.
        user: Its number and its group's, as UID:GID.
    """
    uid, gid = user.split(":")
    # The Python that stands for the base image's may lie in somebody's home; the overlay alone is changed.
    homes = [folder for folder in Path(sys.base_prefix).parents if not folder.stat().st_mode & stat.S_IXOTH]
    lines = []
    for target, source in mounts.items():
        there = f"{over}/root{target}"
        lines += [f"mkdir -p {there}", f"mount --bind {source} {there}", f"mount -o remount,bind,ro {there}"]
    script = _SCRIPT.format(
        over=over,
        reachable="\n".join(f"chmod a+x {over}/root{home}" for home in homes),
        mounts="\n".join(lines),
        uid=uid,
        gid=gid,
        environment=shlex.join(f"{name}={value}" for name, value in environment.items()),
        command=shlex.join(command),
    )
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script]


def signal_to(process: "subprocess.Popen[str]", number: signal.Signals) -> None:
    """Send a signal to the container's process 1, as an engine does."""
    (inside,) = children_of(process.pid)
    os.kill(inside, number)
