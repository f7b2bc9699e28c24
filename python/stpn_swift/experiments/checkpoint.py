"""Checkpoints: arrays in a safetensors file, with a JSON record and a checksum of both in its metadata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from .errors import ExperimentError, optional_import
from .files import write_atomically

FORMAT = "stpn_swift checkpoint 1"

Array = NDArray[Any]


def save(path: Path, arrays: Mapping[str, Array], record: Mapping[str, Any]) -> None:
    """Writes a checkpoint atomically.

    Raises
    ------
    OSError
        It could not be written; an earlier one is untouched.
    """
    text = json.dumps(record)
    metadata = {"format": FORMAT, "record": text, "sha256": _digest(arrays, text)}
    write_atomically(path, optional_import("safetensors.numpy").save(dict(arrays), metadata=metadata))


def load(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays and the record of a checkpoint.

    Raises
    ------
    ExperimentError
        The file is not there, damaged, or not a checkpoint of this format.
    """
    safetensors = optional_import("safetensors")
    if not path.is_file():
        raise ExperimentError(f"there is no checkpoint {path}")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except safetensors.SafetensorError as error:
        raise ExperimentError(f"the checkpoint {path} is damaged ({error}); it was left as it is") from None
    if metadata.get("format") != FORMAT:
        found = metadata.get("format", "none")
        raise ExperimentError(f"{path} is not a checkpoint of the format {FORMAT!r}: its format is {found!r}")
    text = metadata.get("record", "")
    if metadata.get("sha256") != _digest(arrays, text):
        raise ExperimentError(f"the checkpoint {path} is damaged (wrong checksum); it was left as it is")
    return arrays, json.loads(text)


def restore(target: Mapping[str, Array], source: Mapping[str, Array]) -> None:
    """Copies arrays of a checkpoint into live ones of the same names, shapes and types.

    Raises
    ------
    ExperimentError
        Names, shapes or types differ; nothing was copied.
    """
    expected, found = _layout(target), _layout(source)
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise ExperimentError(
                f"the checkpoint is of another network: {name} should be {expected.get(name, 'absent')}, "
                f"it is {found.get(name, 'absent')}"
            )
    for name, array in target.items():
        array[...] = source[name]


def _layout(arrays: Mapping[str, Array]) -> dict[str, str]:
    return {name: f"{array.dtype}{list(array.shape)}" for name, array in arrays.items()}


def _digest(arrays: Mapping[str, Array], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name, layout in sorted(_layout(arrays).items()):
        digest.update(f"\n{name} {layout}\n".encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()
