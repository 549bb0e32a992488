"""The console of rich that everything on a terminal goes through, and the bars on it."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import TextIOBase
from typing import IO, cast

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn
from rich.progress_bar import ProgressBar
from rich.text import Text

from scanner_mover.display.output import give_up, put
from scanner_mover.text import printable

#: Below so many columns a table would tear its words apart: each row is written in lines of its own.
NARROW = 120

_REFRESHES_A_SECOND = 4


class _Sturdy(TextIOBase):
    """Standard output, or error; a terminal that was closed is given up, and what is shown on it is lost."""

    def __init__(self, error: bool) -> None:
        self._stream = sys.stderr if error else sys.stdout

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            give_up(self._stream)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            give_up(self._stream)

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()


def console(*, error: bool = False) -> Console:
    """A console on standard output; with `error` on standard error."""
    return Console(file=cast(IO[str], _Sturdy(error)), highlight=False)


def show(*renderables: RenderableType, soft_wrap: bool = False) -> None:
    """Print RENDERABLES to standard output, all of them in one piece.

    With `soft_wrap` the terminal breaks long lines, not rich. Raises UnusableError when they cannot be written.
    """
    screen = console()
    with screen.capture() as captured:
        for one in renderables:
            screen.print(one, soft_wrap=soft_wrap)
    put(captured.get())


def plain_text(text: str, style: str = "") -> Text:
    """TEXT from a file or a scanner as it is: no markup, and nothing that a terminal obeys."""
    return Text(printable(text), style=style)


def bar(received: int, expected: int | None, width: int) -> ProgressBar:
    """The bar of images RECEIVED of those EXPECTED; None: nobody knows how many."""
    return ProgressBar(
        total=expected or 1,
        completed=received if expected else 0,
        width=width,
        style="bright_black",
        complete_style="yellow",
        finished_style="green",
    )


def bar_text(screen: Console, received: int, expected: int | None, width: int) -> Text:
    """The same bar as a text, to stand in a line beside others."""
    segments = screen.render(bar(received, expected, width), screen.options.update_width(width))
    text = Text.assemble(*((one.text.rstrip("\n"), one.style or "") for one in segments))
    text.pad_right(width - text.cell_len)
    return text


class _Polled(Progress):
    """A progress display that asks how far the work is each time that it is drawn."""

    def __init__(self, description: str, total: int | None, done: Callable[[], int], screen: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}"))
        super().__init__(*columns, console=screen, transient=True, refresh_per_second=_REFRESHES_A_SECOND)
        self._done = done
        self._task = self.add_task(description, total=total)

    def get_renderables(self) -> Iterable[RenderableType]:
        self.update(self._task, completed=self._done())
        return super().get_renderables()


@contextmanager
def progress(description: str, total: int | None, done: Callable[[], int]) -> Iterator[None]:
    """Show a bar on a terminal while the `with` lasts; nothing in a pipe.

    DONE says how much of TOTAL (None: nobody knows) is done; it is called from another thread. The bar stands on
    standard error, so that standard output may be a file.
    """
    screen = console(error=True)
    if not screen.is_terminal:
        yield
        return
    with _Polled(description, total, done, screen):
        yield
