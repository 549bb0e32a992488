"""A server process of a test: started, waited for, ended with everything that it forked."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.ports import wait_until_listening


def environment(*, tcp_nodelay: bool) -> dict[str, str]:
    """The environment of a server or a tool of DCMTK that belongs to the test, not to what is tested.

    A test may have set `DCMDICTPATH` or `TCP_NODELAY` for the program; neither may change the scanner. With
    `tcp_nodelay` DCMTK sends without Nagle's algorithm, which otherwise costs 40 ms for each message.
    """
    variables = {name: value for name, value in os.environ.items() if name not in {"DCMDICTPATH", "TCP_NODELAY"}}
    if tcp_nodelay:
        variables["TCP_NODELAY"] = "1"
    return variables


class ServerProcess:
    """One server on one port; its output goes to `log`, which goes on over restarts.

    Start it from a thread that lives as long as the server has to: the kernel ends the server together with the
    thread that started it (so that a test run that is killed leaves none behind).
    """

    def __init__(
        self, arguments: Sequence[str], *, port: int, folder: Path, log: Path, variables: Mapping[str, str]
    ) -> None:
        self.arguments = list(arguments)
        self.port = port
        self.log = log
        self._folder = folder
        self._variables = dict(variables)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, seconds: float = 60) -> None:
        """Start and wait until it listens; raises what `wait_until_listening` raises."""
        if self.running:
            raise RuntimeError(f"{self.arguments[0]} runs already")
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=self._variables,
                start_new_session=True,
            )
        try:
            wait_until_listening(self.port, self._process, seconds, self.log)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it at once, as a console that is switched off, in the middle of whatever it does. Ended: nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        # The whole session: dcmqrscp and storescp fork a child for each association, which would go on talking.
        # It stays ours until wait() below, so its number cannot be another's.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
