"""Write golden cases as text, for test programs in languages that read no .npz.

    python make_cases.py Tests/golden cases.txt

A case is

    case stpnr_09_pre
    cell stpn input_size=4 normalize=pre clamp=None    kind and options
    array x 3 3 6 4                 key of golden/README.md, rank, shape; the values follow, row-major
    0.12 -0.3 ...
    end

Decimals are the shortest that give the same float64 back.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np


def option_text(name: str, value: Any) -> str:
    """An option as name=value; flags are numbers."""
    return f"{name}={value if value is None or isinstance(value, str) else repr(float(value))}"


def case_lines(path: Path) -> Iterator[str]:
    """The lines of one case."""
    with np.load(path, allow_pickle=False) as case:
        config = json.loads(str(case["config"]))
        kind = config.pop("cell")
        yield f"case {path.stem}"
        yield " ".join(("cell", kind, *(option_text(name, value) for name, value in config.items())))
        for key in sorted(set(case.files) - {"config"}):
            array = case[key].astype(np.float64)
            yield " ".join(map(str, ("array", key, array.ndim, *array.shape)))
            yield " ".join(map(repr, array.ravel().tolist()))
        yield "end"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("golden", type=Path, help="folder of the .npz files")
    parser.add_argument("output", type=Path, help="text file to write")
    arguments = parser.parse_args()

    lines = [line for path in sorted(arguments.golden.glob("*.npz")) for line in case_lines(path)]
    if not lines:
        parser.error(f"no case in {arguments.golden}")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    partial = arguments.output.with_suffix(".partial")
    partial.write_text("\n".join(lines) + "\n", encoding="ascii")
    partial.replace(arguments.output)


if __name__ == "__main__":
    main()
