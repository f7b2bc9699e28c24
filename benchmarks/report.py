"""What is said of it: the header, a table as it grows, a JSON file, and a comparison with an earlier one."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import stpn_swift
import torch

from .measure import Timing
from .rows import Row

FORMAT = 1
# The load average above which other processes are at work.
BUSY = 0.5


def processor() -> str:
    """The name of the processor, as well as the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def environment() -> dict[str, Any]:
    return {
        "machine": processor(),
        "cores": usable_cores(),
        "system": platform.platform(),
        "load": round(os.getloadavg()[0], 2),
        "implementation": stpn_swift.show_config("dicts")["implementation"],
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "stpn_swift": stpn_swift.__version__,
    }


def header(facts: dict[str, Any]) -> str:
    lines = [f"{name:<15} {value}" for name, value in facts.items()]
    if facts["load"] > BUSY:
        lines.append("The machine is not idle: times on as many threads as it has cores mean little.")
    return "\n".join(lines)


def entry(row: Row, threads: int, peer: str, timing: Timing) -> dict[str, Any]:
    return {"row": row.name, "threads": threads, "peer": peer, **asdict(timing)}


def table(row: Row, threads: int, timings: dict[str, Timing]) -> str:
    """One row: milliseconds with quartiles, and how many times as long as the first peer each takes."""
    first = next(iter(timings.values()))
    lines = [f"{row.name}, threads {threads}"]
    for peer, t in timings.items():
        spread = f"({t.first_quartile:.3f} to {t.third_quartile:.3f})"
        ratio = t.median / first.median
        lines.append(f"  {peer:<27}{t.median:>9.3f} ms  {spread:<26}x{ratio:<8.2f}{t.calls} calls")
    return "\n".join(lines)


def ratios(entries: list[dict[str, Any]]) -> Iterator[str]:
    """A line for each row: how many times as long as the fastest peer of the first family the fastest of each
    other one takes."""
    rows: dict[tuple[str, int], dict[str, float]] = {}
    for e in entries:
        families = rows.setdefault((e["row"], e["threads"]), {})
        family = e["peer"].partition(",")[0]
        families[family] = min(e["median"], families.get(family, math.inf))
    for (row, threads), families in rows.items():
        (first, time), *others = families.items()
        compared = "".join(f"   {family} x{other / time:.2f}" for family, other in others)
        yield f"{row}, threads {threads}: {first} {time:.3f} ms{compared}"


def write(path: Path, facts: dict[str, Any], entries: list[dict[str, Any]]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(
        json.dumps({"format": FORMAT, **facts, "results": entries}, indent=1) + "\n", encoding="utf-8"
    )
    partial.replace(path)


def read(path: Path) -> list[dict[str, Any]]:
    """The results of an earlier run."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.get("format") != FORMAT:
        raise ValueError(f"{path}: expected format {FORMAT}, got {content.get('format')!r}")
    results: list[dict[str, Any]] = content["results"]
    return results


def comparison(earlier: list[dict[str, Any]], now: list[dict[str, Any]]) -> Iterator[str]:
    """A line for each result that both have: the time now as a fraction of the earlier one."""
    key = ("row", "threads", "peer")
    before = {tuple(e[k] for k in key): e for e in earlier}
    for e in now:
        if old := before.get(tuple(e[k] for k in key)):
            ratio = e["median"] / old["median"]
            yield (
                f"{e['row']}, threads {e['threads']}, {e['peer']:<27}"
                f"{old['median']:>9.3f} → {e['median']:>8.3f} ms  x{ratio:.2f}"
            )
