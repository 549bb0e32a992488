"""`scanner-mover init`: sets up a site that never had the script, and says what is left to do by hand."""

import contextlib
import os
import pwd
import shlex
import shutil
import socket
import subprocess
import sys
from typing import Any, NamedTuple

from scanner_mover import config
from scanner_mover.arguments_by_hand import InitOptions
from scanner_mover.commands import child_program, init_questions
from scanner_mover.commands.init_questions import Answers
from scanner_mover.commands.new_site import Maker, Owner
from scanner_mover.display.output import put, say
from scanner_mover.errors import ConfigurationError, ExitStatus, UsageError, reason
from scanner_mover.files import absolute
from scanner_mover.site.folders import DataFolders, ServerFolders, find_server_dir

_SCRIPT = "moveFromScanner.sh"
_SECONDS_OF_A_FIRST_PASS = 120


class _Plan(NamedTuple):
    """What is to be made, and by whom it is used."""

    answers: Answers
    file: str
    server_dir: str
    owner: Owner
    script: str


def run(options: InitOptions, program: str) -> int:
    """Make what is missing of a site, and print what to register on the scanner and the lines of the crontab.

    Gives the exit status. Raises UsageError, ConfigurationError when the configuration is there and cannot be used, and
    UnusableError when something cannot be made.
    """
    owner = _owner(options.user)
    file, answers, is_new = _configuration(options)
    server_dir = find_server_dir(program, os.environ, options.server_dir)
    plan = _Plan(answers, absolute(file), server_dir, owner, _script(program))
    lines = _make(plan)
    if is_new:
        lines.append(_first_pass(plan))
    put("\n".join([*lines, "", *_to_register(plan), "", *_to_paste(plan), "", *_to_do_next(plan), ""]))
    _warn(options)
    return ExitStatus.OK


def _configuration(options: InitOptions) -> tuple[str, Answers, bool]:
    """The path of the configuration, what it says or is to say, and whether it is to be made."""
    given = options.config or os.environ.get("SCANNER_MOVER_CONFIG")
    file = given or _default_file(options.data_dir)
    if os.path.lexists(file):
        is_ignored = any(getattr(options, name) is not None for name in init_questions.IN_CONFIGURATION)
        return file, _known(file, is_ignored=is_ignored), False
    answers = init_questions.ask(options)
    if not given:
        file = _default_file(answers.data_dir)
        if os.path.lexists(file):  # in the folder that was typed
            return file, _known(file, is_ignored=True), False
    return file, answers, True


def _default_file(data_dir: str | None) -> str:
    """Where the configuration lies when nobody says it; for the default folder that is the reference's place (R1)."""
    return os.path.join(absolute(data_dir or config.DEFAULT_DATA_DIR), "config", "config.json")


def _owner(user: str | None) -> Owner:
    """Who gets what is made. Raises UsageError for an unknown user, or another one while we are not root."""
    ours = os.geteuid()
    try:
        entry = pwd.getpwnam(user) if user else pwd.getpwuid(ours)
    except KeyError:
        if user:
            raise UsageError(f"--user: this machine knows no user {user!r}") from None
        return Owner(str(ours), ours, os.getegid())
    if entry.pw_uid != ours and ours != 0:
        raise UsageError(f"--user: only root can make files for {user}; call it as {user}, or with sudo")
    return Owner(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _known(file: str, *, is_ignored: bool) -> Answers:
    """What the configuration FILE says, which is there already. IS_IGNORED: something else was given for it.

    Raises ConfigurationError.
    """
    settings = config.load(file, config.DEFAULT_PROJECT)
    if settings.receive_port is None:
        # Another program receives. DICOMPORT need not be there for that.
        with contextlib.suppress(ConfigurationError):
            settings = config.load(file, config.DEFAULT_PROJECT, receive=True)._replace(receive=False)
    if is_ignored:
        say(f"{file} is there already and counts: what was given for it is ignored")
    return Answers(
        host=settings.host,
        port=settings.port,
        called_ae_title=settings.called_ae_title,
        calling_ae_title=settings.calling_ae_title,
        data_dir=settings.data_dir,
        receive=settings.receive,
        receive_port=settings.receive_port,
    )


def _script(program: str) -> str:
    """How cron calls a pass: the absolute path of `moveFromScanner.sh`, or else the module."""
    for folder in (os.path.dirname(absolute(program)), os.path.dirname(sys.executable)):
        path = os.path.join(folder, _SCRIPT)
        if os.access(path, os.X_OK):
            return shlex.quote(path)
    return f"{shlex.quote(sys.executable)} -m scanner_mover move"


def _make(plan: _Plan) -> list[str]:
    """Make what is missing; gives a line for each. Raises UnusableError."""
    maker = Maker(plan.owner)
    data, server = DataFolders(plan.answers.data_dir), ServerFolders(plan.server_dir, config.DEFAULT_PROJECT)
    for folder in (plan.answers.data_dir, os.path.dirname(plan.file), os.path.dirname(data.enabled)):
        maker.folder(folder)
    for folder in (data.active_scans, data.finished_scans, data.failed_scans, data.scanner, data.raw):
        maker.folder(folder, private=True)
    for folder in (server.pids, os.path.dirname(server.log)):
        maker.folder(folder)
    maker.configuration(plan.file, plan.answers)
    # The second byte is our switch (R6), the first one that of the program that receives.
    maker.file(data.enabled, "110\n", 0o644)
    return maker.lines


def _first_pass(plan: _Plan) -> str:
    """Make a pass as cron will, which proves the rights and starts the log; gives a line about it."""
    folder = DataFolders(plan.answers.data_dir).active_scans
    try:
        if os.listdir(folder):
            return "no pass was made: there are requests already"
    except OSError as error:
        return f"no pass was made: {folder} cannot be read: {reason(error)}"
    owner = plan.owner
    as_user: dict[str, Any] = (
        {} if owner.uid == os.geteuid() else {"user": owner.uid, "group": owner.gid, "extra_groups": []}
    )
    try:
        done = child_program.run(
            shlex.split(plan.script),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "SCANNER_MOVER_CONFIG": plan.file, "SERVERDIR": plan.server_dir},
            timeout=_SECONDS_OF_A_FIRST_PASS,
            **as_user,
        )
    except PermissionError:
        return f"a first pass could not be made: {owner.name} may not run {plan.script}; chmod the folders above it"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"a first pass could not be made as {owner.name}: {error}"
    printed = done.stderr.decode("utf-8", "replace").strip()
    return f"a first pass was made as {owner.name}: exit status {done.returncode}" + (f", {printed}" if printed else "")


