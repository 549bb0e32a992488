"""A scanner that answers what the test says: refusals, half moves, silence, hostile values. Made with pynetdicom.

For everything that a real scanner does when all is well use `dcmqrscp` or `orthanc`; this one is for what neither
of them can be made to do. Without a script it behaves: it finds what it has and sends what it is asked for.

    scanner = ScriptedScanner(by_study(paths), {"MOVER": port})
    scanner.script.find_status["IMAGE"] = 0xA900
    with scanner:
        ...
    assert scanner.moves == [(study, series, ())]

What it can do otherwise is told in `script`. A new kind of misbehaviour is a field of `Script`, and the place in
`answering`, `_find`, `_serve_move`, `_send` or `_on_request` that looks at it. At any chosen message an association
is ended or falls silent by `Script.breaks`.
"""

import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path
from socketserver import BaseServer
from types import TracebackType
from typing import Any, Self

from pydicom.dataset import Dataset
from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_MOVE
from pynetdicom.dsutils import decode, encode
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at run time
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)
from pynetdicom.transport import AssociationServer, ThreadedAssociationServer

from tests.support import answering
from tests.support.answering import Headers, Studies, text, values, wanted
from tests.support.courier import Courier, StoringCourier, hang_up, without_nagle
from tests.support.ports import LOOPBACK, free_port
from tests.support.script import (
    CANCEL,
    IMAGES_IN_ACQUISITION,
    MOVE_DESTINATION_UNKNOWN,
    NUMBER_OF_SERIES_RELATED_INSTANCES,
    PENDING,
    SUB_OPERATIONS_WITH_FAILURES,
    SUCCESS,
    UNABLE_TO_PERFORM_SUB_OPERATIONS,
    Answer,
    Answers,
    Break,
    Script,
    sent_as,
)

__all__ = [
    "IMAGES_IN_ACQUISITION",
    "NUMBER_OF_SERIES_RELATED_INSTANCES",
    "PENDING",
    "Answer",
    "Answers",
    "Break",
    "Script",
    "ScriptedScanner",
    "Studies",
    "sent_as",
]


