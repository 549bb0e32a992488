"""Receiving one large series, and many small ones, against the raw tools into an empty folder."""

import os
import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.benchmarks.data import AE_TITLE, Lab, Scanner, Study, a_pass, query_files, raw_environment, study
from tests.benchmarks.harness import Ran, Row, Sample, cpu, in_turn, must, run, wall
from tests.support.dcmqrscp import Dcmqrscp
from tests.support.orthanc import Orthanc
from tests.support.ports import free_port, is_listening
from tests.support.site import Site, wait_until

_IMAGES = 300
_MANY_IMAGES = 2000
_ROWS = 256
# 14 s each: two tell enough.
_ROUNDS_AS_IT_COMES = 2
# Lists the images of each series, in one association, if that is wanted; starts a storescp, waits until it listens, has
# each query file sent by a movescu of its own, and ends it.
_STORESCP = """
set -e
{ask} -S {names} -X -od {answers} {address} {lists}
storescp --fork +xa -pm +B +uf -dhl -od {folder} {port} &
until grep -q ":{port:04X} 00000000:0000 0A" /proc/net/tcp; do sleep 0.01; done
for query in {queries}; do movescu -S {names} -aem {ae_title} {address} "$query"; done
kill $!
wait $! || true
"""


class _Bench:
    """A scanner with one study, and every way to have that sent."""

    def __init__(self, lab: Lab, kind: type[Scanner], held: Study, *, tcp_nodelay: bool = False) -> None:
        """With `tcp_nodelay` the scanner sends at once what a scanner as it comes holds back for 40 ms."""
        self._lab = lab
        self._held = held
        self._port = free_port()
        self.scanner = lab.scanner(kind, [held], self._port, tcp_nodelay=tcp_nodelay)
        series = [{"StudyInstanceUID": held.uid, "SeriesInstanceUID": uid} for uid in held.series]
        self._queries = query_files(lab.folder("queries"), [{"QueryRetrieveLevel": "SERIES", **one} for one in series])
        self._lists = query_files(
            lab.folder("queries"), [{"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": "", **one} for one in series]
        )
        self._variables = raw_environment(Site(lab.folder("site")))
        self._variables_as_it_comes = raw_environment(Site(lab.folder("site")), tcp_nodelay=False)

    def ours(self, *, ended: bool) -> Ran:
        """One pass of a new site; with an ended procedure the request is closed in it: check by name, sync."""
        site = Site(self._lab.folder("site"), scanner_port=self.scanner.port, receive_port=self._port)
        site.request(self._held.uid)
        site.mpps(self._held.uid, ended=ended)
        self._wait_for_port()
        ran = a_pass(site, "--receive", "--settle", "0")
        self._check((site.data / "site" / "raw").rglob("*"))
        where = site.requests_in("finished-scans" if ended else "active-scans")
        must(where == [self._held.uid], f"the request is not where it should be: {site.log()[-2000:]}")
        shutil.rmtree(site.root)
        return ran

    def raw(self, *, tcp_nodelay: bool = True) -> Ran:
        """One movescu with all query files."""
        folder = self._empty_folder()
        variables = self._variables if tcp_nodelay else self._variables_as_it_comes
        receive = ["-aem", AE_TITLE, "+P", str(self._port), "-od", str(folder)]
        ran = run(["movescu", "-S", *self._names(), *receive, *self._address(), *self._queries], variables)
        self._check(folder.iterdir())
        shutil.rmtree(folder)
        return ran

    def raw_storescp(self, *, lists: bool = False) -> Ran:
        """One storescp with our options, and one movescu for each query file; with `lists` one findscu before it, which
        asks which images each series has.
        """
        folder = self._empty_folder()
        answers = self._empty_folder()
        script = _STORESCP.format(
            ask="findscu" if lists else "true",
            answers=shlex.quote(str(answers)),
            lists=shlex.join(self._lists),
            folder=shlex.quote(str(folder)),
            port=self._port,
            queries=shlex.join(self._queries),
            names=shlex.join(self._names()),
            ae_title=AE_TITLE,
            address=shlex.join(self._address()),
        )
        ran = run(["bash", "-c", script], self._variables)
        self._check(folder.iterdir())
        must(len(list(answers.iterdir())) == lists * len(self._held.paths), "not every image was listed")
        shutil.rmtree(folder)
        shutil.rmtree(answers)
        return ran

    def pynetdicom(self) -> Ran:
        """pynetdicom's movescu, which takes one query file."""
        folder = self._empty_folder()
        receive = ["-aem", AE_TITLE, "--store", "--store-port", str(self._port), "--store-aet", AE_TITLE]
        query = ["-f", self._queries[0], "-od", str(folder)]
        program = [sys.executable, "-m", "pynetdicom", "movescu", "-S"]
        ran = run([*program, *self._names(), *receive, *query, *self._address()], self._variables_as_it_comes)
        self._check(folder.iterdir())
        shutil.rmtree(folder)
        return ran

    def _names(self) -> list[str]:
        return ["-aet", AE_TITLE, "-aec", self.scanner.ae_title]

    def _address(self) -> list[str]:
        return [self.scanner.host, str(self.scanner.port)]

    def _empty_folder(self) -> Path:
        folder = self._lab.folder("received")
        folder.mkdir()
        self._wait_for_port()
        return folder

    def _wait_for_port(self) -> None:
        wait_until(lambda: not is_listening(self._port))
        # What was written before is not written to the disk in the middle of the next one's time.
        os.sync()

    def _check(self, paths: Iterable[Path]) -> None:
        """Every image came, and none is smaller than its pixels."""
        files = [path for path in paths if path.is_file()]
        wanted = len(self._held.paths)
        must(len(files) == wanted, f"{len(files)} of {wanted} images came")
        smallest = min(path.stat().st_size for path in files)
        least = min(path.stat().st_size for path in self._held.paths) - 1024
        must(smallest >= least, f"an image that came has {smallest} bytes, not {least}")


