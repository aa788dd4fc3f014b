"""Addresses of TCP, taken for a listener or kept for several."""

import errno
import socket

__all__ = ["AddressInUseError", "bind"]


class AddressInUseError(OSError):
    """Something listens there already."""


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Bind the address, alone or along with other processes of ours; port 0 takes a free one.

    Raises:
        AddressInUseError: Something listens there already.
        OSError: The address is not ours, or not permitted.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressInUseError(error.errno, f"{host}:{port} is in use") from error
        raise
    return listener
