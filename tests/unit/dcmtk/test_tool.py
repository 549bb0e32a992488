"""Running one tool: what it gets from us, how it is ended, and which tools are refused (R8, R12, R27)."""

import contextlib
import json
import os
import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner_mover.dcmtk.child import Why
from scanner_mover.dcmtk.tool import Call, Toolbox, find_tools, version
from scanner_mover.errors import UnusableError
from scanner_mover.site.lock import Lock
from tests.support.site import fake_tool, real_tools
from tests.unit.dcmtk import VERSIONS, Played, played

ANSWERS_NOTHING = "pass"
TELLS_ITS_STATE = """
import json, os, sys
print(json.dumps({
    "arguments": sys.argv[1:],
    "environment": dict(os.environ),
    "group": os.getpgid(0),
    "process": os.getpid(),
    "session": os.getsid(0),
    "folder": os.getcwd(),
    "stdin": os.read(0, 100).decode(),
    "terminals": [number for number in range(3) if os.isatty(number)],
    "open": sorted(os.readlink(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")
                   if os.path.exists(f"/proc/self/fd/{number}")),
}))
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Makes a fake tool; gives the toolbox that `find_tools` makes of it."""

    def fake(text: str, name: str = "findscu") -> Toolbox:
        fake_tool(tmp_path / "tools", name, text)
        monkeypatch.setenv("PATH", str(tmp_path / "tools"))
        return find_tools([name])

    return fake


def reported(tools: Toolbox, *arguments: str, name: str = "findscu", folder: str | None = None) -> dict[str, Any]:
    run = tools.run(name, arguments, folder=folder, stall_seconds=20)
    assert (run.exit_status, run.err, run.ended) == (0, [], None)
    value = json.loads("".join(run.out))
    assert isinstance(value, dict)
    return value


# What a tool gets


@pytest.mark.parametrize("name", ["findscu", "movescu", "dump2dcm", "dcmdump", "echoscu"])
def test_every_tool_gets_TCP_NODELAY_and_the_C_locale(fake, monkeypatch, name):
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    monkeypatch.delenv("TCP_NODELAY", raising=False)
    environment = reported(fake(TELLS_ITS_STATE, name), name=name)["environment"]
    assert (environment["TCP_NODELAY"], environment["LC_ALL"]) == ("1", "C")


def test_the_rest_of_the_environment_is_ours(fake, monkeypatch):
    monkeypatch.setenv("http_proxy", "kept")
    assert reported(fake(TELLS_ITS_STATE))["environment"]["http_proxy"] == "kept"
    assert "TCP_NODELAY" not in os.environ or os.environ["TCP_NODELAY"] != "1", "ours is not changed"


@pytest.mark.parametrize(
    ("given_path", "kept"),
    [
        (None, None),
        ("", None),
        ("MISSING", None),
        ("MISSING:MISSING", None),
        ("FOLDER", None),
        ("FILE", "FILE"),
        ("MISSING:FILE", "FILE"),
        ("FILE:MISSING:SECOND", "FILE:SECOND"),
    ],
)
def test_R8_of_DCMDICTPATH_what_does_not_exist_is_dropped(fake, monkeypatch, tmp_path, given_path, kept):
    def filled(text: str) -> str:
        for name in ("MISSING", "FOLDER", "FILE", "SECOND"):
            text = text.replace(name, str(tmp_path / name))
        return text

    (tmp_path / "FOLDER").mkdir()
    for name in ("FILE", "SECOND"):
        (tmp_path / name).touch()
    monkeypatch.delenv("DCMDICTPATH", raising=False)
    if given_path is not None:
        monkeypatch.setenv("DCMDICTPATH", filled(given_path))
    environment = reported(fake(TELLS_ITS_STATE))["environment"]
    assert environment.get("DCMDICTPATH") == (filled(kept) if kept else None)


def test_it_has_a_process_group_of_its_own_and_no_terminal(fake):
    state = reported(fake(TELLS_ITS_STATE))
    assert state["group"] == state["process"] != os.getpgid(0)
    assert state["terminals"] == []


def test_R9_it_inherits_no_descriptor_and_so_no_lock(fake, tmp_path):
    lock = Lock()
    lock.file(str(tmp_path / "lock"))
    (tmp_path / "folder").mkdir()
    lock.folder(str(tmp_path / "folder"))
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        descriptors = reported(fake(TELLS_ITS_STATE))["open"]
    lock.release()
    assert [name for name in descriptors if name.startswith(str(tmp_path))] == []
    assert os.devnull in descriptors


def test_it_runs_in_the_folder_that_it_is_told_to(fake, tmp_path):
    (tmp_path / "folder").mkdir()
    assert reported(fake(TELLS_ITS_STATE), folder=str(tmp_path / "folder"))["folder"] == str(tmp_path / "folder")


