"""Processes that wait for work, with a stand-in for what they run: whatever ends one, one sentence and no orphan."""

from __future__ import annotations

import _thread
import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import psutil
import pytest
import torch

from lmlab.systems.workers import Message, Workers, WorkersFailed, read_message, write_message

STAND_IN = "tests.systems.stand_in_worker"


@pytest.fixture
def team():
    with Workers(module=STAND_IN, timeout=20) as team:
        yield team


def say(team: Workers, *what: str) -> list[Message]:
    return team.run([Message({"do": word}) for word in what])


def gone(pids: tuple[int, ...], seconds: float = 5.0) -> bool:
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], seconds)
    return not alive


def test_each_job_reaches_its_own_process_and_the_processes_are_kept(team):
    first = say(team, "a", "b", "c")
    assert [answer.words["do"] for answer in first] == ["a", "b", "c"]
    assert [answer.words["rank"] for answer in first] == [0, 1, 2]
    pids = [answer.words["pid"] for answer in first]
    assert len(set(pids)) == 3
    again = say(team, "d", "e")
    assert [answer.words["pid"] for answer in again] == pids[:2]
    # Two processes that meet where three met before would wait for the third.
    # Ctrl-C goes to all processes of a terminal's session: these are none of it.
    assert os.name == "nt" or {os.getsid(pid) for pid in pids} == set(pids)
    assert len({answer.words["meet_at"] for answer in first}) == 1
    assert again[0].words["meet_at"] == again[1].words["meet_at"] != first[0].words["meet_at"]


def test_a_message_survives_the_pipe(tmp_path):
    sent = Message({"ä": [1, None]}, {"x": torch.randn(3, 5)[:, 1:3], "n": torch.tensor([7])})
    with (tmp_path / "pipe").open("wb") as pipe:
        write_message(pipe, sent)
    whole = (tmp_path / "pipe").read_bytes()
    with (tmp_path / "pipe").open("rb") as pipe:
        got = read_message(pipe)
        assert read_message(pipe) is None
    assert got.words == sent.words
    assert all(torch.equal(got.tensors[name], tensor) for name, tensor in sent.tensors.items())
    (tmp_path / "cut").write_bytes(whole[:-1])
    with (tmp_path / "cut").open("rb") as pipe:
        assert read_message(pipe) is None


def test_a_process_that_dies_is_named_with_its_last_words_and_the_next_call_works(team):
    pids = tuple(answer.words["pid"] for answer in say(team, "a", "b"))
    with pytest.raises(WorkersFailed, match=r"^Process 1 of 2 ended .* code 3 \(and then it was over\): call again"):
        say(team, "sleep", "die")
    assert gone(pids)
    assert len(say(team, "a", "b")) == 2


def test_one_killed_between_two_calls_is_replaced_without_a_word(team):
    pids = tuple(answer.words["pid"] for answer in say(team, "a", "b"))
    psutil.Process(pids[1]).kill()
    psutil.wait_procs([psutil.Process(pids[1])], 5)
    new = {answer.words["pid"] for answer in say(team, "a", "b")}
    assert not new & set(pids)  # the survivor was connected to the dead one
    assert gone(pids)


def test_what_one_cannot_do_is_said_and_a_death_explains_more(team):
    with pytest.raises(WorkersFailed, match=r"^Process 0 of 2: ValueError: too much$"):
        say(team, "fail", "b")
    with pytest.raises(WorkersFailed, match="Process 1 of 2 ended"):
        say(team, "fail", "die")


def test_a_job_that_cannot_be_written_is_said(team):
    with pytest.raises(WorkersFailed, match=r"^Process 0 of 1: TypeError: Object of type object is not JSON"):
        team.run([Message({"do": object()})])


