"""kubernetes.yaml, against the schemas of Kubernetes and against what the mover needs."""

import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from scanner_mover import config
from tests.docker.files import (
    DOCKER,
    compose,
    configuration,
    kubernetes,
    kubernetes_objects,
    option,
    pod,
    stages,
)

KINDS = ("Deployment", "CronJob")
_TEXT = (DOCKER / "kubernetes.yaml").read_text()


def _container(kind: str) -> dict[str, Any]:
    (container,) = pod(kind)["containers"]
    assert isinstance(container, dict)
    return container


def test_kubernetes_knows_every_key() -> None:
    objects = kubernetes_objects()
    assert [one["kind"] for one in objects] == [
        *("ConfigMap", "PersistentVolumeClaim", "NetworkPolicy", "Deployment", "CronJob")
    ]
    for one in objects:
        kubernetes_validate.validate(one, kubernetes_validate.latest_version(), strict=True)


def test_a_key_that_it_does_not_know_would_be_told() -> None:
    wrong = kubernetes("CronJob", _TEXT.replace("concurrencyPolicy", "concurrencyPolice"))
    with pytest.raises(kubernetes_validate.ValidationError, match="concurrencyPolice"):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


def test_passes_of_the_cronjob_never_overlap_and_are_not_repeated() -> None:
    spec = kubernetes("CronJob")["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["schedule"] == "* * * * *"
    assert spec["jobTemplate"]["spec"]["backoffLimit"] == 0
    assert pod("CronJob")["restartPolicy"] == "Never"
    assert _container("CronJob")["command"] == ["scanner-mover", "move"]
    # Applied as it is, the file makes passes once, by the Deployment.
    assert spec["suspend"] is True


def test_there_is_one_mover_at_a_time() -> None:
    spec = kubernetes("Deployment")["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}
    assert _container("Deployment")["command"] == ["scanner-mover", "move", "--every", "15"]


@pytest.mark.parametrize("kind", KINDS)
def test_it_runs_as_the_images_user_without_rights(kind: str) -> None:
    uid, gid = map(int, stages()[-1].one("USER").split(":"))
    security = pod(kind)["securityContext"]
    assert security["runAsNonRoot"] is True
    assert (security["runAsUser"], security["runAsGroup"], security["fsGroup"]) == (uid, gid, gid)
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert _container(kind)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod(kind)["automountServiceAccountToken"] is False


@pytest.mark.parametrize("kind", KINDS)
def test_its_configuration_and_its_data_are_where_it_looks(kind: str, tmp_path: Path) -> None:
    volumes = {volume["name"]: volume for volume in pod(kind)["volumes"]}
    assert volumes["config"]["configMap"]["name"] == kubernetes("ConfigMap")["metadata"]["name"]
    assert (
        volumes["data"]["persistentVolumeClaim"]["claimName"] == kubernetes("PersistentVolumeClaim")["metadata"]["name"]
    )
    container = _container(kind)
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    variables = {variable["name"]: variable["value"] for variable in container["env"]}
    (file,) = kubernetes("ConfigMap")["data"]
    assert variables["SCANNER_MOVER_CONFIG"] == f"{mounts['config']}/{file}"
    # The root file system is read-only: everything that is written lies on the volume.
    assert mounts["data"] == configuration("kubernetes")["DATADIR"]
    assert variables["SERVERDIR"].startswith(f"{mounts['data']}/")


@pytest.mark.parametrize("kind", KINDS)
def test_the_scanner_reaches_the_receiver(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(configuration("kubernetes")))
    settings = config.load(str(path), config.DEFAULT_PROJECT)
    assert settings.receive
    (port,) = _container(kind)["ports"]
    assert port["containerPort"] == settings.receive_port
    assert port["hostPort"] == 104
    assert port["containerPort"] >= 1024, "DCMTK refuses it to all but root"


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_but_the_scanner_gets_in_and_the_pod_out_to_it(kind: str) -> None:
    policy = kubernetes("NetworkPolicy")["spec"]
    keys = configuration("kubernetes")
    scanner = [{"ipBlock": {"cidr": f"{keys['SCANNERIP']}/32"}}]
    (way_in,) = policy["ingress"]
    assert way_in == {"from": scanner, "ports": [{"protocol": "TCP", "port": keys["DICOMPORT"]}]}
    way_out, names = policy["egress"]
    assert way_out == {"to": scanner, "ports": [{"protocol": "TCP", "port": keys["SCANNERPORT"]}]}
    assert {port["port"] for port in names["ports"]} == {53}
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    spec = kubernetes(kind)["spec"]
    labels = (spec["jobTemplate"]["spec"] if kind == "CronJob" else spec)["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_image_of_compose(kind: str) -> None:
    container = _container(kind)
    assert {container["image"]} == {service["image"] for service in compose()["services"].values()}
    # It is in no registry.
    assert container["imagePullPolicy"] == "IfNotPresent"


def test_a_long_pass_is_not_ended_by_a_probe() -> None:
    container = _container("Deployment")
    ages = {
        probe: float(option(container[probe]["exec"]["command"], "--max-age"))
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert ages == {"startupProbe": 3600, "livenessProbe": 3600, "readinessProbe": 60}
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 3600, "the first pass may be a long one, too"


def test_the_file_serves_for_another_scanner_under_another_name() -> None:
    def names(text: str) -> set[tuple[str, str]]:
        return {(one["kind"], one["metadata"]["name"]) for one in kubernetes_objects(text)}

    other = _TEXT.replace("mr1", "mr2")
    assert not names(_TEXT) & names(other)
    selector = kubernetes("Deployment")["spec"]["selector"]["matchLabels"]
    assert kubernetes("Deployment", other)["spec"]["selector"]["matchLabels"] != selector
    assert kubernetes("Deployment")["spec"]["template"]["metadata"]["labels"] == selector
    # A pod of the CronJob is none of the Deployment's.
    assert kubernetes("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"] != selector


def test_a_port_below_1024_stands_in_the_comments() -> None:
    for text in ("# add: [NET_BIND_SERVICE]", "net.ipv4.ip_unprivileged_port_start", "DISABLE_PORT_PERMISSION_CHECK"):
        assert text in _TEXT
