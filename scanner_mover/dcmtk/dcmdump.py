"""dcmdump: reads many DICOM files in one call, and the text that it prints.

What is printed with `+F +Qn -Un +p +P gggg,eeee` (dcmdump's man page): for each file a header line, then one line for
each element found, with the path of the sequences that it stands in. `+Qn` writes control and non-ASCII bytes as
`&#N;`, so a value never breaks a line.
"""

import enum
import math
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from scanner_mover.dcmtk.tool import Run, Toolbox, no_dictionary

# The kernel takes an argument list of 2 MB; names are far shorter than this allows.
_FILES_A_CALL = 1000
# Seconds without output after which a call is ended: one for many files, and one for a single file.
_CALL_STALL_SECONDS = 20.0
_FILE_STALL_SECONDS = 10.0
# At most this many seconds are spent on finding the files at which it stops; then the pass goes on.
_MOST_SECONDS = 80.0
# A pipe's buffer, 4,096 bytes, holds what dcmdump prints of fewer files than this.
_SUSPECTS = 100

OPTIONS = ("+F", "+Qn", "-Un", "+p")

_HEADER = re.compile(r"# dcmdump \(\d+/\d+\): (.*)")
_ELEMENT = re.compile(
    r" *(?P<path>(?:\([0-9a-f]{4},[0-9a-f]{4}\)\.)*)\((?P<tag>[0-9a-f]{4},[0-9a-f]{4})\) (?P<vr>[A-Za-z?]{2}) "
)
# Length, multiplicity and name, at the end of a line.
_COMMENT = re.compile(r"# +(?:[0-9]+|u/l), *[0-9]+ [^\[\]]*")
# What stands in the place of the name when dcmdump has no dictionary.
_NO_DICTIONARY = " Unknown Tag & Data"
_QUOTED = re.compile(r"&(?:#([0-9]{1,3})|(amp|lt|gt|quot|apos));")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


class Unread(enum.Enum):
    """Why a file could not be read to its end."""

    BROKEN = "dcmdump found that it is not whole, or is no DICOM file"
    TIMED_OUT = "dcmdump did not end"
    CRASHED = "dcmdump crashed"
    NOTHING_SAID = "dcmdump said nothing of it"


@dataclass(frozen=True)
class Element:
    """One element: the tags of the sequences around it, its own tag (`0020,000d`), VR and value.

    Each character of `text` stands for one byte of the value (decode with the file's character set); it is None
    for an element without a value. `cut` says that dcmdump did not print all of it.
    """

    path: tuple[str, ...]
    tag: str
    vr: str
    text: str | None
    cut: bool = False

    @property
    def values(self) -> tuple[str, ...]:
        """The single values, stripped of the padding of odd lengths (DICOM PS3.5 section 6.2)."""
        if self.text is None:
            return ()
        return tuple(value.strip(" \0") for value in self.text.split("\\"))


