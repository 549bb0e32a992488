"""The live table of `move` on a terminal: studies and series with their progress while images arrive."""

import threading
from types import TracebackType
from typing import Self

from rich import box
from rich.live import Live
from rich.table import Table
from rich.text import Text

from scanner_mover.display.terminal import bar, console, plain_text
from scanner_mover.scanner.progress import Progress
from scanner_mover.text import out_of

_BAR_WIDTH = 20
_MOST_ROWS = 20


class _Series:
    def __init__(self) -> None:
        self.received = 0
        self.expected: int | None = None
        self.state = Text()


class LiveTable(Progress):
    """Shows what a pass works on. It is gone at the end of the `with`, where the summary takes its place."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str], _Series] = {}
        self._retrieved: _Series | None = None
        self._changing = threading.Lock()
        self._live = Live(get_renderable=self._table, console=console(), transient=True, refresh_per_second=8)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def counted(
        self, study_instance_uid: str, series_instance_uid: str, received: int, expected: int | None, complete: bool
    ) -> None:
        """A series was counted."""
        with self._changing:
            series = self._series.setdefault((study_instance_uid, series_instance_uid), _Series())
            series.received, series.expected = received, expected
            series.state = Text("complete", "green") if complete else Text("incomplete", "yellow")

    def retrieving(self, study_instance_uid: str, series_instance_uid: str) -> None:
        """A C-MOVE of a series begins."""
        with self._changing:
            self._retrieved = self._series.setdefault((study_instance_uid, series_instance_uid), _Series())
            self._retrieved.state = Text("retrieving", "cyan")

    def image(self) -> None:
        """One more image of the series that is retrieved."""
        with self._changing:
            if self._retrieved is not None:
                self._retrieved.received += 1

    def _table(self) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("study", overflow="fold", style="cyan")
        table.add_column("series", overflow="fold")
        table.add_column("images", no_wrap=True, justify="right")
        table.add_column("", width=_BAR_WIDTH)
        table.add_column("", no_wrap=True)
        with self._changing:
            for (study, uid), series in list(self._series.items())[-_MOST_ROWS:]:
                images = out_of(series.received, series.expected)
                shown = bar(series.received, series.expected, _BAR_WIDTH)
                table.add_row(plain_text(study), plain_text(uid), images, shown, series.state)
        return table
