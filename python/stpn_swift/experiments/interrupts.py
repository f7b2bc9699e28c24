"""Signals that ask to stop, and only then stop."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType

# Ctrl-C; kill, timeout and batch systems; a terminal that is closed.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While it is entered, the first signal sets `requested`; a second Ctrl-C raises KeyboardInterrupt at
    once. The others may come twice where one is meant: `timeout` and shells tell a process, then its group.

    The handler prints nothing: it may run in the midst of another print.
    """

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> Interrupts:
        self._previous = {number: signal.getsignal(number) for number in SIGNALS}
        for number, handler in self._previous.items():
            if not (number == signal.SIGHUP and handler == signal.SIG_IGN):  # as under nohup
                signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = True


# Set for a process whose standard input is a pipe that its parent keeps open and never writes to.
WITH_PARENT = "STPN_STOP_WITH_PARENT"


def stop_with_parent() -> None:
    """Where `WITH_PARENT` is set, asks this process to stop when its parent has ended, however it has."""
    if WITH_PARENT in os.environ:
        threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
