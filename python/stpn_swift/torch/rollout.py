"""Single steps in place: straight to the kernel, as an operator would take longer than a small step."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from .. import _kernel
from .checks import refusal
from .operators import dtype_name

Tensors = dict[str, Tensor]


class Rollout:
    """The steps of a cell on tensors of a dtype; autograd sees none of them."""

    def __init__(self, config: dict[str, Any], dtype: torch.dtype) -> None:
        self._kernel = _kernel.Cell(config, dtype_name(dtype))
        self._dtype = dtype
        self._hidden_size: int = config["hidden_size"]
        self._state = _Arrays("state", dtype)
        self._params = _Arrays("params", dtype)

    def step(
        self,
        out: Tensor | None,
        state: Tensors,
        energy: Tensor | None,
        x_t: Tensor,
        params: Tensors,
        threads: int,
        implementation: str | None,
    ) -> Tensor:
        """y (B,H): out, or a new tensor."""
        x_array = _array("x_t", x_t, self._dtype)
        if out is None:
            out = x_t.new_empty(self._kernel.step_size(x_array), self._hidden_size)
        self._kernel.step(
            _array("out", out, self._dtype),
            self._state.of(state),
            None if energy is None else _array("energy", energy, self._dtype),
            x_array,
            self._params.of(params),
            threads,
            implementation,
        )
        return out


class _Arrays:
    """The arrays on the memory of tensors by name: those of the call before, where the tensors are still
    where they were. The arrays keep that memory from any other use."""

    def __init__(self, name: str, dtype: torch.dtype) -> None:
        self._name = name
        self._dtype = dtype
        self._last: tuple[list[Any] | None, dict[str, Any]] = (None, {})

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_last": (None, {})}

    def of(self, tensors: Tensors) -> dict[str, Any]:
        known, arrays = self._last
        places = _places(tensors)
        if places is None or places != known:
            arrays = {
                entry: _array(f"{self._name}['{entry}']", tensor, self._dtype)
                for entry, tensor in tensors.items()
            }
            self._last = (places, arrays)
        return arrays


def _places(tensors: Tensors) -> list[Any] | None:
    """Where tensors are, and what is there; None if they are not all tensors with memory."""
    try:
        return [(name, t.data_ptr(), t.shape, t.stride(), t.dtype, t.is_neg()) for name, t in tensors.items()]
    except (AttributeError, RuntimeError):
        return None


def _array(name: str, tensor: Tensor, dtype: torch.dtype) -> NDArray[Any]:
    """The array on the memory of a tensor."""
    if not (
        isinstance(tensor, Tensor)
        and tensor.dtype is dtype
        and tensor.is_cpu
        and tensor.layout is torch.strided
    ):
        raise refusal(name, tensor, torch.device("cpu"), dtype)
    try:
        return (tensor.detach() if tensor.requires_grad else tensor).numpy()
    except RuntimeError as error:
        raise ValueError(f"{name}: expected a tensor in its own memory: {error}") from None
