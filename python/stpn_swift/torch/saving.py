"""Cells and networks in files: parameters in safetensors, with the configs of the cells in the metadata."""

import os
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, overload

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .. import checkpoint, saving
from .cells import cell_from_config
from .module import Cell

M = TypeVar("M", bound=nn.Module)


def save(module: nn.Module, path: str | os.PathLike[str]) -> None:
    """Writes a cell, or a network with cells, to a safetensors file, atomically: its state_dict, the configs
    of its cells, and which parameters need no gradient.

        save(cell, "cell.safetensors")
        again = load("cell.safetensors")

    `stpn_swift.load` reads a cell from the same file. Raises as `stpn_swift.save` does, and TypeError where
    the state_dict has an entry that is no tensor, or of a dtype that NumPy does not have.
    """
    fixed = [name for name, p in _parameters(module) if not p.requires_grad]
    saving.write(path, _arrays(module), _configs(module), fixed)


@overload
def load(path: str | os.PathLike[str]) -> Cell: ...
@overload
def load(path: str | os.PathLike[str], into: M) -> M: ...
def load(path: str | os.PathLike[str], into: nn.Module | None = None) -> nn.Module:
    """What `save` or `stpn_swift.save` has written. Nothing is unpickled.

    Parameters
    ----------
    path
        Of the file.
    into
        A network like the one in the file, which takes over its tensors, and needs no gradient where that did
        not; None: the file holds a single cell.

    Returns
    -------
    module
        `into`, or a new `Cell`, in the dtype of the file and on the CPU.

    Raises as `stpn_swift.load` does, and ValueError too where the file holds another network than expected;
    `into` is unchanged then.
    """
    if into is None:
        arrays, config, fixed = saving.read_cell(path)
        into = cell_from_config(config, dtype=getattr(torch, saving.dtype_of(arrays)))
    else:
        arrays, configs, fixed = saving.read(path)
        expected = _configs(into)
        if configs != expected:
            raise ValueError(f"{path}: expected a network with the cells {expected}, got one with {configs}")
    checkpoint.check(_arrays(into), arrays)
    into.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    for name, parameter in _parameters(into):
        if name in fixed:
            parameter.requires_grad_(False)
    return into


def _parameters(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """By all names that a state_dict has."""
    return module.named_parameters(remove_duplicate=False)


def _configs(module: nn.Module) -> dict[str, Mapping[str, Any]]:
    """Of the cells in a module, by their places."""
    return {name: part.config for name, part in module.named_modules() if isinstance(part, Cell)}


def _arrays(module: nn.Module) -> dict[str, NDArray[Any]]:
    return {name: _array(name, entry) for name, entry in module.state_dict().items()}


def _array(name: str, entry: object) -> NDArray[Any]:
    if not isinstance(entry, Tensor):
        raise TypeError(f"{name}: expected a tensor, got {type(entry).__name__}")
    if entry.dtype is torch.bfloat16:
        raise TypeError(f"{name}: expected a dtype that NumPy has, got {entry.dtype}")
    array: NDArray[Any] = entry.detach().cpu().numpy()
    return array
