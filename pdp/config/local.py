"""What goes with a plaintext listener, and what does not.

Plaintext proves nothing about who asks: it is for this machine alone, and who its peers are has to be
said by name. Where a peer would be taken for somebody by default, or a setting would mean nothing,
the service does not start.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pdp.config.address import Address
from pdp.config.model import Forwarded, LocalSettings, Settings
from pdp.config.problem import Problem
from pdp.config.unix import UnixAddress

__all__ = ["local_problems"]

#: user_namespaces(7): the uid that is shown for all that have none in this user namespace.
_OVERFLOW_UID: Final = 65534
_CALLER_HELP: Final = (
    "set `local.caller`, or `--caller`, to an id that a caller entry of the policy set names; "
    'or set `local.forwarded = "xfcc"` behind a mesh\'s sidecar'
)


def local_problems(settings: Settings) -> list[Problem]:
    """Everything wrong or doubtful with plaintext."""
    where = settings.http.where
    if not settings.http.plaintext:
        return list(_without_plaintext(settings, where))
    local = settings.local or LocalSettings()
    return [
        *_reach(where),
        *_who_asks(local),
        *_how_told_apart(local, where),
        *_pointless(settings),
        *(_replaceable(where.path.parent) if isinstance(where, UnixAddress) else ()),
    ]


def _without_plaintext(settings: Settings, where: Address | UnixAddress) -> Iterator[Problem]:
    if isinstance(where, UnixAddress):
        message = f"{where} is a Unix socket, and there is no TLS on those"
        yield Problem(("http", "listen"), message, "say so with `http.plaintext = true`, or `--plaintext`")
    if settings.local is not None:
        message = "is about plaintext, and the decision listener is not plaintext"
        yield Problem(("local",), message, "set `http.plaintext = true`, or leave out `[local]`")


def _reach(where: Address | UnixAddress) -> Iterator[Problem]:
    if isinstance(where, Address) and not where.is_loopback:
        message = f"plaintext is for loopback addresses and Unix sockets, and {where} is neither"
        yield Problem(
            ("http", "listen"), message, "such as 127.0.0.1:8181, [::1]:8181, unix:/run/pdp/pdp.sock"
        )


def _who_asks(local: LocalSettings) -> Iterator[Problem]:
    """Named once for all, or forwarded with each request; never the one where the other is missing."""
    forwarded = local.forwarded is not Forwarded.NONE
    if not forwarded and local.caller is None:
        yield Problem(("local", "caller"), "plaintext needs the name of who asks", _CALLER_HELP)
    if forwarded and local.caller is not None:
        message = "who asks is forwarded with each request, and nobody else asks"
        yield Problem(("local", "caller"), message, "set `local.caller` or `local.forwarded`")
    if forwarded and local.identity is None:
        message = "a forwarded header is believed only if it is for us, and this says who we are"
        yield Problem(("local", "identity"), message, "the SPIFFE ID of our sidecar's own certificate")
    if not forwarded and local.identity is not None:
        yield Problem(("local", "identity"), "means something only with `local.forwarded`")


def _how_told_apart(local: LocalSettings, where: Address | UnixAddress) -> Iterator[Problem]:
    if local.uids is not None:
        if isinstance(where, Address):
            yield Problem(("local", "uids"), f"users are known on Unix sockets alone, and {where} is none")
        elif _OVERFLOW_UID in local.uids and os.geteuid() != _OVERFLOW_UID:
            message = f"{_OVERFLOW_UID} stands for every user that has no number in this user namespace"
            yield Problem(("local", "uids"), message)
    if local.hosts is not None and isinstance(where, UnixAddress):
        yield Problem(("local", "hosts"), f"no browser reaches {where}, and `host` means nothing there")


def _pointless(settings: Settings) -> Iterator[Problem]:
    if settings.metrics.readers:
        message = "nobody reads metrics over plaintext, whoever they say they are"
        yield Problem(("metrics", "readers"), message)
    if settings.grpc is None:
        for name in ("certificate", "key"):
            if getattr(settings.http, name) is not None:
                yield Problem(("http", name), "is not used: nothing listens over TLS", refused=False)


def _replaceable(folder: Path) -> Iterator[Problem]:
    """A directory above that others can write to: they can put another one, and socket, in its place."""
    for above in folder.resolve().parents:
        try:
            found = above.stat()
        except OSError:
            continue  # whether there is one is seen when the socket is bound
        others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX
        if others or found.st_uid not in {0, os.geteuid()}:
            message = f"others can write to {above}, and put a socket of theirs in the place of ours"
            yield Problem(("http", "listen"), message, refused=False)
