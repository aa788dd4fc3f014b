"""What grpcio reads from the environment, and nowhere else; to be settled before it is imported."""

import os
from typing import Final

__all__ = ["settle"]

# grpcio cannot be told to speak TLS 1.3 only, but which suites TLS 1.2 has. These need a key that
# both sides know beforehand, and we have none: no TLS 1.2 handshake comes to an end. Those of
# TLS 1.3 are not named here and not touched by it.
_NO_TLS_1_2: Final = "ECDHE-PSK-AES128-CBC-SHA"


def settle() -> None:
    """Leave TLS 1.2 no cipher suite, let no peer write into our output, touch no forked process."""
    os.environ["GRPC_SSL_CIPHER_SUITES"] = _NO_TLS_1_2
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # the library prints what peers do wrong
    # What speaks gRPC here forks nothing that will, and the library's handlers for it end a child now and
    # then: https://github.com/grpc/grpc/issues/43055
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
