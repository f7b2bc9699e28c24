"""Write golden cases as text, for test programs in languages that read no .npz.

    python make_cases.py Tests/golden cases.txt

Only cases whose options the library covers are written; a case is

    case stpnr_09_pre
    cell stpn
    number input_size 4             an option and its number
    name normalize pre              an option and its name
    none clamp                      an option that is off
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

COVERED = {"input_size", "hidden_size", "normalize", "clamp", "bias"}
# Keys that no entry point computes.
LEFT_OUT = {"config", "energy"}


def options_of(config: dict[str, Any]) -> dict[str, Any] | None:
    """The options to set, or None where the library does not cover them."""
    options = dict(config)
    if options.pop("cell") != "stpn" or not options.pop("recurrent", False):
        return None
    return options if options.keys() <= COVERED else None


def option_line(name: str, value: Any) -> str:
    if value is None:
        return f"none {name}"
    if isinstance(value, str):
        return f"name {name} {value}"
    return f"number {name} {float(value)!r}"


def case_lines(path: Path) -> Iterator[str]:
    """The lines of one case; none where it is not covered."""
    with np.load(path, allow_pickle=False) as case:
        config = json.loads(str(case["config"]))
        options = options_of(config)
        if options is None:
            return
        yield f"case {path.stem}"
        yield f"cell {config['cell']}"
        for name, value in options.items():
            yield option_line(name, value)
        for key in sorted(set(case.files) - LEFT_OUT):
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
        parser.error(f"no covered case in {arguments.golden}")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    partial = arguments.output.with_suffix(".partial")
    partial.write_text("\n".join(lines) + "\n", encoding="ascii")
    partial.replace(arguments.output)


if __name__ == "__main__":
    main()