def _large_series(lab: Lab, images: int) -> Study:
    """One series of this many images of 131 KB."""
    pixels = (bytes(range(256)) * (2 * _ROWS * _ROWS // 256))[: 2 * _ROWS * _ROWS]
    return study(lab.folder("studies"), 1, images, Rows=_ROWS, Columns=_ROWS, PixelData=pixels)


def rows_of_one_series(lab: Lab) -> list[Row]:
    bench = _Bench(lab, Dcmqrscp, _large_series(lab, _IMAGES))
    bench.raw()
    ran = in_turn(
        lab.rounds,
        {
            "closed": lambda: bench.ours(ended=True),
            "raw": bench.raw,
            "ours": lambda: bench.ours(ended=False),
            "storescp": bench.raw_storescp,
            "pynetdicom": bench.pynetdicom,
        },
    )
    slow = in_turn(min(lab.rounds, _ROUNDS_AS_IT_COMES), {"raw": lambda: bench.raw(tcp_nodelay=False)})
    bench.scanner.stop()
    ours, faster = wall(ran["ours"]), _faster(ran["raw"], ran["storescp"])
    raw = "the faster of raw movescu +P and raw storescp + movescu, TCP_NODELAY=1"
    what = f"1 series of {_IMAGES} images of 131 KB, dcmqrscp"
    return [
        Row("series", f"{what}: retrieved and filed", ours, raw, faster, 1.25),
        Row("series", f"{what}: and closed", wall(ran["closed"]), raw, faster),
        Row("series", f"{what}: times faster", ours, "raw movescu +P as it comes", wall(slow["raw"]), 5, faster=True),
        Row("series", f"{what}: times faster", ours, "pynetdicom movescu", wall(ran["pynetdicom"]), 1, faster=True),
        Row("series", f"{what}: CPU with children", cpu(ran["ours"]), "raw movescu's CPU", cpu(ran["raw"])),
    ]


def rows_of_many_images(lab: Lab) -> list[Row]:
    """What each image costs in a series of 2,000, against one of 300."""
    few, many = (_Bench(lab, Dcmqrscp, _large_series(lab, images)) for images in (_IMAGES, _MANY_IMAGES))
    ran = in_turn(lab.rounds, {"many": lambda: many.ours(ended=False), "few": lambda: few.ours(ended=False)})
    for bench in (few, many):
        bench.scanner.stop()
    each_of_many, each_of_few = _each(ran["many"], _MANY_IMAGES), _each(ran["few"], _IMAGES)
    what = f"1 series of {_MANY_IMAGES} images of 131 KB, dcmqrscp: for each image"
    return [Row("many", what, each_of_many, f"the same with {_IMAGES} images", each_of_few, 1.1)]


def _faster(one: Sequence[Ran], other: Sequence[Ran]) -> Sample:
    """The faster side in each round."""
    return Sample(tuple(min(two.seconds for two in pair) for pair in zip(one, other, strict=True)))


def _each(ran: Sequence[Ran], images: int) -> Sample:
    """The milliseconds for each image."""
    return Sample(tuple(one.seconds * 1000 / images for one in ran), "ms")


def rows_of_small_series(lab: Lab) -> list[Row]:
    return [*_rows_of_small_series(lab, Dcmqrscp, 20), *_rows_of_small_series(lab, Dcmqrscp, 50)]


def rows_of_small_series_of_orthanc(lab: Lab) -> list[Row]:
    return _rows_of_small_series(lab, Orthanc, 50)


def rows_of_small_series_of_a_quick_scanner(lab: Lab) -> list[Row]:
    """What is left of the time when the scanner does not hold back what it sends: how much of it is the scanner's."""
    bench = _Bench(lab, Dcmqrscp, study(lab.folder("studies"), 20, 5), tcp_nodelay=True)
    ran = in_turn(lab.rounds, {"ours": lambda: bench.ours(ended=False), "raw": bench.raw})
    bench.scanner.stop()
    what = "20 series of 5 images, Dcmqrscp with TCP_NODELAY=1"
    return [Row("small-quick", what, wall(ran["ours"]), "raw movescu +P, 20 query files", wall(ran["raw"]), 0.3)]


def _rows_of_small_series(lab: Lab, kind: type[Scanner], series: int) -> list[Row]:
    bench = _Bench(lab, kind, study(lab.folder("studies"), series, 5))
    # Orthanc counts the images of a series, so we ask it for no lists.
    lists = kind is not Orthanc
    ran = in_turn(
        lab.rounds,
        {
            "ours": lambda: bench.ours(ended=False),
            "raw": bench.raw,
            "storescp": bench.raw_storescp,
            "asked": lambda: bench.raw_storescp(lists=lists),
        },
    )
    bench.scanner.stop()
    what = f"{series} series of 5 images, {kind.__name__}"
    ours, raw, storescp, asked = ran.values()
    with_lists = "the same, after the questions that we ask"
    return [
        Row("small", what, wall(ours), f"raw movescu +P, {series} query files", wall(raw), 0.3),
        Row("small", what, wall(ours), "raw storescp --fork, a movescu for each series", wall(storescp), 1.5),
        Row("small", what, wall(ours), with_lists, wall(asked)),
        Row(
            "small",
            f"{what}: raw, after our questions",
            wall(asked),
            f"raw movescu +P, {series} query files",
            wall(raw),
        ),
        Row("small", f"{what}: CPU with children", cpu(ours), "raw movescu's CPU", cpu(raw)),
    ]
