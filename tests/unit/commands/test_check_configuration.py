"""What `status --check` says of the configuration: its values, its hooks, and projects that get in each other's way."""

import json

import pytest

from scanner_mover import config
from scanner_mover.commands import check_configuration
from scanner_mover.commands.check_line import Verdict, fix, ok

SCANNER = {"SCANNERIP": "scanner.example", "SCANNERPORT": 4006, "SCANNERAETITLE": "SCANNER", "DICOMAETITLE": "MOVER"}


@pytest.fixture
def write(tmp_path):
    """Writes the configuration that only its owner may write, and gives its path."""

    def write(keys) -> str:
        file = tmp_path / "config.json"
        file.write_text(json.dumps(keys))
        file.chmod(0o640)
        return str(file)

    return write


def site(data_dir: str = "/mover/data", **keys):
    return {"DATADIR": data_dir, **SCANNER, **keys}


def values(file: str, project: str = "ABCD", **more):
    first, *others = check_configuration.values(config.load(file, project, **more))
    assert first == ok(f"configuration {file}, project {project}")
    assert {one.verdict for one in others} <= {Verdict.OK}
    return [one.text for one in others]


def hooks(file: str):
    return list(check_configuration.hooks(config.load(file, "ABCD")))


def other_projects(file: str, project: str = "ABCD", **more):
    return list(check_configuration.other_projects(config.load(file, project, **more)))


def test_each_key_is_shown_with_where_it_stands(write):
    assert values(write(site())) == [
        "DATADIR is /mover/data (DATADIR)",
        "SCANNERIP is scanner.example (SCANNERIP)",
        "SCANNERPORT is 4006 (SCANNERPORT)",
        "SCANNERAETITLE is SCANNER (SCANNERAETITLE)",
        "DICOMAETITLE is MOVER (DICOMAETITLE)",
    ]


def test_a_key_that_is_not_there_is_a_default(write):
    assert values(write(SCANNER))[0] == "DATADIR is /data (default)"


def test_the_keys_of_a_project_stand_in_its_site(write):
    file = write({"SITES": {"PCGC": site()}, "DATADIR": "/elsewhere"})
    assert values(file, "PCGC")[0] == "DATADIR is /mover/data (SITES.PCGC.DATADIR)"


@pytest.mark.parametrize(("receive", "shown"), [(True, ["DICOMPORT is 11112 (DICOMPORT)"]), (False, [])])
def test_the_port_is_shown_only_where_we_receive(write, receive, shown):
    assert values(write(site(DICOMPORT=11112)), receive=receive)[5:] == shown


def test_options_are_shown_with_where_they_stand_and_those_not_given_are_not(write):
    pcgc = site(SCANNER_MOVER={"retries": 5, "max_pdu": None})
    file = write({"SCANNER_MOVER": {"retries": 1, "quiet_seconds": 30}, "SITES": {"PCGC": pcgc}})
    assert sorted(values(file, "PCGC")[5:]) == [
        "quiet_seconds is 30.0 (SCANNER_MOVER.quiet_seconds)",
        "retries is 5 (SITES.PCGC.SCANNER_MOVER.retries)",
    ]


def test_a_list_is_shown_as_it_would_be_typed(write):
    file = write(site(SCANNER_MOVER={"on_fault": ["/bin/mail", "-s", "the mover failed"]}))
    assert values(file)[5:] == ["on_fault is /bin/mail -s 'the mover failed' (SCANNER_MOVER.on_fault)"]


@pytest.mark.parametrize(("profile", "end"), [({"profile": "bcp195"}, ", profile bcp195"), ({}, "")])
def test_tls_is_shown_with_what_was_given(write, profile, end):
    tls = {"key": "/tls/key", "certificate": "/tls/cert", "authorities": "/tls/ca", **profile}
    assert values(write(site(SCANNER_MOVER={"tls": tls})))[5:] == [
        f"tls is key /tls/key, certificate /tls/cert, authorities /tls/ca{end} (SCANNER_MOVER.tls)"
    ]


def test_without_hooks_there_is_no_line_even_in_a_file_that_everybody_may_write(write, tmp_path):
    file = write(site())
    (tmp_path / "config.json").chmod(0o666)
    assert hooks(file) == []


def test_the_hooks_that_may_run_are_named(write, tmp_path):
    program = tmp_path / "hook"
    program.touch(0o755)
    given = {"on_fault": [str(program)], "on_finished": [str(program), "--flag"]}
    assert hooks(write(site(SCANNER_MOVER=given))) == [ok("the hooks on_finished, on_fault may run")]


