"""The same networks in plain PyTorch, differentiated by its autograd."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..torch.module import Cell
from ..torch.published import TorchCell
from .network import Array, Response, SequenceClassifier, count_correct


class TorchClassifier(SequenceClassifier):
    """A classifier with a cell of PyTorch's operations.

    Parameters
    ----------
    cell
        Its parameters take over `values`; those that are learned share the memory of the network's vector.
    values
        By the names of the cell's parameters.
    readout, fixed
        As for `SequenceClassifier`.
    """

    def __init__(
        self,
        cell: Cell | TorchCell,
        values: Mapping[str, Array],
        readout: Mapping[str, Array],
        fixed: Collection[str] = (),
    ) -> None:
        super().__init__(values, readout, fixed)
        self.cell = cell
        tensors = {name: torch.from_numpy(array) for name, array in self.parameters.items()}
        for name, parameter in cell.named_parameters():
            value = tensors.get(f"cell.{name}")
            parameter.data = torch.from_numpy(values[name]) if value is None else value
            parameter.requires_grad_(value is not None)
        of_cell = {f"cell.{name}": parameter for name, parameter in cell.named_parameters()}
        of_readout = {f"readout.{name}": nn.Parameter(tensors[f"readout.{name}"]) for name in readout}
        self._tensors: dict[str, Tensor] = {
            name: tensor for name, tensor in {**of_cell, **of_readout}.items() if name in tensors
        }
        self._into = {name: torch.from_numpy(view) for name, view in self._gradients.items()}

    def loss(self, x: Array, targets: Array) -> tuple[float, int]:
        logits = self._readout(self.cell(torch.from_numpy(x))[0])
        loss = functional.cross_entropy(logits, torch.from_numpy(targets).long())
        gradients = torch.autograd.grad(loss, [*self._tensors.values()])
        for name, gradient in zip(self._tensors, gradients, strict=True):
            self._into[name].copy_(gradient)
        return loss.item(), count_correct(logits.detach().numpy(), targets)

    @torch.no_grad()
    def respond(self, x: Array) -> Response:
        y, _, energy = self.cell(torch.from_numpy(x), energy=True)
        return Response(self._readout(y).numpy(), energy.sum(2).numpy())

    def _readout(self, y: Tensor) -> Tensor:
        return functional.linear(y[:, -1], self._tensors["readout.weight"], self._tensors["readout.bias"])
