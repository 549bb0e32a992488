"""How the images of a scripted scanner's C-MOVE get to where it wants them: by C-STORE, or by a function."""

import contextlib
import socket
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_MOVE, C_STORE
from pynetdicom.dsutils import split_dataset

from tests.support.script import SUCCESS

_FRAGMENT = 1024


class Courier:
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


class StoringCourier(Courier):
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


def without_nagle(event: evt.Event) -> None:
    # pynetdicom sends a message in several parts and leaves Nagle's algorithm on: 40 ms for each without this.
    connection = event.assoc.dul.socket
    if connection is not None and connection.socket is not None:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def hang_up(association: Association) -> None:
    """End the connection without a word. pynetdicom notices and cleans up, as when the other side did it."""
    connection = association.dul.socket
    if connection is not None and connection.socket is not None:
        with contextlib.suppress(OSError):
            connection.socket.shutdown(socket.SHUT_RDWR)
