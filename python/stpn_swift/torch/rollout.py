"""Single steps in place: straight to the kernel, as an operator would take longer than a small step."""

from collections.abc import Mapping
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
        self._last_params: tuple[list[Any], dict[str, Any]] = ([], {})

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_last_params": ([], {})}

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
        x_array = self._array("x_t", x_t)
        if out is None:
            out = torch.empty((self._kernel.step_size(x_array), self._hidden_size), dtype=self._dtype)
        self._kernel.step(
            self._array("out", out),
            self._arrays("state", state),
            None if energy is None else self._array("energy", energy),
            x_array,
            self._params(params),
            threads,
            implementation,
        )
        return out

    def _params(self, params: Tensors) -> dict[str, Any]:
        """The arrays of the parameters: those of the call before, where these are still where they
        were. The arrays keep that memory from any other use."""
        known, arrays = self._last_params
        places = [(p.data_ptr(), p.shape, p.stride(), p.dtype) for p in params.values()]
        if places != known:
            arrays = self._arrays("params", params)
            self._last_params = (places, arrays)
        return arrays

    def _arrays(self, name: str, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
        return {entry: self._array(name, tensor, entry) for entry, tensor in tensors.items()}

    def _array(self, name: str, tensor: Tensor, entry: str | None = None) -> NDArray[Any]:
        """The array on the memory of a tensor."""
        if not (
            isinstance(tensor, Tensor)
            and tensor.dtype is self._dtype
            and tensor.is_cpu
            and tensor.layout is torch.strided
        ):
            raise refusal(
                name if entry is None else f"{name}['{entry}']", tensor, torch.device("cpu"), self._dtype
            )
        return (tensor.detach() if tensor.requires_grad else tensor).numpy()
