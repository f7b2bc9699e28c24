"""What is said of it: the header, tables as they grow, ratios, and a comparison with an earlier run."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import stpn_swift
import torch

from .limits import Limits
from .peers import JAX, KERNEL_IN_JAX
from .results import Entry, Results, family

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


def environment() -> dict[str, Any]:
    return {
        "machine": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "load": round(os.getloadavg()[0], 2),
        "implementation": stpn_swift.show_config("dicts")["implementation"],
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "jax": importlib.metadata.version("jax") if JAX else "not installed, left out",
        "ours in jax": "compiled" if KERNEL_IN_JAX else "not compiled, left out",
        "stpn_swift": stpn_swift.__version__,
    }


def header(facts: dict[str, Any]) -> str:
    lines = [f"{name:<15} {value}" for name, value in facts.items()]
    if facts["load"] > BUSY:
        lines.append("The machine is not idle: times on as many threads as it has cores mean little.")
    return "\n".join(lines)


def duration(milliseconds: float) -> str:
    if milliseconds < 1:
        return f"{milliseconds * 1e3:.1f} µs"
    return f"{milliseconds:.2f} ms" if milliseconds < 1e3 else f"{milliseconds / 1e3:.2f} s"


def megabytes(count: float) -> str:
    return f"{count / 1e6:.1f} MB"


def limits_line(threads: int, limits: Limits | None) -> str:
    if limits is None:
        return f"limits, threads {threads}: build/limits is not there (make builds it), left out"
    return (
        f"limits, threads {threads}: {limits.multiply_adds / 1e9:.0f} billion multiply-adds of float32 and "
        f"{limits.bytes_read / 1e9:.0f} GB read from memory a second"
    )


def title(entry: Entry) -> str:
    return f"{entry['row']}, threads {entry['threads']}"


def table(entries: list[Entry]) -> str:
    """One row: times with quartiles, how many times as long as the first peer each takes, how long its first
    result took, which for some is to compile; and of ours what they make use of."""
    lines = [title(entries[0])]
    for e in entries:
        spread = f"({duration(e['first_quartile'])} to {duration(e['third_quartile'])})"
        ratio = e["median"] / entries[0]["median"]
        line = (
            f"  {e['peer']:<28}{duration(e['median']):>10}  {spread:<26}x{ratio:<8.2f}"
            f"{e['calls']:>6} calls, first {duration(e['first_result'] * 1e3)}"
        )
        for name in ("multiply_adds", "bandwidth"):
            if name in e:
                line += f", {e[name]:.0%} of {name.replace('_', '-')}"
        lines.append(line)
    return "\n".join(lines)


def fastest(entries: list[Entry]) -> list[Entry]:
    """Of each family, in their order."""
    families: dict[str, list[Entry]] = {}
    for entry in entries:
        families.setdefault(family(entry["peer"]), []).append(entry)
    return [min(peers, key=lambda entry: float(entry["median"])) for peers in families.values()]


def ratio_line(first: Entry, others: list[Entry]) -> str:
    compared = "".join(f"   {e['peer']} x{e['median'] / first['median']:.2f}" for e in others)
    return f"{title(first)}: {first['peer']} {duration(first['median'])}{compared}"


def ratios(results: Results) -> Iterator[str]:
    """A line for each row: the fastest peer of the first family, and how many times as long the fastest of
    each other one takes. For networks the same of each framework by itself."""
    for entries in results.by_row():
        first, *others = fastest(entries)
        yield ratio_line(first, others)
        for framework in ("PyTorch", "JAX") if entries[0]["row"].startswith("update") else ():
            inside = fastest([entry for entry in entries if framework in entry["peer"]])
            if len(inside) > 1:
                yield ratio_line(inside[0], inside[1:])


def memory_line(entry: Entry) -> str:
    size = entry["bytes"]
    said = "not measured, as it may need too much" if size is None else megabytes(size)
    return f"{title(entry)}, {entry['peer']:<27} beyond inputs and outputs: {said}"


def neighbour_line(e: Entry) -> str:
    idle = e["idle"]

    def times(*keys: str) -> str:
        ninety_nine, longest = (e[key] / idle for key in keys)
        return f"99 % within x{ninety_nine:.1f}, at most x{longest:.1f}"

    kept = f", {times('kept_percentile_99', 'kept_longest')}" if e["kept"] > 1 else ""
    return (
        f"{title(e)}, {e['peer']:<20} idle {duration(idle)}, {times('idle_percentile_99', 'idle_longest')}; "
        f"beside a busy process x{e['median'] / idle:.1f}, {times('percentile_99', 'longest')}; "
        f"{e['kept']} of {e['calls']} calls kept their processor{kept}"
    )


def comparison(earlier: list[Entry], now: list[Entry]) -> Iterator[str]:
    """A line for each time that both have: now as a fraction of the earlier one."""
    key = ("row", "threads", "peer")
    before = {tuple(e[k] for k in key): e for e in earlier}
    for e in now:
        if old := before.get(tuple(e[k] for k in key)):
            ratio = e["median"] / old["median"]
            yield (
                f"{title(e)}, {e['peer']:<27}"
                f"{duration(old['median']):>10} → {duration(e['median']):>10}  x{ratio:.2f}"
            )
