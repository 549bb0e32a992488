"""What a `ScriptedScanner` does otherwise than a scanner that behaves: the fields of `Script`.

Real consoles, and the fields that make the scripted one like them (all others stay as they are):

| what the scanner does | fields |
|---|---|
| sends 5 of 6 images and says Success, for ever | `never_sends={image}` |
| the same with final status 0xB000 | `cannot_send={image}` |
| refuses every object of a class | `cannot_send` with all images of that class |
| says Success and sends nothing: a stale address in its table | `sends_nothing=True` |
| says Success first and sends afterwards | `sends_after=3` |
| sends images with other UIDs than it answered | `sends=sent_as(folder, SeriesInstanceUID=uid)` |
| refuses a C-MOVE at IMAGE level | `move_status_of={"IMAGE": 0xA900}` |
| says Success to a C-MOVE at IMAGE level and sends nothing | `move_status_of={"IMAGE": 0x0000}` |
| lists one SOPInstanceUID twice | `lists_twice={image}` |
| (0020,1002) is 10150 where 9970 are listed | `count_key=IMAGES_IN_ACQUISITION, claims={series: 10150}` |
| ends the IMAGE level with 0xA700 or 0xFE00 after all answers | `find_ends_with={"IMAGE": 0xA700}` |
| the same after some answers | `most_answers={"IMAGE": 3}` as well |
| cuts off the list of series and says Success | `most_answers={"SERIES": 2}` |
| refuses the STUDY level | `find_status={"STUDY": 0xA900}` |
| tells no counts at STUDY level, or wrong ones | `study_counts=None`, `study_counts={study: (20, 400)}` |
| answers once for each image at STUDY level | `answers_for_each_image={"STUDY"}` |
| answers without end | `endless={"SERIES"}` |
| ignores optional matching keys | `ignores_keys=True` |
| returns no (0008,0060) Modality | `modalities={series: None}` |
| returns another than its images have | `modalities={series: "SR"}` |
| allows one association | `most_associations=1` |

What changes with time is done to what the scanner has: `ScriptedScanner.vanish`, `shrink` and `add_empty_series`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pydicom
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

Answer = tuple[int, Dataset | None]
Answers = Sequence[Answer] | Callable[[Dataset], Iterable[Answer]]

IMAGES_IN_ACQUISITION = Tag(0x0020, 0x1002)
NUMBER_OF_SERIES_RELATED_INSTANCES = Tag(0x0020, 0x1209)

SUCCESS = 0x0000
PENDING = 0xFF00
SUB_OPERATIONS_WITH_FAILURES = 0xB000
UNABLE_TO_PERFORM_SUB_OPERATIONS = 0xA702
MOVE_DESTINATION_UNKNOWN = 0xA801
CANCEL = 0xFE00


@dataclass(frozen=True)
class Break:
    """An association is ended, or falls silent, at one message.

    `find` and `move`: a request has come. `answer` and `image`: before the answer to a C-FIND, or the image of a
    C-MOVE, that `number` came before; when that is how many there are, before the final response. `inside image`: half
    of that image has been sent.

    `abort` sends A-ABORT, `close` ends the connection without a word, `silence` says nothing for `seconds` and closes
    nothing. In a C-MOVE the association to the destination ends in the same way.
    """

    moment: Literal["find", "answer", "move", "image", "inside image"]
    number: int = 0
    how: Literal["abort", "close", "silence"] = "abort"
    level: str = "SERIES"
    """The level of the C-FIND."""
    seconds: float = 600

    def is_at(self, moment: str, number: int, level: str | None = None) -> bool:
        return (self.moment, self.number, level or self.level) == (moment, number, self.level)


@dataclass
class Script:
    """What the scanner does otherwise; as it stands, nothing. May be changed while the scanner runs.

    A DIMSE status is a number as in PS3.7 Annex C, such as 0xA900.
    """

    # C-FIND; the keys of the first two are query levels, "STUDY", "SERIES" or "IMAGE"
    find_answers: dict[str, Answers] = field(default_factory=dict)
    """These (status, identifier) pairs instead of what it has, or a function of the query that returns them.

    A final Success follows of itself unless one of the statuses is a final one."""
    find_status: dict[str, int] = field(default_factory=dict)
    """The final status at this level, without an answer before it."""
    count_key: BaseTag | None = NUMBER_OF_SERIES_RELATED_INSTANCES
    """The attribute in which a SERIES answer returns a count, when the query asks for it; None: in neither."""
    claims: dict[str, int | str | None] = field(default_factory=dict)
    """The count to return for a SeriesInstanceUID instead of the true one; text as it is, None: an empty value."""
    abort_at_find: int | None = None
    """Abort the association at the n-th C-FIND (1 is the first ever) instead of answering it."""
    find_silence: float = 0
    """Seconds before each C-FIND is answered."""
    seconds_between_answers: float = 0
    """Seconds before each answer."""
    pending_status: int = PENDING
    """The status of each answer of its own; 0xFF01 where optional keys are not supported."""
    find_ends_with: dict[str, int] = field(default_factory=dict)
    """The final status at this level, after all the answers."""
    most_answers: dict[str, int] = field(default_factory=dict)
    """At this level at most this many answers to a query, then the final status as if there were no more."""
    lists_twice: Collection[str] = ()
    """These SOPInstanceUIDs are named twice at IMAGE level."""
    endless: Collection[str] = ()
    """At these levels the first answer comes again and again, each time with another UID, until the asker goes."""
    ignores_keys: bool = False
    """Of the keys of a query only the UIDs match; all others (optional ones, PS3.4 C.6.2.1) are ignored."""
    answers_for_each_image: Collection[str] = ()
    """At these levels (STUDY, SERIES) there is one answer for each image."""
    study_counts: Mapping[str, tuple[int, int]] | None = field(default_factory=dict)
    """(0020,1206) and (0020,1208) at STUDY level, by StudyInstanceUID, instead of the true ones; None: neither."""
    modalities: Mapping[str, str | None] = field(default_factory=dict)
    """(0008,0060) of a SeriesInstanceUID instead of its images'; None: the answer does not have it."""

    # C-MOVE
    move_status: int | None = None
    """The final status, whatever happened. A failure (neither Success nor 0xBxxx) sends no image, unless `send_only`
    names those of the series. The images that were asked for and not sent count as failed. None: the true one."""
    move_status_of: dict[str, int] = field(default_factory=dict)
    """The final status of each C-MOVE at this query level, at once, and no image is sent."""
    send_only: dict[str, int | Collection[str]] = field(default_factory=dict)
    """Of this SeriesInstanceUID only the first n images or these SOPInstanceUIDs. With `move_status` None the scanner
    does not notice, and says Success. A number counts among those that were asked for: a C-MOVE that names what is
    missing gets it. For what can never come there are the next three."""
    never_sends: Collection[str] = ()
    """These SOPInstanceUIDs are never sent, and the scanner does not notice: the final status is Success."""
    cannot_send: Collection[str] = ()
    """These SOPInstanceUIDs fail, whoever asks for them: 0xB000, or 0xA702 when nothing else was to be sent."""
    sends_nothing: bool = False
    """No image is sent, and the final status is Success: the address of the destination is a stale one."""
    sends_after: float | None = None
    """The final status, Success, comes at once; the images are sent this many seconds later."""
    abort_move_after: int | None = None
    """Abort both associations of a C-MOVE when this many images are sent."""
    move_silence: float = 0
    """Seconds of silence in a C-MOVE, when `move_silence_after` images are sent."""
    move_silence_after: int = 0
    hold_after: int | None = None
    """A C-MOVE stops when this many images are sent, until the test calls `ScriptedScanner.go_on`; see `is_held` there.
    So that something can happen in the middle of it, however fast or slow the machine is."""
    holds_on: bool = False
    """It stops there also when whoever asked for the images is gone; the association to the destination stays open."""
    seconds_between_images: float = 0
    """Seconds before each image."""
    pending_responses: bool = True
    """Whether a C-MOVE response follows each image; some scanners send none before the last."""
    sends: Callable[[list[Path]], list[Path]] | None = None
    """The files to send instead of those that would be: more, others, damaged ones. Their bytes go out as they are."""
    announces: Callable[[str], str] | None = None
    """The SOPInstanceUID to announce in the C-STORE command instead of the image's own."""

    # Associations
    breaks: Break | None = None
    """Where an association is ended or falls silent."""
    syntaxes: Sequence[str] | None = None
    """The transfer syntaxes in which queries are taken; None: the three uncompressed ones and deflated."""
    offers_move: bool = True
    """Whether it has a presentation context for C-MOVE; False: it takes an association for that, and offers nothing."""
    reject: bool | tuple[int, int, int] = False
    """Reject associations: with (result, source, reason) of PS3.8 9.3.4, True is (1, 1, 1), permanent, no reason."""
    most_associations: int | None = None
    """How many at a time; one more is rejected for now: (2, 3, 2), local limit exceeded."""

    def at(self, moment: str, number: int = 0, level: str | None = None) -> Break | None:
        """What breaks at this message, if anything."""
        return self.breaks if self.breaks is not None and self.breaks.is_at(moment, number, level) else None


def sent_as(folder: Path, **attributes: Any) -> Callable[[list[Path]], list[Path]]:
    """For `Script.sends`: each image is sent as a copy (in `folder`, made when missing) in which these are set.

    `sent_as(tmp_path / "sent", StudyInstanceUID=uid)`: the images belong to another study than the answers said.
    """

    def sends(paths: list[Path]) -> list[Path]:
        folder.mkdir(exist_ok=True)
        copies = []
        for path in paths:
            image = pydicom.dcmread(path)
            for keyword, value in attributes.items():
                setattr(image, keyword, value)
            copies.append(folder / path.name)
            image.save_as(copies[-1], enforce_file_format=True)
        return copies

    return sends
