"""What is said of arguments that a module does not take."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ..entries import check_entries


def check_tensor(name: str, tensor: object, device: torch.device, *dtypes: torch.dtype) -> None:
    if not (
        isinstance(tensor, Tensor)
        and tensor.dtype in dtypes
        and tensor.device == device
        and tensor.layout is torch.strided
    ):
        raise refusal(name, tensor, device, *dtypes)


def refusal(name: str, tensor: object, device: torch.device, *dtypes: torch.dtype) -> Exception:
    """Why a tensor is none of these dtypes, dense and on the device."""
    if not isinstance(tensor, Tensor):
        return TypeError(f"{name}: expected a Tensor, got {type(tensor).__name__}")
    if tensor.dtype not in dtypes:
        return TypeError(f"{name}: expected {' or '.join(map(str, dtypes))}, got {tensor.dtype}")
    return ValueError(f"{name}: expected a dense tensor on {device}, got {tensor.layout} on {tensor.device}")


def check_floating(name: str, dtype: object) -> None:
    if not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise TypeError(f"{name}: expected a floating dtype of torch, got {dtype}")


def check_state(
    state: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], batch: tuple[int, ...]
) -> None:
    """Its entries, and their shapes: (B), or () where there is none, and those of one sample."""
    check_entries("state", state, shapes)
    for name, shape in shapes.items():
        check_shape(f"state['{name}']", state[name], (*batch, *shape))


def check_target(name: str, target: Tensor, value: Tensor) -> None:
    """Whether a value can be written to it."""
    check_tensor(name, target, value.device, value.dtype)
    check_shape(name, target, value.shape)
    if not target.is_contiguous():
        raise ValueError(f"{name}: expected a C-contiguous array, got a strided one")


def check_apart(targets: dict[str, Tensor], others: dict[str, Tensor]) -> None:
    """Whether each target has memory of its own."""
    if torch.compiler.is_compiling():
        return  # tensors have no addresses yet
    places = [(name, *_place(tensor)) for name, tensor in (targets | others).items()]
    for i, (name, first, end) in enumerate(places[: len(targets)], 1):
        for other, other_first, other_end in places[i:]:
            if first < other_end and other_first < end:
                raise ValueError(f"{name}: expected memory of its own, overlaps {other}")


def _place(tensor: Tensor) -> tuple[int, int]:
    """The addresses of its first byte, and of that behind its last; 0 where it has none, as on the device
    "meta" or in a vmap."""
    try:
        first = tensor.data_ptr()
    except RuntimeError:
        first = 0
    if first == 0:
        return 0, 0
    if tensor.is_contiguous():
        return first, first + tensor.nbytes
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return first, first + (last + 1) * tensor.element_size()


def check_shape(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    if tensor.shape != shape:
        raise ValueError(f"{name}: expected shape {tuple(shape)}, got {tuple(tensor.shape)}")
