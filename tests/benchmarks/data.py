"""The data of the benchmarks, made once for each run: studies, scanners that hold them, sites that request them.

Many studies are copies of one with other UIDs of the same length, byte for byte replaced: pydicom would take minutes.
"""

import contextlib
import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.harness import Ran, must, run
from tests.support import objects
from tests.support.dcmqrscp import Dcmqrscp
from tests.support.orthanc import Orthanc
from tests.support.ports import free_port
from tests.support.site import BIN, Site

AE_TITLE = "MOVER"
Scanner = Dcmqrscp | Orthanc

# Of one length, so that bytes can be replaced.
_first_number = itertools.count(1_000_000, 100_000)


@dataclass(frozen=True)
class Study:
    """A study: its UID and, for each SeriesInstanceUID, the files."""

    uid: str
    series: dict[str, list[Path]]

    @property
    def paths(self) -> list[Path]:
        return [path for images in self.series.values() for path in images]


def study(folder: Path, series: int, images: int, **attributes: Any) -> Study:
    """One study with this many series of this many images; `attributes` as in `objects.mr_series`."""
    uid = f"{objects.uid()}.{next(_first_number)}"
    made = Study(uid, {})
    for number in range(101, 101 + series):
        series_instance_uid = f"{uid}.{number}"
        made.series[series_instance_uid] = objects.mr_series(
            folder / series_instance_uid,
            study_instance_uid=uid,
            series_instance_uid=series_instance_uid,
            images=images,
            first_instance_number=1001,
            attributes=attributes,
        )
    return made


def studies(folder: Path, number: int, series: int, images: int) -> list[Study]:
    """So many studies, all alike but for their UIDs."""
    first = study(folder, series, images)
    prefix, _, last = first.uid.rpartition(".")
    made = [first]
    for other in range(int(last) + 1, int(last) + number):
        uid = f"{prefix}.{other}"
        copy = Study(uid, {})
        for series_instance_uid, paths in first.series.items():
            new = series_instance_uid.replace(first.uid, uid)
            (folder / new).mkdir()
            copy.series[new] = [folder / new / path.name.replace(first.uid, uid) for path in paths]
            for path, target in zip(paths, copy.series[new], strict=True):
                target.write_bytes(path.read_bytes().replace(first.uid.encode(), uid.encode()))
        made.append(copy)
    return made


def mpps_files(site: Site, requested: Sequence[Study], in_all: int) -> None:
    """So many MPPS files: the requested studies' procedures are in progress, the others are of studies long gone."""
    uids = [one.uid for one in requested]
    prefix, _, last = f"{objects.uid()}.{next(_first_number)}".rpartition(".")
    others = [f"{prefix}.{int(last) + number}" for number in range(in_all - len(uids))]
    for group, ended in ((uids, False), (others, True)):
        if group:
            first = site.mpps(group[0], ended=ended).read_bytes()
            for uid in group[1:]:
                path = site.data / "scanner" / f"{uid}.mpps"
                path.write_bytes(first.replace(group[0].encode(), uid.encode()))
    # As those of a site, they did not change a moment ago.
    for path in (site.data / "scanner").iterdir():
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 3600))


def waiting_site(root: Path, scanner: Scanner, requested: Sequence[Study], mpps: int) -> Site:
    """A site that requested these studies and has all their images; their procedures go on, so nothing is closed."""
    site = Site(root, scanner_port=scanner.port)
    for one in requested:
        for series_instance_uid, paths in one.series.items():
            folder = site.series(one.uid, series_instance_uid)
            folder.mkdir(parents=True)
            for path in paths:
                os.link(path, folder / path.name)
        site.request(one.uid)
    mpps_files(site, requested, mpps)
    return site


def a_pass(site: Site, *arguments: str, program: str = "scanner-mover", peak: bool = False) -> Ran:
    """One pass of the installed program; NotTheSameWorkError unless it ends with 0."""
    command = ["move", *arguments] if program == "scanner-mover" else list(arguments)
    return run([str(BIN / program), *command], site.environment, peak=peak)


def a_waiting_pass(site: Site, requested: Sequence[Study], *, peak: bool = False) -> Ran:
    """One pass over everything that a `waiting_site` requested; afterwards it is checked that nothing was left out."""
    said = site.log().count("PROCESS: ")
    ran = a_pass(site, peak=peak)
    must(site.log().count("PROCESS: ") - said == len(requested), f"a pass over {len(requested)} requests left some out")
    status = json.loads(site.mover("status", "--json").stdout)
    known = {one["study"]: one for one in status["requests"]}
    must(status["last_pass"]["exit_status"] == 0, f"the pass ended with {status['last_pass']}")
    for wanted in requested:
        counts = {one["series"]: (one["expected"], one["received"]) for one in known[wanted.uid]["series"]}
        right = {series: (len(paths), len(paths)) for series, paths in wanted.series.items()}
        must(counts == right, f"{wanted.uid}: the pass counted {counts}, and there are {right}")
        must(known[wanted.uid]["procedure"] == "in progress", f"{wanted.uid} has another procedure state")
    return ran


def raw_environment(site: Site, *, tcp_nodelay: bool = True) -> dict[str, str]:
    """What a person's shell gives to a raw tool: the site's PATH, and TCP_NODELAY if that is asked for."""
    variables = dict(site.environment)
    return {**variables, "TCP_NODELAY": "1"} if tcp_nodelay else variables


def query_files(folder: Path, queries: Sequence[dict[str, str]]) -> list[str]:
    """Query files for the raw tools, made by pydicom (not measured): each of {keyword: value}."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    folder.mkdir(parents=True)
    names = []
    for number, query in enumerate(queries):
        data_set = Dataset()
        for keyword, value in query.items():
            setattr(data_set, keyword, value)
        data_set.file_meta = FileMetaDataset()
        data_set.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.2.2.1"
        data_set.file_meta.MediaStorageSOPInstanceUID = objects.uid()
        data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        path = folder / f"{number:04}.dcm"
        data_set.save_as(path, enforce_file_format=True)
        names.append(str(path))
    return names


class Lab(contextlib.ExitStack):
    """What one group gets: a folder of its own, the number of rounds, and servers that end with it.

    `hour`: the idle daemon is watched for a real hour.
    """

    def __init__(self, folder: Path, rounds: int, *, hour: bool = False) -> None:
        super().__init__()
        self.rounds = rounds
        self.hour = hour
        self._folder = folder
        self._numbers = itertools.count(1)

    def folder(self, name: str) -> Path:
        """A folder that is not there yet."""
        return self._folder / f"{name}{next(self._numbers)}"

    def scanner(
        self, kind: type[Scanner], held: Sequence[Study], receive_port: int | None = None, *, tcp_nodelay: bool = False
    ) -> Scanner:
        """A real scanner that holds these studies and runs until the end; without TCP_NODELAY: as it comes."""
        folder = self.folder("scanner")
        destinations = {AE_TITLE: receive_port or free_port()}
        # What it is filled with is not measured, and need not wait 40 ms for each image.
        with kind(folder, destinations) as filled:
            filled.store([path for one in held for path in one.paths])
        return self.enter_context(kind(folder, destinations, tcp_nodelay=tcp_nodelay))