_MOST_SECONDS = 600


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
    `associations` counts those that were requested, rejected ones too; `sent` how often the destination took each
    SOPInstanceUID. A wrong called AE title is rejected.
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
        self.sent: Counter[str] = Counter()
        self.undelivered: list[Path] = []
        self._headers = Headers()
        self._held = threading.Event()
        self._go_on = threading.Event()
        self._late: list[threading.Thread] = []
        self._ending = threading.Event()
        self._server: AssociationServer | None = None

    @property
    def running(self) -> bool:
        return self._server is not None

    def start(self) -> None:
        """Switch it on; it listens when this returns."""
        self._ending.clear()
        entity = AE(self.ae_title)
        # Whoever is slow here is the machine.
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _MOST_SECONDS
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
            server_class=_Server,
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
            # One that was rejected is over, and only waits for its connection to be closed.
            if not association.is_rejected:
                association.abort()
        # Not server.shutdown(): that wants to be one of those that start_server made.
        BaseServer.shutdown(server)
        server.server_close()
        for thread in (*associations, *self._late):
            thread.join(timeout=60)

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

    # What changes at the console

    def vanish(self, series_instance_uid: str) -> None:
        """The series is deleted; its study stays, also when it was the last."""
        for series in self.studies.values():
            series.pop(series_instance_uid, None)

    def shrink(self, series_instance_uid: str, images: int) -> None:
        """Of the series only the first `images` are left."""
        for series in self.studies.values():
            if series_instance_uid in series:
                series[series_instance_uid] = series[series_instance_uid][:images]

    def add_empty_series(self, study_instance_uid: str, series_instance_uid: str) -> None:
        """One more series of the study, without any image: it is found at SERIES level, and its list is empty."""
        self.studies.setdefault(study_instance_uid, {})[series_instance_uid] = []

    def forget(self, path: Path) -> None:
        """The file is about to be removed, and another may get its name."""
        self._headers.forget(path)

    @property
    def is_held(self) -> bool:
        """Whether a C-MOVE waits at `Script.hold_after`."""
        return self._held.is_set()

    def go_on(self) -> None:
        """The C-MOVE that waits at `Script.hold_after` goes on, and no other waits there."""
        self.script.hold_after = None
        for script in self.scripts.values():
            script.hold_after = None
        self._go_on.set()

    # Associations

    def _on_request(self, event: evt.Event) -> None:
        self.associations += 1
        without_nagle(event)
        most = self.script.most_associations
        if self.script.reject:
            reason = self.script.reject if isinstance(self.script.reject, tuple) else (1, 1, 1)
            event.assoc.acse.send_reject(*reason)
            # Waits until it is sent: pynetdicom closes the connection as soon as this returns.
            event.assoc.kill()
        elif most is not None and self._established(event.assoc) >= most:
            event.assoc.acse.send_reject(2, 3, 2)
            event.assoc.kill()
        elif not self.script.offers_move:
            event.assoc.acceptor.supported_contexts = [
                context
                for context in event.assoc.acceptor.supported_contexts
                if context.abstract_syntax != StudyRootQueryRetrieveInformationModelMove
            ]
        elif self.script.syntaxes is not None:
            event.assoc.acceptor.supported_contexts = [
                build_context(str(context.abstract_syntax), list(self.script.syntaxes))
                for context in event.assoc.acceptor.supported_contexts
            ]

    def _established(self, but: Association) -> int:
        """How many associations there are beside this one."""
        server = self._server
        there = [] if server is None else server.active_associations
        return sum(one is not but and one.is_established for one in there)

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
                hang_up(one)
        return True

    def _script_for(self, query: Dataset) -> Script:
        return self.scripts.get(text(query, "StudyInstanceUID"), self.script)

    # C-FIND

    def _find(self, event: evt.Event) -> Iterator[Answer]:
        query = event.identifier
        script = self._script_for(query)
        level = str(query.get("QueryRetrieveLevel", ""))
        self.asked.append((level, text(query, "StudyInstanceUID"), text(query, "SeriesInstanceUID")))
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
        number = 0
        for answer in self._answers(script, level, query):
            if event.is_cancelled:
                yield CANCEL, None
                return
            if self._breaks(script.at("answer", number, level), event.assoc):
                return
            # Whether the asker is still there, too: some answers have no end.
            if not self._pause(script.seconds_between_answers, event.assoc):
                return
            yield answer
            number += 1
        if not self._breaks(script.at("answer", number, level), event.assoc) and level in script.find_ends_with:
            yield script.find_ends_with[level], None

    def _answers(self, script: Script, level: str, query: Dataset) -> Iterator[Answer]:
        """What it answers before the final status."""
        given = script.find_answers.get(level, partial(self.matches, script=script))
        answers = iter(given if isinstance(given, Sequence) else given(query))
        if level in script.endless and (first := next(answers, None)) is not None:
            answers = answering.without_end(level, first)
        return islice(answers, script.most_answers.get(level))

    def matches(self, query: Dataset, script: Script | None = None) -> Iterator[Answer]:
        """The answers to a C-FIND from what it has, for a function in `find_answers` to change."""
        return answering.matches(self.studies, self._headers, query, script or Script())

    # C-MOVE

    def _serve_move(self, association: Association, request: C_MOVE, context: PresentationContext) -> None:
        syntax = context.transfer_syntax[0]
        query = decode(
            request.Identifier or BytesIO(), syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated
        )
        sop_instance_uids = tuple(values(query, "SOPInstanceUID"))
        self.moves.append((text(query, "StudyInstanceUID"), text(query, "SeriesInstanceUID"), sop_instance_uids))
        script = self._script_for(query)
        if self._breaks(script.at("move"), association):
            return
        asked_for = self._images_to_move(query)
        to_send = self._images_to_send(script, asked_for)
        # A scanner that does not notice what it leaves out expects no more of itself than it sends.
        fails = [path for path in asked_for if self._headers.sop_instance_uid(path) in script.cannot_send]
        expected = len(asked_for) if script.move_status is not None else len(to_send) + len(fails)
        responder = _Responder(association, request, context, expected)
        level = str(query.get("QueryRetrieveLevel", ""))
        if level in script.move_status_of:
            responder.respond(script.move_status_of[level])
            return
        if script.sends_after is not None:
            responder.respond(SUCCESS)
            self._send_later(script, association, request, to_send)
            return
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
            fails = [path for path in asked_for if path not in to_send]
        responder.failed += map(self._headers.sop_instance_uid, fails)
        responder.respond_at_the_end(script.move_status)

    def _send_later(self, script: Script, association: Association, request: C_MOVE, paths: list[Path]) -> None:
        """Send the images some time after the final response, whether or not the association is still there."""

        def send() -> None:
            if self._ending.wait(script.sends_after):
                return
            courier = self._courier(script, association, request, paths)
            if courier is None:
                return
            for number, path in enumerate(paths):
                if self._ending.wait(script.seconds_between_images):
                    break
                if courier.send(path, number):
                    self.sent[self._headers.sop_instance_uid(path)] += 1
            courier.close(aborting=self._ending.is_set())

        self._late = [thread for thread in self._late if thread.is_alive()]
        self._late.append(threading.Thread(target=send, name="images after Success", daemon=True))
        self._late[-1].start()

    def _send(
        self,
        script: Script,
        association: Association,
        paths: list[Path],
        courier: "Courier",
        responder: "_Responder",
    ) -> bool:
        """Send the images; False when the association ended before the last."""
        for number in range(len(paths) + 1):
            if number == script.hold_after and not self._hold(association, script):
                return False
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
                self.sent[self._headers.sop_instance_uid(paths[number])] += 1
            else:
                responder.failed.append(self._headers.sop_instance_uid(paths[number]))
            if script.pending_responses:
                responder.respond(PENDING)
        return True

    def _hold(self, association: Association, script: Script) -> bool:
        """Wait until the test lets it go on; False when we are switched off or, unless SCRIPT holds on, the association
        ended before.
        """
        self._go_on.clear()
        self._held.set()
        try:
            while not self._go_on.is_set():
                if self._ending.wait(0.02) or not (script.holds_on or self._pause(0, association)):
                    return False
            return True
        finally:
            self._held.clear()

    def _images_to_move(self, query: Dataset) -> list[Path]:
        sop_instance_uids = set(values(query, "SOPInstanceUID"))
        return [
            path
            for _, series in wanted(self.studies, query, "StudyInstanceUID")
            for _, paths in wanted(series, query, "SeriesInstanceUID")
            for path in list(paths)
            if not sop_instance_uids or self._headers.sop_instance_uid(path) in sop_instance_uids
        ]

    def _images_to_send(self, script: Script, wanted: list[Path]) -> list[Path]:
        status = script.move_status
        refuses = status is not None and status != SUCCESS and status >> 12 != 0xB
        of_series: dict[str, list[Path]] = {}
        for path in wanted:
            of_series.setdefault(str(self._headers.of(path).SeriesInstanceUID), []).append(path)
        chosen: list[Path] = []
        for series_instance_uid, paths in of_series.items():
            only = script.send_only.get(series_instance_uid)
            if only is None:
                chosen += [] if refuses else paths
            elif isinstance(only, int):
                chosen += paths[:only]
            else:
                chosen += [path for path in paths if self._headers.sop_instance_uid(path) in only]
        never = {*script.never_sends, *script.cannot_send}
        chosen = [path for path in chosen if self._headers.sop_instance_uid(path) not in never]
        if script.sends_nothing:
            chosen = []
        return script.sends(chosen) if script.sends is not None else chosen

    def _courier(
        self, script: Script, association: Association, request: C_MOVE, paths: list[Path]
    ) -> "Courier | None":
        """What takes the images where they belong; None when that cannot be reached."""
        if self.files_into is not None:
            return Courier(self._keep_for_delivery if self.deliver_when_told else self._copy)
        if not paths:
            # Nothing to send needs no destination, but an unknown one is refused all the same.
            known = request.MoveDestination in self.destinations or script.move_status is not None
            return Courier(lambda path: None) if known else None
        port = self.destinations.get(str(request.MoveDestination))
        if port is None:
            return None
        contexts: dict[str, set[str]] = {}
        for path in paths:
            meta = self._headers.meta(path)
            contexts.setdefault(str(meta.MediaStorageSOPClassUID), set()).add(str(meta.TransferSyntaxUID))
        entity = AE(self.ae_title)
        store = entity.associate(
            LOOPBACK,
            port,
            # One for each syntax: the receiver would choose one of several, and the others could not be sent.
            contexts=[
                build_context(sop_class, syntax) for sop_class, syntaxes in contexts.items() for syntax in syntaxes
            ],
            ae_title=str(request.MoveDestination),
            evt_handlers=[(evt.EVT_CONN_OPEN, without_nagle)],
        )
        return StoringCourier(store, association, request, script.announces) if store.is_established else None

    def _copy(self, path: Path) -> None:
        if self.files_into is None:
            raise RuntimeError("there is no folder to copy images into")
        header = self._headers.of(path)
        folder = self.files_into / str(header.StudyInstanceUID) / str(header.SeriesInstanceUID)
        folder.mkdir(parents=True, exist_ok=True)
        # Renamed when whole, so that nobody counts half a file.
        part = folder / f".{header.SOPInstanceUID}.part"
        shutil.copyfile(path, part)
        os.replace(part, folder / str(header.SOPInstanceUID))

    def _keep_for_delivery(self, path: Path) -> None:
        self.undelivered.append(path)


class _Server(ThreadedAssociationServer):
    """pynetdicom's own, for many who come at once while it has no time."""

    request_queue_size = 128


@dataclass
class _Responder:
    """Sends the responses of one C-MOVE and keeps their counts."""

    association: Association
    request: C_MOVE
    context: PresentationContext
    sub_operations: int
    completed: int = 0
    failed: list[str] = field(default_factory=list)

    def respond_at_the_end(self, status: int | None) -> None:
        """The final response: with that status, or None: with the true one."""
        if status is None:
            status = SUCCESS
            if self.failed:
                status = SUB_OPERATIONS_WITH_FAILURES if self.completed else UNABLE_TO_PERFORM_SUB_OPERATIONS
        self.respond(status)

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
