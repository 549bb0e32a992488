"""What `init` takes from a configuration that is there, whose files it makes, and its first pass.

Users are made up. The program that is called for a pass is a small shell script. What is printed then is in
`test_init_printed.py`.
"""

import json
import os
import subprocess
from types import SimpleNamespace

import pytest

from scanner_mover import config
from scanner_mover.arguments_by_hand import InitOptions
from scanner_mover.commands import child_program, init, init_questions
from scanner_mover.commands.init_questions import Answers
from scanner_mover.commands.new_site import Owner
from scanner_mover.errors import ConfigurationError, UnusableError, UsageError
from tests.support.site import shell_tool

NEEDED = {"scanner_ip": "127.0.0.1", "scanner_port": 4006, "scanner_ae_title": "CONSOLE", "ae_title": "MOVER"}
ANSWERS = Answers("127.0.0.1", 4006, "CONSOLE", "MOVER", "/srv/images", True, 11112)
USERS = {"root": 0, "mover": 1001, "other": 1002}


def entry(name: str) -> SimpleNamespace:
    return SimpleNamespace(pw_name=name, pw_uid=USERS[name], pw_gid=USERS[name] + 100)


class Server:
    """A machine below a folder: `init` and the program that cron calls lie in `bin`; nothing else is there."""

    def __init__(self, root, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
        self.root, self._patch, self._capsys = root, monkeypatch, capsys
        self.data, self.server = root / "data", root / "server"
        self.script = shell_tool(root / "bin", "moveFromScanner.sh", "exit 0")
        self.we_are(1001)

    def we_are(self, uid: int) -> None:
        self._patch.setattr(os, "geteuid", lambda: uid)

    def init(self, **options: object) -> tuple[list[str], str]:
        """The lines of standard output, and what is on standard error."""
        places = {"data_dir": str(self.data), "server_dir": str(self.server)}
        program = str(self.root / "bin" / "scanner-mover")
        assert init.run(InitOptions(**{**NEEDED, **places, **options}), program) == 0
        printed = self._capsys.readouterr()
        return printed.out.splitlines(), printed.err


@pytest.fixture
def server(tmp_path, monkeypatch, capsys) -> Server:
    for name in ("SCANNER_MOVER_CONFIG", "SERVERDIR"):
        monkeypatch.delenv(name, raising=False)
    names = {uid: name for name, uid in USERS.items()}
    monkeypatch.setattr(init, "pwd", SimpleNamespace(getpwnam=entry, getpwuid=lambda uid: entry(names[uid])))
    monkeypatch.setattr(os, "chown", lambda *_: None)
    monkeypatch.setattr(os, "fsync", lambda *_: None)  # it takes the most time here
    monkeypatch.setattr(init, "shutil", SimpleNamespace(which=lambda name: f"/usr/bin/{name}"))
    return Server(tmp_path, monkeypatch, capsys)


@pytest.fixture
def started(monkeypatch) -> list[tuple[list[str], dict]]:
    """Each program that is started for a pass, which nobody starts really: it succeeds, and prints nothing."""
    calls: list[tuple[list[str], dict]] = []

    def run(command: list[str], **more: object) -> SimpleNamespace:
        calls.append((command, more))
        return SimpleNamespace(returncode=0, stderr=b"")

    monkeypatch.setattr(child_program, "run", run)
    return calls


# Who gets what is made


@pytest.mark.parametrize(
    ("ours", "user", "name"),
    [(1001, None, "mover"), (1001, "mover", "mover"), (0, None, "root"), (0, "mover", "mover"), (0, "root", "root")],
)
def test_what_is_made_belongs_to_us_or_to_the_user_whom_root_names(server, ours, user, name):
    server.we_are(ours)
    assert init._owner(user) == Owner(name, USERS[name], USERS[name] + 100)


def test_a_user_whom_the_machine_has_no_name_for_has_a_number(server, monkeypatch):
    server.we_are(4242)
    monkeypatch.setattr(os, "getegid", lambda: 4243)
    assert init._owner(None) == Owner("4242", 4242, 4243)


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("nobody-has-it", "--user: this machine knows no user 'nobody-has-it'"),
        ("other", "--user: only root can make files for other; call it as other, or with sudo"),
    ],
)
def test_a_user_for_whom_nothing_can_be_made_is_refused_before_anything_is(server, user, said):
    with pytest.raises(UsageError) as raised:
        server.init(user=user)
    assert str(raised.value) == said
    assert not server.data.exists()


# Which configuration counts


def test_the_configuration_lies_in_the_data_folder_by_default_in_that_of_the_script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert init._default_file(None) == config.DEFAULT_FILE == "/data/config/config.json"
    assert init._default_file("images") == f"{tmp_path}/images/config/config.json"
    assert init._default_file("/srv/images") == "/srv/images/config/config.json"


