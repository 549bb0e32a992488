"""Every subcommand with its help, an example, and its exit statuses: for `--help` and for the man page."""

from scanner_mover.arguments import MoveOptions, StatusOptions
from scanner_mover.arguments_by_hand import DemoOptions, FindOptions, InitOptions
from scanner_mover.errors import ExitStatus
from scanner_mover.record import Record

Options = MoveOptions | FindOptions | StatusOptions | InitOptions | DemoOptions


class Subcommand(Record):
    """A subcommand: its name, the record of its options, its help, and its exit statuses with their meaning."""

    name: str
    options: type[Options]
    help: str
    example: str
    exit_statuses: dict[int, str]


_OTHER_STATUSES = {
    int(ExitStatus.USAGE): "wrong usage",
    int(ExitStatus.CONFIGURATION): "the configuration cannot be used; the line names the file and the key",
    int(ExitStatus.UNUSABLE): "a tool, a folder or a disk cannot be used; the line says what to do",
}
_SCANNER_STATUS = {int(ExitStatus.SCANNER): "the scanner could not be asked"}
_LAST_STATUSES = {int(ExitStatus.INTERNAL): "an error of scanner-mover itself; the line says where its traceback is"}
SUBCOMMANDS = (
    Subcommand(
        "move",
        MoveOptions,
        "Make one pass: retrieve what is missing, close what is complete.",
        "scanner-mover move --dry-run",
        {
            int(ExitStatus.OK): "the pass was made; or it is switched off, or nothing is requested",
            int(ExitStatus.LOCK_HELD): "another pass holds the lock",
            **_OTHER_STATUSES,
            int(ExitStatus.SCANNER): "the scanner could not be asked, a retrieve failed, or a series is stuck",
            int(ExitStatus.REQUEST_FAILED): "a request failed: it lies in failed-scans",
            **_LAST_STATUSES,
        },
    ),
    Subcommand(
        "find",
        FindOptions,
        "Ask the scanner which studies, or which series of a study, it has.",
        "scanner-mover find --date 7d --modality MR --request",
        {int(ExitStatus.OK): "the scanner answered", **_OTHER_STATUSES, **_SCANNER_STATUS, **_LAST_STATUSES},
    ),
    Subcommand(
        "status",
        StatusOptions,
        "Show where everything stands.",
        "scanner-mover status --check",
        {
            int(ExitStatus.OK): "it was shown",
            int(ExitStatus.ATTENTION): "--max-age: the last pass is older; --check: something needs attention",
            **_OTHER_STATUSES,
            **_SCANNER_STATUS,
            **_LAST_STATUSES,
        },
    ),
    Subcommand(
        "init",
        InitOptions,
        "Set up a new site; nothing that is there is overwritten.",
        "scanner-mover init --scanner-ip 192.0.2.1 --scanner-port 104 --scanner-ae-title MRC1 --ae-title MOVER",
        {int(ExitStatus.OK): "the site is set up", **_OTHER_STATUSES, **_LAST_STATUSES},
    ),
    Subcommand(
        "demo",
        DemoOptions,
        "Play the whole job on this machine, with a real DICOM server.",
        "scanner-mover demo --keep /tmp/demo",
        {
            int(ExitStatus.OK): "it worked",
            **_OTHER_STATUSES,
            int(ExitStatus.SCANNER): "no study was finished",
            **_LAST_STATUSES,
        },
    ),
)
BY_SIGNAL = "128 + n: ended by signal n"
