"""compose.yaml: its form, and what it starts, put on this machine's loopback address."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom import config as config_of_pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from scanner_mover import config
from tests.docker import dockerfile
from tests.docker.files import DOCKER, compose, configuration, stages
from tests.support.ports import LOOPBACK, free_port
from tests.support.process import ServerProcess
from tests.support.site import BIN, Site

_SERVICES = compose()["services"]
_CONFIG = DOCKER / "compose" / "config.json"
_SCANNER_CFG = (DOCKER / "compose" / "scanner.cfg").read_text()
_MOVERS = {"mover": config.DEFAULT_PROJECT, "mover-stored": "STORED"}


def test_compose_knows_every_key() -> None:
    done = subprocess.run(
        [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"],
        cwd=DOCKER,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_comes_up_by_itself_and_what_with_the_profile() -> None:
    profiles = {name: service.get("profiles", []) for name, service in _SERVICES.items()}
    assert profiles == {
        "mover": [], "scanner": [], "fill": [], "receiver": ["receiver"], "mover-stored": ["receiver"]
    }  # fmt: skip


def test_one_service_builds_the_image_of_all() -> None:
    assert len({service["image"] for service in _SERVICES.values()}) == 1
    (builder,) = [service for service in _SERVICES.values() if "build" in service]
    context = (DOCKER / builder["build"]["context"]).resolve()
    assert context == DOCKER.parent
    assert (context / builder["build"]["dockerfile"]).samefile(DOCKER / "Dockerfile")
    assert builder["pull_policy"] == "build"
    assert {service["pull_policy"] for service in _SERVICES.values() if service is not builder} == {"never"}


@pytest.mark.parametrize("name", _SERVICES)
def test_a_service_has_no_rights(name: str) -> None:
    service = _SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert not service.keys() & {"cap_add", "privileged", "user", "network_mode", "pid"}


@pytest.mark.parametrize("name", _SERVICES)
def test_what_a_service_mounts_is_there(name: str) -> None:
    for text in _SERVICES[name]["volumes"]:
        source, target, *options = text.split(":")
        assert target.startswith("/")
        if source.startswith("./"):
            assert (DOCKER / source).is_file(), source
            assert options == ["ro"], text
        else:
            assert source in compose()["volumes"], text


@pytest.mark.parametrize("name", _MOVERS)
def test_a_mover_keeps_what_it_writes_and_begins_when_the_request_is_placed(name: str) -> None:
    service = _SERVICES[name]
    targets = {text.split(":")[1]: text.split(":")[0] for text in service["volumes"]}
    for volume in dockerfile.exec_form(stages()[-1].one("VOLUME")):
        assert targets[volume] in compose()["volumes"]
    assert targets[service["environment"]["SCANNER_MOVER_CONFIG"]] == "./compose/config.json"
    assert f"{targets['/data']}:/data" in _SERVICES["fill"]["volumes"]
    # The receiver, which the second one waits for, waits for `fill` itself.
    first = "fill" if name == "mover" else "receiver"
    assert first in service["depends_on"]
    assert _SERVICES["receiver"]["depends_on"]["fill"]["condition"] == "service_completed_successfully"
    assert service["command"][:2] == ["scanner-mover", "move"]
    assert service["command"][-3:] == ["--every", "15", "--verbose"]


def test_dcmtks_servers_are_ended_by_an_init() -> None:
    for name, service in _SERVICES.items():
        assert service.get("init", False) is (service["command"][0] in ("dcmqrscp", "storescp")), name


@pytest.mark.parametrize(("name", "project"), _MOVERS.items())
def test_mover_and_scanner_know_each_other(name: str, project: str) -> None:
    settings = config.load(str(_CONFIG), project)
    assert settings.host == "scanner" in _SERVICES
    assert f"NetworkTCPPort = {settings.port}\n" in _SCANNER_CFG
    assert re.search(rf"^{settings.called_ae_title} /data RW ", _SCANNER_CFG, flags=re.MULTILINE)
    hosts = dict(re.findall(r"^\w+ = \((\w+), (\w+, \d+)\)$", _SCANNER_CFG, flags=re.MULTILINE))
    if settings.receive:
        assert hosts[settings.calling_ae_title] == f"{name}, {settings.receive_port}"
        assert settings.data_dir == "/data"
    else:
        command = _SERVICES["receiver"]["command"]
        assert hosts[settings.calling_ae_title] == f"receiver, {command[-1]}"
        assert command[command.index("--aetitle") + 1] == settings.calling_ae_title
        assert command[command.index("--output-directory") + 1] == f"{settings.data_dir}/incoming"


def test_a_port_below_1024_stands_in_the_comments() -> None:
    text = (DOCKER / "compose.yaml").read_text()
    port = configuration("compose")["DICOMPORT"]
    assert f'# ports: ["104:{port}"]' in text
    for word in ("# cap_add: [NET_BIND_SERVICE]", "ip_unprivileged_port_start", "DISABLE_PORT_PERMISSION_CHECK"):
        assert word in text


class Here:
    """What the containers would be, on this machine: other ports, folders and addresses, the same files and commands.

    `site` has the DATADIR, the SERVERDIR and the configuration of the movers.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.site = Site(root / "site")
        self.ports = {port: str(free_port()) for port in ("11112", "11113", "11114")}
        self.console = root / "console"
        self.console.mkdir()
        # pynetdicom has a storescu of its own beside our Python, so only that is put on the PATH.
        programs = root / "bin"
        programs.mkdir()
        (programs / "python").write_text(f'#!/bin/sh\nexec {BIN}/python "$@"\n')
        (programs / "python").chmod(0o755)
        self.variables = {**self.site.environment, "PATH": f"{programs}:{self.site.environment['PATH']}"}
        keys = json.loads(self.text(_CONFIG.read_text()))
        for one in (keys, keys["SITES"]["STORED"]):
            one["SCANNERIP"] = LOOPBACK
            one["SCANNER_MOVER"] |= {"quiet_seconds": 0, "reserve_bytes": 0}
        self.site.config_file.write_text(json.dumps(keys))

    def text(self, text: str, data: Path | None = None) -> str:
        """TEXT for this machine."""
        text = re.sub(r"\b(scanner|mover|receiver)(,? \d{5})", rf"{LOOPBACK}\2", text).replace("localhost", LOOPBACK)
        for port, other in self.ports.items():
            text = text.replace(port, other)
        text = text.replace("/usr/local/bin/", f"{DOCKER}/compose/")
        return re.sub(r"(?<![\w.])/data\b", str(data or self.site.data), text)

    def command(self, name: str) -> list[str]:
        """The command of the service NAME."""
        return [self.text(word) for word in _SERVICES[name]["command"]]

    def server(self, name: str, port: str) -> ServerProcess:
        """The service NAME, which listens on PORT."""
        return ServerProcess(
            self.command(name),
            port=int(self.ports[port]),
            folder=self.root,
            log=self.root / f"{name}.log",
            variables=self.variables,
        )

    def is_healthy(self, name: str) -> bool:
        """What the health check of the service NAME says."""
        test = [self.text(word) for word in _SERVICES[name]["healthcheck"]["test"][1:]]
        return subprocess.run(test, check=False, capture_output=True, env=self.variables).returncode == 0

    def fill(self) -> None:
        """What the service `fill` does."""
        text = self.text((DOCKER / "compose" / "fill").read_text())
        subprocess.run(["sh", "-c", text], check=True, env=self.variables, stdin=subprocess.DEVNULL)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    """The scanner runs and is filled, and both studies are requested."""
    here = Here(tmp_path)
    configuration = tmp_path / "scanner.cfg"
    configuration.write_text(here.text(_SCANNER_CFG, data=here.console))
    scanner = here.server("scanner", "11112")
    scanner.arguments[scanner.arguments.index("/etc/scanner.cfg")] = str(configuration)
    assert not here.is_healthy("scanner")
    with scanner:
        assert here.is_healthy("scanner")
        here.fill()
        yield here


