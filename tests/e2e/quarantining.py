"""A service that follows a list of who is believed no more, and those who may change it."""

import http.client
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.e2e.evidencing import Evidencing, evidencing
from tests.e2e.running import DEADLINE, PEP, Pki, Reply, send
from tests.e2e.trusting import replace
from tests.identity.mint import Party, authority

__all__ = ["ADMINS", "OPS", "Quarantining", "document", "entry", "quarantining"]

OPS = "ops.example.org"
ADMINS = {name: f"spiffe://{OPS}/people/{name}" for name in ("adder", "lifter", "both", "nobody")}


def entry(id_: str = "q-1", *, seconds: float = 3600, **named: str) -> dict[str, str]:
    """An entry about something, as it stands in a list."""
    now = datetime.now(UTC)
    since, until = (
        f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in (now - timedelta(seconds=5), now + timedelta(seconds=seconds))
    )
    return {"id": id_, "who": "ops", "why": "key on a forum", "since": since, "until": until, **named}


def document(*entries: dict[str, str]) -> bytes:
    return json.dumps({"entries": entries}).encode()


@dataclass
class Quarantining:
    """The service, and the file with the list."""

    at: Evidencing
    file: Path
    pki: Pki
    roots: Path
    authority: Party

    def put(self, *entries: dict[str, str]) -> None:
        """Have the file hold these."""
        replace(self.file, document(*entries))

    def until_in_force(self, text: str = "quarantined: ", since: int = 0) -> None:
        self.at.service.wait_line(text, since)

    @property
    def admin_port(self) -> int:
        line = self.at.service.wait_line("the quarantine is administered on ")
        found = re.search(r":(\d+), over mTLS", line)
        assert found is not None
        return int(found[1])

    def connect(self, who: str) -> http.client.HTTPSConnection:
        """A connection of an admin."""
        return http.client.HTTPSConnection(
            "127.0.0.1", self.admin_port, context=self.pki.context(who), timeout=DEADLINE
        )

    def admin(self, who: str, path: str = "/v1/quarantine", body: Any = None, **more: Any) -> Reply:
        """What an admin is told; with a body it is sent."""
        connection = self.connect(who)
        method = more.pop("method", "GET" if body is None else "POST")
        try:
            return send(connection, b"" if body is None else body, path=path, method=method, **more)
        finally:
            connection.close()


_AUTHORITIES: dict[Path, Party] = {}


def issue_admins(pki: Pki, folder: Path) -> tuple[Path, Party]:
    """Certificates of those who administer, of an authority that callers do not have: its roots, and it."""
    party = _AUTHORITIES.get(pki.folder)
    if party is None:
        now = datetime.now(UTC)
        span = {"start": now - timedelta(days=1), "end": now + timedelta(days=30)}
        party = _AUTHORITIES[pki.folder] = authority("ops root", uris=[f"spiffe://{OPS}"], **span)
        for name, uri in ADMINS.items():
            pki.issue(name, party, uris=[uri])
    roots = folder / "ops.pem"
    roots.write_bytes(party.pem)
    return roots, party


@contextmanager
def quarantining(
    pki: Pki, folder: Path, *more: str, first: bytes = b'{"entries": []}'
) -> Iterator[Quarantining]:
    """Serve until the end of the block; `first` is the list at the start."""
    file = folder / "quarantine.json"
    file.write_bytes(first)
    roots, party = issue_admins(pki, folder)
    settings = (
        f'[quarantine]\nfile = "{file}"\n'
        f'[admin]\nlisten = "127.0.0.1:0"\n'
        f'may_quarantine = ["{ADMINS["adder"]}", "{ADMINS["both"]}"]\n'
        f'may_lift = ["{ADMINS["lifter"]}", "{ADMINS["both"]}"]\n'
        f'[admin.trust]\n"{OPS}" = "{roots}"\n'
        f'[metrics]\nreaders = ["{PEP}"]\n'
    )
    with evidencing(pki, folder, *more, settings=settings) as at:
        yield Quarantining(at, file, pki, roots, party)
