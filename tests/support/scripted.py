"""A scanner that answers what the test says: refusals, half moves, silence, hostile values. Made with pynetdicom.

For everything that a real scanner does when all is well use `dcmqrscp` or `orthanc`; this one is for what neither
of them can be made to do. Without a script it behaves: it finds what it has and sends what it is asked for.

    scanner = ScriptedScanner(by_study(paths), {"MOVER": port})
    scanner.script.find_status["IMAGE"] = 0xA900
    with scanner:
        ...
    assert scanner.moves == [(study, series, ())]

A new kind of misbehaviour is a field of `Script`, and the place in `_find`, `_serve_move`, `_send` or `_on_request`
that looks at it. At any chosen message an association is ended or falls silent by `Script.breaks`.
"""

import contextlib
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from socketserver import BaseServer
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID
from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_MOVE, C_STORE
from pynetdicom.dsutils import decode, encode, split_dataset
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at run time
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)
from pynetdicom.transport import AssociationServer, ThreadedAssociationServer

from tests.support.ports import LOOPBACK, free_port

Answer = tuple[int, Dataset | None]
Answers = Sequence[Answer] | Callable[[Dataset], Iterable[Answer]]
Studies = dict[str, dict[str, list[Path]]]

IMAGES_IN_ACQUISITION = Tag(0x0020, 0x1002)
NUMBER_OF_SERIES_RELATED_INSTANCES = Tag(0x0020, 0x1209)

SUCCESS = 0x0000
PENDING = 0xFF00
SUB_OPERATIONS_WITH_FAILURES = 0xB000
UNABLE_TO_PERFORM_SUB_OPERATIONS = 0xA702
MOVE_DESTINATION_UNKNOWN = 0xA801
CANCEL = 0xFE00

_FRAGMENT = 1024

_V = TypeVar("_V")


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

    # C-MOVE
    move_status: int | None = None
    """The final status, whatever happened. A failure (neither Success nor 0xBxxx) sends no image, unless `send_only`
    names those of the series. The images that were asked for and not sent count as failed. None: the true one."""
    send_only: dict[str, int | Collection[str]] = field(default_factory=dict)
    """Of this SeriesInstanceUID only the first n images or these SOPInstanceUIDs. With `move_status` None the scanner
    does not notice, and says Success."""
    abort_move_after: int | None = None
    """Abort both associations of a C-MOVE when so many images are sent."""
    move_silence: float = 0
    """Seconds of silence in a C-MOVE, when `move_silence_after` images are sent."""
    move_silence_after: int = 0
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
    reject: bool | tuple[int, int, int] = False
    """Reject associations: with (result, source, reason) of PS3.8 9.3.4, True is (1, 1, 1), permanent, no reason."""

    def at(self, moment: str, number: int = 0, level: str | None = None) -> Break | None:
        """What breaks at this message, if anything."""
        return self.breaks if self.breaks is not None and self.breaks.is_at(moment, number, level) else None


