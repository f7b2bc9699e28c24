"""What all modules have in common."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial, reduce
from typing import Any, ClassVar, Literal, TypedDict, TypeVar, overload

import torch
from torch import Tensor, nn
from torch.autograd.graph import increment_version
from torch.nn.utils.rnn import PackedSequence

from .. import _kernel, cell
from ..entries import check_dict, check_entries
from . import operators, plain
from .checks import (
    check_apart,
    check_floating,
    check_shape,
    check_state,
    check_target,
    check_tensor,
)
from .ragged import Result, Tensors, run_packed, run_padded
from .rollout import Rollout

Inputs = TypeVar("Inputs", Tensor, PackedSequence)
Backend = Literal["auto", "kernel", "torch"]
_KERNEL_DTYPES = (torch.float32, torch.float64)
_HALF_DTYPES = (torch.float16, torch.bfloat16)
USUAL = {"batch_first": True, "backend": "auto", "device": None, "dtype": None}


class ModuleOptions(TypedDict, total=False):
    """The options that all modules share; `Cell` describes them."""

    batch_first: bool
    backend: Backend
    device: torch.device | str | int | None
    dtype: torch.dtype | None


class Cell(nn.Module):
    """What the modules have in common: parameters, states and calls on tensors.

    B is the batch, T the time, I the input size and H the hidden size. Tensors are of the parameters' dtype
    and on their device; they may have any strides, but those that `step` writes to must be contiguous. Under
    autocast, inputs and states of 16 bits are taken too, and the cell computes in the parameters' dtype:
    float32, unless they have been made of another.

    Parameters
    ----------
    input_size, hidden_size
        I and H, 1 or more.
    batch_first = True
        Whether inputs and outputs are (B,T,...); False: (T,B,...). States are (B,...) either way.
    backend = "auto"
        What computes: the "kernel", for float32 and float64 on the CPU; PyTorch's own operations ("torch"),
        on any device and in any floating dtype, slower and with second derivatives; or the kernel where it
        can ("auto").
    device, dtype = None
        Of the parameters; None: torch's defaults.

    They are attributes too. Others are:

    Attributes
    ----------
    threads
        At most so many threads for a call of this cell; 0, the default: `stpn_swift.get_num_threads()`.
    implementation
        The name of the kernel's implementation to use, one that `stpn_swift.show_config()` lists; None, the
        default: the fastest.
    """

    NUMPY: ClassVar[type[cell.Cell]]
    """The class for NumPy arrays, whose options and parameters a module takes over."""

    _version = 1  # of the state dict

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        batch_first: bool = True,
        backend: Backend = "auto",
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        numpy_cell = self.NUMPY(input_size, hidden_size, dtype="float32", seed=0, **options)
        self.input_size = numpy_cell.input_size
        self.hidden_size = numpy_cell.hidden_size
        self.batch_first = batch_first
        self.backend: Backend = backend
        self.threads = 0
        self.implementation: str | None = None
        self._config = numpy_cell.config
        self._usual = {**numpy_cell.OPTIONS, **numpy_cell.FIXED, **USUAL}
        self._described = {dtype: operators.describe(self._config, dtype) for dtype in _KERNEL_DTYPES}
        self._rollouts = {dtype: Rollout(self._config, dtype) for dtype in _KERNEL_DTYPES}
        self._state_shapes = {name: shape for name, shape, *_ in self._kernel().states}
        self._parameter_shapes = {name: shape for name, shape, *_ in self._kernel().parameters}
        self._parameter_paths = {name: name.split(".") for name in self._parameter_shapes}
        if dtype is not None:
            check_floating("dtype", dtype)
        self._kernel_computes(torch.float32, torch.device("cpu"))  # refuses an unknown backend
        for name, shape in self._parameter_shapes.items():
            owner, _, leaf = name.rpartition(".")
            if owner and not hasattr(self, owner):
                self.add_module(owner, nn.ParameterDict())
            parameter = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
            self.get_submodule(owner).register_parameter(leaf, parameter)
        self.reset_parameters()

    def _kernel(self) -> _kernel.Cell:
        return _kernel.Cell(self._config, "float32")

    @property
    def config(self) -> dict[str, Any]:
        """The options of the cell, as a dict that JSON can hold; those of its module are not among them."""
        return dict(self._config)

    def reset_parameters(self) -> None:
        """Draws all parameters anew, as docs/cells.md has it, with torch's generator."""
        with torch.no_grad():
            params = self._params()
            for name, _, low, high in self._kernel().parameters:
                params[name].uniform_(low, high)

    def initial_state(self, batch: int | None = None) -> Tensors:
        """The state that a sequence begins with where none is given: zeros (B,...) by the names of
        docs/cells.md; None: without the batch, of a single sample.

        Raises ValueError where the batch is negative.
        """
        if batch is not None and batch < 0:
            raise ValueError(f"batch: expected 0 or more, got {batch}")
        like = _like(self._params())
        lead = () if batch is None else (batch,)
        return {
            name: torch.zeros((*lead, *shape), dtype=like.dtype, device=like.device)
            for name, shape in self._state_shapes.items()
        }

    @overload
    def forward(
        self,
        x: Inputs,
        state: Tensors | None = None,
        resets: Tensor | None = None,
        energy: Literal[False] = False,
        *,
        lengths: Tensor | None = None,
    ) -> tuple[Inputs, Tensors]: ...
    @overload
    def forward(
        self,
        x: Inputs,
        state: Tensors | None = None,
        resets: Tensor | None = None,
        *,
        energy: Literal[True],
        lengths: Tensor | None = None,
    ) -> tuple[Inputs, Tensors, Inputs]: ...
    def forward(
        self,
        x: Tensor | PackedSequence,
        state: Tensors | None = None,
        resets: Tensor | None = None,
        energy: bool = False,
        *,
        lengths: Tensor | None = None,
    ) -> tuple[Any, ...]:
        """Runs whole sequences.

        Parameters
        ----------
        x
            (B,T,I), (T,I) for a single sample, or a PackedSequence.
        state
            The state before the first step, by name: (B,...), of a single sample (...); None: zeros. It is
            not changed.
        resets
            (B,T) or (T) of bool or uint8: where it is set, every state of the sample is zeroed before that
            step, and no gradient flows past it.
        energy
            Whether to return, as a last value, what `energy` returns; it costs no second pass.
        lengths
            (B) of integers from 1 to T: how many steps of each sample there are; None: all. What x has behind
            them is not read. As with a PackedSequence, the kernel is called once for each length that
            occurs.

        Returns
        -------
        y
            (B,T,H), the activations, (T,H) or a PackedSequence, as x is; 0 behind a sample's length.
        state
            The state after the last step of each sample.
        energy
            (B,T,H) as y, where it is wanted; it has no gradient.

        Gradients reach x, the state and the parameters, from y and the final state. They are those of the
        call as it was, whatever became of the tensors since. The kernel has no second derivatives.

        Raises
        ------
        TypeError
            An argument is no tensor, or of another dtype than the parameters.
        ValueError
            An argument is not on the parameters' device, or has another shape, or a dict other entries, than
            the cell's; or the backend is not for this dtype or device.
        """
        params = self._params()
        packed = x if isinstance(x, PackedSequence) else None
        values = x.data if isinstance(x, PackedSequence) else x
        values, state = self._checked("x", values, state, resets, params)
        if values.shape[-1:] != (self.input_size,) or (packed is None and values.ndim not in (2, 3)):
            I = self.input_size  # noqa: E741
            raise ValueError(f"x: expected shape (B, T, {I}) or (T, {I}), got {tuple(values.shape)}")
        run = partial(self._sequence, params, energy)
        y: Tensor | PackedSequence
        used: Tensor | PackedSequence | None
        if packed is not None:
            _refuse_lengths(lengths, "a PackedSequence")
            packed = PackedSequence(
                values, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices
            )
            self._check_shapes(state, resets, (int(packed.batch_sizes[0]),), len(packed.batch_sizes))
            y, final, used = run_packed(run, packed, state, self._turned(resets))
        elif values.ndim == 2:
            _refuse_lengths(lengths, "a single sample")
            self._check_shapes(state, resets, (), len(values))
            state = None if state is None else {name: s.unsqueeze(0) for name, s in state.items()}
            y, final, used = run(values.unsqueeze(0), state, None if resets is None else resets.unsqueeze(0))
            final = {name: s.squeeze(0) for name, s in final.items()}
            y, used = y.squeeze(0), None if used is None else used.squeeze(0)
        else:
            values = self._turned(values)
            if lengths is not None or not self.batch_first:
                self._check_shapes(state, resets, values.shape[:1], values.shape[1])
            resets = self._turned(resets)
            if lengths is None:
                y, final, used = run(values, state, resets)
            else:
                y, final, used = run_padded(run, values, lengths, state, resets)
            y, used = self._turned(y), self._turned(used)
        return (y, final) if used is None else (y, final, used)

    def energy(
        self,
        x: Inputs,
        state: Tensors | None = None,
        resets: Tensor | None = None,
        *,
        lengths: Tensor | None = None,
    ) -> Inputs:
        """The energy that each neuron uses in each step, (B,T,H), as in docs/cells.md, section 2, without a
        gradient.

        Takes and refuses the same as `forward`.
        """
        with torch.no_grad():
            return self.forward(x, state, resets, energy=True, lengths=lengths)[2]

    def step(
        self, x_t: Tensor, state: Tensors, out: Tensor | None = None, energy: Tensor | None = None
    ) -> Tensor:
        """Runs one step in place, without gradients, for rollouts.

        Parameters
        ----------
        x_t
            (B,I); under autocast of 16 bits too, as for `forward`.
        state
            Its tensors are replaced by the state after the step: contiguous, none overlapping another
            argument.
        out
            (B,H), where y is written to, under the same conditions; None: a new tensor.
        energy
            (B,H), where the energy of the step is written to, under the same conditions; None: it is not
            computed.

        Returns
        -------
        y
            (B,H), the activations.

        Raises
        ------
        TypeError
            An argument is no tensor, or of another dtype than the parameters.
        ValueError
            An argument needs a gradient where gradients are enabled, is not on the parameters' device, or has
            another shape, or a dict other entries, than the cell's; the state, `out` or `energy` cannot be
            written in place; or the backend is not for this dtype or device.
        """
        params = self._params()
        check_dict("state", state, of="tensors")
        if torch.is_grad_enabled():
            entries = {f"state['{name}']": tensor for name, tensor in state.items()}
            _refuse_gradients({"x_t": x_t, "out": out, "energy": energy, **entries})
        like = _like(params)
        if not self._kernel_computes(like.dtype, like.device):
            return self._step_of_torch(params, x_t, state, out, energy)
        if torch.is_autocast_enabled("cpu"):
            x_t = _cast(x_t, like.dtype)
        y = self._rollouts[like.dtype].step(
            out, state, energy, x_t, params, self.threads, self.implementation
        )
        for tensor in (*state.values(), out, energy):
            if tensor is not None and not tensor.is_inference():
                increment_version(tensor)
        return y

    @torch.no_grad()
    def _step_of_torch(
        self, params: Tensors, x_t: Tensor, state: Tensors, out: Tensor | None, energy: Tensor | None
    ) -> Tensor:
        x_t, before = self._checked("x_t", x_t, state, None, params)
        if x_t.ndim != 2 or x_t.shape[1] != self.input_size:
            raise ValueError(f"x_t: expected shape (B, {self.input_size}), got {tuple(x_t.shape)}")
        y, after, used = self._sequence(params, energy is not None, x_t.unsqueeze(1), before, None)
        y = y.squeeze(1)
        writes = [(f"state['{name}']", state[name], tensor) for name, tensor in after.items()]
        if out is not None:
            writes.append(("out", out, y))
        if energy is not None and used is not None:
            writes.append(("energy", energy, used.squeeze(1)))
        for write in writes:
            check_target(*write)
        read = {"x_t": x_t, **{f"params['{name}']": parameter for name, parameter in params.items()}}
        check_apart({name: target for name, target, _ in writes}, read)
        for _, target, value in writes:
            target.copy_(value)
        return y if out is None else out

    def _sequence(
        self, params: Tensors, energy: bool, x: Tensor, state: Tensors | None, resets: Tensor | None
    ) -> Result:
        """Of a batch, (B,T,...)."""
        if self._kernel_computes(x.dtype, x.device):
            results = operators.sequence(
                x,
                list(params.values()),
                [] if state is None else [state[name] for name in self._state_shapes],
                resets,
                self._described[x.dtype],
                energy,
                self.threads,
                self.implementation,
            )
            final = dict(zip(self._state_shapes, results[1 : 1 + len(self._state_shapes)], strict=True))
            return results[0], final, results[-1] if energy else None
        for name, shape in self._parameter_shapes.items():
            check_shape(f"params['{name}']", params[name], shape)
        with _without_autocast(x.device.type):
            y, final, used = plain.sequence(self.config, x, params, state, resets, energy=energy)
        return y, {name: final[name] for name in self._state_shapes}, used

    def _kernel_computes(self, dtype: torch.dtype, device: torch.device) -> bool:
        can = dtype in _KERNEL_DTYPES and device.type == "cpu"
        if self.backend == "auto":
            return can
        if self.backend == "kernel":
            if not can:
                raise ValueError(
                    f'backend: expected "auto" or "torch" for {dtype} on {device}, got "kernel", which takes '
                    "torch.float32 and torch.float64 on the CPU"
                )
            return True
        if self.backend == "torch":
            return False
        raise ValueError(f'backend: expected "auto", "kernel" or "torch", got {self.backend!r}')

    def _checked(
        self, name: str, x: Tensor, state: Tensors | None, resets: Tensor | None, params: Tensors
    ) -> tuple[Tensor, Tensors | None]:
        """x and the state in the dtype of the parameters."""
        like = _like(params)
        device, dtype = like.device, like.dtype
        if state is not None:
            check_dict("state", state, of="tensors")
        if _autocasts(device.type):
            x = _cast(x, dtype)
            state = state and {name: _cast(tensor, dtype) for name, tensor in state.items()}
        check_tensor(name, x, device, dtype)
        if state is not None:
            check_entries("state", state, self._state_shapes)
            for entry, tensor in state.items():
                check_tensor(f"state['{entry}']", tensor, device, dtype)
        if resets is not None:
            check_tensor("resets", resets, device, torch.bool, torch.uint8)
        for entry, parameter in params.items():
            if parameter.device != device or parameter.dtype != dtype:
                check_tensor(f"params['{entry}']", parameter, device, dtype)
        return x, state

    def _check_shapes(
        self, state: Tensors | None, resets: Tensor | None, batch: tuple[int, ...], time: int
    ) -> None:
        """As a caller has them, before they are turned, or cut into pieces, of which backends check each."""
        if state is not None:
            check_state(state, self._state_shapes, batch)
        if resets is not None:
            check_shape("resets", resets, (*batch, time) if self.batch_first else (time, *batch))

    def _turned(self, tensor: Any) -> Any:
        """(B,T,...) of what a caller has in that order or the other, and back."""
        return tensor if self.batch_first or tensor is None else tensor.transpose(0, 1)

    def _params(self) -> Tensors:
        """nn.Module looks an attribute up in several places before this one, which costs a rollout a tenth of
        its time. Dotted names are elsewhere, and parametrized parameters too."""
        own: Mapping[str, Any] = self._parameters
        this: Any = self
        return {
            name: own[name] if name in own else reduce(getattr, path, this)
            for name, path in self._parameter_paths.items()
        }

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        version = local_metadata.get("version")
        if version is not None and version > self._version:
            error_msgs.append(
                f"{prefix.removesuffix('.') or 'state dict'}: expected version {self._version} or less of "
                f"{type(self).__name__}, got {version}: a later stpn_swift has saved it"
            )
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def extra_repr(self) -> str:
        """The sizes, and the options that are not the defaults."""
        options = {**self._config, "batch_first": self.batch_first, "backend": self.backend}
        return ", ".join(
            f"{name}={value!r}" for name, value in options.items() if value != self._usual.get(name, ...)
        )


