"""The test support itself: do the scanners and the receiver really do what the other tests take for granted?

The tools that ask and receive here are the real `findscu` and `movescu`.
"""

import contextlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.support.dcmqrscp import Dcmqrscp
from tests.support.objects import (
    PATIENT_ID,
    Kind,
    by_study,
    compressed_series,
    ct_series,
    dumped_series,
    mpps,
    mr_series,
    uid,
)
from tests.support.orthanc import Orthanc
from tests.support.ports import free_port, is_listening, wait_until_listening
from tests.support.process import environment
from tests.support.receiver import StorescpReceiver, whole_image
from tests.support.scripted import IMAGES_IN_ACQUISITION, Script, ScriptedScanner, sent_as
from tests.support.site import wait_until

RealScanner = Dcmqrscp | Orthanc
Scanner = RealScanner | ScriptedScanner

MOVESCU = ("movescu", "-v", "-S", "-aet", "MOVER")
KINDS: list[Kind] = ["jpeg", "jpeg2000", "rle"]


def run(*arguments: str) -> tuple[int, str]:
    """Exit status and output of a DCMTK tool."""
    done = subprocess.run(
        arguments,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(tcp_nodelay=True),
        timeout=240,
    )
    return done.returncode, done.stdout.decode(errors="backslashreplace")


def keys(names: tuple[str, ...]) -> list[str]:
    return [argument for name in names for argument in ("-k", name)]


def findscu(scanner: Scanner, level: str, *names: str, called: str | None = None, more: tuple[str, ...] = ()) -> str:
    arguments = ["findscu", "-v", "-S", *more, "-aet", "MOVER", "-aec", called or scanner.ae_title]
    arguments += keys((f"QueryRetrieveLevel={level}", *names))
    return run(*arguments, scanner.host, str(scanner.port))[1]


def movescu(
    scanner: Scanner,
    study: str,
    series: str = "",
    *,
    receive: tuple[int, Path] | None = None,
    destination: str = "MOVER",
) -> tuple[int, str]:
    """Ask for a study or a series; `receive` is the port and folder of `movescu +P`."""
    arguments = [*MOVESCU, "-aec", scanner.ae_title, "-aem", destination]
    if receive:
        port, folder = receive
        folder.mkdir()
        arguments += ["+xa", "+P", str(port), "-od", str(folder)]
    level = "SERIES" if series else "STUDY"
    arguments += keys((f"QueryRetrieveLevel={level}", f"StudyInstanceUID={study}"))
    arguments += keys((f"SeriesInstanceUID={series}",) if series else ())
    return run(*arguments, scanner.host, str(scanner.port))


def values(output: str, keyword: str) -> list[str]:
    """The values of an attribute in findscu's answers, without the query that it prints first."""
    answers = output.partition("Find Response: 1 (")[2]
    return [value.strip("[] \0") for value in re.findall(rf"(\[.*?\]|\(no value available\))\s+#.*{keyword}", answers)]


def assert_same_images(sources: list[Path], folder: Path) -> None:
    received = {header.SOPInstanceUID: header for header in map(pydicom.dcmread, folder.iterdir())}
    assert len(received) == len(sources)
    for source in map(pydicom.dcmread, sources):
        image = received[source.SOPInstanceUID]
        assert image.file_meta.TransferSyntaxUID == source.file_meta.TransferSyntaxUID
        assert image.PixelData == source.PixelData
        assert image.SeriesInstanceUID == source.SeriesInstanceUID


@pytest.fixture
def port() -> int:
    """The port on which `movescu +P` receives as MOVER."""
    return free_port()


@pytest.fixture(params=[Dcmqrscp, Orthanc])
def scanner(request: pytest.FixtureRequest, tmp_path: Path, port: int) -> Iterator[RealScanner]:
    with request.param(tmp_path / "scanner", {"MOVER": port}) as running:
        yield running


