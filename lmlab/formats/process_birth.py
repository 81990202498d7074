"""Which process holds a lock: its number and its birthday, since numbers are used again."""

from __future__ import annotations

import psutil


def birth_of(pid: int) -> float:
    """When a process was born, in seconds; -1 where there is none, or one that is dead and not yet waited for."""
    try:
        process = psutil.Process(pid)
        return -1.0 if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.Error:
        return -1.0


def is_alive(pid: int, birth: float) -> bool:
    """Whether the process of this number and birthday runs; the same number with another birthday is a stranger."""
    return psutil.pid_exists(pid) and abs(birth_of(pid) - birth) < 2.0