class ScriptedScanner:
    """Study Root C-FIND and C-MOVE, and Verification, bound to 127.0.0.1; use it in a `with` or with start and stop.

    `studies` is what it has: {StudyInstanceUID: {SeriesInstanceUID: [file, …]}}; a test may change it at any time
    (`objects.by_study` makes it). `destinations`: {AE title: port}, all on loopback. With `files_into` (a folder
    DATADIR/site/raw) no image is sent: each is copied to STUDY/SERIES/SOPINSTANCEUID below that folder, as if another
    program had received it, for any destination; with `deliver_when_told` not before the test calls `deliver`.

    `scripts` holds scripts for requests about one study, by its StudyInstanceUID; they stand instead of `script`, but
    for what that says of associations before a request has come.

    It records what it was asked: `asked` (level, StudyInstanceUID, SeriesInstanceUID) of each C-FIND and `moves`
    (StudyInstanceUID, SeriesInstanceUID, SOPInstanceUIDs) of each C-MOVE, "" and () for what was not in the query;
    `associations` counts those that were requested, rejected ones too. A wrong called AE title is rejected.
    """

    host = LOOPBACK

    def __init__(
        self,
        studies: Studies | None = None,
        destinations: Mapping[str, int] | None = None,
        *,
        script: Script | None = None,
        ae_title: str = "SCANNER",
        port: int | None = None,
        files_into: Path | None = None,
        deliver_when_told: bool = False,
    ) -> None:
        self.studies: Studies = studies if studies is not None else {}
        self.destinations = dict(destinations or {})
        self.script = script or Script()
        self.scripts: dict[str, Script] = {}
        self.ae_title = ae_title
        self.port = port or free_port()
        self.files_into = files_into
        self.deliver_when_told = deliver_when_told
        self.asked: list[tuple[str, str, str]] = []
        self.moves: list[tuple[str, str, tuple[str, ...]]] = []
        self.associations = 0
        self.undelivered: list[Path] = []
        self._headers: dict[Path, Dataset] = {}
        self._ending = threading.Event()
        self._server: AssociationServer | None = None

    @property
    def running(self) -> bool:
        return self._server is not None

    def start(self) -> None:
        """Switch it on; it listens when this returns."""
        self._ending.clear()
        entity = AE(self.ae_title)
        entity.require_called_aet = True
        entity.maximum_associations = 100
        for sop_class in (
            Verification,
            StudyRootQueryRetrieveInformationModelFind,
            StudyRootQueryRetrieveInformationModelMove,
        ):
            entity.add_supported_context(sop_class)
        self._server = entity.make_server(
            (LOOPBACK, self.port),
            evt_handlers=[
                (evt.EVT_REQUESTED, self._on_request),
                (evt.EVT_ESTABLISHED, self._on_established),
                (evt.EVT_C_FIND, self._find),
            ],
            server_class=ThreadedAssociationServer,
        )
        # pynetdicom's own start_server looks every half second only whether to end.
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="scripted scanner", daemon=True
        ).start()

    def stop(self) -> None:
        """Switch it off: associations are aborted. What it has and recorded stays."""
        server, self._server = self._server, None
        if server is None:
            return
        self._ending.set()
        associations = server.active_associations
        for association in associations:
            association.abort()
        # Not server.shutdown(): that wants to be one of those that start_server made.
        BaseServer.shutdown(server)
        server.server_close()
        for association in associations:
            association.join(timeout=5)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def deliver(self, images: int | None = None) -> int:
        """Copy the oldest `images` (all) of those that wait for it into `files_into`; returns how many were copied."""
        number = len(self.undelivered) if images is None else min(images, len(self.undelivered))
        for _ in range(number):
            self._copy(self.undelivered.pop(0))
        return number

    # Associations

    def _on_request(self, event: evt.Event) -> None:
        self.associations += 1
        _without_nagle(event)
        if self.script.reject:
            reason = self.script.reject if isinstance(self.script.reject, tuple) else (1, 1, 1)
            event.assoc.acse.send_reject(*reason)
            # Waits until it is sent: pynetdicom closes the connection as soon as this returns.
            event.assoc.kill()
        elif self.script.syntaxes is not None:
            event.assoc.acceptor.supported_contexts = [
                build_context(str(context.abstract_syntax), list(self.script.syntaxes))
                for context in event.assoc.acceptor.supported_contexts
            ]

    def _on_established(self, event: evt.Event) -> None:
        # pynetdicom's C-MOVE always opens an association to the destination, always sends a response for each image
        # and makes the final status itself. So that service is replaced, for this association.
        association = event.assoc
        serve = association._serve_request

        def serve_request(message: Any, context_id: int) -> None:
            if isinstance(message, C_MOVE):
                self._serve_move(association, message, association._accepted_cx[context_id])
            else:
                serve(message, context_id)

        association._serve_request = serve_request  # type: ignore[assignment,method-assign]

    def _pause(self, seconds: float, association: Association) -> bool:
        """Wait; False as soon as the scanner is being switched off or the other side is gone."""
        end = time.monotonic() + seconds
        while True:
            if self._ending.is_set() or association.acse.is_aborted() or not association.dul.is_alive():
                return False
            left = end - time.monotonic()
            if left <= 0:
                return True
            self._ending.wait(min(left, 0.05))

    def _breaks(self, wanted: Break | None, association: Association, *others: Association) -> bool:
        """Do what is wanted here, None is nothing; whether the association is over."""
        if wanted is None:
            return False
        if wanted.how == "silence":
            return not self._pause(wanted.seconds, association)
        for one in (*others, association):
            if wanted.how == "abort":
                one.abort()
            else:
                _hang_up(one)
        return True

    def _script_for(self, query: Dataset) -> Script:
        return self.scripts.get(_text(query, "StudyInstanceUID"), self.script)

    # C-FIND

    def _find(self, event: evt.Event) -> Iterator[Answer]:
        query = event.identifier
        script = self._script_for(query)
        level = str(query.get("QueryRetrieveLevel", ""))
        self.asked.append((level, _text(query, "StudyInstanceUID"), _text(query, "SeriesInstanceUID")))
        if len(self.asked) == script.abort_at_find:
            event.assoc.abort()
            return
        if self._breaks(script.at("find", level=level), event.assoc):
            return
        if not self._pause(script.find_silence, event.assoc):
            return
        if level in script.find_status:
            yield script.find_status[level], None
            return
        answers = script.find_answers.get(level, partial(self.matches, script=script))
        number = 0
        for answer in answers if isinstance(answers, Sequence) else answers(query):
            if event.is_cancelled:
                yield CANCEL, None
                return
            if self._breaks(script.at("answer", number, level), event.assoc):
                return
            if script.seconds_between_answers and not self._pause(script.seconds_between_answers, event.assoc):
                return
            yield answer
            number += 1
        if not self._breaks(script.at("answer", number, level), event.assoc) and level in script.find_ends_with:
            yield script.find_ends_with[level], None

    def matches(self, query: Dataset, script: Script | None = None) -> Iterator[Answer]:
        """The answers to a C-FIND from what it has, for a function in `find_answers` to change."""
        script = script or Script()
        level = str(query.get("QueryRetrieveLevel", ""))
        for study_instance_uid, series in _wanted(self.studies, query, "StudyInstanceUID"):
            if level == "STUDY":
                paths = [path for images in series.values() for path in images]
                if paths:
                    answer = self._answer(level, query, paths[0])
                    _fill(answer, query, "NumberOfStudyRelatedSeries", len(series))
                    _fill(answer, query, "NumberOfStudyRelatedInstances", len(paths))
                    answer.StudyInstanceUID = study_instance_uid
                    yield script.pending_status, answer
                continue
            for series_instance_uid, paths in _wanted(series, query, "SeriesInstanceUID"):
                if level == "SERIES":
                    answer = self._answer(level, query, paths[0] if paths else None)
                    answer.StudyInstanceUID = study_instance_uid
                    answer.SeriesInstanceUID = series_instance_uid
                    _count(script, answer, query, series_instance_uid, len(paths))
                    yield script.pending_status, answer
                    continue
                images = {str(self._header(path).SOPInstanceUID): path for path in list(paths)}
                for _, path in _wanted(images, query, "SOPInstanceUID"):
                    yield script.pending_status, self._answer(level, query, path)

    def _answer(self, level: str, query: Dataset, path: Path | None) -> Dataset:
        """The keys of the query with what the image has for them, empty where it has nothing (PS3.4 C.2.2.1.3)."""
        header = self._header(path) if path else Dataset()
        answer = Dataset()
        for key in query:
            if key.tag in (IMAGES_IN_ACQUISITION, NUMBER_OF_SERIES_RELATED_INSTANCES):
                continue
            answer[key.tag] = header[key.tag] if key.tag in header else DataElement(key.tag, key.VR, None)
        answer.QueryRetrieveLevel = level
        return answer

    # C-MOVE

    def _serve_move(self, association: Association, request: C_MOVE, context: PresentationContext) -> None:
        syntax = context.transfer_syntax[0]
        query = decode(
            request.Identifier or BytesIO(), syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated
        )
        sop_instance_uids = tuple(_values(query, "SOPInstanceUID"))
        self.moves.append((_text(query, "StudyInstanceUID"), _text(query, "SeriesInstanceUID"), sop_instance_uids))
        script = self._script_for(query)
        if self._breaks(script.at("move"), association):
            return
        wanted = self._images_to_move(query)
        to_send = self._images_to_send(script, wanted)
        # A scanner that does not notice what it leaves out expects no more of itself than it sends.
        responder = _Responder(association, request, context, len(to_send if script.move_status is None else wanted))
        courier = self._courier(script, association, request, to_send)
        if courier is None:
            responder.respond(MOVE_DESTINATION_UNKNOWN)
            return
        finished = False
        try:
            finished = self._send(script, association, to_send, courier, responder)
        finally:
            courier.close(aborting=not finished)
        if not finished:
            return
        if script.move_status is not None:
            responder.failed += [self._sop_instance_uid(path) for path in wanted if path not in to_send]
            responder.respond(script.move_status)
        elif not responder.failed:
            responder.respond(SUCCESS)
        else:
            responder.respond(SUB_OPERATIONS_WITH_FAILURES if responder.completed else UNABLE_TO_PERFORM_SUB_OPERATIONS)

    def _send(
        self,
        script: Script,
        association: Association,
        paths: list[Path],
        courier: "_Courier",
        responder: "_Responder",
    ) -> bool:
        """Send the images; False when the association ended before the last."""
        for number in range(len(paths) + 1):
            if number == script.move_silence_after and not self._pause(script.move_silence, association):
                return False
            if number == script.abort_move_after:
                association.abort()
                return False
            if self._breaks(script.at("image", number), association, *courier.associations):
                return False
            if number == len(paths):
                break
            if not self._pause(script.seconds_between_images, association):
                return False
            half = script.at("inside image", number)
            if half is not None:
                courier.send_half(paths[number], number)
                self._breaks(half, association, *courier.associations)
                return False
            if courier.send(paths[number], number):
                responder.completed += 1
            else:
                responder.failed.append(self._sop_instance_uid(paths[number]))
            if script.pending_responses:
                responder.respond(PENDING)
        return True

    def _images_to_move(self, query: Dataset) -> list[Path]:
        sop_instance_uids = set(_values(query, "SOPInstanceUID"))
        return [
            path
            for _, series in _wanted(self.studies, query, "StudyInstanceUID")
            for _, paths in _wanted(series, query, "SeriesInstanceUID")
            for path in list(paths)
            if not sop_instance_uids or self._sop_instance_uid(path) in sop_instance_uids
        ]

    def _images_to_send(self, script: Script, wanted: list[Path]) -> list[Path]:
        status = script.move_status
        refuses = status is not None and status != SUCCESS and status >> 12 != 0xB
        of_series: dict[str, list[Path]] = {}
        for path in wanted:
            of_series.setdefault(str(self._header(path).SeriesInstanceUID), []).append(path)
        chosen: list[Path] = []
        for series_instance_uid, paths in of_series.items():
            only = script.send_only.get(series_instance_uid)
            if only is None:
                chosen += [] if refuses else paths
            elif isinstance(only, int):
                chosen += paths[:only]
            else:
                chosen += [path for path in paths if self._sop_instance_uid(path) in only]
        return script.sends(chosen) if script.sends is not None else chosen

    def _courier(
        self, script: Script, association: Association, request: C_MOVE, paths: list[Path]
    ) -> "_Courier | None":
        """What takes the images where they belong; None when that cannot be reached."""
        if self.files_into is not None:
            return _Courier(self._keep_for_delivery if self.deliver_when_told else self._copy)
        if not paths:
            # Nothing to send needs no destination, but an unknown one is refused all the same.
            known = request.MoveDestination in self.destinations or script.move_status is not None
            return _Courier(lambda path: None) if known else None
        port = self.destinations.get(str(request.MoveDestination))
        if port is None:
            return None
        contexts: dict[str, set[str]] = {}
        for path in paths:
            header = self._header(path)
            contexts.setdefault(str(header.SOPClassUID), set()).add(str(header.file_meta.TransferSyntaxUID))
        entity = AE(self.ae_title)
        store = entity.associate(
            LOOPBACK,
            port,
            # One for each syntax: the receiver would choose one of several, and the others could not be sent.
            contexts=[
                build_context(sop_class, syntax) for sop_class, syntaxes in contexts.items() for syntax in syntaxes
            ],
            ae_title=str(request.MoveDestination),
            evt_handlers=[(evt.EVT_CONN_OPEN, _without_nagle)],
        )
        return _StoringCourier(store, association, request, script.announces) if store.is_established else None

    def _copy(self, path: Path) -> None:
        if self.files_into is None:
            raise RuntimeError("there is no folder to copy images into")
        header = self._header(path)
        folder = self.files_into / str(header.StudyInstanceUID) / str(header.SeriesInstanceUID)
        folder.mkdir(parents=True, exist_ok=True)
        # Renamed when whole, so that nobody counts half a file.
        part = folder / f".{header.SOPInstanceUID}.part"
        shutil.copyfile(path, part)
        os.replace(part, folder / str(header.SOPInstanceUID))

    def _keep_for_delivery(self, path: Path) -> None:
        self.undelivered.append(path)

    def _header(self, path: Path) -> Dataset:
        if path not in self._headers:
            self._headers[path] = pydicom.dcmread(path, stop_before_pixels=True)
        return self._headers[path]

    def _sop_instance_uid(self, path: Path) -> str:
        # The file's own, for a data set may lack it.
        return str(self._header(path).file_meta.MediaStorageSOPInstanceUID)