def test_one_that_is_silent_is_given_up_in_time(team):
    pids = tuple(answer.words["pid"] for answer in say(team, "a", "b"))
    team.timeout = 0.5
    began = time.monotonic()
    with pytest.raises(WorkersFailed, match=r"^Processes 1 of 2 had no answer after 0\.5 seconds"):
        say(team, "a", "sleep")
    assert time.monotonic() - began < 10
    assert gone(pids)


@pytest.fixture
def heeded():
    """Ctrl-C raises, also where the tests run in the background of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded")
def test_an_interrupt_ends_the_call_and_leaves_the_next_one_working(team):
    pids = tuple(answer.words["pid"] for answer in say(team, "a", "b"))
    threading.Timer(0.5, _thread.interrupt_main).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        say(team, "sleep", "sleep")
    assert time.monotonic() - began < 10
    assert gone(pids)
    assert len(say(team, "a", "b")) == 2


def test_closing_ends_all_and_calls_of_several_threads_take_turns(team):
    answers: list[list[Message]] = []
    threads = [threading.Thread(target=lambda word=word: answers.append(say(team, word, word))) for word in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(pair[0].words["do"] + pair[1].words["do"] for pair in answers) == ["aa", "bb", "cc", "dd"]
    pids = team.pids
    assert len(pids) == 2
    team.close()
    assert gone(pids, 1)
    assert team.pids == ()


def test_a_team_that_nobody_asks_is_ended_and_starts_again():
    with Workers(module=STAND_IN, rest_seconds=3) as team:
        pids = tuple(answer.words["pid"] for answer in say(team, "a", "b"))
        for _ in range(3):  # longer in all than it rests, but never so long
            time.sleep(1.2)
            assert tuple(answer.words["pid"] for answer in say(team, "a", "b")) == pids
        assert gone(pids, 10)
        assert {answer.words["pid"] for answer in say(team, "a", "b")}.isdisjoint(pids)


def test_one_that_the_system_kills_is_said_to_be(team):
    pids = tuple(answer.words["pid"] for answer in say(team, "a", "b"))
    threading.Timer(0.3, psutil.Process(pids[0]).kill).start()
    with pytest.raises(WorkersFailed, match=r"^Process 0 of 2 ended .* code -9 \(killed, as a system without memory"):
        say(team, "sleep", "sleep")


def test_more_than_the_machine_has_room_for_is_said(team, monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=700_000_000))
    team.check(3)
    with pytest.raises(ValueError, match=r"^4 processes need 0\.8 GB more and this machine has 0\.7 GB free: choose"):
        team.check(4)
    say(team, "a", "b")
    team.check(5)  # two of them are there

    def refused(*_, **__):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    pids = team.pids
    monkeypatch.setattr(subprocess, "Popen", refused)
    with pytest.raises(WorkersFailed, match=r"^This machine starts no more processes \(.*unavailable\): ask for fewer"):
        say(team, "a", "b", "c")
    assert gone(pids)


PARENT = """
import sys, threading, time
from lmlab.systems import workers
workers._kept.module = "tests.systems.stand_in_worker"
def say(word):
    return workers._kept.run([workers.Message({"do": word})] * 2)
print(*[answer.words["pid"] for answer in say("a")], flush=True)
"""
ENDS = {
    "killed": "time.sleep(60)",
    "done while they work": "threading.Thread(target=say, args=['sleep'], daemon=True).start(); time.sleep(0.5)",
}


@pytest.mark.slow
@pytest.mark.parametrize("end", ENDS)
def test_nothing_outlives_a_notebook_that_ends(end, tmp_path):
    command, there = [sys.executable, "-c", PARENT + ENDS[end]], {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=there) as parent:
        assert parent.stdout is not None
        pids = tuple(map(int, parent.stdout.readline().split()))
        assert len(pids) == 2
        assert all(psutil.pid_exists(pid) for pid in pids)
        try:
            if end == "killed":
                parent.kill()
            parent.wait(20)  # and no longer than that, though they would sleep a minute
        finally:
            parent.kill()
    assert gone(pids)
