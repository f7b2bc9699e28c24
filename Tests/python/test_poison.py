"""Nothing is read before it is written, and nothing is written beyond its end.

Every array that a call writes to holds NaN beforehand, every array has canaries around it, and the sizes are
off every tile. The workspace is the extension's own: Python's debugging allocator poisons and guards it.

The results are compared with the plain implementation's; not as closely as elsewhere, because some of these
sizes are such that inputs that are one rounding off change them by 14 times the tolerance.
"""

import os
import subprocess
import sys
from typing import Any

import golden
import numpy as np
import pytest
from numpy.typing import NDArray
from stpn_swift import Cell
from variants import make

Array = NDArray[Any]

SIZES = [(1, 1), (2, 1), (4, 3), (4, 7), (6, 11), (37, 11), (15, 17), (2, 63), (63, 1), (1, 65), (65, 63)]
BATCHES = [(1, 1), (1, 5), (5, 1), (4, 3)]
SLACK = 40


class Guards:
    """Makes arrays that end where canaries begin, and checks these."""

    CANARY = np.frombuffer(b"\xff\xa5\xff\x5a" * 24, np.uint8)

    def __init__(self) -> None:
        self._memory: list[Array] = []

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """An array of bytes 0xff: NaN in both precisions."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        margin = self.CANARY.size
        memory = np.full(size + 2 * margin, 0xFF, np.uint8)
        memory[:margin] = memory[-margin:] = self.CANARY
        self._memory.append(memory)
        array: Array = memory[margin : margin + size].view(dtype).reshape(shape)
        return array

    def copy(self, array: Array) -> Array:
        guarded = self.empty(array.shape, array.dtype)
        guarded[...] = array
        return guarded

    def empties(self, shapes: dict[str, tuple[int, ...]], dtype: Any) -> dict[str, Array]:
        return {name: self.empty(shape, dtype) for name, shape in shapes.items()}

    def copies(self, arrays: dict[str, Array]) -> dict[str, Array]:
        return {name: self.copy(array) for name, array in arrays.items()}

    def check(self) -> None:
        margin = self.CANARY.size
        for memory in self._memory:
            np.testing.assert_array_equal(memory[:margin], self.CANARY)
            np.testing.assert_array_equal(memory[-margin:], self.CANARY)


class Problem:
    """The kernel of a cell with everything that goes into its calls."""

    def __init__(self, cell: Cell, batch: int, time: int) -> None:
        random = np.random.default_rng(batch * 100 + time)
        dtype = cell.dtype
        self.cell = cell._kernel
        self.dtype, self.B, self.T = dtype, batch, time
        self.state_shapes = self.cell.state_shapes(batch)
        self.param_shapes = {name: shape for name, shape, _, _ in self.cell.parameters}
        self.x_shape = (batch, time, cell.input_size)
        self.y_shape = (batch, time, cell.hidden_size)

        def draw(shape: tuple[int, ...], low: float = -1, high: float = 1) -> Array:
            return random.uniform(low, high, shape).astype(dtype)

        self.x = draw(self.x_shape)
        self.params = cell.params
        self.state = {name: draw(shape, -0.3, 0.3) for name, shape in self.state_shapes.items()}
        self.resets = random.random((batch, time)) < 0.2
        self.grad_y = draw(self.y_shape)
        self.grad_final = {name: draw(shape) for name, shape in self.state_shapes.items()}

    def run(self, guards: Guards, threads: int, implementation: str) -> dict[str, Array]:
        """All outputs of forward and backward, on guarded memory."""
        cell, dtype = self.cell, self.dtype
        y = guards.empty(self.y_shape, dtype)
        final = guards.empties(self.state_shapes, dtype)
        energy = guards.empty(self.y_shape, dtype)
        tape = guards.empty((cell.tape_size(self.B, self.T, implementation),), np.uint8)
        state, resets = guards.copies(self.state), guards.copy(self.resets)
        inputs = guards.copy(self.x), guards.copies(self.params), state, resets
        cell.forward(y, final, energy, *inputs, tape, threads, implementation)

        grad_x = guards.empty(self.x_shape, dtype)
        grad_params = guards.empties(self.param_shapes, dtype)
        grad_state = guards.empties(self.state_shapes, dtype)
        grad_final = guards.copies(self.grad_final)
        cell.backward(
            grad_x,
            grad_params,
            grad_state,
            guards.copy(self.grad_y),
            grad_final,
            tape,
            self.B,
            self.T,
            threads,
            implementation,
        )
        outputs = {"y": y, "energy": energy, "grad x": grad_x}
        outputs |= {f"final {name}": array for name, array in final.items()}
        outputs |= {f"grad {name}": array for name, array in (grad_state | grad_params).items()}
        return outputs

    def run_step(self, guards: Guards, threads: int, implementation: str) -> dict[str, Array]:
        y, energy = (guards.empty((self.B, self.y_shape[2]), self.dtype) for _ in range(2))
        state = guards.copies(self.state)
        x_t = guards.copy(self.x[:, 0])
        self.cell.step(y, state, energy, x_t, guards.copies(self.params), threads, implementation)
        return {"y": y, "energy": energy, **state}


@pytest.mark.parametrize(("input_size", "hidden_size"), SIZES)
def test_sizes_off_every_tile(
    variant: str, input_size: int, hidden_size: int, dtype: str, implementation: str
) -> None:
    cell = make(variant, input_size, hidden_size, dtype=dtype)
    for batch, time in BATCHES:
        problem = Problem(cell, batch, time)
        guards = Guards()
        for run in (problem.run, problem.run_step):
            actual, expected = run(guards, 2, implementation), run(Guards(), 1, "plain")
            golden.assert_all_close(actual, expected, str(problem.x_shape), SLACK)
        guards.check()


def test_only_what_is_wanted_is_written(variant: str, implementation: str) -> None:
    problem = Problem(make(variant, 4, 7), 3, 5)
    cell, B, T = problem.cell, problem.B, problem.T
    everything = problem.run(Guards(), 1, implementation)
    y = np.empty(problem.y_shape)
    tape = np.empty(cell.tape_size(B, T, implementation), np.uint8)
    inputs = problem.x, problem.params, problem.state, problem.resets
    cell.forward(y, None, None, *inputs, tape, 1, implementation)
    np.testing.assert_array_equal(y, everything["y"])
    for wanted, shape in problem.state_shapes.items():
        final = np.full(shape, np.nan)
        cell.forward(y, {wanted: final}, None, *inputs, None, 1, implementation)
        np.testing.assert_array_equal(final, everything[f"final {wanted}"])

    shapes = {"x": problem.x_shape, **problem.param_shapes, **problem.state_shapes}
    for wanted, shape in shapes.items():
        grad = np.full(shape, np.nan)
        cell.backward(
            grad if wanted == "x" else None,
            {wanted: grad} if wanted in problem.param_shapes else None,
            {wanted: grad} if wanted in problem.state_shapes else None,
            problem.grad_y,
            problem.grad_final,
            tape,
            B,
            T,
            1,
            implementation,
        )
        golden.assert_close(grad, everything[f"grad {wanted}"], wanted)

    state = {name: array.copy() for name, array in problem.state.items()}
    cell.step(None, state, None, problem.x[:, 0], problem.params, 1, implementation)
    stepped = problem.run_step(Guards(), 1, implementation)
    golden.assert_all_close(state, {name: stepped[name] for name in state}, "state")


def test_workspaces_with_the_debugging_allocator() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    command += ["-k", "test_sizes_off_every_tile and float32"]
    result = subprocess.run(
        command, env=os.environ | {"PYTHONMALLOC": "debug"}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert " passed" in result.stdout
