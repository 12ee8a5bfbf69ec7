"""The fork server with real processes: they share what was imported and end with their parent."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import trio

from peerstream.node.lab import kernel
from peerstream.node.lab.errors import ProcessEndedError, ProcessFailedError
from peerstream.node.lab.processes import LabProcesses

ECHO = "tests.node.lab.forked:echo"
HERE = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(HERE))


def all_gone(pids, seconds=10.0) -> bool:
    deadline = time.monotonic() + seconds
    while alive := [pid for pid in pids if kernel.start_ticks(pid) is not None]:
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.01)  # other processes: their clock is the real one
    return not alive


async def test_a_process_answers_under_its_own_name(tmp_path):
    async with LabProcesses.start(tmp_path) as processes:
        process = await processes.fork("one", ECHO, {"word": "hello"})
        name = await trio.Path(f"/proc/{process.pid}/comm").read_text()
        answer = await process.ask({"do": "say"}, "said")
        assert answer == {"event": "said", "word": "hello", "pid": process.pid}
        assert name == "psp one\n"
        assert processes.pids == [processes.pid, process.pid]
    assert all_gone(processes.pids, 0.0)


async def test_processes_differ_in_chance_and_share_what_was_imported(tmp_path):
    async with LabProcesses.start(tmp_path) as processes:
        processes.preload(["decimal"])
        first, second = [await processes.fork(name, ECHO, {}) for name in ("one", "two")]
        draws = [await each.ask({"do": "draw"}, "drawn") for each in (first, second)]
        assert draws[0]["number"] != draws[1]["number"]
        assert [draw["preloaded"] for draw in draws] == [True, True]
        assert [draw["threads"] for draw in draws] == [1, 1]


async def test_a_process_that_gives_up_says_why(tmp_path):
    async with LabProcesses.start(tmp_path) as processes:
        process = await processes.fork("one", ECHO, {})
        with pytest.raises(ProcessFailedError, match="one: NoReasonError: none"):
            await process.ask({"do": "fail"}, "said")


async def test_a_crash_is_named_with_its_last_words(tmp_path):
    async with LabProcesses.start(tmp_path) as processes:
        process = await processes.fork("one", ECHO, {})
        with pytest.raises(ProcessEndedError, match=r"one\.log says: ZeroDivisionError"):
            await process.ask({"do": "crash"}, "said")
        with pytest.raises(ProcessEndedError, match=r"No module named 'tests\.nowhere'"):
            await (await processes.fork("two", "tests.nowhere:main", {})).event("said")


async def test_a_killed_process_is_noticed_and_the_others_go_on(tmp_path):
    async with LabProcesses.start(tmp_path) as processes:
        options = {"word": "hello"}
        first, second = [await processes.fork(name, ECHO, options) for name in ("one", "two")]
        os.kill(first.pid, signal.SIGKILL)
        with pytest.raises(ProcessEndedError):
            await first.event("said")
        assert all_gone([first.pid])  # reaped, no zombie
        assert (await second.ask({"do": "say"}, "said"))["pid"] == second.pid


async def test_a_process_that_ignores_sigterm_is_killed(tmp_path):
    async with LabProcesses.start(tmp_path, ending_s=0.2) as processes:
        process = await processes.fork("one", "tests.node.lab.forked:stubborn", {})
        assert await process.event("ready")
    assert all_gone(processes.pids, 0.0)


async def test_all_end_when_the_fork_server_is_killed(tmp_path):
    async with LabProcesses.start(tmp_path) as processes:
        forked = [await processes.fork(f"n{number}", ECHO, {}) for number in range(3)]
        os.kill(processes.pid, signal.SIGKILL)
        assert all_gone([process.pid for process in forked])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_all_end_when_their_owner_is_killed(tmp_path, number):
    pids, owner = owner_of_three(tmp_path, "await trio.sleep_forever()")
    assert not all_gone(pids, 0.0)
    owner.send_signal(number)
    owner.wait()
    assert all_gone(pids)


def test_detached_processes_outlive_their_owner_until_sigterm(tmp_path):
    pids, owner = owner_of_three(tmp_path, "processes.detach()")
    assert owner.wait() == 0
    assert all(kernel.start_ticks(pid) for pid in pids)
    os.kill(pids[0], signal.SIGTERM)
    assert all_gone(pids)


def owner_of_three(tmp_path, end: str) -> tuple[list[int], subprocess.Popen[str]]:
    code = textwrap.dedent(f"""
        import sys, trio
        from pathlib import Path
        from peerstream.node.lab.processes import LabProcesses
        async def main():
            async with LabProcesses.start(Path({str(tmp_path)!r})) as processes:
                for number in range(3):
                    await processes.fork(f"n{{number}}", {ECHO!r}, {{}})
                print(*processes.pids, flush=True)
                {end}
        trio.run(main)
    """)
    owner = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert owner.stdout is not None
    with owner.stdout:
        return [int(word) for word in owner.stdout.readline().split()], owner


def test_a_process_id_that_is_used_again_is_not_taken_for_the_old_one():
    ticks = kernel.start_ticks(os.getpid())
    assert ticks is not None
    assert kernel.is_alive(os.getpid(), ticks)
    assert not kernel.is_alive(os.getpid(), ticks + 1)
    assert kernel.start_ticks(2**22 + 1) is None
    assert kernel.resident_mb(os.getpid()) > 1
    assert kernel.resident_mb(2**22 + 1) == 0
