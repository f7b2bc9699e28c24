"""Arrays in a safetensors file, with a format's name, a JSON record and a checksum in its metadata."""

from __future__ import annotations

import errno
import hashlib
import importlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .files import write_atomically

Array = NDArray[Any]


def save(path: Path, arrays: Mapping[str, Array], record: Mapping[str, Any], format: str) -> None:
    """Writes a file atomically.

    Raises
    ------
    ModuleNotFoundError
        safetensors is not installed.
    OSError
        It could not be written; an earlier one is untouched.
    """
    arrays = {
        name: np.asarray(array, order="C") for name, array in arrays.items()
    }  # safetensors copies memory
    text = json.dumps(record)
    metadata = {"format": format, "record": text, "sha256": _digest(arrays, text)}
    write_atomically(path, _import("safetensors.numpy").save(arrays, metadata=metadata))


def load(path: Path, format: str) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays and the record of a file.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ModuleNotFoundError
        safetensors is not installed.
    ValueError
        The file is damaged, or not of this format.
    """
    safetensors = _import("safetensors")
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}); it was left as it is") from None
    if metadata.get("format") != format:
        found = metadata.get("format", "none")
        raise ValueError(f"{path}: expected a file of the format {format!r}, got {found!r}")
    text = metadata.get("record", "")
    if metadata.get("sha256") != _digest(arrays, text):
        raise ValueError(f"{path} is damaged (wrong checksum); it was left as it is")
    try:
        return arrays, json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is damaged (no JSON in its metadata: {error}); it was left as it is"
        ) from None


def restore(target: Mapping[str, Array], source: Mapping[str, Array]) -> None:
    """Copies arrays of a file into live ones of the same names, shapes and types.

    Raises
    ------
    ValueError
        Names, shapes or types differ; nothing was copied.
    """
    check(target, source)
    for name, array in target.items():
        array[...] = source[name]


def check(target: Mapping[str, Array], source: Mapping[str, Array]) -> None:
    """Refuses, with ValueError, a source of other names, shapes or types than the target's."""
    expected, found = _layout(target), _layout(source)
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            wanted, got = (layout.get(name, "no such array") for layout in (expected, found))
            raise ValueError(f"{name}: expected {wanted}, got {got}")


def _import(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != "safetensors":
            raise
        message = "saving and loading need the package safetensors: pip install safetensors"
        raise ModuleNotFoundError(message, name="safetensors") from None


def _layout(arrays: Mapping[str, Array]) -> dict[str, str]:
    return {name: f"{array.dtype}{list(array.shape)}" for name, array in arrays.items()}


def _digest(arrays: Mapping[str, Array], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name, layout in sorted(_layout(arrays).items()):
        digest.update(f"\n{name} {layout}\n".encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()