@pytest.mark.parametrize(
    ("environment", "option", "file"),
    [
        (None, None, "data/config/config.json"),
        ("env.json", None, "env.json"),
        (None, "given.json", "given.json"),
        ("env.json", "given.json", "given.json"),
    ],
)
def test_the_configuration_is_made_where_the_option_says_or_the_environment(
    server, monkeypatch, environment, option, file
):
    if environment is not None:
        monkeypatch.setenv("SCANNER_MOVER_CONFIG", str(server.root / environment))
    lines, _ = server.init(config=option and str(server.root / option))
    assert [str(path.relative_to(server.root)) for path in server.root.rglob("*.json")] == [file]
    assert f"made   {server.root / file}" in lines


@pytest.mark.parametrize("named", [None, "", "env.json"])
def test_a_data_folder_that_was_typed_gets_the_configuration_unless_that_has_a_place(server, monkeypatch, named):
    monkeypatch.setattr(config, "DEFAULT_DATA_DIR", str(server.root / "default"))
    if named is not None:
        monkeypatch.setenv("SCANNER_MOVER_CONFIG", str(server.root / named) if named else "")
    typed = ANSWERS._replace(data_dir=str(server.root / "typed"))
    monkeypatch.setattr(init_questions, "ask", lambda options: typed)
    server.init(data_dir=None)
    file = server.root / (named or "typed/config/config.json")
    assert json.loads(file.read_text())["DATADIR"] == typed.data_dir
    assert not (server.root / "default").exists()


def test_a_data_folder_that_was_typed_may_have_a_configuration_which_counts(server, monkeypatch):
    server.init()
    typed = ANSWERS._replace(data_dir=str(server.data), calling_ae_title="NEW")
    monkeypatch.setattr(config, "DEFAULT_DATA_DIR", str(server.root / "default"))
    monkeypatch.setattr(init_questions, "ask", lambda options: typed)
    lines, said = server.init(data_dir=None)
    assert f"there  {server.data}/config/config.json" in lines and "  AE title  MOVER" in lines
    assert said.endswith("config.json is there already and counts: what was given for it is ignored\n")


def test_a_configuration_that_is_there_counts_and_nothing_is_asked_and_no_pass_made(server, started):
    server.init()
    started.clear()
    before = (server.data / "config" / "config.json").read_bytes()
    lines, said = server.init(ae_title=None, scanner_ip=None, scanner_port=None, scanner_ae_title=None)
    assert (server.data / "config" / "config.json").read_bytes() == before
    assert [line for line in lines if line.startswith("made ")] == []
    assert "  AE title  MOVER" in lines
    assert "a first pass" not in "\n".join(lines) and started == []
    assert said.startswith(f"scanner-mover: {server.data}/config/config.json is there already and counts: ")


@pytest.mark.parametrize(
    ("options", "ignored"),
    [
        ({}, False),
        ({"server_dir": "/srv", "user": "mover"}, False),
        ({"ae_title": "OTHER"}, True),
        ({"receive": False}, True),
        ({"data_dir": "/elsewhere"}, True),
    ],
)
def test_what_the_options_say_of_a_configuration_that_is_there_is_ignored_aloud(
    server, capsys, tmp_path, options, ignored
):
    file = tmp_path / "config.json"
    keys = {"DATADIR": "/d", "SCANNERIP": "h", "SCANNERPORT": 1, "SCANNERAETITLE": "S", "DICOMAETITLE": "M"}
    file.write_text(json.dumps(keys))
    found = init._configuration(InitOptions(config=str(file), **options))
    assert found == (str(file), Answers("h", 1, "S", "M", "/d", False, None), False)
    said = f"scanner-mover: {file} is there already and counts: what was given for it is ignored\n"
    assert capsys.readouterr().err == (said if ignored else "")


@pytest.mark.parametrize(
    ("keys", "receive", "port"),
    [
        ({"DICOMPORT": 104, "SCANNER_MOVER": {"receive": True}}, True, 104),
        ({"DICOMPORT": 104}, False, 104),
        ({"DICOMPORT": "many"}, False, None),
    ],
)
def test_the_port_of_a_program_that_receives_is_known_if_the_configuration_has_it(tmp_path, keys, receive, port):
    file = tmp_path / "config.json"
    needed = {"SCANNERIP": "h", "SCANNERPORT": 1, "SCANNERAETITLE": "S", "DICOMAETITLE": "M"}
    file.write_text(json.dumps({**needed, **keys}))
    _, known, _ = init._configuration(InitOptions(config=str(file)))
    assert (known.receive, known.receive_port) == (receive, port)