@dataclass
class Dump:
    """What dcmdump printed of one file; `error` when it could not read the file to its end, and why in `text`."""

    file: str
    elements: list[Element] = field(default_factory=list)
    error: Unread | None = None
    text: str = ""

    def all(self, tag: str, path: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The values of every element TAG that stands in the sequences PATH (none: at the top)."""
        return tuple(
            value for element in self.elements if (element.tag, element.path) == (tag, path) for value in element.values
        )

    def one(self, tag: str) -> str | None:
        """The value of TAG at the top: None when it is missing, empty, cut or multi-valued."""
        found = [element for element in self.elements if element.tag == tag and not element.path]
        if len(found) != 1 or found[0].cut or len(found[0].values) != 1:
            return None
        return found[0].values[0] or None

    def has_value(self, tag: str) -> bool:
        """Whether there is an element TAG at the top that is not empty; its value need not have been read."""
        return any(
            element.tag == tag and not element.path and (element.cut or element.text is not None)
            for element in self.elements
        )


def unquote(text: str) -> str:
    """TEXT as it was before dcmdump's `+Qn`: one character for each byte."""
    return _QUOTED.sub(lambda found: chr(int(found[1]) & 0xFF) if found[1] else _NAMED[found[2]], text)


def parse_element(line: str) -> Element | None:
    """The element that LINE of dcmdump's output shows; None for items, delimiters and anything else."""
    found = _ELEMENT.match(line)
    if found is None:
        return None
    end = line.rfind("#")
    value = line[found.end() : end if end >= 0 and _COMMENT.fullmatch(line, end) else None].strip()
    path = tuple(found["path"].replace("(", "").rstrip(".").rstrip(")").split(").")) if found["path"] else ()
    vr = found["vr"]
    if vr in ("SQ", "na", "pi") or value.startswith("(Sequence ") or value.startswith("(Item "):
        return None
    text: str | None = value
    cut = False
    if value in ("(no value available)", "(not loaded)", ""):
        text, cut = None, value == "(not loaded)"
    elif value.startswith("["):
        cut = not value.endswith("]")
        text = value[1:] if cut else value[1:-1]
    else:
        # Numbers and bytes are printed bare; a well-known UID without -Un is printed by its name.
        cut = value.endswith("...")
    return Element(path, found["tag"], vr, unquote(text) if text is not None else None, cut)


def parse(out: Iterable[str], err: Iterable[str]) -> list[Dump]:
    """The files in the OUT and ERR lines of one call with the header of `+F`, in the order of the call."""
    dumps: list[Dump] = []
    for line in out:
        header = _HEADER.fullmatch(line)
        if header is not None:
            dumps.append(Dump(header[1]))
        elif dumps:
            element = parse_element(line)
            if element is not None:
                dumps[-1].elements.append(element)
    complaints = [line for line in err if ": reading file: " in line]
    for dump in dumps:
        for line in complaints:
            if line.endswith(f": reading file: {dump.file}"):
                dump.error = Unread.BROKEN
                dump.text = line.removesuffix(f": reading file: {dump.file}").removeprefix("E: dcmdump: ")
    return dumps


def dump(
    tools: Toolbox,
    folder: str,
    names: Sequence[str],
    tags: Sequence[str],
    *,
    load_all: bool = True,
    small_dictionary: bool = False,
) -> list[Dump]:
    """Read the elements TAGS (`0020,000d`) of the files NAMES in FOLDER; `Dump.file` is the name.

    With `load_all` false long values, such as pixel data, are not read into memory: their text is None. With
    `small_dictionary` dcmdump knows the tags of this program only, which is three times as fast: for files in which
    nothing else counts.

    A file on which dcmdump crashes or hangs does not stop the others: it has an `error`, as has one that dcmdump cannot
    read. When several do and that takes too long, those that are left carry the error NOTHING_SAID. Raises
    UnusableError when dcmdump cannot run, or has no dictionary.
    """
    # +L: a shortened value may end inside an escape of +Qn. A damaged file of 64 MB can cause eight million warnings,
    # which take dcmdump 40 s instead of 3.
    options = [*OPTIONS, "-ll", "error", "+L" if load_all else "-M"]
    searches = [argument for tag in tags for argument in ("+P", tag)]

    def read(some: Sequence[str], seconds: float) -> tuple[list[Dump], Unread | None]:
        run = tools.run(
            "dcmdump",
            [*options, *searches, *(f"./{name}" for name in some)],
            folder=folder,
            stall_seconds=seconds,
            small_dictionary=small_dictionary,
        )
        if any(line.endswith(_NO_DICTIONARY) for line in run.out):
            raise no_dictionary()
        return _whole(run)

    # A name that is not text in our encoding cannot be an argument.
    found = _read_all(read, [name for name in names if _is_text(name)])
    return [found.get(name) or _unread(name, Unread.NOTHING_SAID) for name in names]


def _whole(run: Run) -> tuple[list[Dump], Unread | None]:
    """The files that dcmdump printed whole in RUN, in the order of the call, and what kept it from printing more."""
    dumps = parse(run.out, run.err)
    for one in dumps:
        one.file = one.file.removeprefix("./")
    if run.ended is None and run.exit_status >= 0:
        return dumps, None
    return dumps[:-1], Unread.CRASHED if run.ended is None else Unread.TIMED_OUT


def _read_all(
    read: Callable[[Sequence[str], float], tuple[list[Dump], Unread | None]], names: Sequence[str]
) -> dict[str, Dump]:
    """READ all of NAMES, many in one call; gives what was read from each.

    A call that does not end well loses what dcmdump had not yet written to its pipe. So the file at which it
    stopped is one of the next ones: they are read one by one, and the others together again.
    """
    found: dict[str, Dump] = {}
    left = list(names)
    deadline = math.inf
    while left and time.monotonic() < deadline:
        some = left[:_FILES_A_CALL]
        dumps, trouble = read(some, min(_CALL_STALL_SECONDS, deadline - time.monotonic()))
        found.update((one.file, one) for one in dumps)
        if trouble is None:
            left = left[len(some) :]
            continue
        deadline = min(deadline, time.monotonic() + _MOST_SECONDS)
        left = left[len(dumps) :]
        for name in left[:_SUSPECTS]:
            if (seconds := min(_FILE_STALL_SECONDS, deadline - time.monotonic())) <= 0:
                break
            dumps, trouble = read([name], seconds)
            found[name] = _unread(name, trouble) if trouble or not dumps else dumps[0]
            left = left[1:]
    return found


def _unread(name: str, why: Unread | None) -> Dump:
    why = why or Unread.NOTHING_SAID
    return Dump(name, error=why, text=why.value)


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\n" not in name