def test_R10_an_argument_arrives_as_it_is(fake, tmp_path):
    arguments = ["-v", "$(touch pwned)", "`id`", "a b", "a'b\"c", "a\nb", "*", "", "é", "; touch pwned"]
    assert reported(fake(TELLS_ITS_STATE), *arguments, folder=str(tmp_path))["arguments"] == arguments
    assert not (tmp_path / "pwned").exists()


# What a tool says


def test_both_streams_and_the_exit_status_come_back(fake):
    tools = fake("import sys; print('one\\ntwo'); print('three', file=sys.stderr); sys.exit(69)")
    run = tools.run("findscu", [], stall_seconds=20)
    assert (run.out, run.err, run.exit_status, run.ended) == (["one", "two"], ["three"], 69, None)


def test_a_last_line_without_an_end_and_no_line_at_all(fake):
    assert fake("print('one\\ntwo', end='')").run("findscu", [], stall_seconds=20).out == ["one", "two"]
    run = fake(ANSWERS_NOTHING).run("findscu", [], stall_seconds=20)
    assert (run.out, run.err, run.exit_status) == ([], [], 0)


def test_a_tool_that_a_signal_ends_is_no_surprise(fake):
    run = fake("import os; os.kill(os.getpid(), 11)").run("findscu", [], stall_seconds=20)
    assert (run.exit_status, run.ended) == (-11, None)


def test_garbage_bytes_are_no_surprise(fake):
    run = fake("import os; os.write(1, bytes(range(256)) * 100); os.write(2, b'\\xff\\xfe\\n')").run(
        "findscu", [], stall_seconds=20
    )
    assert (run.exit_status, run.ended) == (0, None)
    assert run.err == ["\udcff\udcfe"]
    assert "\n".join(run.out).encode("utf-8", "surrogateescape").count(bytes(range(0x20, 0x100))) == 100


# What its caller sets


def test_each_line_is_given_on_while_it_runs(fake):
    lines: list[str] = []
    fake("import sys; print('one'); print('two', file=sys.stderr)").run(
        "findscu", [], stall_seconds=60, on_line=lines.append
    )
    assert sorted(lines) == ["one", "two"]


def test_a_limit_of_the_caller_ends_it_and_says_why(fake):
    lines: list[str] = []
    call = Call(["more"], lines.append, lambda: "ended: too many" if len(lines) > 10 else None)
    tools = fake(
        "import sys, time\nfor _ in range(20): print(1, flush=True)\nif sys.argv[1] == 'more': time.sleep(600)"
    )
    run, other = tools.run_together("findscu", [call, Call(["less"])], stall_seconds=60, most_seconds=600)
    assert run.ended == (Why.LIMIT, "ended: too many") and len(run.out) > 10
    assert (other.ended, len(other.out)) == (None, 20)


def test_a_tool_that_wants_all_memory_crashes_before_we_do(fake):
    text = "import time\ntime.sleep(0.2)\nkept = []\nwhile len(kept) < 64: kept.append(bytes(64 << 20))"
    run = fake(text).run("findscu", [], stall_seconds=60)
    assert (run.exit_status, run.ended) == (1, None) and run.err[-1] == "MemoryError"


# Tools that cannot be used


def test_a_tool_that_is_not_there_is_named_with_what_to_install(fake, tmp_path):
    fake(ANSWERS_NOTHING)
    with pytest.raises(UnusableError, match=r"^movescu is not on the PATH: install DCMTK .*apt-get install dcmtk"):
        find_tools(["findscu", "movescu"])


def test_a_file_that_may_not_be_run_is_no_tool(fake, tmp_path):
    fake(ANSWERS_NOTHING)
    (tmp_path / "tools" / "findscu").chmod(0o644)
    with pytest.raises(UnusableError, match=r"^findscu is not on the PATH"):
        find_tools(["findscu"])


@pytest.mark.parametrize("content", ["#!/nonexistent/interpreter\n", "\x7fELF of another machine"])
def test_a_tool_that_cannot_be_started_is_named_in_one_line(fake, tmp_path, content):
    tools = fake(ANSWERS_NOTHING)
    (tmp_path / "tools" / "findscu").write_text(content)
    with pytest.raises(UnusableError) as error:
        tools.run("findscu", [], stall_seconds=20)
    assert str(error.value).startswith(f"{tmp_path / 'tools' / 'findscu'} cannot be started: ")
    assert str(error.value).isprintable()


def test_a_folder_that_is_not_there_is_no_crash(fake, tmp_path):
    with pytest.raises(UnusableError, match="cannot be started"):
        fake(ANSWERS_NOTHING).run("findscu", [], folder=str(tmp_path / "none"), stall_seconds=20)


