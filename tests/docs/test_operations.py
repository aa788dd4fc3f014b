"""What `docs/operations.md` has its reader do works: each section, from where the first configuration ends.

Where a runbook is followed, what it is about has happened: `ARRANGED` makes it happen to the service.
"""

import base64
import json
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pdp import __version__
from pdp.adapters.metrics_page import _Collected
from pdp.audit.decision_log import DecisionLog
from pdp.audit.log_mode import LogMode
from pdp.audit.record import Record, Recorder
from pdp.audit.reuse import ReuseRecord
from pdp.audit.sinks import FileSink
from pdp.limits import DRAIN_SECONDS, LOG_STOP_SECONDS
from pdp.process.together import _SPARE_SECONDS
from tests.deploy.dockerfile import DOCKERFILE, read
from tests.deploy.kubernetes import SECRET_KEYS, Manifests
from tests.docs.application import ERRORS, service
from tests.docs.pages import ROOT
from tests.docs.session import Command, Session, steps
from tests.docs.sets import blocks
from tests.e2e.inspecting import children_of
from tests.e2e.running import until
from tests.programs import needs

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
#: Sections by heading, in order; a section ends where the next heading of any depth begins.
SECTIONS = dict(re.findall(r"^##+ ([^\n]+)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
BASE = "First configuration"
FOLLOWED = [name for name, text in SECTIONS.items() if name != BASE and steps(text)]
BROKEN = "language 1\nallow everyone\n"
assert len(FOLLOWED) > 10, "no commands found: this would pass by testing nothing"


# -- what has happened before a section is followed ------------------------------------------


def commit(session: Session, text: str, *, name: str = "payments.policy") -> None:
    """Write a policy, whole, and commit it."""
    file = session.folder / "policies" / name
    beside = file.with_suffix(".new")
    beside.write_text(text, encoding="utf-8")
    beside.rename(file)
    session.run(Command("git -C policies add . && git -C policies commit --quiet -m 'An edit'"))


def ask(session: Session, times: int = 1, status: int = 0) -> None:
    line = "curl -f -K proxy.curl --json @question.json https://127.0.0.1:8443/v1/decide"
    for _ in range(times):
        session.run(Command(line, status=status))


def a_start_fails(session: Session) -> None:
    session.stop()
    commit(session, BROKEN)


def an_edit_is_broken(session: Session) -> None:
    commit(session, BROKEN)


def an_edit_revokes(session: Session) -> None:
    file = session.folder / "policies" / "payments.policy"
    text = file.read_text(encoding="utf-8")
    commit(session, text.replace("sa/web", "sa/shop"))
    until(lambda: "\nrevision " in session.log)


def the_key_is_of_another_certificate(session: Session) -> None:
    session.run(Command("cp pki/watch-key.pem pki/other && mv pki/other pki/pdp-key.pem"))


def nothing_more_fits_into_the_log(session: Session) -> None:
    """As on a full disk, writing fails: no file of the process may grow. `rm` ends that."""
    ask(session)
    log = session.folder / "decisions.log"
    until(lambda: log.exists() and log.stat().st_size > 0)  # the limit is pdp.log's too, which is shorter
    limit(session, log.stat().st_size)
    ask(session)


def limit(session: Session, size: int) -> None:
    assert session.service is not None
    resource.prlimit(session.service.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def a_worker_is_killed(session: Session) -> None:
    restart(session, PDP_PROCESS__WORKERS="2")
    assert session.service is not None
    (forks,) = children_of(session.service.pid)
    os.kill(children_of(forks)[0], signal.SIGKILL)


def a_caller_asks_too_often(session: Session) -> None:
    restart(session, PDP_LIMITS__PER_CALLER_PER_SECOND="1")
    for _ in range(5):
        session.run(Command("curl -K proxy.curl --json @question.json https://127.0.0.1:8443/v1/decide"))


def an_edit_is_broken_and_the_limit_has_passed(session: Session) -> None:
    with (session.folder / "pdp.toml").open("a", encoding="utf-8") as settings:
        settings.write("[freshness]\nmax_staleness_seconds = 2\n")
    restart(session)
    commit(session, BROKEN)


def restart(session: Session, **variables: str) -> None:
    session.stop()
    session.begin(**variables)


ARRANGED: dict[str, Callable[[Session], None]] = {
    "The PDP is down": a_start_fails,
    "A policy is stuck": an_edit_is_broken,
    "Roll back policies": an_edit_revokes,
    "Answers are stale": an_edit_is_broken_and_the_limit_has_passed,
    "A certificate is about to end": the_key_is_of_another_certificate,
    "The disk is full": nothing_more_fits_into_the_log,
    "A worker was replaced": a_worker_is_killed,
    "Too many questions": a_caller_asks_too_often,
}
#: What a command of a section brings about that it could not bring about here.
BROUGHT_ABOUT = {"rm -f decisions.log": lambda session: limit(session, resource.RLIM_INFINITY)}


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first configuration, followed to its end; the service is ended."""
    folder = tmp_path_factory.mktemp("configured")
    session = Session(folder, after={})
    try:
        session.follow(SECTIONS[BASE])
    finally:
        session.stop()
    assert "Traceback" not in session.log
    for name in ("pdp.log", "decisions.log"):
        (folder / name).unlink()
    return folder


@pytest.fixture
def session(configured: Path, tmp_path: Path) -> Iterator[Session]:
    """What the first configuration leaves, in a directory of its own, with the service running."""
    folder = tmp_path / "pdp"
    shutil.copytree(configured, folder)
    found = Session(folder, after=BROUGHT_ABOUT)
    found.begin()
    try:
        yield found
    finally:
        found.stop()
    assert "Traceback" not in found.log


@pytest.mark.parametrize("section", FOLLOWED)
def test_section_works_as_written(session: Session, section: str) -> None:
    ARRANGED.get(section, lambda _: None)(session)

    session.follow(SECTIONS[section])


def test_every_runbook_has_commands_and_what_is_arranged_has_its_section() -> None:
    runbooks = re.findall(r"^### (.+)$", PAGE.partition("## Runbooks")[2], re.MULTILINE)

    assert set(runbooks) <= set(FOLLOWED)
    assert set(ARRANGED) <= set(FOLLOWED)


def test_a_session_fails_where_a_page_is_wrong(session: Session) -> None:
    """What is shown has to be printed, and the status has to be the one that is said."""
    for wrong in (Command("pdp --version", ("pdp 9",)), Command("false"), Command("true", status=1)):
        with pytest.raises(AssertionError, match="should show"):
            session.run(wrong)


def test_how_long_the_end_may_take_is_what_the_code_waits_for() -> None:
    found = re.search(
        r"takes up to (\d+) seconds for requests .* and (\d+) for the decision log", PAGE, re.DOTALL
    )

    assert found is not None
    assert tuple(map(int, found.groups())) == (DRAIN_SECONDS, max(LOG_STOP_SECONDS, _SPARE_SECONDS))


def test_files_that_the_page_names_are_there() -> None:
    named = re.findall(r"`((?:tests|deploy|docs)/[\w./-]+)`", PAGE)

    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


# -- metrics -----------------------------------------------------------------------------------


@pytest.fixture
def families(tmp_path: Path) -> dict[str, frozenset[str]]:
    """Metrics with their labels, by the names that Prometheus sees."""
    log = DecisionLog(
        FileSink(tmp_path / "log", max_bytes=1 << 20, keep=0), Recorder(b"k" * 32, plain=frozenset()),
        mode=LogMode.DROP,
    )  # fmt: skip
    found = {}
    made = service(ERRORS)
    made.log = log
    for family in _Collected(made, tuple).collect():
        suffix = "_total" if family.type == "counter" else ""
        found[family.name + suffix] = frozenset(family._labelnames)
    log.close()
    return found


def test_every_metric_has_a_row_with_its_labels(families: dict[str, frozenset[str]]) -> None:
    rows = re.findall(r"^\| `(pdp_\w+)(?:\{([^}]*)\})?` \|", PAGE, re.MULTILINE)
    listed = {name: frozenset(labels.split(", ")) if labels else frozenset() for name, labels in rows}

    assert listed == families


# -- alerts ------------------------------------------------------------------------------------

ALERTS = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text(encoding="utf-8"))
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_reads_metrics_and_labels_that_are_there(
    rule: dict[str, Any], families: dict[str, frozenset[str]]
) -> None:
    """Prometheus itself is asked in the next test, where it is installed."""
    named = re.findall(r"\b(pdp_\w+)(?:\{([^}]*)\})?", rule["expr"])
    if rule["alert"] != "PdpDown":
        assert named
    for name, selectors in named:
        family = name.removesuffix("_bucket")
        assert family in families
        assert set(re.findall(r"(\w+)\s*[=!]~?\s*\"", selectors)) <= families[family]
    for _, values in re.findall(r'\b(code|why|outcome|files)="([^"]*)"', rule["expr"]):
        assert f"`{values}`" in PAGE + (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


@needs("promtool")
def test_prometheus_takes_the_rules() -> None:
    file = ROOT / "deploy" / "prometheus" / "alerts.yaml"

    subprocess.run(["promtool", "check", "rules", str(file)], check=True, capture_output=True)


def test_an_alert_leads_to_a_section_and_the_page_names_them_all() -> None:
    headings = {name.lower().replace(" ", "-") for name in SECTIONS}
    shown = re.findall(r"`(Pdp[A-Za-z]+)`", PAGE)

    for rule in RULES:
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert (ROOT / page).exists()
        assert anchor in headings, rule["alert"]
    assert set(shown) == {rule["alert"] for rule in RULES}


# -- what is not run here ------------------------------------------------------------------------


def fenced(info: str) -> str:
    (found,) = [block.text for block in blocks(PAGE) if block.info == info]
    return found


def test_the_commands_for_kubernetes_make_what_the_manifests_mount() -> None:
    manifests = Manifests()
    commands = [shlex.split(line.removeprefix("$ ")) for line in fenced("console kubernetes").splitlines()]
    namespace, secret, apply, label = commands
    (volume,) = [each for each in manifests.pod["volumes"] if "secret" in each]
    (peer,) = manifests.one("NetworkPolicy")["spec"]["ingress"][0]["from"]
    (name,) = peer["namespaceSelector"]["matchLabels"].items()

    assert (ROOT / namespace[-1]).exists()
    assert (ROOT / apply[-1] / "kustomization.yaml").exists()
    assert secret[secret.index("-n") + 1] == manifests.kustomization["namespace"]
    assert secret[secret.index("generic") + 1] == volume["secret"]["secretName"]
    assert {word.removeprefix("--from-file=") for word in secret if "--from-file" in word} == set(SECRET_KEYS)
    assert label[-1] == "=".join(name)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl makes the Secret")
def test_kubectl_makes_the_secret_that_is_mounted(tmp_path: Path) -> None:
    secret = shlex.split(fenced("console kubernetes").splitlines()[1].removeprefix("$ "))
    for key in SECRET_KEYS:
        (tmp_path / key).write_text(key)
    done = subprocess.run(
        [*secret, "--dry-run=client", "-o", "json"], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={"PATH": os.environ["PATH"], "KUBECONFIG": os.devnull, "HOME": str(tmp_path)},
    )  # fmt: skip
    made = json.loads(done.stdout)
    assert (made["metadata"]["name"], made["metadata"]["namespace"]) == ("pdp-certificates", "pdp")
    assert {key: base64.b64decode(value).decode() for key, value in made["data"].items()} == {
        key: key for key in SECRET_KEYS
    }


def test_the_host_is_given_what_the_image_is_given() -> None:
    """The steps of the image are run by `tests/deploy/test_image.py`."""
    asked = [
        line.partition("install ")[2] for line in fenced("console install").splitlines() if "pip" in line
    ]
    making = read(DOCKERFILE.read_text(encoding="utf-8"))[1][0]

    assert any(text.endswith(asked[0]) for text in making.all("RUN"))
    assert asked[1].split()[0] == "--no-deps"
    assert f"pdp-{__version__}-" in asked[1]


def test_each_field_of_a_line_of_the_log_is_told() -> None:
    for table, record in zip(
        SECTIONS["What the decision log holds"].split("|---|---|\n")[1:], (Record, ReuseRecord), strict=True
    ):
        rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
        told = [field for row in rows for field in re.findall(r"`([a-z_]+)`", row)]
        assert sorted(told) == sorted(record.__struct_fields__)