class TestPorts:
    def test_free_ports_differ_and_nobody_listens_on_them(self) -> None:
        ports = [free_port() for _ in range(50)]
        assert len(set(ports)) == 50
        assert not any(map(is_listening, ports))

    def test_two_processes_never_share_one(self) -> None:
        program = "from tests.support.ports import free_port; print(*[free_port() for _ in range(40)]); input()"
        ports: list[set[str]] = []
        with contextlib.ExitStack() as stack:
            for _ in range(3):
                process = stack.enter_context(
                    subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                )
                assert process.stdout is not None
                ports.append(set(process.stdout.readline().decode().split()))
        ports.append({str(free_port()) for _ in range(40)})
        assert len(set.union(*ports)) == sum(map(len, ports)) == 160

    def test_a_port_that_somebody_has_is_not_given(self) -> None:
        with socket.socket() as other:
            taken = free_port() + 1
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("", taken))
            other.listen()
            assert free_port() != taken

    def test_a_process_that_dies_is_reported_with_what_it_said(self) -> None:
        process = subprocess.Popen(
            [sys.executable, "-c", "raise SystemExit('no licence')"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        with pytest.raises(RuntimeError, match="no licence"):
            wait_until_listening(free_port(), process, 10)

    def test_a_process_that_never_listens_is_ended(self) -> None:
        process = subprocess.Popen(["sleep", "60"], stdout=subprocess.PIPE)
        with pytest.raises(TimeoutError, match="sleep"):
            wait_until_listening(free_port(), process, 0.1)
        assert process.poll() is not None


class TestObjects:
    @pytest.mark.parametrize("make", [mr_series, ct_series, dumped_series])
    def test_a_series(self, tmp_path: Path, make: Callable[..., list[Path]]) -> None:
        study, series = uid(), uid(5)
        paths = make(
            tmp_path / "new", study_instance_uid=study, series_instance_uid=series, images=3, first_instance_number=4
        )
        assert [path.name for path in paths] == [f"{series}.{number}" for number in (4, 5, 6)]
        images = [pydicom.dcmread(path) for path in paths]
        assert len({image.PixelData for image in images}) == 3
        for path, image in zip(paths, images, strict=True):
            assert (image.StudyInstanceUID, image.SeriesInstanceUID) == (study, series)
            assert image.SOPInstanceUID == image.file_meta.MediaStorageSOPInstanceUID == path.name
            assert image.SOPClassUID == image.file_meta.MediaStorageSOPClassUID
            assert image.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
            assert image.PatientID == PATIENT_ID
            assert run("dcmdump", str(path))[0] == 0
        assert list((tmp_path / "new").iterdir()) and by_study(paths) == {study: {series: paths}}

    @pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
    def test_another_transfer_syntax(self, tmp_path: Path, syntax: UID) -> None:
        (path,) = mr_series(
            tmp_path, study_instance_uid=uid(), series_instance_uid=uid(), images=1, transfer_syntax=syntax
        )
        assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == syntax
        status, output = run("dcmdump", str(path))
        assert status == 0 and "W:" not in output

    def test_a_transfer_syntax_that_there_is_not(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="MPEG"):
            ct_series(
                tmp_path,
                study_instance_uid=uid(),
                series_instance_uid=uid(),
                images=1,
                transfer_syntax="1.2.840.10008.1.2.4.100",
            )

    @pytest.mark.parametrize("kind", KINDS)
    def test_compressed(self, tmp_path: Path, kind: Kind) -> None:
        paths = compressed_series(tmp_path, kind=kind, study_instance_uid=uid(), series_instance_uid=uid(), images=2)
        assert len(paths) == 2
        for path in paths:
            assert UID(str(pydicom.dcmread(path).file_meta.TransferSyntaxUID)).is_compressed
            assert whole_image(path) is not None
            status, output = run("dcmdump", str(path))
            assert status == 0 and "W:" not in output

    @pytest.mark.parametrize(
        ("ended", "value"), [(True, "[104500]"), ("235959", "[235959]"), (False, "(no value available)"), (None, None)]
    )
    @pytest.mark.parametrize("in_sequence", [True, False])
    def test_mpps(self, tmp_path: Path, ended: bool | str | None, value: str | None, in_sequence: bool) -> None:
        study = uid()
        path = mpps(
            tmp_path / "scanner" / "1", study_instance_uid=study, ended=ended, scheduled_in_sequence=in_sequence
        )
        status, output = run("dcmdump", "+p", "+P", "0020,000d", "+P", "0040,0251", str(path))
        assert status == 0
        lines = dict(line.split(" ", 1) for line in output.splitlines())
        assert study in lines["(0040,0270).(0020,000d)" if in_sequence else "(0020,000d)"]
        assert ("(0040,0251)" in lines) is (value is not None)
        assert value is None or value in lines["(0040,0251)"]

    def test_uids_are_unique_and_short(self) -> None:
        uids = [uid(1, 2) for _ in range(1000)]
        assert len(set(uids)) == 1000
        assert all(UID(one).is_valid and len(one) <= 46 and one.endswith(".1.2") for one in uids)


class TestRealScanners:
    def test_a_series_is_found_and_retrieved(self, scanner: RealScanner, tmp_path: Path, port: int) -> None:
        study, series = uid(), uid()
        paths = mr_series(
            tmp_path / "mr",
            study_instance_uid=study,
            series_instance_uid=series,
            images=3,
            attributes={"ImagesInAcquisition": 5},
        )
        paths_of_another = ct_series(tmp_path / "ct", study_instance_uid=study, series_instance_uid=uid(), images=1)
        scanner.store([*paths, *paths_of_another])
        assert scanner.images().keys() == {path.name for path in [*paths, *paths_of_another]}

        output = findscu(
            scanner, "SERIES", f"StudyInstanceUID={study}", "SeriesInstanceUID",
            "NumberOfSeriesRelatedInstances", "ImagesInAcquisition",
        )  # fmt: skip
        both = sorted(by_study([*paths, *paths_of_another])[study])
        assert sorted(values(output, "SeriesInstanceUID")) == both
        # Orthanc counts for the one and believes the images for the other, dcmqrscp knows neither.
        counted, acquired = (["1", "3"], ["5"]) if isinstance(scanner, Orthanc) else ([], [])
        assert sorted(filter(str.isdigit, values(output, "NumberOfSeriesRelatedInstances"))) == counted
        assert list(filter(str.isdigit, values(output, "ImagesInAcquisition"))) == acquired
        output = findscu(scanner, "IMAGE", f"StudyInstanceUID={study}", f"SeriesInstanceUID={series}", "SOPInstanceUID")
        assert sorted(values(output, "SOPInstanceUID")) == [path.name for path in paths]
        assert "Received Final Find Response (Success)" in output

        status, output = movescu(scanner, study, series, receive=(port, tmp_path / "received"))
        assert status == 0 and "Received Final Move Response (Success)" in output
        assert_same_images(paths, tmp_path / "received")

    @pytest.mark.parametrize("kind", KINDS)
    def test_compressed_images_are_sent_as_stored(
        self, scanner: RealScanner, tmp_path: Path, port: int, kind: Kind
    ) -> None:
        study, series = uid(), uid()
        paths = compressed_series(
            tmp_path / "compressed", kind=kind, study_instance_uid=study, series_instance_uid=series, images=3
        )
        scanner.store(paths)
        status, output = movescu(scanner, study, series, receive=(port, tmp_path / "received"))
        assert status == 0 and "Received Final Move Response (Success)" in output
        assert_same_images(paths, tmp_path / "received")

    def test_off_and_on_again(self, scanner: RealScanner, tmp_path: Path) -> None:
        study = uid()
        paths = dumped_series(tmp_path / "mr", study_instance_uid=study, series_instance_uid=uid(), images=3)
        paths += compressed_series(
            tmp_path / "jpeg", kind="jpeg", study_instance_uid=study, series_instance_uid=uid(), images=1
        )
        scanner.store(paths)
        for _ in range(2):
            scanner.stop()
            assert not scanner.running
            assert "refused" in findscu(scanner, "STUDY", "StudyInstanceUID")
            scanner.start()
            output = findscu(scanner, "SERIES", f"StudyInstanceUID={study}", "SeriesInstanceUID")
            assert len(values(output, "SeriesInstanceUID")) == 2
            assert scanner.images().keys() == {path.name for path in paths}

    @pytest.mark.parametrize("make", [Dcmqrscp, Orthanc])
    def test_off_in_the_middle_of_a_move(
        self, make: type[RealScanner], receiver: StorescpReceiver, tmp_path: Path
    ) -> None:
        study = uid()
        paths = mr_series(tmp_path / "mr", study_instance_uid=study, series_instance_uid=uid(), images=100)
        # As it comes it takes 40 ms for each image: time to switch it off in between.
        with make(tmp_path / "scanner", receiver.destination, tcp_nodelay=False) as scanner:
            scanner.store(paths)
            moving = subprocess.Popen(
                [
                    *(*MOVESCU, "-aec", scanner.ae_title, "-aem", receiver.ae_title),
                    *keys(("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={study}")),
                    *(scanner.host, str(scanner.port)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            while len(receiver.arrived()) < 2:
                assert moving.poll() is None
                time.sleep(0.01)
            scanner.stop()
            assert b"Move Request Failed" in moving.communicate(timeout=120)[0]
            assert 2 <= len(receiver.arrived()) < 100
            scanner.start()
            assert len(scanner.images()) == 100
            assert movescu(scanner, study)[0] == 0
        receiver.wait_until_linked(100)

    def test_wrong_ae_titles_are_refused(self, scanner: RealScanner, tmp_path: Path) -> None:
        study = uid()
        scanner.store(dumped_series(tmp_path / "mr", study_instance_uid=study, series_instance_uid=uid(), images=1))
        assert "Association Rejected" in findscu(scanner, "STUDY", "StudyInstanceUID", called="NOBODY")
        assert "Association Rejected" in findscu(scanner, "STUDY", "StudyInstanceUID", called=scanner.ae_title.lower())
        status, output = movescu(scanner, study, destination="NOBODY")
        # Orthanc does not have the status for it.
        text = "Failed: UnableToProcess" if isinstance(scanner, Orthanc) else "Refused: MoveDestinationUnknown"
        assert status == 69 and text in output

    def test_an_image_that_is_stored_again_is_there_once(self, scanner: RealScanner, tmp_path: Path) -> None:
        study, series = uid(), uid()
        paths = dumped_series(tmp_path / "mr", study_instance_uid=study, series_instance_uid=series, images=2)
        scanner.store(paths)
        scanner.store(paths[:1])
        output = findscu(scanner, "IMAGE", f"StudyInstanceUID={study}", f"SeriesInstanceUID={series}", "SOPInstanceUID")
        assert len(values(output, "SOPInstanceUID")) == 2

    def test_dcmqrscp_serves_one_transfer_syntax_of_a_class(self, tmp_path: Path) -> None:
        scanner = Dcmqrscp(tmp_path / "scanner")
        study = uid()
        scanner.store(mr_series(tmp_path / "mr", study_instance_uid=study, series_instance_uid=uid(), images=1))
        with pytest.raises(ValueError, match="MR Image Storage in two transfer syntaxes"):
            scanner.store(
                compressed_series(
                    tmp_path / "rle", kind="rle", study_instance_uid=study, series_instance_uid=uid(), images=1
                )
            )
        assert len(scanner.images()) == 1

    def test_a_server_that_cannot_start_says_why(self, tmp_path: Path) -> None:
        with Dcmqrscp(tmp_path / "one") as first, pytest.raises(RuntimeError, match=r"use|bind"):
            Dcmqrscp(tmp_path / "two", port=first.port).start()


@pytest.fixture
def series(tmp_path: Path) -> list[Path]:
    """Four MR images of one series."""
    return mr_series(tmp_path / "series", study_instance_uid=uid(), series_instance_uid=uid(), images=4)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[StorescpReceiver]:
    with StorescpReceiver(tmp_path / "receiver", tmp_path / "data") as running:
        yield running


@pytest.fixture
def scripted(series: list[Path], receiver: StorescpReceiver) -> Iterator[ScriptedScanner]:
    with ScriptedScanner(by_study(series), receiver.destination) as running:
        yield running


def names_of(scanner: ScriptedScanner) -> tuple[str, str]:
    """The StudyInstanceUID and SeriesInstanceUID of the one series that it has."""
    ((study, of_study),) = scanner.studies.items()
    (series,) = of_study
    return study, series


class TestScriptedScanner:
    def test_without_a_script_it_behaves(
        self, scripted: ScriptedScanner, receiver: StorescpReceiver, series: list[Path], tmp_path: Path
    ) -> None:
        study, of_series = names_of(scripted)
        output = findscu(scripted, "STUDY", "StudyInstanceUID", "PatientID", "NumberOfStudyRelatedInstances")
        assert values(output, "StudyInstanceUID") == [study]
        assert values(output, "PatientID") == [PATIENT_ID]
        assert values(output, "NumberOfStudyRelatedInstances") == ["4"]
        output = findscu(
            scripted, "SERIES", f"StudyInstanceUID={study}", "SeriesInstanceUID", "NumberOfSeriesRelatedInstances"
        )
        assert values(output, "NumberOfSeriesRelatedInstances") == ["4"]
        output = findscu(
            scripted, "IMAGE", f"StudyInstanceUID={study}", f"SeriesInstanceUID={of_series}", "SOPInstanceUID"
        )
        assert values(output, "SOPInstanceUID") == [path.name for path in series]
        assert values(findscu(scripted, "SERIES", "StudyInstanceUID=1.2.3", "SeriesInstanceUID"), "UID") == []
        status, output = movescu(scripted, study, of_series)
        assert status == 0 and "Received Final Move Response (Success)" in output
        assert output.count("(Pending)") == 4
        receiver.wait_until_linked(4)
        assert_same_images(series, receiver.raw / study / of_series)
        assert scripted.asked == [
            ("STUDY", "", ""), ("SERIES", study, ""), ("IMAGE", study, of_series), ("SERIES", "1.2.3", ""),
        ]  # fmt: skip
        assert scripted.moves == [(study, of_series, ())]
        assert scripted.associations == 5
        assert "Association Rejected" in findscu(scripted, "STUDY", called="NOBODY")
        assert movescu(scripted, study, destination="NOBODY")[0] == 69

    def test_compressed_and_other_syntaxes_in_one_move(self, tmp_path: Path, port: int) -> None:
        study = uid()
        paths = [
            *mr_series(tmp_path / "mr", study_instance_uid=study, series_instance_uid=uid(), images=1),
            *compressed_series(tmp_path, kind="rle", study_instance_uid=study, series_instance_uid=uid(), images=1),
            *compressed_series(
                tmp_path, kind="jpeg2000", study_instance_uid=study, series_instance_uid=uid(), images=1
            ),
        ]
        with ScriptedScanner(by_study(paths), {"MOVER": port}) as scanner:
            assert movescu(scanner, study, receive=(port, tmp_path / "received"))[0] == 0
        assert_same_images(paths, tmp_path / "received")

    def test_refusals(self, scripted: ScriptedScanner, receiver: StorescpReceiver) -> None:
        study, of_series = names_of(scripted)
        scripted.script = Script(find_status={"IMAGE": 0xA900, "SERIES": 0xA700})
        assert "(Error: DataSetDoesNotMatchSOPClass)" in findscu(scripted, "IMAGE", f"StudyInstanceUID={study}")
        assert "(Refused: OutOfResources)" in findscu(scripted, "SERIES", f"StudyInstanceUID={study}")
        assert "Final Find Response (Success)" in findscu(scripted, "STUDY", f"StudyInstanceUID={study}")
        for status, text in ((0xA801, "MoveDestinationUnknown"), (0xA702, "OutOfResourcesSubOperations")):
            scripted.script = Script(move_status=status)
            assert f"Final Move Response (Refused: {text})" in movescu(scripted, study, of_series)[1]
        assert receiver.arrived() == []
        for reject, text in ((True, "No Reason"), ((2, 3, 2), "Local Limit Exceeded")):
            scripted.script = Script(reject=reject)
            assert text in findscu(scripted, "STUDY")

    def test_half_moves(self, scripted: ScriptedScanner, receiver: StorescpReceiver, series: list[Path]) -> None:
        study, of_series = names_of(scripted)
        scripted.script = Script(send_only={of_series: 1})
        assert "Final Move Response (Success)" in movescu(scripted, study, of_series)[1]
        receiver.wait_until_linked(1)
        scripted.script = Script(send_only={of_series: [series[2].name]}, move_status=0xB000)
        status, output = movescu(scripted, study, of_series)
        assert status == 68 and "SubOperationsCompleteOneOrMoreFailures" in output
        receiver.wait_until_linked(2)
        assert [link.name for link in receiver.linked()] == [series[0].name, series[2].name]
        scripted.script = Script(abort_move_after=2)
        assert "Move Request Failed: 0006:0317 Peer aborted Association" in movescu(scripted, study, of_series)[1]
        assert len(receiver.arrived()) == 4

    def test_claims_and_hostile_answers(self, scripted: ScriptedScanner) -> None:
        study, of_series = names_of(scripted)
        asked = (f"StudyInstanceUID={study}", "NumberOfSeriesRelatedInstances", "ImagesInAcquisition")
        for claim, text in ((7, "7"), ("many", "many"), (None, "(no value available)")):
            scripted.script = Script(claims={of_series: claim}, count_key=IMAGES_IN_ACQUISITION)
            output = findscu(scripted, "SERIES", *asked)
            assert values(output, "ImagesInAcquisition") == [text]
            assert values(output, "NumberOfSeriesRelatedInstances") == []
        scripted.script = Script(count_key=None)
        output = findscu(scripted, "SERIES", *asked)
        assert "Find Response: 1 (" in output
        assert values(output, "ImagesInAcquisition") == values(output, "NumberOfSeriesRelatedInstances") == []
        answer = Dataset()
        answer.SeriesDescription = "made up"
        scripted.script = Script(find_answers={"SERIES": [(0xFF00, answer), (0xA700, None)]})
        output = findscu(scripted, "SERIES", *asked)
        assert values(output, "SeriesDescription") == ["made up"] and "Final Find Response (Refused" in output
        scripted.script = Script(find_answers={"SERIES": lambda query: [(0xFF00, query), (0xFF00, query)]})
        assert values(findscu(scripted, "SERIES", *asked), "StudyInstanceUID") == [study, study]

    def test_silence_and_aborts(self, scripted: ScriptedScanner, receiver: StorescpReceiver) -> None:
        study, of_series = names_of(scripted)
        scripted.script = Script(find_silence=60)
        assert "No data available" in findscu(scripted, "STUDY", more=("-td", "1"))
        scripted.script = Script(abort_at_find=len(scripted.asked) + 2)
        assert "Final Find Response (Success)" in findscu(scripted, "STUDY")
        assert "Peer aborted" in findscu(scripted, "STUDY")
        assert "Final Find Response (Success)" in findscu(scripted, "STUDY")
        scripted.script = Script(
            move_silence=0.3, move_silence_after=2, seconds_between_images=0.1, pending_responses=False
        )
        began = time.monotonic()
        status, output = movescu(scripted, study, of_series)
        assert status == 0 and "(Pending)" not in output
        assert time.monotonic() - began > 0.7
        assert len(receiver.arrived()) == 4

    def test_off_in_the_middle_and_on_again(self, scripted: ScriptedScanner) -> None:
        scripted.script = Script(find_silence=60)
        asking = subprocess.Popen(
            ["findscu", "-S", "-aec", "SCANNER", "-k", "QueryRetrieveLevel=STUDY", scripted.host, str(scripted.port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        while not scripted.asked:
            time.sleep(0.01)
        scripted.stop()
        assert "Peer aborted" in asking.communicate(timeout=120)[0].decode()
        assert "refused" in findscu(scripted, "STUDY")
        scripted.script = Script()
        scripted.start()
        assert "Final Find Response (Success)" in findscu(scripted, "STUDY")

    def test_another_program_receives(self, series: list[Path], tmp_path: Path) -> None:
        raw = tmp_path / "data" / "site" / "raw"
        with ScriptedScanner(by_study(series), files_into=raw, deliver_when_told=True) as scanner:
            study, of_series = names_of(scanner)
            assert movescu(scanner, study, of_series, destination="ANYBODY")[0] == 0
            assert not raw.exists()
            assert scanner.deliver(1) == 1
            assert [path.name for path in (raw / study / of_series).iterdir()] == [series[0].name]
            assert scanner.deliver() == 3
            scanner.deliver_when_told = False
            assert movescu(scanner, study, of_series, destination="ANYBODY")[0] == 0
            assert scanner.deliver() == 0
            assert_same_images(series, raw / study / of_series)


def find_images(scanner: Scanner, study: str, series: str) -> str:
    return findscu(scanner, "IMAGE", f"StudyInstanceUID={study}", f"SeriesInstanceUID={series}", "SOPInstanceUID")


def image_move(scanner: Scanner, study: str, series: str, images: list[str], folder: Path) -> str:
    """A C-MOVE at IMAGE level for these images."""
    text = f"(0008,0052) CS [IMAGE]\n(0020,000d) UI [{study}]\n(0020,000e) UI [{series}]\n"
    (folder / "query.dump").write_text(text + f"(0008,0018) UI [{chr(92).join(images)}]\n")
    assert run("dump2dcm", "+te", str(folder / "query.dump"), str(folder / "query.dcm"))[0] == 0
    address = (scanner.host, str(scanner.port))
    return run(*MOVESCU, "-aec", scanner.ae_title, "-aem", "MOVER", *address, str(folder / "query.dcm"))[1]


class TestWhatConsolesDo:
    """The vocabulary of `tests.support.script`, a row of its table each."""

    def test_an_image_that_never_comes(
        self, scripted: ScriptedScanner, receiver: StorescpReceiver, series: list[Path], tmp_path: Path
    ) -> None:
        study, of_series = names_of(scripted)
        scripted.script = Script(never_sends={series[1].name})
        for _ in range(2):
            output = movescu(scripted, study, of_series)[1]
            assert "Final Move Response (Success)" in output and output.count("(Pending)") == 3
        assert "Final Move Response (Success)" in image_move(scripted, study, of_series, [series[1].name], tmp_path)
        scripted.script = Script(cannot_send={series[1].name})
        assert "SubOperationsCompleteOneOrMoreFailures" in movescu(scripted, study, of_series)[1]
        output = image_move(scripted, study, of_series, [series[1].name], tmp_path)
        assert "OutOfResourcesSubOperations" in output
        receiver.wait_until_linked(3)
        assert [link.name for link in receiver.linked()] == [series[n].name for n in (0, 2, 3)]
        scripted.script = Script(cannot_send={path.name for path in series})
        assert "OutOfResourcesSubOperations" in movescu(scripted, study, of_series)[1]
        assert len(receiver.arrived()) == 9

    def test_nothing_is_sent(self, scripted: ScriptedScanner, receiver: StorescpReceiver, series: list[Path]) -> None:
        study, of_series = names_of(scripted)
        scripted.script = Script(sends_nothing=True)
        output = movescu(scripted, study, of_series)[1]
        assert "Final Move Response (Success)" in output and "(Pending)" not in output
        assert movescu(scripted, study, of_series, destination="NOBODY")[0] == 69
        assert receiver.arrived() == []

    def test_success_first_and_images_later(
        self, scripted: ScriptedScanner, receiver: StorescpReceiver, series: list[Path]
    ) -> None:
        study, of_series = names_of(scripted)
        scripted.script = Script(sends_after=0.5)
        assert "Final Move Response (Success)" in movescu(scripted, study, of_series)[1]
        receiver.wait_until_linked(4)
        assert_same_images(series, receiver.raw / study / of_series)
        scripted.script = Script(sends_after=600)
        assert "Final Move Response (Success)" in movescu(scripted, study, of_series)[1]
        assert len(receiver.arrived()) == 4

    def test_images_of_other_uids(
        self, scripted: ScriptedScanner, receiver: StorescpReceiver, series: list[Path], tmp_path: Path
    ) -> None:
        study, of_series = names_of(scripted)
        another = uid()
        scripted.script = Script(sends=sent_as(tmp_path / "sent", SeriesInstanceUID=another))
        assert movescu(scripted, study, of_series)[0] == 0
        receiver.wait_until_linked(4)
        assert {path.parent.name for path in receiver.linked()} == {another}
        assert {path.parent.parent.name for path in receiver.linked()} == {study}

    @pytest.mark.parametrize(("status", "text"), [(0xA900, "DataSetDoesNotMatchSOPClass"), (0, "Success")])
    def test_single_images_are_refused(
        self,
        scripted: ScriptedScanner,
        receiver: StorescpReceiver,
        series: list[Path],
        tmp_path: Path,
        status: int,
        text: str,
    ) -> None:
        study, of_series = names_of(scripted)
        scripted.script = Script(move_status_of={"IMAGE": status})
        assert text in image_move(scripted, study, of_series, [series[1].name], tmp_path)
        assert receiver.arrived() == []
        assert "Final Move Response (Success)" in movescu(scripted, study, of_series)[1]
        assert len(receiver.arrived()) == 4

    def test_a_list_that_names_one_image_twice(self, scripted: ScriptedScanner, series: list[Path]) -> None:
        study, of_series = names_of(scripted)
        scripted.script = Script(lists_twice={series[1].name})
        names = [path.name for path in series]
        assert values(find_images(scripted, study, of_series), "SOPInstanceUID") == [
            names[0],
            *names[1:2] * 2,
            *names[2:],
        ]

    @pytest.mark.parametrize(("status", "text"), [(0xA700, "OutOfResources"), (0xFE00, "Cancel")])
    def test_a_list_that_ends_with_a_failure(self, scripted: ScriptedScanner, status: int, text: str) -> None:
        study, of_series = names_of(scripted)
        for most in (4, 2):
            scripted.script = Script(find_ends_with={"IMAGE": status}, most_answers={"IMAGE": most})
            output = find_images(scripted, study, of_series)
            assert len(values(output, "SOPInstanceUID")) == most
            assert "Final Find Response" in output and text in output

    def test_a_list_of_series_that_is_cut(self, scripted: ScriptedScanner, tmp_path: Path) -> None:
        study, _ = names_of(scripted)
        for _ in range(3):
            more = dumped_series(tmp_path / "more", study_instance_uid=study, series_instance_uid=uid(), images=2)
            scripted.studies[study] |= by_study(more)[study]
        scripted.script = Script(most_answers={"SERIES": 2})
        output = findscu(scripted, "SERIES", f"StudyInstanceUID={study}", "SeriesInstanceUID")
        assert len(values(output, "SeriesInstanceUID")) == 2 and "Final Find Response (Success)" in output
        asked = (f"StudyInstanceUID={study}", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances")
        for counts, series, images in (({}, "4", "10"), ({study: (7, 70)}, "7", "70")):
            scripted.script.study_counts = counts
            output = findscu(scripted, "STUDY", *asked)
            assert values(output, "NumberOfStudyRelatedSeries") == [series]
            assert values(output, "NumberOfStudyRelatedInstances") == [images]
        scripted.script.study_counts = None
        output = findscu(scripted, "STUDY", *asked)
        assert values(output, "StudyInstanceUID") == [study]
        assert values(output, "NumberOfStudyRelatedSeries") == values(output, "NumberOfStudyRelatedInstances") == []
        scripted.script.find_status["STUDY"] = 0xA900
        assert "DataSetDoesNotMatchSOPClass" in findscu(scripted, "STUDY", *asked)

    def test_a_series_vanishes_or_shrinks_or_is_empty(self, scripted: ScriptedScanner) -> None:
        study, of_series = names_of(scripted)
        asked = (f"StudyInstanceUID={study}", "SeriesInstanceUID", "NumberOfSeriesRelatedInstances")
        scripted.shrink(of_series, 2)
        assert values(findscu(scripted, "SERIES", *asked), "NumberOfSeriesRelatedInstances") == ["2"]
        assert len(values(find_images(scripted, study, of_series), "SOPInstanceUID")) == 2
        empty = uid()
        scripted.add_empty_series(study, empty)
        output = findscu(scripted, "SERIES", *asked)
        assert values(output, "SeriesInstanceUID") == [of_series, empty]
        assert values(output, "NumberOfSeriesRelatedInstances") == ["2", "0"]
        assert "Final Find Response (Success)" in find_images(scripted, study, empty)
        assert values(find_images(scripted, study, empty), "SOPInstanceUID") == []
        assert "Final Move Response (Success)" in movescu(scripted, study, empty)[1]
        scripted.vanish(of_series)
        assert values(findscu(scripted, "SERIES", *asked), "SeriesInstanceUID") == [empty]
        assert "Final Move Response (Success)" in movescu(scripted, study, of_series)[1]

    def test_one_answer_for_each_image(self, scripted: ScriptedScanner) -> None:
        study, of_series = names_of(scripted)
        scripted.script = Script(answers_for_each_image={"STUDY", "SERIES"})
        assert values(findscu(scripted, "STUDY", "StudyInstanceUID"), "StudyInstanceUID") == [study] * 4
        output = findscu(scripted, "SERIES", f"StudyInstanceUID={study}", "SeriesInstanceUID")
        assert values(output, "SeriesInstanceUID") == [of_series] * 4

    @pytest.mark.parametrize("level", ["STUDY", "SERIES", "IMAGE"])
    def test_answers_without_end(self, scripted: ScriptedScanner, level: str, tmp_path: Path) -> None:
        study, of_series = names_of(scripted)
        keyword = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}[level]
        keys_of_level = [] if level == "STUDY" else [f"StudyInstanceUID={study}"]
        keys_of_level += [f"SeriesInstanceUID={of_series}"] if level == "IMAGE" else []
        scripted.script = Script(endless={level}, most_answers={level: 500})
        output = findscu(scripted, level, *keys_of_level, *([] if level == "STUDY" else [keyword]), "PatientID")
        assert len(set(values(output, keyword))) == 500
        scripted.script = Script(endless={level})
        with (tmp_path / "output").open("wb") as file:
            asking = subprocess.Popen(
                [
                    *("findscu", "-v", "-S", "-aec", "SCANNER", *keys((f"QueryRetrieveLevel={level}", *keys_of_level))),
                    *(scripted.host, str(scripted.port)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
            wait_until(lambda: b"Find Response: 1000 " in (tmp_path / "output").read_bytes())
            assert asking.poll() is None
            asking.kill()
            asking.wait()
        # It notices, and serves others.
        scripted.script = Script()
        assert "Final Find Response (Success)" in findscu(scripted, "STUDY")

    def test_keys_that_are_ignored(self, scripted: ScriptedScanner, tmp_path: Path) -> None:
        (study, _), other = names_of(scripted), uid()
        paths = mr_series(
            tmp_path / "other",
            study_instance_uid=other,
            series_instance_uid=uid(),
            images=1,
            attributes={"StudyDescription": "KNEE left", "StudyDate": "20250102"},
        )
        scripted.studies |= by_study(paths)

        def found(*asked: str) -> set[str]:
            return set(values(findscu(scripted, "STUDY", "StudyInstanceUID", *asked), "StudyInstanceUID"))

        assert found() == {study, other}
        for asked in ("StudyDescription=*knee*", "StudyDate=20250101-20250201", "StudyDate=-20250201"):
            scripted.script.ignores_keys = False
            assert found(asked) == {other}
            scripted.script.ignores_keys = True
            assert found(asked) == {study, other}
        scripted.script.ignores_keys = False
        assert found("PatientID=NOBODY") == set()
        assert found("StudyDate=20260131") == {study}
        assert found(f"StudyInstanceUID={other}") == {other}

    def test_modalities(self, scripted: ScriptedScanner) -> None:
        study, of_series = names_of(scripted)
        asked = (f"StudyInstanceUID={study}", "Modality")
        assert values(findscu(scripted, "SERIES", *asked), "Modality") == ["MR"]
        scripted.script = Script(modalities={of_series: "SR"})
        assert values(findscu(scripted, "SERIES", *asked), "Modality") == ["SR"]
        scripted.script = Script(modalities={of_series: None})
        output = findscu(scripted, "SERIES", *asked)
        assert "Find Response: 1 (" in output and values(output, "Modality") == []

    def test_one_association_at_a_time(self, scripted: ScriptedScanner) -> None:
        scripted.script = Script(most_associations=1, find_silence=600)
        with subprocess.Popen(
            ["findscu", "-S", "-aec", "SCANNER", "-k", "QueryRetrieveLevel=STUDY", scripted.host, str(scripted.port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as asking:
            wait_until(lambda: scripted.asked)
            assert "Local Limit Exceeded" in findscu(scripted, "STUDY")
            asking.kill()
        scripted.script.find_silence = 0
        wait_until(lambda: "Final Find Response (Success)" in findscu(scripted, "STUDY"))


class TestReceiver:
    def store(self, receiver: StorescpReceiver, paths: list[Path]) -> None:
        arguments = ["storescu", "-aec", receiver.ae_title, receiver.host, str(receiver.port)]
        assert run(*arguments, *map(str, paths))[0] == 0

    def test_what_arrives_is_linked(self, receiver: StorescpReceiver, series: list[Path]) -> None:
        self.store(receiver, series)
        receiver.wait_until_linked(4)
        links = receiver.linked()
        assert [link.relative_to(receiver.raw).parts[2] for link in links] == [path.name for path in series]
        assert all(link.readlink().parent == receiver.archive for link in links)
        assert_same_images(series, links[0].parent)

    def test_it_can_lag(self, receiver: StorescpReceiver, series: list[Path]) -> None:
        receiver.hold()
        self.store(receiver, series[:2])
        time.sleep(0.2)
        assert len(receiver.arrived()) == 2 and receiver.linked() == []
        receiver.release()
        receiver.wait_until_linked(2)
        receiver.delay = 600
        self.store(receiver, series[2:])
        time.sleep(0.2)
        assert len(receiver.linked()) == 2
        receiver.delay = 0.5
        receiver.wait_until_linked(4)

    def test_half_a_file_is_not_linked(self, receiver: StorescpReceiver, series: list[Path]) -> None:
        whole = series[0].read_bytes()
        half = receiver.archive / "MR.half"
        for length in (0, 100, 700, len(whole) - 8204, len(whole) - 1):
            half.write_bytes(whole[:length])
            time.sleep(0.1)
            assert receiver.linked() == []
        half.write_bytes(whole)
        receiver.wait_until_linked(1)

    @pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
    @pytest.mark.parametrize("kind", KINDS)
    def test_a_file_cut_anywhere_is_not_whole(self, tmp_path: Path, kind: Kind) -> None:
        (path,) = compressed_series(tmp_path, kind=kind, study_instance_uid=uid(), series_instance_uid=uid(), images=1)
        whole = path.read_bytes()
        for length in [*range(0, len(whole), 29), *range(len(whole) - 20, len(whole))]:
            path.write_bytes(whole[:length])
            assert whole_image(path) is None, length

    def test_an_image_that_is_sent_again_keeps_its_link(self, receiver: StorescpReceiver, series: list[Path]) -> None:
        self.store(receiver, series)
        receiver.wait_until_linked(4)
        before = [link.readlink() for link in receiver.linked()]
        self.store(receiver, series)
        time.sleep(0.2)
        assert len(receiver.arrived()) == 8
        assert [link.readlink() for link in receiver.linked()] == before

    def test_it_goes_on_after_a_stop(self, receiver: StorescpReceiver, series: list[Path]) -> None:
        receiver.hold()
        self.store(receiver, series[:2])
        receiver.stop()
        receiver.release()
        receiver.start()
        self.store(receiver, series[2:])
        receiver.wait_until_linked(4)