@pytest.mark.parametrize("argument", ["x" * 3_000_000, "\ud800"], ids=["too long", "undecodable"])
def test_an_argument_that_cannot_be_one_is_no_crash(fake, argument):
    with pytest.raises(UnusableError, match="cannot be started"):
        fake(ANSWERS_NOTHING).run("findscu", [argument], stall_seconds=20)


# R8: no dictionary


@pytest.mark.parametrize("name", ["dcmdump", "findscu", "movescu", "dump2dcm"])
def test_R8_a_real_tool_without_a_dictionary_says_what_to_install(monkeypatch, tmp_path, name):
    # DCMTK reads no line of it, and so has none; a path that does not exist would be dropped.
    (tmp_path / "dicom.dic").write_text("this is no dictionary\n")
    (tmp_path / "text.dump").write_text("(0008,0060) CS [MR]\n")
    subprocess.run(["dump2dcm", "+te", str(tmp_path / "text.dump"), str(tmp_path / "file.dcm")], check=True)
    arguments = {
        "dcmdump": [str(tmp_path / "file.dcm")],
        "dump2dcm": [str(tmp_path / "text.dump"), str(tmp_path / "made.dcm")],
    }
    monkeypatch.setenv("DCMDICTPATH", str(tmp_path / "dicom.dic"))
    tools = real_tools(name)
    with pytest.raises(UnusableError, match=r"^DCMTK finds no DICOM data dictionary: install DCMTK .* DCMDICTPATH"):
        tools.run(name, arguments.get(name, ["127.0.0.1", "1", str(tmp_path / "file.dcm")]), stall_seconds=20)


# R12: versions


def saying(number: str, date: str) -> Played:
    return Played([f"$dcmtk: findscu v{number} {date} $"])


@pytest.mark.parametrize("number", ["3.6.1", "3.6.5", "3.6.7", "3.6.9", "3.7.0", "3.10.0", "4.0.0", "3.6.10"])
def test_R12_every_version_from_3_6_1_on_will_do(number):
    assert version(saying(number, "2022-04-22"), "findscu") == tuple(map(int, number.split(".")))


@pytest.mark.parametrize("number", ["3.6.0", "3.5.4", "2.9.9", "0.0.0"])
def test_R12_an_older_one_is_refused_in_one_line_that_names_it(number):
    with pytest.raises(UnusableError) as error:
        version(saying(number, "2011-01-06"), "findscu")
    assert f"findscu is DCMTK {number}: 3.6.1 or newer is needed; install DCMTK" in str(error.value)
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "pass",
        "print()",
        "print('findscu 3.6.7')",
        "print('$dcmtk: findscu vX.Y.Z $')",
        "print('$dcmtk: findscu v3.6 $')",
        "import os; os.write(1, bytes(range(256)))",
        "import sys; print('$dcmtk: findscu v3.6.7 $', file=sys.stderr)",
        "print('$dcmtk: findscu v' + '9' * 5000 + '.6.7 $')",
    ],
)
def test_R12_a_tool_that_tells_no_version_is_refused(fake, text):
    with pytest.raises(UnusableError) as error:
        version(fake(text), "findscu")
    assert "findscu" in str(error.value) and str(error.value).isprintable()


@pytest.mark.parametrize("number", VERSIONS)
@pytest.mark.parametrize("name", ["findscu", "movescu", "dump2dcm", "dcmdump", "echoscu"])
def test_R12_so_do_the_recorded_ones(number, name):
    assert version(played(number, f"version-{name}"), name) == tuple(map(int, number.split(".")))


def test_R12_the_real_one_will_do():
    assert version(real_tools("findscu"), "findscu") >= (3, 6, 1)


# Anything


@settings(max_examples=8, deadline=None)
@given(out=st.binary(max_size=200), err=st.binary(max_size=200), status=st.integers(0, 255))
def test_whatever_a_tool_prints_comes_back(tmp_path_factory, out, err, status):
    folder = tmp_path_factory.getbasetemp() / "any"
    path = fake_tool(folder, "tool", f"import os; os.write(1, {out!r}); os.write(2, {err!r}); os._exit({status})")
    run = Toolbox({"tool": str(path)}, {}).run("tool", [], stall_seconds=20)
    assert (run.exit_status, run.ended) == (status, None)
    for said, was in ((run.out, out), (run.err, err)):
        assert [line.encode("utf-8", "surrogateescape") for line in said if line] == [
            line.rstrip(b"\r") for line in was.split(b"\n") if line.rstrip(b"\r")
        ]


def test_R27_a_tool_whose_end_was_told_to_nobody_is_no_error(fake):
    """As when a signal to us comes between the kernel's word of its end and sh's note of it."""
    tools = fake("pass")
    heard: list[str] = []
    with (
        tools.started("findscu", [], None, lambda line, _: heard.append(line)) as child,
        contextlib.suppress(ChildProcessError),  # sh was faster than we are
    ):
        os.waitpid(child._process.pid, 0)
