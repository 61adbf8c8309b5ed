"""Calls in processes of their own: their results, their errors, and that nothing outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from events.compiled import ROOT
from events.errors import InputError
from scripts.apart import call_apart

FOREVER, PATIENCE = 300.0, 60.0
"""Seconds that nobody waits for, and that a process may take to start or to end."""


def times(number: int, factor: int) -> tuple[int, int]:
    return number * factor, os.getpid()


def act(what: str, folder: Path) -> None:
    """Leave a file with the own process; then sleep, fail once all have begun, or be killed."""
    (folder / f"{what}.pid").write_text(str(os.getpid()))
    if what == "sleep":
        time.sleep(FOREVER)
    assert wait_for(folder / "sleep.pid")
    if what == "fail":
        raise InputError("shop.csv", 7, "no such type", "name it")
    os.kill(os.getpid(), signal.SIGKILL)


def wait_for(path: Path) -> bool:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and not (path.exists() and path.read_text()):
        time.sleep(0.02)
    return path.exists()


def ends(pid: int) -> bool:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def test_results_come_in_the_order_of_the_calls_from_processes_of_their_own() -> None:
    found = call_apart(times, [(i, 10) for i in range(5)], at_once=2)
    assert [result for result, _ in found] == [0, 10, 20, 30, 40]
    assert len({pid for _, pid in found} | {os.getpid()}) == 6


def test_an_error_of_one_ends_the_others(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"shop.csv:7: no such type. Remedy: name it.") as caught:
        call_apart(act, [("sleep", tmp_path), ("fail", tmp_path), ("late", tmp_path)], at_once=2)
    assert "in act" in "".join(caught.value.__notes__)
    assert ends(int((tmp_path / "sleep.pid").read_text()))
    assert not (tmp_path / "late.pid").exists()


def test_a_killed_process_is_told_as_lack_of_memory(tmp_path: Path) -> None:
    with pytest.raises(MemoryError):
        call_apart(act, [("sleep", tmp_path), ("die", tmp_path)], at_once=2)
    assert ends(int((tmp_path / "sleep.pid").read_text()))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_parent_leaves_no_process(how: signal.Signals, tmp_path: Path) -> None:
    words = (
        "import sys; from pathlib import Path; from scripts.apart import call_apart; from scripts.cli import guarded;"
        "from tests.scripts.test_apart import act;"
        "sys.exit(guarded(lambda: call_apart(act, [('sleep', Path(sys.argv[1]))], 1)))"
    )
    with subprocess.Popen([sys.executable, "-c", words, tmp_path], cwd=ROOT, stderr=subprocess.PIPE) as parent:
        assert wait_for(tmp_path / "sleep.pid")
        parent.send_signal(how)
        assert parent.stderr is not None
        said = parent.stderr.read().decode()
    assert ends(int((tmp_path / "sleep.pid").read_text()))
    assert (parent.returncode, said) == (
        (130, "stopped; run the same command again to go on\n") if how == signal.SIGINT else (-signal.SIGKILL, "")
    )