@pytest.mark.parametrize("mode", [None, 0o644])
def test_a_hook_that_is_no_program_is_named(write, tmp_path, mode):
    program = tmp_path / "hook"
    if mode is not None:
        program.touch()
        program.chmod(mode)
    assert hooks(write(site(SCANNER_MOVER={"on_failed": [str(program)]}))) == [
        fix(f"on_failed: {program} is no program that can be run: give its full path, or chmod +x it"),
        ok("the hooks on_failed may run"),
    ]


def test_a_configuration_that_everybody_may_write_stops_the_hooks(write, tmp_path):
    program = tmp_path / "hook"
    program.touch(0o755)
    file = write(site(SCANNER_MOVER={"on_failed": [str(program)]}))
    (tmp_path / "config.json").chmod(0o666)
    (finding,) = hooks(file)
    assert finding.verdict is Verdict.FIX
    assert finding.text.startswith(f"{file} can be written by everybody: chmod o-w it")


def test_R3_the_scanner_that_only_pcgc_has_is_to_be_copied(write):
    file = write({"SITES": {"PCGC": site(), "MINE": {"DATADIR": "/mine", "SCANNERIP": "own", "SCANNERPORT": None}}})
    assert list(check_configuration.only_in_pcgc(file, "MINE")) == [
        fix(
            f"the script took the scanner of every project from SITES.PCGC; copy into SITES.MINE of {file}: "
            '"SCANNERPORT": 4006, "SCANNERAETITLE": "SCANNER", "DICOMAETITLE": "MOVER"'
        )
    ]


@pytest.mark.parametrize(
    ("project", "sites"),
    [
        ("MINE", {"PCGC": site(), "MINE": site()}),
        ("MINE", {"MINE": {"DATADIR": "/mine"}}),
        ("MINE", {"PCGC": {"DATADIR": "/pcgc"}, "MINE": {}}),
        ("PCGC", {"PCGC": {**SCANNER, "SCANNERIP": None}}),
        ("ABCD", {"PCGC": site()}),
    ],
)
def test_R3_nothing_is_to_be_copied(write, project, sites):
    assert list(check_configuration.only_in_pcgc(write({"SITES": sites}), project)) == []


def test_R3_a_configuration_that_cannot_be_read_is_no_line_here(tmp_path):
    assert list(check_configuration.only_in_pcgc(str(tmp_path / "none.json"), "MINE")) == []


@pytest.mark.parametrize(
    ("own_receives", "other_receives", "other_data_dir", "is_wrong"),
    [
        (False, False, "/mover/data", False),
        (True, False, "/mover/data", True),
        (False, True, "/mover/data", True),
        (False, False, "/other/data", True),
    ],
)
def test_one_port_for_two_projects(write, own_receives, other_receives, other_data_dir, is_wrong):
    pcgc = site(other_data_dir, DICOMPORT=11112, SCANNER_MOVER={"receive": other_receives})
    file = write({**site(DICOMPORT=11112), "SITES": {"PCGC": pcgc}})
    line = fix("the projects ABCD and PCGC have one DICOMPORT, 11112: give each its own, and tell the scanner")
    assert other_projects(file, receive=own_receives) == ([line] if is_wrong else [])


def test_each_project_with_the_port_is_named_and_no_other(write):
    sites = {name: site(f"/{name}", DICOMPORT=port) for name, port in (("A", 11112), ("B", 11113), ("C", 11112))}
    file = write({**site(DICOMPORT=11112), "SITES": sites})
    assert [one.text.split(" have ")[0] for one in other_projects(file, "A")] == [
        "the projects A and ABCD",
        "the projects A and C",
    ]


@pytest.mark.parametrize(
    ("own", "other"),
    [
        ({}, {"DICOMPORT": 11112}),
        ({"DICOMPORT": 11112}, {}),
        ({"DICOMPORT": "no port"}, {"DICOMPORT": 11112}),
        ({"DICOMPORT": 11112}, {"DICOMPORT": 11112, "SCANNERPORT": "no port"}),
    ],
)
def test_a_project_that_cannot_receive_shares_no_port(write, own, other):
    assert other_projects(write({**site(**own), "SITES": {"PCGC": site("/other/data", **other)}})) == []


def test_settings_as_if_the_project_received(write):
    settings = check_configuration.receiving(write(site(DICOMPORT=11112, SCANNER_MOVER={"receive": False})), "ABCD")
    assert settings is not None
    assert (settings.receive, settings.receive_port) == (True, 11112)


@pytest.mark.parametrize(("keys", "project"), [({}, "ABCD"), ({"DICOMPORT": 0}, "ABCD"), ({"DICOMPORT": 11112}, "X")])
def test_no_settings_for_a_project_that_could_not_receive(write, keys, project):
    assert check_configuration.receiving(write(site(**keys)), project) is None
