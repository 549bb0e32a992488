"""The screen of `status`: what needs attention first and in red, then the rest. On a terminal, and as a page."""

from collections.abc import Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from scanner_mover.display import plain
from scanner_mover.display.tables import STYLES
from scanner_mover.display.terminal import NARROW, bar_text, console, show
from scanner_mover.text import printable
from scanner_mover.transfer.overview import FailedRequest, Overview, RequestStatus

# So many columns are kept for what a request waits for: the missing images and the time of the next try. The columns
# that matter least go first.
_ROOM_FOR_WORDS = 40
_LEAST_FIRST = ("bar", "series", "procedure", "state")
# On a screen narrower than this many columns, what a request waits for has a line of its own.
_VERY_NARROW = 70
_BAR_WIDTH, _SHORT_BAR_WIDTH = 8, 4
_ATTENTION = "bold red"
_GAP = 2


def show_overview(overview: Overview) -> None:
    """Print the screen of OVERVIEW."""
    show(screen(overview, console()))


def screen(overview: Overview, on: Console, *, whole: bool = False) -> Group:
    """The whole screen, laid out for the width of the console ON.

    A request has one line, two on a narrow terminal, and what it waits for may be cut there; with WHOLE it is not cut.
    """
    lines: list[RenderableType] = [*_head(overview)]
    if overview.failed_requests:
        lines += [Text(), *_failed(overview.failed_requests, on.width)]
    if overview.requests:
        rows = [_cells(request, overview.looked_at, on, whole) for request in overview.requests]
        lines += [Text(), *([_table(rows, on.width)] if on.width >= NARROW else _list(rows, on.width))]
    return Group(*lines)


def _head(overview: Overview) -> Iterator[Text]:
    switched, last_pass, *others = plain.head(overview)
    hangs = printable(overview.hangs) if overview.hangs else None
    for fault in plain.faults(overview):
        yield Text(fault, style=_ATTENTION)
    yield Text(switched, style={True: "bold green", False: "bold yellow", None: _ATTENTION}[overview.enabled])
    went_well = overview.state.exit_status == 0 and overview.last_pass_age_seconds is not None
    yield Text(last_pass, style="" if went_well else "red")
    for line in others:
        yield Text(line, style=_ATTENTION if line == hangs else "")


def _failed(failed: Sequence[FailedRequest], width: int) -> Iterator[RenderableType]:
    """The failed requests with their whole reasons: beside their UIDs, or below them on a narrow terminal."""
    yield Text(plain.FAILED_COLUMNS[0], style="bold")
    table = Table.grid(padding=(0, _GAP))
    table.add_column(no_wrap=True)
    for row in map(plain.failed_cells, failed):
        study, at, why = Text(row[0], style="cyan", overflow="fold"), row[1], Text(row[2], style="red", overflow="fold")
        if width >= NARROW:
            table.add_row(study, at, why)
        else:
            yield study
            yield _indented(Text.assemble(at, " " * _GAP, why))
    if width >= NARROW:
        yield table


def _cells(request: RequestStatus, now: float, on: Console, whole: bool) -> dict[str, Text]:
    """The cells of one request by the names of their columns."""
    texts = dict(zip(plain.COLUMNS, plain.cells(request, now), strict=True))
    series = request.report.series
    expected = [one.expected for one in series]
    total = None if None in expected else sum(one or 0 for one in expected)
    bar_width = _SHORT_BAR_WIDTH if _VERY_NARROW <= on.width < NARROW else _BAR_WIDTH
    red = _ATTENTION if request.needs_attention else ""
    waits_for = Text(texts["waits for"], style=red)
    waits_for.no_wrap, waits_for.overflow = not whole, "fold" if whole else "ellipsis"
    return {
        **{name: Text(text) for name, text in texts.items()},
        "study": Text(texts["study"], style=red or "cyan", overflow="fold"),
        "bar": bar_text(on, sum(one.received for one in series), total, bar_width),
        "state": Text(texts["state"], style=STYLES[request.report.outcome]),
        "waits for": waits_for,
    }


def _table(rows: Sequence[dict[str, Text]], width: int) -> Table:
    """One line for each request, with a heading."""
    names = ["study", "age", "procedure", "series", "bar", "images", "state", "waits for"]
    for name in _LEAST_FIRST:
        taken = sum(max(len(one), *(row[one].cell_len for row in rows)) + _GAP for one in names[:-1])
        if width - taken < _ROOM_FOR_WORDS:
            names.remove(name)
    table = Table.grid(padding=(0, _GAP))
    for name in names:
        table.add_column(no_wrap=name != "waits for")
    table.add_row(*(Text("" if name == "bar" else name, style="bold") for name in names))
    for row in rows:
        table.add_row(*(row[name] for name in names))
    return table


def _list(rows: Sequence[dict[str, Text]], width: int) -> Iterator[RenderableType]:
    """The UID of each request in a line of its own, with the age where it has room, and the rest below it."""
    yield Text("requests", style="bold")
    names = ["state", "procedure", "bar", "images"] if width >= _VERY_NARROW else ["age", "state", "bar", "images"]
    widths = {name: max(row[name].cell_len for row in rows) for name in names}
    if width >= _VERY_NARROW and width - sum(widths.values()) - _GAP * (1 + len(names)) < _ROOM_FOR_WORDS:
        names.remove("bar")
    for row in rows:
        cells = []
        for name in names:
            cells.append(row[name].copy())
            cells[-1].pad_right(widths[name] - row[name].cell_len)
        line = Text(" " * _GAP).join(cells)
        if width >= _VERY_NARROW:
            yield Text.assemble(row["study"], " " * _GAP, row["age"], overflow="fold")
            beside = Table.grid(padding=(0, _GAP))
            beside.add_column(no_wrap=True)
            beside.add_row(line, row["waits for"])
            yield _indented(beside)
        else:
            line.rstrip()
            yield row["study"]
            yield _indented(line)
            waits_for = row["waits for"].copy()
            waits_for.no_wrap, waits_for.overflow = False, "fold"
            yield _indented(waits_for)


def _indented(what: RenderableType) -> Padding:
    return Padding(what, (0, 0, 0, _GAP))
