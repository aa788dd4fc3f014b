"""The manifests agree with each other and with the settings in them, and the service starts with them.

Whether it starts in a container, with its volumes at their very paths, is tested in `test_image.py`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from pdp.limits import DRAIN_SECONDS, LOG_STOP_SECONDS
from pdp.process.together import _SPARE_SECONDS
from tests.deploy.dockerfile import DOCKERFILE, command, read
from tests.deploy.kubernetes import BASE, SECRET_KEYS, SPIFFE, Manifests, asked, certificates, volume
from tests.e2e.running import PROD, Pki, Service, clean_environment, until
from tests.identity.agent import Agent, as_svid
from tests.identity.mint import leaf

OURS = f"spiffe://{PROD}/ns/pdp/sa/pdp"
MANIFESTS = Manifests()
SETTINGS: dict[str, Any] = tomllib.loads(MANIFESTS.config("pdp-settings")["pdp.toml"])
IMAGE = read(DOCKERFILE.read_text(encoding="utf-8"))[1][-1]


# -- what is written agrees -----------------------------------------------------------------


def test_every_file_is_applied_and_every_resource_lies_in_the_namespace() -> None:
    kustomization = MANIFESTS.kustomization
    files = {file.name for file in BASE.glob("*.yaml")} - {"kustomization.yaml"}

    assert set(kustomization["resources"]) == files
    for resource in MANIFESTS.all:
        where = resource["metadata"]["name" if resource["kind"] == "Namespace" else "namespace"]
        assert where == kustomization["namespace"], resource["metadata"]


def test_the_image_is_one_that_the_kustomization_names_and_never_the_latest() -> None:
    (image,) = MANIFESTS.kustomization["images"]

    assert MANIFESTS.container["image"] == image["name"]
    assert "digest" in image or image["newTag"] not in {"", "latest"}


def test_all_select_the_pods_of_the_deployment() -> None:
    labels = MANIFESTS.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    (spread,) = MANIFESTS.pod["topologySpreadConstraints"]
    selectors = [
        MANIFESTS.one("Deployment")["spec"]["selector"]["matchLabels"],
        MANIFESTS.one("Service")["spec"]["selector"],
        MANIFESTS.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        MANIFESTS.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        spread["labelSelector"]["matchLabels"],
    ]

    assert all(selector == labels for selector in selectors)


def test_ports_are_those_that_the_settings_listen_on_and_the_image_exposes() -> None:
    listening = {
        name: int(SETTINGS[section]["listen"].rpartition(":")[2])
        for name, section in (("https", "http"), ("health", "health"))
    }

    assert MANIFESTS.ports() == listening
    assert {SETTINGS[section]["listen"].rpartition(":")[0] for section in ("http", "health")} == {"0.0.0.0"}  # noqa: S104
    assert {int(port) for port in IMAGE.one("EXPOSE").split()} == set(listening.values())


def test_what_can_be_reached_are_decisions_and_nothing_else() -> None:
    (port,) = MANIFESTS.one("Service")["spec"]["ports"]
    policy = MANIFESTS.one("NetworkPolicy")["spec"]

    assert (port["targetPort"], port["port"]) == ("https", MANIFESTS.ports()["https"])
    assert [each["ports"] for each in policy["ingress"]] == [[{"port": "https"}]]
    assert all(each["from"] for each in policy["ingress"])  # an empty list is everybody
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert policy["egress"] == []  # the service makes no outgoing connections


def test_probes_ask_the_health_listener_what_it_answers() -> None:
    paths = {
        name: MANIFESTS.container[f"{name}Probe"]["httpGet"]["path"]
        for name in ("startup", "liveness", "readiness")
    }

    assert paths == {"startup": "/health/live", "liveness": "/health/live", "readiness": "/health/ready"}
    assert {MANIFESTS.container[f"{name}Probe"]["httpGet"]["port"] for name in paths} == {"health"}
    assert "lifecycle" not in MANIFESTS.container  # no preStop: the service waits by itself


def test_the_pod_may_take_as_long_to_end_as_the_service_does() -> None:
    after = DRAIN_SECONDS + max(LOG_STOP_SECONDS, _SPARE_SECONDS)
    ending = MANIFESTS.pod["terminationGracePeriodSeconds"]

    assert ending >= SETTINGS["drain"]["grace_seconds"] + after
    assert "SIGTERM" in IMAGE.one("STOPSIGNAL")
    settings = (BASE / "settings.yaml").read_text(encoding="utf-8")
    found = re.search(r"has to be (\d+) more", settings)
    assert found is not None
    assert int(found[1]) == ending - SETTINGS["drain"]["grace_seconds"] >= after


def test_a_probe_notices_the_end_before_connections_are_refused() -> None:
    probe = MANIFESTS.container["readinessProbe"]

    assert probe["periodSeconds"] + probe["timeoutSeconds"] <= SETTINGS["drain"]["grace_seconds"]


def test_the_pod_has_the_user_of_the_image_and_no_rights() -> None:
    pod, container = MANIFESTS.pod["securityContext"], MANIFESTS.container["securityContext"]
    user, group = map(int, IMAGE.one("USER").split(":"))

    assert (pod["runAsUser"], pod["runAsGroup"], pod["runAsNonRoot"]) == (user, group, True)
    assert pod["fsGroup"] == group
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert MANIFESTS.pod["automountServiceAccountToken"] is False
    assert MANIFESTS.one("Namespace")["metadata"]["labels"] == {
        "pod-security.kubernetes.io/enforce": "restricted"
    }


def test_volumes_and_mounts_are_the_same_and_hold_what_the_settings_name() -> None:
    volumes = {each["name"]: each for each in MANIFESTS.pod["volumes"]}
    mounts = {each["name"]: each for each in MANIFESTS.container["volumeMounts"]}
    at = {mounts[name]["mountPath"]: each for name, each in volumes.items()}

    assert volumes.keys() == mounts.keys()
    assert all(mount["readOnly"] for mount in mounts.values())
    assert at[SETTINGS["policies"]["path"]]["configMap"] == {"name": "pdp-policies"}
    (roots,) = SETTINGS["trust"].values()
    for file in (SETTINGS["http"]["certificate"], SETTINGS["http"]["key"], roots):
        folder, _, name = file.rpartition("/")
        assert "secret" in at[folder]
        assert name in SECRET_KEYS
    assert at["/etc/pdp/certificates"]["secret"]["defaultMode"] == 0o440
    assert [*command(IMAGE)[1:]] == MANIFESTS.container["args"]
    assert MANIFESTS.container["args"][-1] == f"{mounts['settings']['mountPath']}/pdp.toml"


def test_updates_and_evictions_leave_a_replica() -> None:
    spec = MANIFESTS.one("Deployment")["spec"]
    budget = MANIFESTS.one("PodDisruptionBudget")["spec"]

    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert spec["replicas"] > budget["maxUnavailable"] > 0


# -- certificates from SPIFFE ---------------------------------------------------------------


OF_SPIFFE = tomllib.loads(Manifests(SPIFFE).config("pdp-settings")["pdp.toml"])


def test_with_an_agent_nothing_else_changes_and_the_socket_is_where_the_volume_is() -> None:
    patch = Manifests(SPIFFE).pod
    (mounted,) = [each for each in patch["containers"][0]["volumeMounts"] if "$patch" not in each]
    (volume_,) = [each for each in patch["volumes"] if "$patch" not in each]
    without = {name: table for name, table in SETTINGS.items() if name != "trust"}
    without["http"] = {"listen": SETTINGS["http"]["listen"]}

    agent = OF_SPIFFE["workload_api"]
    assert {name: table for name, table in OF_SPIFFE.items() if name != "workload_api"} == without
    assert set(agent["trust_domains"]) == set(SETTINGS["trust"])
    assert agent["certificate"] is True
    assert agent["socket"].startswith(f"unix://{mounted['mountPath']}/")
    assert mounted["name"] == volume_["name"]
    assert volume_["csi"] == {"driver": "csi.spiffe.io", "readOnly": True}
    deleted = [
        each for each in (*patch["volumes"], *patch["containers"][0]["volumeMounts"]) if "$patch" in each
    ]
    mounts = {each["name"]: each["mountPath"] for each in MANIFESTS.container["volumeMounts"]}
    assert [each.get("name") or each["mountPath"] for each in deleted] == [
        "certificates",
        mounts["certificates"],
    ]


def test_the_service_starts_with_the_settings_and_an_agent(tmp_path: Path, pki: Pki) -> None:
    agent = Agent(tmp_path / "agent.sock")
    ours = leaf(
        pki.root, uris=[OURS], dns=["localhost"], ips=["127.0.0.1"],
        start=pki.now, end=pki.now + timedelta(days=1),
    )  # fmt: skip
    agent.publish(svids=[as_svid(OURS, ours)], roots={f"spiffe://{PROD}": pki.root.der})
    text = Manifests(SPIFFE).config("pdp-settings")["pdp.toml"]
    for before, after in (
        (OF_SPIFFE["workload_api"]["socket"], f"unix://{agent.socket}"),
        (OF_SPIFFE["policies"]["path"], str(tmp_path / "policies")),
        (OF_SPIFFE["http"]["listen"], "127.0.0.1:0"),
        (OF_SPIFFE["health"]["listen"], "127.0.0.1:0"),
    ):
        text = text.replace(f'"{before}"', f'"{after}"')
    (tmp_path / "pdp.toml").write_text(text)
    policies = {name: content.encode() for name, content in MANIFESTS.config("pdp-policies").items()}
    volume(tmp_path / "policies", policies)
    command = [sys.executable, "-m", "pdp.cli.main", "serve", "--config", str(tmp_path / "pdp.toml")]

    service = Service(pki, tmp_path / "policies", command=command)

    try:
        assert service.send(asked(), caller="proxy").json["decision"] == "allow"
    finally:
        service.stop()
        agent.stop()


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl puts the two together")
@pytest.mark.parametrize("folder", [BASE, SPIFFE], ids=lambda folder: folder.name)
def test_kubectl_puts_it_together(folder: Path) -> None:
    done = subprocess.run(
        ["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=True, timeout=60,
        env={**clean_environment(), "KUBECONFIG": os.devnull},
    )  # fmt: skip
    (pod,) = [
        found["spec"]["template"]["spec"]
        for found in yaml.safe_load_all(done.stdout)
        if found["kind"] == "Deployment"
    ]

    (source,) = [each for each in pod["volumes"] if each["name"] in {"certificates", "workload-api"}]
    assert set(source) == {"name", "secret" if folder == BASE else "csi"}
    assert pod["containers"][0]["image"] == "registry.example.org/pdp:0.1.0"
    mounts = sorted(each["mountPath"] for each in pod["containers"][0]["volumeMounts"])
    source_at = "/etc/pdp/certificates" if folder == BASE else "/spiffe-workload-api"
    assert mounts == sorted(["/etc/pdp/settings", "/etc/pdp/policies", source_at])
    (settings,) = [
        found["data"]["pdp.toml"]
        for found in yaml.safe_load_all(done.stdout)
        if found["kind"] == "ConfigMap" and found["metadata"]["name"] == "pdp-settings"
    ]
    assert tomllib.loads(settings) == (SETTINGS if folder == BASE else OF_SPIFFE)
    assert "initContainers" not in pod


# -- what is written works ------------------------------------------------------------------


class Pod:
    """The volumes of a pod in a directory, and the settings with their paths there."""

    def __init__(self, folder: Path, pki: Pki) -> None:
        self.pki, self.folder = pki, folder
        self.mounts = MANIFESTS.mounts(folder, certificates(pki))
        text = MANIFESTS.config("pdp-settings")["pdp.toml"]
        for path, place in self.mounts.items():
            text = text.replace(f'"{path}', f'"{place}')
        volume(self.mounts["/etc/pdp/settings"], {"pdp.toml": text.encode()})

    @property
    def arguments(self) -> list[str]:
        """What the container runs, with its paths here."""
        args = " ".join(MANIFESTS.container["args"])
        for path, place in self.mounts.items():
            args = args.replace(path, str(place))
        return [sys.executable, "-m", "pdp.cli.main", *args.split()]


@pytest.fixture
def pod(tmp_path: Path, pki: Pki) -> Pod:
    return Pod(tmp_path, pki)


@pytest.fixture
def service(pod: Pod) -> Iterator[Service]:
    settings = pod.mounts["/etc/pdp/settings"]
    text = (settings / "pdp.toml").read_text()
    volume(settings, {"pdp.toml": re.sub(r"0\.0\.0\.0:\d+", "127.0.0.1:0", text).encode()})
    running = Service(pod.pki, pod.mounts["/etc/pdp/policies"], command=pod.arguments)
    yield running
    running.stop()


def run(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "pdp.cli.main", *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=60, env=clean_environment(),
    )  # fmt: skip


def test_the_settings_pass_their_check_without_a_warning(pod: Pod) -> None:
    done = run("config", "check", pod.mounts["/etc/pdp/settings"] / "pdp.toml")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "the service would start" in done.stdout
    assert "warning" not in done.stdout + done.stderr


def test_the_policies_pass_their_checks_and_tests(pod: Pod) -> None:
    policies = pod.mounts["/etc/pdp/policies"]
    report = json.loads(run("check", "--json", policies).stdout)

    assert [each for each in report["diagnostics"] if each["severity"] != "note"] == []
    assert run("test", policies).returncode == 0
    assert run("fmt", "--check", *sorted(policies.glob("*.policy"))).returncode == 0


def test_the_service_answers_and_follows_what_the_kubelet_swaps(pod: Pod, service: Service) -> None:
    assert service.send(asked(), caller="proxy").json["decision"] == "allow"

    texts = {name: text.encode() for name, text in MANIFESTS.config("pdp-policies").items()}
    for before in (b"sa/web to POST", b"sa/web POST"):
        texts["payments.policy"] = texts["payments.policy"].replace(before, before.replace(b"web", b"shop"))
    volume(pod.mounts["/etc/pdp/policies"], texts)
    until(lambda: service.send(asked(), caller="proxy").json["decision"] == "deny")

    volume(pod.mounts["/etc/pdp/certificates"], certificates(pod.pki, "renewed"), mode=0o440)
    service.wait_line("our certificate was renewed")


def test_prometheus_reads_metrics_with_the_name_that_the_settings_have(service: Service) -> None:
    assert service.send("", method="GET", path="/metrics", caller="prometheus").status == 200
    assert service.send("", method="GET", path="/metrics", caller="proxy").status == 403
