"""What the published code computed in the place of STPNF and HebbFF (docs/cells.md, section 6)."""

from typing import Any

import torch

from .module import Cell


class SquashedCell(Cell):
    """A cell whose F goes through the activation in each update, which the kernel does not compute: it is as
    the cell that it is made of, and has its parameters, in operations of PyTorch. Its `config` has one entry
    more, "squashed", with which `stpn_swift.torch.cell_from_config` makes such a cell too."""

    def __init__(self, cell: Cell) -> None:
        """Raises ValueError where the cell is neither an STPN nor a HebbFF."""
        if cell.config["cell"] not in ("stpn", "hebbff"):
            raise ValueError(f'squashed: expected a cell "stpn" or "hebbff", got "{cell.config["cell"]}"')
        vars(self).update(vars(cell))

    @property
    def config(self) -> dict[str, Any]:
        return {**super().config, "squashed": True}

    def _kernel_computes(self, dtype: torch.dtype, device: torch.device) -> bool:
        if self.backend == "kernel":
            raise ValueError('backend: expected "auto" or "torch" for a squashed cell, got "kernel"')
        super()._kernel_computes(dtype, device)
        return False

    def extra_repr(self) -> str:
        return f"cell={self._config['cell']!r}, {super().extra_repr()}"
