"""A small policy set for tests of commands and bodies, and ways to run `pdp`."""

import os
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result

from pdp.cli.main import cli
from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader
from pdp.store.snapshot import Snapshot

ROOT = Path(__file__).parents[2]
NOW = 1_795_305_600_000  # 2026-11-22T00:00:00Z, a Sunday
CHECKOUT = "spiffe://prod.example.org/ns/checkout/sa/web"
FRONTEND = "spiffe://prod.example.org/ns/web/sa/frontend"

POLICY = """\
language 1
trust domain prod = "prod.example.org"
issuer corp = "https://login.example.com"
attribute user.level is int
group checkout = { prod/ns/checkout/sa/web, prod/ns/checkout/sa/worker }

service payments {
    host "payments.shop.svc"
    allow checkout to POST /v1/charges as charge-create because "JIRA-1: [checkout] charges" owner "team pay"
    allow checkout to GET /v1/charges/{id} as charge-read
    allow any authenticated on behalf of corp/* to GET /v1/me
        when user.scope has "me" and user.level > 2 as me
    allow prod/ns/{team}/sa/* to GET /v1/teams/{team}/** except /v1/teams/{team}/secrets/** as teams
    allow dns vm.example.org to GET /v1/vm as vm
    deny anyone to any /admin/** unless principal in prod/ns/sre/sa/* as admins
    shadow deny anyone to DELETE /v1/** as no-deletes
    allow checkout to DELETE /v1/charges/{id} as charge-delete
}

service cart observe until 2027-01-31 {
    allow prod/ns/web/sa/frontend to call shop.Cart/Get
        set header x-cart = "1" remove header x-debug reuse at most 2s as get
    allow prod/ns/web/sa/frontend to GET /office
        when during mon-fri 09:00-17:00 in UTC as office
}

deny prod/ns/dev/** to any /** on any service because "dev stays out" as no-dev
"""

TESTS = """\
language 1
test "checkout may charge" {
    allow prod/ns/checkout/sa/web POST payments /v1/charges by charge-create
    deny prod/ns/blog/sa/web POST payments /v1/charges by default
}
test "the office" {
    allow prod/ns/web/sa/frontend GET cart /office by office at 2027-01-04T09:00Z
    allow prod/ns/web/sa/frontend GET cart /office by default at 2027-01-02T09:00Z
    deny prod/ns/web/sa/frontend GET cart /office at 2027-02-06T09:00Z
}
test "everything a case can say" {
    allow "spiffe://other.test/x" on behalf of corp/al GET payments /v1/me
        with user.scope = { "me", "x" }, user.level = 3, source.ip = 10.0.0.1 by payments/me
    deny prod/ns/x/sa/y GET payments /admin supplying nothing by admins
    deny anonymous GET payments /admin/x with header.x-a = absent by admins supplying header
    allow dns vm.example.org GET payments /v1/vm
    deny prod/ns/dev/sa/x call cart shop.Cart/Get by no-dev
}
"""


def snapshot(text: str = POLICY) -> Snapshot:
    """The compiled form of one file."""
    loaded = Loader().load(make_bundle({"a.policy": text.encode()}), now=NOW)
    assert loaded.snapshot is not None, loaded.diagnostics
    return loaded.snapshot


def policies(folder: Path, **files: str) -> Path:
    """A directory with the example, and more files; an underscore stands for a slash."""
    folder.mkdir()
    for name, text in {"payments": POLICY, "payments-test": TESTS, **files}.items():
        path = folder / f"{name.replace('_', '/')}.policy"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def run(*arguments: str | Path, input: bytes | str | None = None) -> Result:  # noqa: A002 -- as CliRunner has it
    """`pdp` in this process. An exception that escapes a command fails the test."""
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments], input=input)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert "Traceback" not in done.stderr
    return done


def process(
    *arguments: str | Path,
    code: str = "from pdp.cli.main import main; main()",
    input: bytes = b"",  # noqa: A002 -- as `subprocess.run` has it
    **environment: str,
) -> subprocess.CompletedProcess[bytes]:
    """`pdp` in a process of its own, as the console runs it."""
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, input=input, capture_output=True, env=variables, check=False, timeout=60)
