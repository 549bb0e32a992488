"""How a tool is ended, which takes seconds, and whole passes with tools that cannot be used (R8, R12, R27)."""

import signal
import subprocess
import sys

import pytest

from scanner_mover.dcmtk.child import Why
from scanner_mover.dcmtk.tool import Call, Toolbox, find_tools
from scanner_mover.errors import Ended
from tests.support.dcmqrscp import Dcmqrscp
from tests.support.objects import dumped_series, uid
from tests.support.site import Site, fake_tool, is_running, wait_until

STUDY = "1.2.826.0.1.3680043.10.1561.8"
RUN_FINDSCU = """
import sys
from scanner_mover.dcmtk.tool import find_tools
print("".join(find_tools(["findscu"]).run("findscu", sys.argv[1:], stall_seconds=300).out))
"""
# In 2 GiB of memory at most.
RUN_FINDSCU_IN_LITTLE_MEMORY = """
import resource
from scanner_mover.dcmtk.tool import find_tools
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
print(find_tools(["findscu"]).run("findscu", [], stall_seconds=8).ended.text)
"""
VERSION_TEXT = "print('$dcmtk: findscu v{} {} $')"


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Makes a fake tool; gives the toolbox that `find_tools` makes of it."""

    def fake(text: str, name: str = "findscu") -> Toolbox:
        fake_tool(tmp_path / "tools", name, text)
        monkeypatch.setenv("PATH", str(tmp_path / "tools"))
        return find_tools([name])

    return fake


def test_a_tool_that_prints_without_end_is_ended(fake):
    tools = fake("import os\nlines = (b'x' * 99_999 + b'\\n') * 10\nwhile True: os.write(1, lines)")
    run = tools.run("findscu", [], stall_seconds=60)
    assert run.ended == (Why.ENDLESS_OUTPUT, "ended: it printed without end")


def test_so_is_one_that_never_ends_a_line_and_our_memory_is_not_filled(fake):
    fake("import os\nwhile True: os.write(1, b'x' * 65536)")
    done = subprocess.run(
        [sys.executable, "-c", RUN_FINDSCU_IN_LITTLE_MEMORY],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert (done.stdout, done.stderr) == ("ended: it printed without end\n", "")


# How a tool is ended

LEAVES_ITS_NUMBER = """
import os, signal, sys, time
def leave():
    with open(sys.argv[1] + ".part", "w") as file:
        file.write(str(os.getpid()))
    os.rename(sys.argv[1] + ".part", sys.argv[1])
