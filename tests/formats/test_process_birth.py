"""A process is known by its number and its birthday."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil

from lmlab.formats.process_birth import birth_of, is_alive


def test_a_running_process_is_alive_and_a_stranger_of_its_number_is_not():
    birth = birth_of(os.getpid())
    assert birth == psutil.Process().create_time()
    assert is_alive(os.getpid(), birth)
    assert not is_alive(os.getpid(), birth - 60)


def test_a_dead_process_is_not_alive_even_before_it_is_waited_for():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    birth = birth_of(child.pid)
    assert is_alive(child.pid, birth)
    child.kill()
    deadline = time.monotonic() + 20
    while is_alive(child.pid, birth) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert birth_of(child.pid) == -1.0, "a zombie still has its number"
    child.wait()
    assert not is_alive(child.pid, birth)
