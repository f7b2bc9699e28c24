"""What was measured: entries that JSON can hold, and the file that keeps them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .limits import Limits

FORMAT = 1
Entry = dict[str, Any]


def family(peer: str) -> str:
    return peer.partition(",")[0]


@dataclass
class Results:
    """Of a run. Every entry but a limit has `row`, `threads` and `peer`; times are in milliseconds."""

    facts: dict[str, Any]
    limits: list[Limits] = field(default_factory=list)
    times: list[Entry] = field(default_factory=list)
    memory: list[Entry] = field(default_factory=list)
    neighbour: list[Entry] = field(default_factory=list)

    def limits_of(self, threads: int) -> Limits | None:
        return next((limits for limits in self.limits if limits.threads == threads), None)

    def best(self, row: str, peers: str, threads: int) -> Entry | None:
        """The fastest of the peers of a family, or of the one of that name; None where none was measured."""
        found = [
            entry
            for entry in self.times
            if (entry["row"], entry["threads"]) == (row, threads)
            and peers in (entry["peer"], family(entry["peer"]))
        ]
        return min(found, key=lambda entry: float(entry["median"]), default=None)

    def by_row(self) -> Iterator[list[Entry]]:
        """The times of each row and number of threads."""
        rows: dict[tuple[str, int], list[Entry]] = {}
        for entry in self.times:
            rows.setdefault((entry["row"], entry["threads"]), []).append(entry)
        yield from rows.values()

    def write(self, path: Path) -> None:
        content = {
            "format": FORMAT,
            **self.facts,
            "results": self.times,
            "limits": [asdict(limits) for limits in self.limits],
            "memory": self.memory,
            "neighbour": self.neighbour,
        }
        partial = path.with_name(path.name + ".partial")
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        partial.replace(path)


def read_times(path: Path) -> list[Entry]:
    """Those of an earlier run."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.get("format") != FORMAT:
        raise ValueError(f"{path}: expected format {FORMAT}, got {content.get('format')!r}")
    times: list[Entry] = content["results"]
    return times
