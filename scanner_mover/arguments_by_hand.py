"""The options of `find`, `init` and `demo`, which people call: typer reads them. `arguments` has the others."""

import enum

from scanner_mover.arguments import Config, Project
from scanner_mover.options import Kind, Option
from scanner_mover.record import Annotated, Record


class Level(enum.StrEnum):
    """The level of a C-FIND (DICOM PS3.4 section C.6.2.1), in the words of the command line."""

    STUDY = "study"
    SERIES = "series"


class FindOptions(Record):
    """The options of `find`; empty where the command line says nothing."""

    project: Project = None
    config: Config = None
    level: Annotated[
        Level,
        Option(("--level",), Kind.CHOICE, "Ask for studies, or for the series of one study.", "study|series", "study"),
    ] = Level.STUDY
    study: Annotated[str, Option(("--study",), Kind.FILTER, "Only this study.", "UID")] = ""
    patient_id: Annotated[
        str, Option(("--patient-id",), Kind.FILTER, "Only this PatientID; * and ? are wildcards.", "ID")
    ] = ""
    patient_name: Annotated[
        str, Option(("--patient-name",), Kind.FILTER, "Only this name, as Family^Given; * and ? are wildcards.", "NAME")
    ] = ""
    date: Annotated[
        str,
        Option(
            *(("--date",), Kind.FILTER),
            "Only studies of these days: today, yesterday, 7d, 2026-01-31, 20260131 or 20260101-20260131.",
            "DATE",
        ),
    ] = ""
    modality: Annotated[str, Option(("--modality",), Kind.FILTER, "Only this modality, such as MR.", "MODALITY")] = ""
    description: Annotated[
        str,
        Option(
            *(("--description",), Kind.FILTER),
            "Only this description of the study (with --level series: of the series); * and ? are wildcards.",
            "TEXT",
        ),
    ] = ""
    limit: Annotated[int | None, Option(("--limit",), Kind.COUNT, "Show at most N results.", "N", "all")] = None
    json: Annotated[
        bool, Option(("--json",), Kind.FLAG, "Print a JSON list of objects with DICOM's keywords as keys.")
    ] = False
    csv: Annotated[bool, Option(("--csv",), Kind.FLAG, "Print comma-separated values.")] = False
    request: Annotated[
        bool,
        Option(("--request",), Kind.FLAG, "Also request every study that is shown. Needs a filter, or --all."),
    ] = False
    all: Annotated[bool, Option(("--all",), Kind.FLAG, "With --request: every study that the scanner has.")] = False


class InitOptions(Record):
    """The options of `init`; None where the command line says nothing."""

    config: Config = None
    scanner_ip: Annotated[
        str | None, Option(("--scanner-ip",), Kind.TEXT, "The scanner's address or host name.", "HOST")
    ] = None
    scanner_port: Annotated[
        int | None,
        Option(("--scanner-port",), Kind.PORT, "The port of the scanner's query/retrieve service.", "PORT"),
    ] = None
    scanner_ae_title: Annotated[
        str | None, Option(("--scanner-ae-title",), Kind.TEXT, "The AE title of that service.", "AET")
    ] = None
    ae_title: Annotated[
        str | None,
        Option(("--ae-title",), Kind.TEXT, "Our own AE title, under which the scanner knows this server.", "AET"),
    ] = None
    data_dir: Annotated[
        str | None, Option(("--data-dir",), Kind.FOLDER, "The folder of requests and images.", "DIR", "/data")
    ] = None
    server_dir: Annotated[
        str | None,
        Option(
            ("--server-dir",), Kind.FOLDER, "The folder of logs/ and .pids/.", "DIR", "$SERVERDIR, else as for move"
        ),
    ] = None
    receive: Annotated[
        bool | None,
        Option(
            ("--receive", "--no-receive"),
            Kind.SWITCH,
            "Passes receive the images themselves, with DCMTK's storescp; or another program of this server does.",
            default="--receive",
        ),
    ] = None
    receive_port: Annotated[
        int | None,
        Option(("--receive-port",), Kind.PORT, "The port on which this server receives images.", "PORT", "11112"),
    ] = None
    user: Annotated[
        str | None,
        Option(("--user",), Kind.TEXT, "The user whose crontab runs the passes; new files are theirs.", "USER", "you"),
    ] = None


class DemoOptions(Record):
    """The options of `demo`."""

    keep: Annotated[
        str | None,
        Option(("--keep",), Kind.FOLDER, "Leave the demo's folders in DIR, which must be new or empty.", "DIR"),
    ] = None
