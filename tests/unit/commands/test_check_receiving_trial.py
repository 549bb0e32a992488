"""The trial of `status --check` where we receive, with played tools, and what the other lines say word for word."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from scanner_mover.commands import check_receiving
from scanner_mover.commands.check_line import Verdict
from scanner_mover.config import Tls
from scanner_mover.dcmtk import dcmsend, storescp, tls
from scanner_mover.errors import ConfigurationError, UnusableError
from scanner_mover.failures import Failure, Kind
from scanner_mover.site.folders import STAGING_PREFIX
from tests.support.checks import folders, only, settings
from tests.support.ports import LOOPBACK

__all__ = ["folders"]

RECEIVES = (Verdict.OK, "storescp receives objects of private classes too")
LOST = "an object of a private class that was sent to storescp did not arrive: "
TLS = Tls("place", "KEY", "CERT", "AUTH")


class Trial:
    """Played tools. `did` says what was done in that order; what is in `fails` raises, `arrives` is how many do."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.did: list[str] = []
        self.fails: dict[str, Exception] = {}
        self.arrives = 1
        self.failure: Failure | None = None
        self.settings: Any = None
        self.staging = ""
        self.query: Any = None
        patch.setattr(check_receiving, "find_tools", lambda names: self._do(f"find {' '.join(names)}"))
        patch.setattr(tls, "check", lambda tools, given, names: self._do(f"tls of {' '.join(names)}"))
        patch.setattr(check_receiving, "make_query_file", self._make)
        patch.setattr(check_receiving, "Listener", self._listener)
        patch.setattr(dcmsend, "send", self._send)

    def run(self) -> Any:
        return only(check_receiving.trial(settings(4006)._replace(tls=TLS)))

    def start(self) -> None:
        self._do("start")

    def end(self) -> None:
        self._do("end")

    def _do(self, what: str) -> None:
        self.did.append(what)
        error = self.fails.get(what.split()[0])
        if error is not None:
            raise error

    def _make(self, tools: object, query: Any, path: str) -> str:
        self._do("make")
        self.query = query
        Path(path).write_text("object")
        return path

    def _listener(self, tools: object, given: Any, staging: str) -> "Trial":
        self.settings, self.staging = given, staging
        return self

    def _send(self, tools: object, path: str, port: int) -> Failure | None:
        assert Path(path).read_text() == "object" and port == self.settings.receive_port
        self._do("send")
        for number in range(self.arrives):
            Path(self.staging, str(number)).touch()
        return self.failure


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch) -> Trial:
    return Trial(monkeypatch)


def test_an_object_that_arrives_is_all_that_is_asked_for(trial):
    assert trial.run() == RECEIVES
    assert trial.did == ["find storescp dcmsend dump2dcm", "tls of storescp", "make", "start", "send", "end"]
    assert trial.query.template == "private_object.dump"
    assert [name for name, _ in trial.query.values] == ["study_instance_uid", "series_instance_uid", "sop_instance_uid"]


def test_its_receiver_has_a_free_port_of_its_own_and_no_tls_and_leaves_nothing_behind(trial):
    trial.run()
    port = trial.settings.receive_port
    assert port != 4006 and trial.settings.tls is None
    with socket.socket() as probe:
        probe.bind((LOOPBACK, port))
    assert not os.path.exists(os.path.dirname(trial.staging))


@pytest.mark.parametrize(
    ("failure", "arrives", "why"),
    [
        (Failure(Kind.UNSUPPORTED, "No presentation context"), 0, "No presentation context"),
        (Failure(Kind.INTERRUPTED, "no final status came"), 1, "no final status came"),
        (None, 0, "it said Success"),
        (None, 2, "it said Success"),
    ],
)
def test_one_that_does_not_arrive_is_to_be_fixed_and_says_why(trial, failure, arrives, why):
    trial.failure, trial.arrives = failure, arrives
    assert trial.run() == (Verdict.FIX, LOST + why)
    assert trial.did[-1] == "end"


def test_when_nothing_can_be_sent_it_is_not_tested(trial):
    trial.fails["send"] = UnusableError("dcmsend cannot be started: no")
    found = trial.run()
    assert found == (
        Verdict.NOT_TESTED,
        "whether storescp receives private classes: dcmsend cannot be started: no",
    )
    assert trial.did[-1] == "end" and not os.path.exists(trial.staging)


def test_a_receiver_that_does_not_start_is_told_without_a_port_that_nobody_chose(trial):
    trial.fails["start"] = UnusableError("port 40112 (DICOMPORT) cannot be opened to receive images: storescp: no")
    with pytest.raises(UnusableError, match=r"^storescp cannot receive here: storescp: no$"):
        trial.run()
    assert trial.did[-2:] == ["start", "end"] and not os.path.exists(trial.staging)


@pytest.mark.parametrize(
    ("at", "error", "did"),
    [
        ("find", UnusableError("dcmsend is not on the PATH"), ["find"]),
        ("tls", ConfigurationError("storescp cannot use the certificate"), ["find", "tls"]),
        ("make", UnusableError("dump2dcm cannot be started"), ["find", "tls", "make", "end"]),
    ],
)
def test_what_is_missing_before_is_told_as_it_is_and_nothing_starts(trial, at, error, did):
    trial.fails[at] = error
    with pytest.raises(type(error)) as raised:
        trial.run()
    assert raised.value is error
    assert [one.split()[0] for one in trial.did] == did


@pytest.mark.parametrize("ours", [True, False])
def test_a_port_that_cannot_be_opened_is_well_while_a_pass_of_ours_receives_on_it(monkeypatch, folders, ours):
    def taken(port: int) -> None:
        raise UnusableError(f"port {port} is taken")

    asked: list[str] = []

    def is_receiving(is_wanted: Any) -> bool:
        staging = os.path.join(folders.site, f"{STAGING_PREFIX}x")
        asked.extend(path for path in (staging, f"/elsewhere/{STAGING_PREFIX}x", "4006") if is_wanted(path))
        return ours

    monkeypatch.setattr(storescp, "need_port", taken)
    monkeypatch.setattr(storescp, "is_receiving", is_receiving)
    found = only(check_receiving.port(settings(4006), folders))
    told = (Verdict.OK, "a pass receives on DICOMPORT 4006 now") if ours else (Verdict.FIX, "port 4006 is taken")
    assert found == told
    assert len(asked) == 1, "a storescp that writes into this site's staging"


def test_this_machines_name_and_the_seconds_are_told(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "server.example")
    monkeypatch.setattr(check_receiving, "_lookup_seconds", lambda name: 0.26 if name == "server.example" else None)
    assert only(check_receiving.own_name()) == (
        Verdict.OK,
        "this machine's own name, server.example, is looked up in 0.3 seconds",
    )
    monkeypatch.setattr(check_receiving, "_lookup_seconds", lambda name: None)
    found = only(check_receiving.own_name())
    assert found.verdict is Verdict.FIX
    assert found.text.startswith("looking up this machine's own name, server.example, takes more than 2 seconds, ")
