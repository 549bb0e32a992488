"""A pass over 200 requests, 2 series each, all images here, 1,000 MPPS files, against one raw findscu."""

from pathlib import Path

from tests.benchmarks.data import (
    AE_TITLE,
    Lab,
    Scanner,
    Study,
    a_waiting_pass,
    query_files,
    raw_environment,
    waiting_site,
)
from tests.benchmarks.data import studies as make_studies
from tests.benchmarks.harness import Ran, Row, cpu, in_turn, must, run, wall
from tests.support.dcmqrscp import Dcmqrscp
from tests.support.orthanc import Orthanc
from tests.support.site import Site

_REQUESTS = 200
_SERIES = 2
_MPPS_FILES = 1000


def rows(lab: Lab) -> list[Row]:
    studies = make_studies(lab.folder("studies"), _REQUESTS, _SERIES, 1)
    queries = query_files(
        lab.folder("queries"),
        [
            {
                "QueryRetrieveLevel": "SERIES",
                "StudyInstanceUID": study.uid,
                "SeriesInstanceUID": "",
                "ImagesInAcquisition": None,
                "NumberOfSeriesRelatedInstances": None,
            }
            for study in studies
        ],
    )
    rows = []
    for kind, most_wall, most_cpu in ((Orthanc, 1.15, 1.5), (Dcmqrscp, 3.2, 3.0)):
        rows += _rows(lab, kind, studies, queries, most_wall, most_cpu)
    return rows


def _rows(
    lab: Lab, kind: type[Scanner], studies: list[Study], queries: list[str], most_wall: float, most_cpu: float
) -> list[Row]:
    scanner = lab.scanner(kind, studies)
    site = waiting_site(lab.folder("site"), scanner, studies, _MPPS_FILES)
    raw = f"findscu -S, {_REQUESTS} query files"
    what = f"{_REQUESTS} requests, {kind.__name__}"
    first = a_waiting_pass(site, studies)
    ran = in_turn(
        lab.rounds,
        {
            "ours": lambda: a_waiting_pass(site, studies),
            "raw": lambda: _findscu(site, scanner, queries),
        },
    )
    # How ours asks; a person at a terminal would rather have the answers as text. It takes as long.
    to_files = in_turn(1, {"raw": lambda: _findscu(site, scanner, queries, lab.folder("answers"))})
    scanner.stop()
    ours, theirs = ran["ours"], ran["raw"]
    return [
        Row("asking", what, wall(ours), f"raw {raw}", wall(theirs), most_wall),
        Row("asking", f"{what}, the same", wall(ours), f"raw {raw}, -X -od DIR", wall(to_files["raw"])),
        Row("asking", f"{what}, CPU with children", cpu(ours), mark=most_cpu),
        Row("asking", f"{what}, CPU, raw findscu", cpu(theirs)),
        Row("asking", f"{what}, the first pass", wall([first])),
        Row("asking", f"{what}, the first pass, CPU", cpu([first])),
    ]


def _findscu(site: Site, scanner: Scanner, queries: list[str], answers: Path | None = None) -> Ran:
    output = []
    if answers is not None:
        answers.mkdir()
        output = ["-X", "-od", str(answers)]
    address = ["-aet", AE_TITLE, "-aec", scanner.ae_title, scanner.host, str(scanner.port)]
    ran = run(["findscu", "-v", "-S", *output, *address, *queries], raw_environment(site))
    finals = ran.output.count("Final Find Response")
    must(finals == len(queries), f"raw findscu had {finals} of {len(queries)} queries answered")
    found = sum(ran.output.count(text) for text in ("I: Find Response: ", "I: Received Find Response "))
    must(found == _SERIES * len(queries), f"raw findscu found {found} of {_SERIES * len(queries)} series")
    return ran