def _images(here: Here, study: str) -> list[str]:
    """What the scanner has of a study, by SOPInstanceUID."""
    headers = [
        pydicom.dcmread(path, stop_before_pixels=True) for path in here.console.iterdir() if path.name != "index.dat"
    ]
    return sorted(header.SOPInstanceUID for header in headers if header.StudyInstanceUID == study)


def _pass_until_finished(here: Here, data: Path, *project: str) -> str:
    """Make passes until the one request below DATA is closed; gives its StudyInstanceUID."""
    (request,) = (data / "active-scans").iterdir()
    for _ in range(3):
        done = here.site.mover("move", *project)
        assert done.returncode == 0, done.stderr
        if (data / "finished-scans" / request.name).exists():
            return request.name
    raise AssertionError(here.site.log(*project))


def test_the_requested_study_is_pulled_into_site_raw(here: Here) -> None:
    data = here.site.data
    study = _pass_until_finished(here, data)
    images = _images(here, study)
    assert len(images) == 11
    assert sorted(path.name for path in (data / "site/raw" / study).glob("*/*")) == images
    # Another `up` places the request again, and it is closed again.
    here.fill()
    assert _pass_until_finished(here, data) == study
    assert _images(here, study) == images


def test_the_other_study_is_filed_by_the_receiver(here: Here) -> None:
    data = here.site.data / "stored"
    assert not here.is_healthy("receiver")
    with here.server("receiver", "11114"):
        assert here.is_healthy("receiver")
        study = _pass_until_finished(here, data, "STORED")
    images = _images(here, study)
    assert len(images) == 5
    assert sorted(path.name for path in (data / "site/raw" / study).glob("*/*")) == images
    assert list((data / "incoming").iterdir()) == []


def _received(folder: Path, series_instance_uid: str) -> Path:
    """An image in FOLDER/incoming, as storescp leaves it, which also refers to another series."""
    image = pydicom.dcmread(str(get_testdata_file("MR_small.dcm", download=False)))
    other = Dataset()
    other.SeriesInstanceUID = "1.2.3.99"
    path = folder / "incoming" / f"MR.{image.SOPInstanceUID}"
    path.parent.mkdir()
    with config_of_pydicom.disable_value_validation():
        image.ReferencedSeriesSequence = [other]
        image.SeriesInstanceUID = series_instance_uid
        image.save_as(path)
    return path


def _file(path: Path) -> int:
    return subprocess.run([DOCKER / "compose" / "file-received", path], check=False).returncode


def test_a_received_image_is_filed_by_its_own_uids(tmp_path: Path) -> None:
    path = _received(tmp_path, "1.2.3.4")
    image = pydicom.dcmread(path, stop_before_pixels=True)
    assert _file(path) == 0
    assert not path.exists()
    assert (tmp_path / "site/raw" / image.StudyInstanceUID / "1.2.3.4" / image.SOPInstanceUID).is_file()


@pytest.mark.parametrize("uid", ["", "../../../../elsewhere", "1.2/3", ".."])
def test_an_image_whose_series_is_no_uid_stays_where_it_is(tmp_path: Path, uid: str) -> None:
    path = _received(tmp_path, uid)
    assert _file(path) != 0
    assert sorted(tmp_path.rglob("*")) == [path.parent, path]
