"""Settings about an agent: what goes together, what does not, and that a trust domain has one source."""

import os
import socket
import stat
from contextlib import closing
from pathlib import Path

import pytest

from pdp.config.load import Loaded, load_settings
from pdp.config.model import Settings
from pdp.config.unsafe import problems
from pdp.diagnostics import Source

TD = "prod.example.org"
POLICIES = '[policies]\npath = "policies"\n'
FILES = '[http]\ncertificate = "c"\nkey = "k"\n'
AGENT = '[workload_api]\nsocket = "unix:///run/pdp-none/agent.sock"\n'
DOMAINS = f'trust_domains = ["{TD}"]\n'
OURS = "certificate = true\n"
BUNDLE = f'[jwt_bundles."{TD}"]\naudiences = ["x"]\n'


def loaded(text: str, **environment: str) -> Loaded[Settings]:
    return load_settings(Source(path="pdp.toml", text=POLICIES + text), environment, {})


def refused(text: str) -> dict[str, str]:
    """What is wrong with settings whose types are right, by the setting; files are others' business."""
    found = loaded(text)
    assert found.settings is not None, found.diagnostics
    return {
        ".".join(each.setting): each.message
        for each in problems(found.settings)
        if each.refused and "cannot be read" not in each.message
    }


def test_an_agent_may_be_the_source_of_all_that_tls_needs() -> None:
    assert refused(AGENT + DOMAINS + OURS) == {}
    assert refused(AGENT + DOMAINS + OURS + BUNDLE) == {}
    assert refused(AGENT + DOMAINS + FILES) == {}
    assert refused(AGENT + OURS + f'spiffe_id = "spiffe://{TD}/x"\n[trust]\n"{TD}" = "r"\n') == {}


@pytest.mark.parametrize(
    ("text", "lacking"),
    [
        (AGENT + DOMAINS, ["http.certificate", "http.key"]),
        (AGENT + OURS, ["trust"]),
        (AGENT, ["http.certificate", "http.key", "trust"]),
        (AGENT + "certificate = false\ntrust_domains = []\n", ["http.certificate", "http.key", "trust"]),
    ],
)
def test_what_it_does_not_deliver_has_to_be_set(text: str, lacking: list[str]) -> None:
    assert [each.message for each in loaded(text).diagnostics] == [f"`{name}` is not set" for name in lacking]


def test_variables_name_it_as_well() -> None:
    found = loaded(
        "",
        PDP_WORKLOAD_API__SOCKET="unix:///run/a.sock",
        PDP_WORKLOAD_API__CERTIFICATE="true",
        PDP_WORKLOAD_API__TRUST_DOMAINS=f'["{TD}"]',
        SPIFFE_ENDPOINT_SOCKET="unix:///run/b.sock",
    )

    assert found.settings is not None
    assert found.settings.workload_api is not None
    assert found.settings.workload_api.path == Path("/run/a.sock")


@pytest.mark.parametrize(
    ("text", "setting", "said"),
    [
        (AGENT + DOMAINS + FILES + f'[trust]\n"{TD}" = "r"\n', "workload_api.trust_domains", f"trust.{TD}`"),
        (AGENT + DOMAINS + FILES + BUNDLE + 'bundle_file = "b"\n', f"jwt_bundles.{TD}", "one source"),
        (AGENT + DOMAINS + OURS + FILES, "http.key", "there is one source"),
        (
            AGENT + DOMAINS + FILES + '[jwt_bundles."a"]\naudiences = ["x"]\n',
            "jwt_bundles.a",
            "no live source",
        ),
        (AGENT + FILES + f'[trust]\n"{TD}" = "r"\n', "workload_api", "nothing is taken from it"),
        (AGENT + DOMAINS + f'spiffe_id = "spiffe://{TD}/x"\n' + FILES, "workload_api.spiffe_id", "only with"),
        (
            AGENT + OURS + '[local]\ncaller = "spiffe://a/b"\n[http]\nplaintext = true\n',
            "workload_api.certificate",
            "nothing listens over TLS",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(text: str, setting: str, said: str) -> None:
    assert said in refused(text)[setting]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("tcp://127.0.0.1:8081", "of an agent also unix:///run/spire/agent.sock"),
        ("/run/spire/agent.sock", "write unix:/PATH"),
        ("unix://run/agent.sock", "write unix:/PATH"),
        ("unix:///run/../agent.sock", "write unix:/PATH"),
        ("unix:////run/agent.sock", "write unix:/PATH"),
        ("unix:///run/" + "x" * 200, "at most 107 bytes"),
    ],
)
def test_a_socket_has_an_absolute_path(address: str, said: str) -> None:
    (diagnostic,) = loaded(f'[workload_api]\nsocket = "{address}"\n{DOMAINS}{FILES}').diagnostics

    assert said in diagnostic.message


def test_a_socket_that_is_not_there_or_that_others_may_replace_is_doubtful(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    text = f'[workload_api]\nsocket = "unix://{path}"\n{DOMAINS}{OURS}'

    def doubts() -> list[tuple[str, bool]]:
        found = loaded(text).settings
        assert found is not None
        return [(each.message, each.refused) for each in problems(found)]

    assert doubts() == [(f"{path}: No such file or directory: the agent is not there yet", False)]
    path.write_text("")
    assert doubts() == [(f"{path} is no socket", True)]
    path.unlink()
    with closing(socket.socket(socket.AF_UNIX)) as agent:
        agent.bind(str(path))
        assert doubts() == []
        tmp_path.chmod(0o777)
        ((message, is_refused),) = doubts()
        assert (f"others can write to {tmp_path}" in message, is_refused) == (True, False)
        tmp_path.chmod(0o777 | stat.S_ISVTX)
        assert [message for message, _ in doubts()] == [message]  # who is first has it
        tmp_path.chmod(0o700)
        if os.geteuid() == 0:
            os.chown(path, 65534, 65534)
            ((message, is_refused),) = doubts()
            assert (f"{path} belongs to the user 65534" in message, is_refused) == (True, False)
