"""The process that workers are forked from: it has imported what they need, once for all of them.

What was imported is shared by all workers until it is written to, and a worker that takes the place of
another need not wait for it. It has one thread, opens nothing, is handed no secret, and ends when its
supervisor is gone. `pdp.process.forks` is the supervisor's side of it.
"""

import gc
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from typing import Final, final

import msgspec

# Workers import these two when they first need them: here for all of them, so that they share the memory.
import pdp.adapters.app
import pdp.adapters.metrics_page  # noqa: F401 -- as said
from pdp.process import worker
from pdp.process.messages import Forked

__all__ = ["main"]

_MAX_BYTES: Final = 1 << 10
# They are sent to all processes of a service at once; the supervisor then says what becomes of workers.
_NOT_OURS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@final
class _ForkServer:
    def __init__(self, supervisor: socket.socket) -> None:
        self._supervisor = supervisor
        self._workers: set[int] = set()  # by files that stand for their processes
        self._events = select.poll()
        self._events.register(supervisor, select.POLLIN)

    def serve(self) -> int | None:
        """Fork whenever asked to, until the supervisor is gone.

        Returns:
            In a worker its end of the channel; here None, at the end.
        """
        while True:
            for ready, _ in self._events.poll():
                if ready in self._workers:
                    self._bury(ready)
                elif (end := self._asked()) is None:
                    return None
                elif self._fork(end):
                    return end

    def _asked(self) -> int | None:
        """The end of a channel for another worker; None once the supervisor is gone."""
        try:
            _, files, _, _ = socket.recv_fds(self._supervisor, _MAX_BYTES, 1)
        except OSError:
            return None
        return files[0] if files else None

    def _fork(self, end: int) -> bool:
        """Begin a worker; whether we are it."""
        try:
            pid = os.fork()
        except OSError as error:
            os.close(end)
            self._tell(Forked(error=error.errno or -1))
            return False
        if not pid:
            for other in self._workers:
                os.close(other)
            return True
        os.close(end)
        self._announce(pid)
        return False

    def _announce(self, pid: int) -> None:
        """Tell of a worker that was begun; one that could not be waited for is none."""
        try:
            process = os.pidfd_open(pid)  # it cannot be another's: nobody has waited for it
        except OSError as error:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            self._tell(Forked(error=error.errno or -1))
            return
        self._workers.add(process)
        self._events.register(process, select.POLLIN)
        self._tell(Forked(pid=pid), process)

    def _tell(self, message: Forked, *files: int) -> None:
        with suppress(OSError):  # the supervisor is gone, as is seen next
            socket.send_fds(self._supervisor, [msgspec.msgpack.encode(message)], files)

    def _bury(self, process: int) -> None:
        os.waitid(os.P_PIDFD, process, os.WEXITED)
        self._events.unregister(process)
        self._workers.discard(process)
        os.close(process)


def main() -> None:
    """Fork for the supervisor at the other end of the channel whose descriptor is the only argument."""
    for number in _NOT_OURS:
        signal.signal(number, signal.SIG_IGN)
    gc.collect()
    gc.freeze()  # the collector of a worker would write to what they share
    with socket.socket(fileno=int(sys.argv[1])) as supervisor:
        end = _ForkServer(supervisor).serve()
    if end is not None:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        worker.main(end)


if __name__ == "__main__":
    main()