def _to_register(plan: _Plan) -> list[str]:
    answers = plan.answers
    lines = [
        "Register on the scanner, in its list of DICOM nodes:",
        f"  AE title  {answers.calling_ae_title}",
        f"  address   {_own_address(answers)}",
        f"  port      {answers.receive_port or 'the one of the program that receives'}",
        "and allow this node to query and retrieve (C-FIND and C-MOVE).",
    ]
    if not answers.receive:
        lines.append(f"Another program must receive there and file each image below {plan.answers.data_dir}/site/raw.")
    return lines


def _own_address(answers: Answers) -> str:
    """This machine's address on the way to the scanner; nothing is sent."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((answers.host, answers.port))
            return str(probe.getsockname()[0])
    except OSError:
        return f"that of {socket.gethostname()}, as the scanner sees it"


def _to_paste(plan: _Plan) -> list[str]:
    variables = []
    if plan.file != config.DEFAULT_FILE:
        variables.append(f"SCANNER_MOVER_CONFIG={plan.file}")
    if find_server_dir(_beside(plan.script, _SCRIPT), {}) != plan.server_dir:
        variables.append(f"SERVERDIR={plan.server_dir}")
    command = plan.script.replace("%", r"\%")  # cron's sign for the end of a line
    waits = ["", *(f"sleep {seconds}; " for seconds in (15, 30, 45))]
    return [
        f"Paste into the crontab of {plan.owner.name} (crontab -e):",
        "",
        "# While all is well, a pass prints nothing and nothing is mailed. When a fault begins, changes or ends, or a",
        '# request fails, it prints one line, which cron mails to MAILTO. With MAILTO="" nobody hears of it.',
        f"MAILTO={plan.owner.name}",
        *variables,
        *(f"* * * * * {wait}{command}" for wait in waits),
    ]


def _beside(script: str, name: str) -> str:
    """The path of the program NAME in the folder of SCRIPT, a command line."""
    return os.path.join(os.path.dirname(shlex.split(script)[0]), name)


def _to_do_next(plan: _Plan) -> list[str]:
    data = DataFolders(plan.answers.data_dir)
    places = [f"--config {shlex.quote(plan.file)}"] if plan.file != config.DEFAULT_FILE else []
    if find_server_dir(_beside(plan.script, "scanner-mover"), {}) != plan.server_dir:
        places.append(f"--server-dir {shlex.quote(plan.server_dir)}")
    return [
        f"The scanner's MPPS files must arrive in {data.scanner}. Where there are none, set no_mpps_after_seconds",
        f"in {plan.file}. A request is an empty file in {data.active_scans}",
        "whose name is a StudyInstanceUID; scanner-mover find --request makes them.",
        " ".join(["Then test the set-up: scanner-mover status --check", *places]),
    ]


def _warn(options: InitOptions) -> None:
    if os.geteuid() == 0 and options.user is None:
        say("you are root, so all of it belongs to root: if cron runs the passes as another user, add --user USER")
    if shutil.which("findscu") is None:
        say("DCMTK is not installed: apt-get install dcmtk (Debian, Ubuntu)")
