"""Many policy files parsed: where it is enough text to pay, in several processes at once.

This process takes files from one end, and each other takes a batch at a time from the other end
(`pdp.store.parse_server`), until none is left. What a process does not give back, since it could not be
begun, died or wrote nonsense, is parsed here: so what comes of the files is the same in any case. All of them
are gone at the end, and each ends by itself should we be gone before.
"""

import os
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from threading import Thread
from typing import Final, Self, final

import msgspec

from pdp.diagnostics import Source
from pdp.lang.parsed import Parsed, text_digest
from pdp.lang.parser import parse
from pdp.lang.written import WrittenError, read_parsed
from pdp.limits import MAX_PARSING_PROCESSES, PARSED_ALONE_CHARS
from pdp.store.parse_server import HEAD, Text, read_batch

__all__ = ["parse_all"]

_MODULE: Final = "pdp.store.parse_server"
_BATCH_CHARS: Final = 1 << 16  # some fifty milliseconds: so long one may have to wait for the last
_WAIT_SECONDS: Final = 60.0  # for a last batch; even one of the largest files there can be takes less

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[bytes]).decode


def parse_all(sources: Sequence[Source]) -> list[Parsed]:
    """What each of these files says, in the same order."""
    found: dict[int, Parsed] = {}
    if others := _how_many(sources):
        left = deque((n, source) for n, source in enumerate(sources) if source.readable)
        with ExitStack() as held:
            helpers = [held.enter_context(_Helper(left)) for _ in range(others)]
            _parse_here(left, found)
            for helper in helpers:
                helper.end()
                found |= helper.found()
    _parse_here(deque((n, source) for n, source in enumerate(sources) if n not in found), found)
    return [found[number] for number in range(len(sources))]


def _how_many(sources: Sequence[Source]) -> int:
    """How many other processes pay."""
    cores = min(len(os.sched_getaffinity(0)), MAX_PARSING_PROCESSES)
    return min(cores - 1, sum(len(source.text) for source in sources) // PARSED_ALONE_CHARS)


def _parse_here(left: "deque[tuple[int, Source]]", found: dict[int, Parsed]) -> None:
    with suppress(IndexError):  # the others empty it as well
        while True:
            number, source = left.popleft()
            found[number] = parse(source)


@final
class _Helper:
    """A process that parses, and the thread that waits for it."""

    def __init__(self, left: "deque[tuple[int, Source]]") -> None:
        self._left = left
        self._answers: list[tuple[list[tuple[int, Source]], bytes]] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = Thread(target=self._work, name="parsing", daemon=True)

    def __enter__(self) -> Self:
        with suppress(OSError):
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                [sys.executable, "-P", "-m", _MODULE],  # nothing from where we run
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # what it does not parse is parsed here, and told here
                start_new_session=True,  # the terminal's Ctrl-C is for us
            )
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        self._process.kill()  # it holds nothing that would have to be put away
        if self._thread.ident is not None:
            self._thread.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        self._process.wait()

    def end(self) -> None:
        """Wait for its last batch."""
        if self._thread.ident is not None:
            self._thread.join(_WAIT_SECONDS)

    def found(self) -> dict[int, Parsed]:
        """What it has parsed of what it was handed."""
        found: dict[int, Parsed] = {}
        for batch, answer in tuple(self._answers):
            with suppress(msgspec.MsgspecError, WrittenError, ValueError):
                for (number, source), tree in zip(batch, _decode(answer), strict=True):
                    parsed = read_parsed(tree)
                    if (parsed.file.path, parsed.digest) == (source.path, text_digest(source)):
                        found[number] = parsed
        return found

    def _work(self) -> None:
        """Hand over one batch after the other."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return
        with suppress(OSError):  # it is gone
            while batch := self._batch():
                texts = _encode([Text(source.path, source.text) for _, source in batch])
                process.stdin.write(HEAD.pack(len(texts)) + texts)
                process.stdin.flush()
                answer = read_batch(process.stdout)
                if answer is None:
                    return
                self._answers.append((batch, answer))

    def _batch(self) -> list[tuple[int, Source]]:
        batch: list[tuple[int, Source]] = []
        chars = 0
        with suppress(IndexError):
            while chars < _BATCH_CHARS:
                batch.append(self._left.pop())
                chars += len(batch[-1][1].text)
        return batch
