"""How far a download is: one line that is written over in a terminal, a few lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType


class Progress:
    """Called with the bytes that have arrived; writes to standard error, and ends its line when left."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._told = 0.0
        self._before = 0
        self._quarters = 0
        self._began = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __call__(self, n_bytes: int) -> None:
        if n_bytes == self._before or sys.stderr is None:
            return
        self._before = n_bytes
        share = n_bytes / max(self.total, 1)
        if self._terminal and time.monotonic() - self._told > 0.1:
            self._told = time.monotonic()
            speed = n_bytes / max(self._told - self._began, 0.1)
            sys.stderr.write(f"\r  {n_bytes / 1e6:,.1f} of {megabytes(self.total)} ({speed / 1e6:,.1f} MB/s) ")
            sys.stderr.flush()
        elif not self._terminal and int(share * 4) > self._quarters:
            self._quarters = int(share * 4)
            sys.stderr.write(f"  {n_bytes / 1e6:,.0f} of {megabytes(self.total)}\n")
            sys.stderr.flush()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._told:
            sys.stderr.write("\n")


def megabytes(n_bytes: int) -> str:
    """93 MB, 2.1 MB, 0.04 MB: two digits at least."""
    n = n_bytes / 1e6
    return f"{n:,.0f} MB" if n >= 10 else f"{n:,.1f} MB" if n >= 0.1 else f"{n:,.2f} MB"