def test_a_configuration_that_cannot_be_used_is_an_error_and_nothing_is_made(server):
    file = server.root / "config.json"
    file.write_text("{}")
    with pytest.raises(ConfigurationError, match="SCANNERIP is missing"):
        server.init(config=str(file))
    assert not server.data.exists() and not server.server.exists()


def test_everything_that_a_pass_needs_is_made_the_private_folders_closed_for_others(server, started):
    before = os.umask(0o022)
    try:
        lines, _ = server.init()
    finally:
        os.umask(before)
    made = [line.removeprefix("made   ") for line in lines if line.startswith("made ")]
    data = [f"{server.data}{part}" for part in ("", "/config")]
    private = [f"{server.data}/{name}" for name in ("active-scans", "finished-scans", "failed-scans", "scanner")]
    private += [f"{server.data}/site", f"{server.data}/site/raw"]
    places = [str(server.server), f"{server.server}/.pids", f"{server.server}/logs"]
    assert made == [*data, *private, *places, f"{data[1]}/config.json", f"{data[1]}/enabled"]
    assert {os.stat(path).st_mode & 0o777 for path in private} == {0o750}
    assert {os.stat(path).st_mode & 0o777 for path in (*data, *places)} == {0o755}
    assert os.stat(f"{data[1]}/enabled").st_mode & 0o777 == 0o644
    assert (server.data / "config" / "enabled").read_bytes() == b"110\n", "switched on, and the program that receives"


def test_what_is_in_the_way_ends_it_before_a_pass_is_made(server, started):
    server.data.mkdir()
    (server.data / "active-scans").touch()
    with pytest.raises(UnusableError, match="active-scans is not a folder"):
        server.init()
    assert started == []


# The first pass


@pytest.mark.parametrize(
    ("script", "result"),
    [
        ("echo not this; exit 0", "exit status 0"),
        ("echo '  a line  ' >&2; exit 4", "exit status 4, a line"),
        (r"printf '\377' >&2; exit 5", "exit status 5, \N{REPLACEMENT CHARACTER}"),
    ],
)
def test_a_first_pass_is_made_and_what_came_of_it_stands_below_what_was_made(server, script, result):
    shell_tool(server.root / "bin", "moveFromScanner.sh", script)
    lines, _ = server.init()
    assert lines[lines.index("") - 1] == f"a first pass was made as mover: {result}"


def test_the_first_pass_gets_the_places_and_no_arguments_whatever_the_environment_says(server, monkeypatch):
    monkeypatch.setenv("SERVERDIR", "/nowhere")
    shell_tool(server.root / "bin", "moveFromScanner.sh", 'echo "$SCANNER_MOVER_CONFIG $SERVERDIR $*" >&2; exit 3')
    lines, _ = server.init()
    places = f"{server.data}/config/config.json {server.server}"
    assert f"a first pass was made as mover: exit status 3, {places}" in lines


@pytest.mark.parametrize(
    ("ours", "user", "identity"),
    [
        (1001, None, {}),
        (0, None, {}),
        (0, "root", {}),
        (0, "mover", {"user": 1001, "group": 1101, "extra_groups": []}),
    ],
)
def test_the_first_pass_has_the_rights_of_the_user_whose_crontab_it_is(server, started, ours, user, identity):
    server.we_are(ours)
    server.init(user=user)
    [(command, more)] = started
    assert command == [str(server.script)]
    assert {name: more[name] for name in ("user", "group", "extra_groups") if name in more} == identity
    assert 60 <= more["timeout"] <= 600, "one that hangs ends"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "no"), "a first pass could not be made: mover may not run {}; chmod the folders above it"),
        (OSError(8, "Exec format error"), "a first pass could not be made as mover: [Errno 8] Exec format error"),
        (subprocess.TimeoutExpired("x", 9), "a first pass could not be made as mover: Command 'x' timed out after 9"),
    ],
)
def test_a_first_pass_that_cannot_be_made_is_a_line_and_the_rest_is_printed(server, monkeypatch, error, said):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(child_program, "run", fail)
    lines, _ = server.init()
    assert lines[lines.index("") - 1].startswith(said.format(server.script))
    assert "Register on the scanner, in its list of DICOM nodes:" in lines


def test_no_pass_is_made_over_requests_that_are_there(server, started):
    (server.data / "active-scans").mkdir(parents=True)
    (server.data / "active-scans" / "1.2.3").touch()
    lines, _ = server.init()
    assert "no pass was made: there are requests already" in lines
    assert started == []


def test_no_pass_is_made_where_nobody_can_see_whether_there_are_requests(server, started, monkeypatch):
    def fail(path: str) -> list[str]:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", fail)
    lines, _ = server.init()
    assert f"no pass was made: {server.data}/active-scans cannot be read: Permission denied" in lines
    assert started == [] and "Register on the scanner, in its list of DICOM nodes:" in lines