def _like(params: Tensors) -> Tensor:
    """The first, whose dtype and device are those of all."""
    name, parameter = next(iter(params.items()))
    if not parameter.dtype.is_floating_point:
        check_floating(f"params['{name}']", parameter.dtype)
    return parameter


def _cast(tensor: Any, dtype: torch.dtype) -> Any:
    """As autocast does: 16 bits become those of the parameters."""
    return tensor.to(dtype) if isinstance(tensor, Tensor) and tensor.dtype in _HALF_DTYPES else tensor


def _autocasts(device_type: str) -> bool:
    known = device_type in ("cpu", "cuda") or torch.amp.is_autocast_available(device_type)
    return known and torch.is_autocast_enabled(device_type)


def _without_autocast(device_type: str) -> AbstractContextManager[object]:
    return torch.autocast(device_type, enabled=False) if _autocasts(device_type) else nullcontext()


def _refuse_lengths(lengths: Tensor | None, beside: str) -> None:
    if lengths is not None:
        raise ValueError(f"lengths: expected None beside {beside}, got {type(lengths).__name__}")


def _refuse_gradients(tensors: Mapping[str, object]) -> None:
    for name, tensor in tensors.items():
        if isinstance(tensor, Tensor) and tensor.requires_grad:
            raise ValueError(f"{name}: expected a tensor that needs no gradient, or torch.no_grad()")
