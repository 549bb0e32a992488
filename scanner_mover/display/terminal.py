"""The console of rich that everything on a terminal goes through, and the bars on it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn
from rich.progress_bar import ProgressBar
from rich.text import Text

from scanner_mover.display.output import put
from scanner_mover.text import printable

#: On a screen narrower than this many columns a table would tear words apart: each row gets lines of its own.
NARROW = 120

_REFRESHES_A_SECOND = 4


def console(*, error: bool = False) -> Console:
    """A console on standard output; with ERROR on standard error."""
    return Console(stderr=error, highlight=False)


def show(*renderables: RenderableType, soft_wrap: bool = False) -> None:
    """Print RENDERABLES to standard output, all of them in one piece; with SOFT_WRAP the terminal breaks long lines."""
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

    def __init__(self, done: Callable[[], int], screen: Console) -> None:
        self._done = done
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}"))
        super().__init__(*columns, console=screen, transient=True, refresh_per_second=_REFRESHES_A_SECOND)

    def get_renderables(self) -> Iterable[RenderableType]:
        for task in self.tasks:
            self.update(task.id, completed=self._done())
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
    with _Polled(done, screen) as shown:
        shown.add_task(description, total=total)
        yield