"""


def test_a_tool_that_never_ends_is_ended_after_stall_seconds(fake, tmp_path):
    tools = fake(LEAVES_ITS_NUMBER + "leave(); time.sleep(600)")
    run = tools.run("findscu", [str(tmp_path / "number")], stall_seconds=1)
    assert (run.ended, run.exit_status) == ((Why.NO_PROGRESS, "ended: no progress for 1 s"), -signal.SIGTERM)
    assert not is_running(int((tmp_path / "number").read_text()))


def test_a_tool_that_ignores_SIGTERM_is_killed(fake, tmp_path):
    tools = fake(LEAVES_ITS_NUMBER + "signal.signal(signal.SIGTERM, signal.SIG_IGN); leave(); time.sleep(600)")
    run = tools.run("findscu", [str(tmp_path / "number")], stall_seconds=1)
    assert run.exit_status == -signal.SIGKILL and run.ended is not None
    assert not is_running(int((tmp_path / "number").read_text()))


def test_what_it_prints_is_progress(fake):
    tools = fake("import time\nfor number in range(10): print(number, flush=True); time.sleep(0.25)")
    run = tools.run("findscu", [], stall_seconds=2)
    assert (run.ended, run.out) == (None, [str(number) for number in range(10)])


def test_but_not_for_ever_when_nothing_comes_of_it(fake):
    tools = fake("import time\nwhile True: print('Pending', flush=True); time.sleep(0.1)")
    run = tools.run("findscu", [], stall_seconds=30, progress=lambda: 0, most_seconds=1.5)
    assert run.ended == (Why.TOO_LONG, "ended: no progress for 1.5 s")


def test_of_several_that_run_together_each_has_its_own_end(fake):
    tools = fake(
        "import sys, time\nif sys.argv[1] == 'ends': sys.exit(3)\nwhile True: print(1, flush=True); time.sleep(0.1)"
    )
    ends, goes_on = tools.run_together("findscu", [Call(["ends"]), Call(["goes on"])], stall_seconds=30, most_seconds=4)
    assert (ends.ended, ends.exit_status) == (None, 3)
    assert goes_on.ended == (Why.TOO_LONG, "ended: no progress for 4 s")


def test_one_that_ended_by_itself_is_not_ended_by_us_while_another_goes_on(fake):
    text = "import sys, time\nif sys.argv[1] == 'ends': sys.exit(3)\n"
    tools = fake(text + "for number in range(30): print(number, flush=True); time.sleep(0.2)")
    ends, goes_on = tools.run_together("findscu", [Call(["ends"]), Call(["goes on"])], stall_seconds=3, most_seconds=60)
    assert (ends.ended, ends.exit_status) == (None, 3)
    assert (goes_on.ended, len(goes_on.out)) == (None, 30)


def test_so_is_what_changes_elsewhere(fake, tmp_path):
    tools = fake("import sys, time\nfor number in range(10): open(sys.argv[1], 'a').write('x'); time.sleep(0.25)")
    path = tmp_path / "grows"
    path.touch()
    run = tools.run("findscu", [str(path)], stall_seconds=2, progress=lambda: path.stat().st_size)
    assert (run.ended, path.stat().st_size) == (None, 10)


@pytest.mark.parametrize("streams", ["os.close(1); os.close(2); ", ""], ids=["closed", "open"])
def test_nothing_of_its_group_is_left(fake, tmp_path, streams):
    child = f"import os\nif os.fork() == 0:\n    {streams}leave(); time.sleep(600)\n"
    waits = "while not os.path.exists(sys.argv[1]): time.sleep(0.01)"
    tools = fake(LEAVES_ITS_NUMBER + child + waits)
    run = tools.run("findscu", [str(tmp_path / "number")], stall_seconds=20)
    assert (run.exit_status, run.ended) == (0, None)
    number = int((tmp_path / "number").read_text())
    wait_until(lambda: not is_running(number))


def test_R27_it_dies_with_us_also_by_kill_9(fake, tmp_path):
    fake(LEAVES_ITS_NUMBER + "signal.signal(signal.SIGTERM, signal.SIG_IGN); leave(); time.sleep(600)")
    number = tmp_path / "number"
    parent = subprocess.Popen([sys.executable, "-c", RUN_FINDSCU, str(number)], stdin=subprocess.DEVNULL)
    try:
        wait_until(number.exists)
    finally:
        parent.kill()
        parent.wait()
    wait_until(lambda: not is_running(int(number.read_text())))


def test_R27_it_is_ended_when_a_signal_ends_us(fake, tmp_path):
    fake(LEAVES_ITS_NUMBER + "leave(); time.sleep(600)")
    number = tmp_path / "number"
    install = "from scanner_mover import signals; signals.install()\n"
    parent = subprocess.Popen(
        [sys.executable, "-c", install + RUN_FINDSCU, str(number)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    wait_until(number.exists)
    parent.terminate()
    _, err = parent.communicate(timeout=240)
    assert Ended.__name__ in err.decode()
    assert not is_running(int(number.read_text()))


# Sends SIGTERM to a process as soon as that one has another child than this.
SENDS_A_SIGNAL_AT_THE_FIRST_CHILD = """
import os, signal, sys
process = int(sys.argv[1])
print("ready", flush=True)
while not set(open(f"/proc/{process}/task/{process}/children").read().split()) - {str(os.getpid())}:
    pass
os.kill(process, signal.SIGTERM)
"""
RUN_FINDSCU_AND_TELL_WHAT_IS_LEFT = """
import os, subprocess, sys
from scanner_mover import signals
from scanner_mover.dcmtk.tool import find_tools
from scanner_mover.errors import Ended
tools = find_tools(["findscu"])
command = [sys.executable, "-ISc", sys.argv[1], str(os.getpid())]
sender = subprocess.Popen(command, stdout=subprocess.PIPE)
sender.stdout.readline()
signals.install()
try:
    tools.run("findscu", [], stall_seconds=300)
