"""Cells in files: parameters in safetensors, with the config in the metadata."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import _kernel, checkpoint
from .cell import Array, Cell
from .cells import cell_from_config, read_config

FORMAT = "stpn_swift cells 1"

Configs = Mapping[str, Mapping[str, Any]]


def save(cell: Cell, path: str | os.PathLike[str]) -> None:
    """Writes a cell to a safetensors file, atomically: its parameters by name, and its config.

        stpn_swift.save(cell, "cell.safetensors")
        again = stpn_swift.load("cell.safetensors")

    `stpn_swift.torch.load` reads the same file.

    Raises
    ------
    ModuleNotFoundError
        safetensors is not installed.
    OSError
        It could not be written; an earlier file is untouched.
    ValueError
        A parameter has another name, shape or dtype than the cell's.
    """
    checkpoint.check(cell._empty_params(), cell.params)
    write(path, cell.params, {"": cell.config})


def load(path: str | os.PathLike[str]) -> Cell:
    """The cell in a file that `save` or `stpn_swift.torch.save` has written. Nothing is unpickled.

    Raises
    ------
    ModuleNotFoundError
        safetensors is not installed.
    OSError
        There is no such file, or it cannot be read.
    ValueError
        The file is damaged, or holds something else than a cell.
    """
    arrays, config, _ = read_cell(path)
    if config.get("squashed"):
        raise ValueError(
            f"{path}: expected a cell of the kernel, got one with squashed F: stpn_swift.torch.load has it"
        )
    cell = cell_from_config(config, dtype=dtype_of(arrays))
    checkpoint.restore(cell.params, arrays)
    return cell


def write(
    path: str | os.PathLike[str], arrays: Mapping[str, Array], configs: Configs, fixed: Sequence[str] = ()
) -> None:
    """A file with the arrays of a network, the configs of the cells in it by their places, and which of the
    arrays are not learned."""
    checkpoint.save(Path(path), arrays, {"cells": configs, "fixed": [*fixed]}, FORMAT)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Array], Configs, list[str]]:
    """The arrays, the configs and the names of what is not learned, as `write` has written them."""
    arrays, record = checkpoint.load(Path(path), FORMAT)
    cells = record.get("cells") if isinstance(record, dict) else None
    if not (isinstance(cells, dict) and all(isinstance(config, dict) for config in cells.values())):
        raise ValueError(f"{path}: expected the configs of cells in its metadata, got {record!r}")
    fixed = record.get("fixed", [])
    if not (isinstance(fixed, list) and all(name in arrays for name in fixed)):
        raise ValueError(f"{path}: expected names of its arrays for fixed, got {fixed!r}")
    return arrays, cells, fixed


def read_cell(path: str | os.PathLike[str]) -> tuple[dict[str, Array], Mapping[str, Any], list[str]]:
    """As `read`, the config of the one cell that a file holds."""
    arrays, configs, fixed = read(path)
    if configs.keys() != {""}:
        raise ValueError(f"{path}: expected a single cell, got a network with cells at {[*configs]}")
    try:
        read_config(configs[""])
        config = {name: value for name, value in configs[""].items() if name != "squashed"}
        parameters = _kernel.Cell(config, "float32").parameters
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: expected the config of a cell: {error}") from None
    zero = np.zeros((), dtype_of(arrays))
    # Before anybody takes memory for sizes that the file may only claim.
    checkpoint.check({name: np.broadcast_to(zero, shape) for name, shape, *_ in parameters}, arrays)
    return arrays, configs[""], fixed


def dtype_of(arrays: Mapping[str, Array]) -> str:
    return next((array.dtype.name for array in arrays.values()), "float32")
