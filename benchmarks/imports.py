"""What an import costs on top of NumPy's: `python -m benchmarks.imports`."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys

TURNS = 20


def milliseconds() -> tuple[float, float]:
    """Of importing NumPy, and then stpn_swift, in a process of its own, as Python tells them."""
    command = [sys.executable, "-X", "importtime", "-c", "import numpy; import stpn_swift"]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    numpy, package = re.findall(r"(\d+) \| (?:numpy|stpn_swift)$", report, re.MULTILINE)
    return int(numpy) / 1000, int(package) / 1000


def main() -> None:
    numpy, package = zip(*(milliseconds() for _ in range(TURNS)), strict=True)
    print(
        f"stpn_swift after NumPy, {TURNS} imports: {min(package):.1f} ms at least, "
        f"{statistics.median(package):.1f} ms in the median (NumPy: {min(numpy):.1f} ms at least)"
    )


if __name__ == "__main__":
    main()
