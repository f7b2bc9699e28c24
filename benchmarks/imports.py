"""What an import costs on top of NumPy's: `python -m benchmarks.imports`."""

from __future__ import annotations

import re
import subprocess
import sys

TURNS = 20


def milliseconds(module: str) -> float:
    """That of a module and all that it imports, in a process of its own, as Python tells it."""
    command = [sys.executable, "-X", "importtime", "-c", f"import {module}"]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    found = re.search(rf"\|\s*(\d+) \| {re.escape(module)}$", report, re.MULTILINE)
    assert found is not None, report
    return int(found[1]) / 1000


def main() -> None:
    """The least of several turns, taken in turn."""
    times = [(milliseconds("numpy"), milliseconds("stpn_swift")) for _ in range(TURNS)]
    numpy, package = (min(column) for column in zip(*times, strict=True))
    print(f"numpy {numpy:.1f} ms, stpn_swift with it {package:.1f} ms: {package - numpy:.1f} ms on top")


if __name__ == "__main__":
    main()
