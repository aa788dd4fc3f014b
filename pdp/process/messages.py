"""What the supervisor and its workers say to each other.

A version goes through three steps, so that no two workers ever answer with two versions: *prepare* it
aside, *hold* all answers, *go* on with it. A worker that begins is given its first version by the
first and the third. While it prepares one, it hears whatever else it is told.
"""

from typing import TypeAlias, final

import msgspec

from pdp.identity.tokens.issuer import TokenProfile

__all__ = [
    "Beat", "Begin", "Confirm", "Fork", "Forked", "FromWorker", "Go", "Held", "Hold", "Look", "Looked",
    "Prepare", "Prepared", "Renew", "Renewed", "Retune", "Say", "Serving", "ToWorker",
]  # fmt: skip


class _Message(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True, kw_only=True):
    pass


@final
class Fork(_Message, frozen=True):
    """Supervisor, to the fork server: begin a worker. With it comes the worker's end of its channel."""


@final
class Forked(_Message, frozen=True):
    """Fork server: it is begun, and with this comes a file that stands for its process; or it cannot be.

    Attributes:
        pid: The process.
        error: Why there is none: a number of `errno`, else 0.
    """

    pid: int = 0
    error: int = 0


@final
class Begin(_Message, frozen=True):
    """Supervisor: the first message.

    With it come the listening socket, the shared memory, a file with certificates and with those whose tokens
    are believed, and one with settings.

    Attributes:
        slot: Which of the workers it is, from 0.
        slots: How many pages the shared memory has.
        grpc: Where gRPC is answered; empty for nowhere.
        digest_key: With what the decision log's digests are keyed.
    """

    slot: int
    slots: int
    grpc: str
    digest_key: bytes


@final
class Prepare(_Message, frozen=True):
    """Supervisor: load this version aside. With it come the files that hold it (`pdp.process.images`).

    Attributes:
        number: Its place in the order of publication.
        revision: Its name.
    """

    number: int
    revision: str


@final
class Prepared(_Message, frozen=True):
    """Worker: it is loaded; or why it cannot be."""

    number: int
    trouble: str = ""


@final
class Hold(_Message, frozen=True):
    """Supervisor: answer nothing until told to go on."""

    number: int


@final
class Held(_Message, frozen=True):
    """Worker: all that was answered has left; nothing will be answered until `Go`."""

    number: int


@final
class Go(_Message, frozen=True):
    """Supervisor: this version is served from now on; answer.

    Attributes:
        number: The version that was prepared last.
        confirmed_at: When its source confirmed it.
    """

    number: int
    confirmed_at: int


@final
class Confirm(_Message, frozen=True):
    """Supervisor, now and then: when the source last confirmed a version.

    Attributes:
        number: The version. Nothing is said of any other.
        confirmed_at: When that was.
    """

    number: int
    confirmed_at: int


@final
class Renew(_Message, frozen=True):
    """Supervisor: other certificates, or keys of tokens, are in force from now on; a file holds them.

    Attributes:
        number: Which time this is.
    """

    number: int


@final
class Renewed(_Message, frozen=True):
    """Worker: they are; nobody will be verified to a root or by a key that is none any more."""

    number: int


@final
class Retune(_Message, frozen=True):
    """Supervisor: these settings hold from now on. With it comes a file that holds them."""


@final
class Serving(_Message, frozen=True):
    """Worker: connections are accepted, and answered with this version or a later one."""

    number: int


@final
class Beat(_Message, frozen=True):
    """Worker, now and then: its event loop turns."""


@final
class Look(_Message, frozen=True):
    """Worker: a token of this issuer names a key that is not known; look for newer ones.

    Attributes:
        number: Which look of this worker it is.
        profile: What its tokens prove.
        name: The issuer, or the trust domain.
        key_id: The key.
    """

    number: int
    profile: TokenProfile
    name: str
    key_id: str | None


@final
class Looked(_Message, frozen=True):
    """Supervisor: somebody has looked, and what was found is in force."""

    number: int


@final
class Say(_Message, frozen=True):
    """Worker: something to be told to whoever runs the service."""

    text: str


ToWorker: TypeAlias = Begin | Prepare | Hold | Go | Confirm | Renew | Retune | Looked
FromWorker: TypeAlias = Prepared | Held | Renewed | Serving | Beat | Look | Say