except Ended as ended:
    children = open(f"/proc/self/task/{os.getpid()}/children").read().split()
    print(ended.exit_status, "left:", len(set(children) - {str(sender.pid)}))
"""


def test_R27_it_is_ended_when_a_signal_comes_while_it_is_being_started(fake):
    fake("import time; time.sleep(600)")
    done = subprocess.run(
        [sys.executable, "-c", RUN_FINDSCU_AND_TELL_WHAT_IS_LEFT, SENDS_A_SIGNAL_AT_THE_FIRST_CHILD],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert (done.stdout, done.stderr) == ("143 left: 0\n", "")


# Whole passes


@pytest.mark.parametrize("content", ["no dictionary\n", "", "(0009,0010)\tLO\tOurPrivateTag\t1\tPrivate\n"])
def test_R8_a_pass_whose_dictionary_is_unusable_exits_4_and_loses_nothing(tmp_path, content):
    """An empty dictionary, and one of private tags alone, are loaded, and then findscu can make no query either."""
    (tmp_path / "dicom.dic").write_text(content)
    study = uid()
    with Dcmqrscp(tmp_path / "scanner") as scanner:
        images = dumped_series(tmp_path / "images", study_instance_uid=study, series_instance_uid=uid(), images=1)
        scanner.store(images)
        site = Site(tmp_path / "site", scanner_port=scanner.port)
        site.request(study)
        site.mpps(study)
        done = site.move(env={"DCMDICTPATH": str(tmp_path / "dicom.dic")})
        assert site.requests_in("active-scans") == [study]
        assert (done.returncode, done.stderr.count("\n")) == (4, 1)
        assert "dictionary" in done.stderr and "DCMDICTPATH" in done.stderr
        # The reference's own setting, which is dropped.
        done = site.move(env={"DCMDICTPATH": str(tmp_path / "none" / "dicom.dic")})
        assert done.returncode != 4


@pytest.mark.parametrize(
    ("text", "words"),
    [(VERSION_TEXT.format("3.6.0", "2011-01-06"), "DCMTK 3.6.0"), ("print('pynetdicom')", "which version of DCMTK")],
)
def test_R12_a_pass_with_such_a_tool_exits_4_and_loses_nothing(tmp_path, text, words):
    site = Site(tmp_path)
    site.request(STUDY)
    site.mpps(STUDY)
    site.tool("findscu", text)
    done = site.move()
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)
    assert words in done.stderr
    assert site.requests_in("active-scans") == [STUDY]


def test_it_does_not_read_our_standard_input(fake):
    fake("import os; print(os.read(0, 100))")
    done = subprocess.run(
        [sys.executable, "-c", RUN_FINDSCU],
        check=True,
        input="a secret",
        stdout=subprocess.PIPE,
        text=True,
        timeout=240,
    )
    assert done.stdout == "b''\n"


RUN_WITH_FEW_DESCRIPTORS = """
import os, resource, sys
from scanner_mover.dcmtk.tool import find_tools
from scanner_mover.errors import UnusableError
tools = find_tools(["findscu"])
tools.run("findscu", [], stall_seconds=60)
limit = len(os.listdir("/proc/self/fd")) - 1 + int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
try:
    tools.run("findscu", [], stall_seconds=60)
    print("ran")
except UnusableError as error:
    print(error)
"""


@pytest.mark.parametrize("descriptors", [1, 4, 7, 10, 15])
def test_few_descriptors_are_one_line(fake, tmp_path, descriptors):
    fake("pass")
    done = subprocess.run(
        [sys.executable, "-c", RUN_WITH_FEW_DESCRIPTORS, str(descriptors)],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        timeout=240,
    )
    cannot = f"{tmp_path / 'tools' / 'findscu'} cannot be started: Too many open files\n"
    assert done.stdout == (cannot if descriptors < 15 else "ran\n")
