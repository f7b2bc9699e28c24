"""Modules of stpn_swift.torch with the options and parameters of variants.py, in float64, for their tests."""

from typing import Any

import pytest
import torch
import variants
from stpn_swift.torch import Cell, cell_from_config
from torch import Tensor

I, H = 2, 5  # noqa: E741

A_CELL_OF_EACH = ["stpnr all at once", "stpnf", "hebbff", "fast weights", "modul"]

each = pytest.mark.parametrize("variant", A_CELL_OF_EACH)


def make_variant(variant: str, **options: Any) -> Cell:
    numpy_cell = variants.make(variant, I, H)
    cell = cell_from_config(numpy_cell.config, dtype=torch.float64, **options)
    cell.load_state_dict({name: torch.from_numpy(array) for name, array in numpy_cell.params.items()})
    return cell


def draw(*shape: int, gradient: bool = False) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=gradient)


def draw_state_of(cell: Cell, batch: int, gradient: bool = False) -> dict[str, Tensor]:
    zeros = cell.initial_state(batch)
    return {name: (0.3 * draw(*zero.shape)).requires_grad_(gradient) for name, zero in zeros.items()}
