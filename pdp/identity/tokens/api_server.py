"""An API server of Kubernetes, as its keys are fetched from it and tokens are reviewed by it.

What we prove ourselves by, and to which roots it is verified, stands in files that are renewed while we run:
both are read at each request. Whoever else publishes keys is asked in the same way, without a token. What is
fetched means nothing here; `pdp.identity.tokens.review`, `discovery` and `remote_keys` read it.
"""

import os
import re
import ssl
from pathlib import Path
from typing import Final, final

from pdp.identity.fetch import FetchError, fetch, parse_source_url
from pdp.limits import FETCH_SECONDS, MAX_TOKEN_BYTES, MAX_TRUST_FILE_BYTES

__all__ = ["ApiServer"]

_ASCII_ALONE: Final = dict.fromkeys(range(128, 256), "?")
_BEARER: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)  # RFC 6750 section 2.1


@final
class ApiServer:
    """Asks one API server. May be used by several threads."""

    def __init__(self, ca_file: Path | None, token_file: Path | None) -> None:
        """Verify it to the roots of a file, or to those of the system; say who we are by a token in a file.

        Raises:
            OSError: The roots cannot be read.
            ssl.SSLError: There are none in the file.
        """
        self._ca_file, self._token_file = ca_file, token_file
        self._roots = b"" if ca_file is None else _read(ca_file, MAX_TRUST_FILE_BYTES)
        self._context = ssl.create_default_context() if ca_file is None else _trusting(self._roots)

    def get(self, url: str, seconds: float = FETCH_SECONDS) -> bytes:
        """The document at a URL.

        Raises:
            FetchError: It cannot be had, or our own token cannot be read.
        """
        return self._ask(url, None, seconds)

    def post(self, url: str, body: bytes, seconds: float = FETCH_SECONDS) -> bytes:
        """What is answered to a document.

        Raises:
            FetchError: Nothing is, or our own token cannot be read.
        """
        return self._ask(url, body, seconds)

    def _ask(self, url: str, body: bytes | None, seconds: float) -> bytes:
        return fetch(
            parse_source_url(url), self._current(), seconds=seconds, bearer=self._bearer(), body=body
        )

    def _current(self) -> ssl.SSLContext:
        """By the roots as the file has them; while it has none that can be read, by those before."""
        if self._ca_file is None:
            return self._context
        try:
            roots = _read(self._ca_file, MAX_TRUST_FILE_BYTES)
            if roots != self._roots:
                self._context = _trusting(roots)
                self._roots = roots
        except OSError:
            pass
        return self._context

    def _bearer(self) -> str:
        if self._token_file is None:
            return ""
        try:
            text = _read(self._token_file, MAX_TOKEN_BYTES + 2).decode("ascii").strip()
        except OSError as error:
            message = f"{self._token_file}: cannot be read: {os.strerror(error.errno or 0)}"
            raise FetchError(message) from error
        except ValueError:
            text = ""
        if not _BEARER.fullmatch(text):
            raise FetchError(f"{self._token_file}: there is no token in it")
        return text


def _trusting(roots: bytes) -> ssl.SSLContext:
    """Trust these roots and no others.

    Raises:
        ssl.SSLError: There are none.
    """
    if not roots.strip():  # of no roots the library would take those of the system
        raise ssl.SSLError(0, "there are no certificates in it")
    # Around certificates there may be text of any kind, and what is not in a file is taken as ASCII alone.
    return ssl.create_default_context(cadata=roots.decode("latin-1").translate(_ASCII_ALONE))


def _read(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)