class _Courier:
    """Takes images to where a C-MOVE wants them, one by one, with a function."""

    def __init__(self, take: Callable[[Path], None]) -> None:
        self._take = take
        self.associations: list[Association] = []

    def send(self, path: Path, number: int) -> bool:
        """Take the image there, the `number`th of this C-MOVE; whether it is there now."""
        self._take(path)
        return True

    def send_half(self, path: Path, number: int) -> None:
        """Take half of the image there, and no more."""

    def close(self, *, aborting: bool) -> None:
        """There are no more; `aborting`: the scanner died."""


class _StoringCourier(_Courier):
    """Takes them by C-STORE in an established association with the move destination."""

    def __init__(
        self,
        store: Association,
        association: Association,
        request: C_MOVE,
        announces: Callable[[str], str] | None,
    ) -> None:
        self.associations = [store]
        self._store = store
        self._announces = announces
        self._originator_ae_title = str(association.requestor.ae_title)
        self._originator_id = int(request.MessageID or 0)
        # pynetdicom pauses its reactor for each C-STORE and, under load, goes on before the reactor paused again,
        # which then takes the response for an unexpected message. Paused once and for all, it cannot.
        checkpoint = store._reactor_checkpoint
        checkpoint.clear()
        while not store._is_paused and store.is_established:
            time.sleep(0.001)
        self._resume = checkpoint.set
        checkpoint.set = lambda: None  # type: ignore[method-assign]

    def send(self, path: Path, number: int) -> bool:
        try:
            request, context_id = self._request(path, number)
            self._store.dimse.send_msg(request, context_id)
        except (RuntimeError, ValueError):
            # The destination hung up, or accepted no presentation context for this image.
            return False
        # Waiting for it in pynetdicom does not end when the destination aborts.
        self._store.dimse_timeout = 0.05
        while self._store.dul.is_alive() and not self._store.acse.is_aborted():
            _, response = self._store.dimse.get_msg(block=True)
            if response is not None:
                return isinstance(response, C_STORE) and response.Status == SUCCESS
        return False

    def send_half(self, path: Path, number: int) -> None:
        request, context_id = self._request(path, number)
        message = C_STORE_RQ()
        message.primitive_to_message(request)
        fragments = list(message.encode_msg(context_id, _FRAGMENT))
        for fragment in fragments[: len(fragments) // 2 + 1]:
            self._store.dul.send_pdu(fragment)

    def _request(self, path: Path, number: int) -> tuple[C_STORE, int]:
        """The C-STORE request with the data set as it is in the file, whole or not, and its presentation context."""
        if not self._store.is_established:
            raise RuntimeError("the destination hung up")
        meta, begin = split_dataset(path)
        sop_class, syntax = meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID
        context = self._store._get_valid_context(sop_class, syntax, "scu", allow_conversion=False)
        sop_instance_uid = str(meta.MediaStorageSOPInstanceUID)
        request = C_STORE()
        request.MessageID = number % 0xFFFF + 1
        request.Priority = 2
        request.MoveOriginatorApplicationEntityTitle = self._originator_ae_title
        request.MoveOriginatorMessageID = self._originator_id
        request.AffectedSOPClassUID = sop_class
        # Not the property: it would refuse one that is too long.
        request._affected_sop_instance_uid = UID(
            self._announces(sop_instance_uid) if self._announces is not None else sop_instance_uid
        )
        request.DataSet = BytesIO(path.read_bytes()[begin:])
        return request, int(context.context_id or 1)

    def close(self, *, aborting: bool) -> None:
        self._store._reactor_checkpoint.set = self._resume  # type: ignore[method-assign]
        self._resume()
        if not self._store.is_established:
            return
        if aborting:
            self._store.abort()
        else:
            self._store.release()


@dataclass
class _Responder:
    """Sends the responses of one C-MOVE and keeps their counts."""

    association: Association
    request: C_MOVE
    context: PresentationContext
    sub_operations: int
    completed: int = 0
    failed: list[str] = field(default_factory=list)

    def respond(self, status: int) -> None:
        response = C_MOVE()
        response.MessageID = self.request.MessageID
        response.MessageIDBeingRespondedTo = self.request.MessageID
        response.AffectedSOPClassUID = self.request.AffectedSOPClassUID
        response.Status = status
        response.NumberOfCompletedSuboperations = self.completed
        response.NumberOfFailedSuboperations = len(self.failed)
        response.NumberOfWarningSuboperations = 0
        if status == PENDING:
            response.NumberOfRemainingSuboperations = self.sub_operations - self.completed - len(self.failed)
        elif status != SUCCESS:
            identifier = Dataset()
            identifier.FailedSOPInstanceUIDList = self.failed
            syntax = self.context.transfer_syntax[0]
            encoded = encode(identifier, syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
            response.Identifier = BytesIO(encoded or b"")
        self.association.dimse.send_msg(response, int(self.context.context_id or 1))


def _without_nagle(event: evt.Event) -> None:
    # pynetdicom sends a message in several parts and leaves Nagle's algorithm on: 40 ms for each without this.
    connection = event.assoc.dul.socket
    if connection is not None and connection.socket is not None:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _hang_up(association: Association) -> None:
    """End the connection without a word. pynetdicom notices and cleans up, as when the other side did it."""
    connection = association.dul.socket
    if connection is not None and connection.socket is not None:
        with contextlib.suppress(OSError):
            connection.socket.shutdown(socket.SHUT_RDWR)


def _count(script: Script, answer: Dataset, query: Dataset, series_instance_uid: str, images: int) -> None:
    tag = script.count_key
    if tag is None or tag not in query:
        return
    value = script.claims.get(series_instance_uid, images)
    # `already_converted`: a text that is no number is what a test may want.
    answer[tag] = DataElement(tag, "IS", "" if value is None else str(value), already_converted=True)


def _values(query: Dataset, keyword: str) -> list[str]:
    value = query.get(keyword)
    if value is None or value == "":
        return []
    return [str(value)] if isinstance(value, str) else [str(one) for one in value]


def _text(query: Dataset, keyword: str) -> str:
    return "\\".join(_values(query, keyword))


def _wanted(have: Mapping[str, _V], query: Dataset, keyword: str) -> Iterator[tuple[str, _V]]:
    """Those whose UID the query names, all when it names none (PS3.4 C.2.2.2.1 to C.2.2.2.3)."""
    uids = _values(query, keyword)
    # A copy: the test may add studies while a query is answered.
    for uid, value in list(have.items()):
        if not uids or uid in uids:
            yield uid, value


def _fill(answer: Dataset, query: Dataset, keyword: str, value: int) -> None:
    if keyword in query:
        setattr(answer, keyword, value)
