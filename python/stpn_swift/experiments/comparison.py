"""comparison.json: when a comparison ran and with what, an entry for each time that it was started."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict, cast

from ..files import read_json, write_json
from .config_file import check_type
from .errors import ExperimentError

NAME = "comparison.json"


class Sitting(TypedDict):
    """From a start to its end, or as far as is known where it was killed."""

    begun: str
    ended: str
    seconds: float
    jobs: int
    threads: int
    processors: int


class Record:
    """That of a comparison which is about to start, behind what it has of earlier ones.

    Raises
    ------
    ExperimentError
        The file of earlier ones is damaged.
    """

    def __init__(self, output: Path, jobs: int, threads: int) -> None:
        self._path = output / NAME
        self._earlier = read_sittings(self._path) if self._path.exists() else []
        self._how = {"jobs": jobs, "threads": threads, "processors": processors()}
        self._begun, self._started = _now(), time.monotonic()

    def write(self) -> None:
        """Up to now. The runs matter more: where it cannot be written they go on."""
        now: dict[str, Any] = {
            "begun": self._begun,
            "ended": _now(),
            "seconds": round(time.monotonic() - self._started, 1),
            **self._how,
        }
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self._path, {"sittings": [*self._earlier, now]})
        except OSError as error:
            print(f"note: {error}", file=sys.stderr)


def read_sittings(path: Path) -> list[Sitting]:
    """Those of a comparison.json.

    Raises
    ------
    ExperimentError
        It is damaged.
    """
    try:
        record = read_json(path)
    except ValueError as error:
        raise ExperimentError(f"{path} is damaged: {error}") from None
    sittings = record.get("sittings") if isinstance(record, dict) else record
    check_type(sittings, list[Sitting], f"{path} is damaged")
    return cast(list[Sitting], sittings)


def processors() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
