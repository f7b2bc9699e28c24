"""What all modules have in common."""

from collections.abc import Mapping
from operator import attrgetter
from typing import Any, ClassVar, Literal, overload

import torch
from torch import Tensor, nn
from torch.autograd.graph import increment_version

from .. import cell
from .operator import Operator, Run, SequenceFunction, Tensors, apply, check_dict, dtype_name, need_gradients


class Cell(nn.Module):
    """What the modules have in common: parameters, states and calls on tensors.

    The parameters are drawn with torch's generator, in the `dtype` that a module is made with: torch.float32
    or torch.float64, or torch's default dtype where it is None.

    Tensors are of the parameters' dtype, float32 or float64, and on the CPU. Where they are not contiguous,
    inputs are copied; tensors that `step` writes to must be. B is the batch, T the time, I the input size and
    H the hidden size.

    Attributes
    ----------
    input_size, hidden_size
        As given.
    threads
        At most so many threads for a call of this cell; 0, the default: `stpn_swift.get_num_threads()`.
    implementation
        The name of the kernel's implementation to use, one that `stpn_swift.show_config()` lists; None, the
        default: the fastest.
    """

    NUMPY: ClassVar[type[cell.Cell]]
    """The class for NumPy arrays, whose options and parameters a module takes over."""

    def __init__(
        self, input_size: int, hidden_size: int, dtype: torch.dtype | None, options: Mapping[str, Any]
    ) -> None:
        super().__init__()
        numpy_cell = self.NUMPY(
            input_size,
            hidden_size,
            dtype=dtype_name(dtype or torch.get_default_dtype()),
            seed=int(torch.randint(2**63 - 1, ())),
            **options,
        )
        self.input_size = numpy_cell.input_size
        self.hidden_size = numpy_cell.hidden_size
        self.threads = 0
        self.implementation: str | None = None
        self._usual = {**numpy_cell.OPTIONS, **numpy_cell.FIXED}
        self._operators = {
            dtype: Operator(numpy_cell.config, dtype) for dtype in (torch.float32, torch.float64)
        }
        self._parameter_names = list(numpy_cell.params)
        for name, array in numpy_cell.params.items():
            owner, _, leaf = name.rpartition(".")
            if owner and not hasattr(self, owner):
                self.add_module(owner, nn.ParameterDict())
            self.get_submodule(owner).register_parameter(leaf, nn.Parameter(torch.from_numpy(array)))

    @property
    def config(self) -> dict[str, Any]:
        """The options of the cell, as a dict that JSON can hold."""
        return self._operators[torch.float32].kernel.config

    def initial_state(self, batch: int) -> Tensors:
        """The state that a sequence begins with where none is given: zeros (B,...) by the names of
        docs/cells.md.

        Raises ValueError where the batch is negative or enormous.
        """
        operator, _ = self._operator()
        shapes = operator.kernel.state_shapes(batch)
        return {name: torch.zeros(shape, dtype=operator.dtype) for name, shape in shapes.items()}

    @overload
    def forward(
        self,
        x: Tensor,
        state: Tensors | None = None,
        resets: Tensor | None = None,
        energy: Literal[False] = False,
    ) -> tuple[Tensor, Tensors]: ...
    @overload
    def forward(
        self,
        x: Tensor,
        state: Tensors | None = None,
        resets: Tensor | None = None,
        *,
        energy: Literal[True],
    ) -> tuple[Tensor, Tensors, Tensor]: ...
    def forward(
        self, x: Tensor, state: Tensors | None = None, resets: Tensor | None = None, energy: bool = False
    ) -> tuple[Tensor, Tensors] | tuple[Tensor, Tensors, Tensor]:
        """Runs whole sequences.

        Parameters
        ----------
        x
            (B,T,I).
        state
            The state before the first step, by name; None: zeros. It is not changed.
        resets
            (B,T) of bool or uint8: where it is set, every state of the sample is zeroed before that step, and
            no gradient flows past it.
        energy
            Whether to return, as a last value, what `energy` returns; it costs no second pass.

        Returns
        -------
        y
            (B,T,H), the activations.
        state
            The state after the last step.
        energy
            (B,T,H), where it is wanted; it has no gradient.

        Gradients reach x, the state and the parameters, from y and the final state. They are those of the
        call as it was, whatever became of the tensors since. There are no second derivatives.

        Raises
        ------
        TypeError
            An argument is no tensor, or of another dtype than the parameters.
        ValueError
            An argument is not on the CPU, or has another shape, or a dict other entries, than the cell's.
        """
        operator, params = self._operator()
        run = Run(self.threads, self.implementation)
        tensors = [x, *params.values()]
        if state is not None:
            check_dict("state", state)
            tensors += state.values()
        used: Tensor | None
        if need_gradients(tensors):
            state_names = None if state is None else list(state)
            y, used, *final = apply(
                SequenceFunction, operator, run, resets, energy, state_names, list(params), *tensors
            )
            final_state = dict(zip(operator.state_names, final, strict=True))
        else:
            y, final_state, used, _ = operator.forward(
                x, params, state, resets, run, with_energy=energy, with_tape=False
            )
        return (y, final_state) if used is None else (y, final_state, used)

    def energy(self, x: Tensor, state: Tensors | None = None, resets: Tensor | None = None) -> Tensor:
        """The energy that each neuron uses in each step, (B,T,H), as in docs/cells.md, section 2, without a
        gradient.

        Takes and refuses the same as `forward`.
        """
        with torch.no_grad():
            return self.forward(x, state, resets, energy=True)[2]

    def step(
        self, x_t: Tensor, state: Tensors, out: Tensor | None = None, energy: Tensor | None = None
    ) -> Tensor:
        """Runs one step in place, without gradients, for rollouts.

        Parameters
        ----------
        x_t
            (B,I).
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
            An argument needs a gradient where gradients are enabled, is not on the CPU, or has another shape,
            or a dict other entries, than the cell's; the state, `out` or `energy` cannot be written in place.
        """
        operator, params = self._operator()
        check_dict("state", state)
        if torch.is_grad_enabled():
            entries = {f"state['{name}']": tensor for name, tensor in state.items()}
            _refuse_gradients({"x_t": x_t, "out": out, "energy": energy, **entries})
        y = operator.step(out, state, energy, x_t, params, Run(self.threads, self.implementation))
        written = [*state.values(), y] if energy is None else [*state.values(), y, energy]
        increment_version([tensor for tensor in written if not tensor.is_inference()])
        return y

    def _operator(self) -> tuple[Operator, Tensors]:
        """The operator for the dtype of the parameters, and these."""
        params: Tensors = {name: self._parameter(name) for name in self._parameter_names}
        dtype = params[self._parameter_names[0]].dtype
        if dtype not in self._operators:
            raise TypeError(f"parameters: expected torch.float32 or torch.float64, got {dtype}")
        return self._operators[dtype], params

    def _parameter(self, name: str) -> Tensor:
        """nn.Module looks an attribute up in several places before this one, which costs a rollout a tenth of
        its time."""
        parameter = self._parameters.get(name)
        return attrgetter(name)(self) if parameter is None else parameter

    def extra_repr(self) -> str:
        """The sizes, and the options that are not the defaults."""
        options = self.config.items()
        return ", ".join(
            f"{name}={value!r}" for name, value in options if value != self._usual.get(name, ...)
        )


def _refuse_gradients(tensors: Mapping[str, object]) -> None:
    for name, tensor in tensors.items():
        if need_gradients([tensor]):
            raise ValueError(f"{name}: expected a tensor that needs no gradient, or torch.no_grad()")
