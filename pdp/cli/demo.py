"""`make run`: the whole thing on this machine, with certificates of its own.

Checks and tests the policies, makes certificates under `.pdp/`, starts the service on mTLS, asks it
two questions as an enforcement point would, and stays up until Ctrl-C.
"""

import http.client
import json
import ssl
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click

from pdp.cli.check import check
from pdp.cli.test import test_command
from pdp.config.model import HttpSettings, PolicySettings, Settings
from pdp.identity import authority
from pdp.identity.authority import AuthorityError
from pdp.identity.authority_folder import read_certificates
from pdp.identity.trust import TrustError, load_trust
from pdp.process.cannot_start import AddressTakenError, CannotStartError
from pdp.process.forks import Forks
from pdp.process.start import start
from pdp.store.versions import Versions

__all__ = ["demo"]

_CANNOT: Final = 3
_DOMAIN: Final = "prod.example.org"
_SERVER: Final = "pdp"
_CALLER: Final = "demo-pep"
_RENEW_BEFORE: Final = timedelta(hours=1)
_FRONTEND: Final = f"spiffe://{_DOMAIN}/ns/boutique/sa/frontend"
_CART: Final = {
    "principal": _FRONTEND,
    "service": "cartservice.boutique",
    "method": "POST",
    "path": "/hipstershop.CartService/GetCart",
}
_CHARGE: Final = {
    "principal": _FRONTEND,
    "service": "paymentservice.boutique",
    "method": "POST",
    "path": "/hipstershop.PaymentService/Charge",
    "explain": True,
}


@click.command()
@click.argument("policies", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--http", "address", default="127.0.0.1:8443", show_default=True, help="HOST:PORT to answer on."
)
@click.option("--state", default=".pdp", type=click.Path(path_type=Path), help="Where certificates are kept.")
def demo(policies: Path, address: str, state: Path) -> None:
    """Serve POLICIES with certificates of our own, ask two questions, and stay up until Ctrl-C."""
    for command in (check, test_command):
        _do(command, policies)
    folder = state / "pki"
    try:
        _certificates(folder)
        roots = {_DOMAIN: folder / "root.pem"}
        settings = Settings(
            policies=PolicySettings(path=policies),
            http=HttpSettings(
                listen=address, certificate=folder / f"{_SERVER}.pem", key=folder / f"{_SERVER}-key.pem"
            ),
            trust=roots,
        )
        start(
            settings,
            load_trust(roots),
            forks=Forks(),
            ready=lambda at, versions: _begin(at.removeprefix("https://"), versions, folder, policies),
            say=click.echo,
        )
    except AddressTakenError as error:
        click.echo(f"pdp: {error}: `make run HTTP=127.0.0.1:8444`", err=True)
        sys.exit(_CANNOT)
    except (AuthorityError, TrustError, CannotStartError) as error:
        click.echo(f"pdp: {error}", err=True)
        sys.exit(_CANNOT)


def _do(command: click.Command, policies: Path) -> None:
    """Do as a command of ours does, in this process: another one takes longer to begin than to do it."""
    # What ends a command early comes back as its exit code, or is raised; nothing may be served after either.
    if code := command.main([str(policies)], standalone_mode=False):
        sys.exit(code)


def _certificates(folder: Path) -> None:
    """Make the authority and the two leaves that are missing, or renew those that end soon."""
    now = datetime.now(UTC)
    if not (folder / "root.pem").exists():
        authority.init(folder, trust_domain=_DOMAIN, now=now)
        click.echo(f"made a certificate authority for {_DOMAIN} in {folder}")
    leaves: dict[str, tuple[str, ...]] = {_SERVER: ("localhost",), _CALLER: ()}
    for name, dns in leaves.items():
        path = folder / f"{name}.pem"
        if not path.exists():
            spiffe_id = f"spiffe://{_DOMAIN}/ns/pdp/sa/{name}"
            ips = ("127.0.0.1",) if dns else ()
            authority.issue(folder, name, spiffe_id=spiffe_id, dns=dns, ips=ips, now=now)
            click.echo(f"issued {spiffe_id}")
        elif read_certificates(folder, name)[0].not_valid_after_utc - now < _RENEW_BEFORE:
            authority.rotate(folder, name, now=now)
            click.echo(f"renewed {name}")


def _begin(address: str, versions: Versions, folder: Path, policies: Path) -> None:
    """Ask the questions from another thread: this one answers them."""
    threading.Thread(target=_show, args=(address, versions, folder, policies), daemon=True).start()


def _show(address: str, versions: Versions, folder: Path, policies: Path) -> None:
    snapshot = versions.current.snapshot
    click.echo(f"serving revision {snapshot.revision}, {snapshot.rules} rules, on https://{address}\n")
    for question in (_CART, _CHARGE):
        _print_answer(question, _ask(address, folder, question))
    click.echo("Ask it yourself:\n")
    click.echo(_curl(address, folder))
    named = policies / "boutique" / "checkout.policy"
    edited = named if named.exists() else next(iter(sorted(policies.rglob("*.policy"))), policies)
    click.echo(f"\nEdit {edited} and save: the change is live a moment later, and shown here. Ctrl-C ends.")
    sys.stdout.flush()


def _ask(address: str, folder: Path, question: dict[str, Any]) -> dict[str, Any]:
    context = ssl.create_default_context(cafile=str(folder / "root.pem"))
    context.load_cert_chain(folder / f"{_CALLER}.pem", folder / f"{_CALLER}-key.pem")
    connection = http.client.HTTPSConnection(address, context=context, timeout=10)
    connection.request("POST", "/v1/decide", json.dumps(question), {"content-type": "application/json"})
    answer: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def _print_answer(question: dict[str, Any], answer: dict[str, Any]) -> None:
    who = str(question["principal"]).removeprefix("spiffe://")
    click.echo(f"may {who}\n    {question['method']} {question['path']} of {question['service']}?")
    allowed = answer.get("decision") == "allow"
    verdict = (
        click.style("ALLOW", fg="green", bold=True) if allowed else click.style("DENY", fg="red", bold=True)
    )
    rules = ", ".join(f"{rule['name']} ({rule['at']})" for rule in answer.get("rules", []))
    click.echo(f"  {verdict}  {answer.get('reason', answer)}  {rules}".rstrip())
    nearest = answer.get("explanation", {}).get("nearest")
    if nearest:
        differs = "; ".join(
            f"{item['coordinate']}: asked {item['given']}, wants {item['wanted']}"
            for item in nearest["differences"]
        )
        click.echo(f"  nearest rule  {nearest['rule']['name']} ({nearest['rule']['at']}): {differs}")
    click.echo(f"  holds for     {json.dumps(answer.get('region'))}")
    click.echo(f"  for at most   {answer.get('max_age_ms')} ms under revision {answer.get('revision')}\n")


def _curl(address: str, folder: Path) -> str:
    body = json.dumps({key: value for key, value in _CART.items() if key != "explain"})
    return (
        f"curl --cacert {folder}/root.pem --cert {folder}/{_CALLER}.pem --key {folder}/{_CALLER}-key.pem \\\n"
        f"    -H 'content-type: application/json' https://{address}/v1/decide \\\n    -d '{body}'"
    )


if __name__ == "__main__":
    demo()
