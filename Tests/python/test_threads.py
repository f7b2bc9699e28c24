"""The same bits whatever the number of threads, from run to run, and for a sample alone."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import stpn_swift
from arrays import assert_same, draw
from stpn_swift import STPNR

SHAPES = [(1, 3, 5, 7), (7, 5, 6, 11), (33, 9, 37, 11), (64, 4, 17, 65)]


def run(cell: STPNR, data: dict[str, Any], threads: int) -> tuple[Any, ...]:
    cell.threads = threads
    y, final, tape = cell.forward(data["x"], data["state"], data["resets"])
    grads = cell.backward(tape, data["grad_y"], data["grad_state"])
    stepped = {name: array.copy() for name, array in data["state"].items()}
    y_t = cell.step(data["x"][:, 0], stepped)
    return y, final, grads.x, grads.state, grads.params, y_t, stepped


@pytest.fixture(params=SHAPES, ids=str)
def problem(request: pytest.FixtureRequest, dtype: str, implementation: str) -> tuple[STPNR, dict[str, Any]]:
    B, T, I, H = request.param  # noqa: E741
    cell = STPNR(I, H, dtype=dtype, seed=B)
    cell.implementation = implementation
    return cell, draw(np.random.default_rng(T), cell, B, T)


def test_any_number_of_threads_gives_the_same_bits(problem: tuple[STPNR, dict[str, Any]]) -> None:
    expected = run(*problem, threads=1)
    for threads in (1, 2, 3, 8, 0):
        assert_same(run(*problem, threads), expected)


def test_a_sample_alone_gives_the_bits_that_it_has_in_a_batch(problem: tuple[STPNR, dict[str, Any]]) -> None:
    cell, data = problem
    y, final, grad_x, grad_state, _, y_t, stepped = run(cell, data, 2)
    for b in range(len(data["x"])):
        alone = {
            key: {name: array[b : b + 1] for name, array in value.items()}
            if isinstance(value, dict)
            else value[b : b + 1]
            for key, value in data.items()
        }
        one = run(cell, alone, 1)
        assert_same((one[0], one[2], one[5]), (y[b : b + 1], grad_x[b : b + 1], y_t[b : b + 1]))
        for actual, batched in ((one[1], final), (one[3], grad_state), (one[6], stepped)):
            assert_same(actual, {name: array[b : b + 1] for name, array in batched.items()})


def test_python_threads_may_share_a_cell(implementation: str) -> None:
    cell = STPNR(6, 11, seed=0)
    cell.implementation = implementation
    problems = [draw(np.random.default_rng(seed), cell, 5, 7) for seed in range(16)]
    expected = [run(cell, data, 2) for data in problems]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            assert_same(list(pool.map(lambda data: run(cell, data, 2), problems)), expected)


def test_the_number_of_threads_can_be_set() -> None:
    before = stpn_swift.get_num_threads()
    assert before >= 1
    try:
        for threads in (1, 3, 1024):
            stpn_swift.set_num_threads(threads)
            assert stpn_swift.get_num_threads() == threads
    finally:
        stpn_swift.set_num_threads(before)


def test_the_environment_sets_threads_and_implementation() -> None:
    program = (
        "import stpn_swift; c = stpn_swift.show_config('dicts'); print(c['threads'], c['implementation'])"
    )
    environment = os.environ | {"STPN_NUM_THREADS": "3", "STPN_ISA": "baseline"}
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert result.stdout == "3 baseline\n"


def test_an_unknown_implementation_in_the_environment_is_an_error() -> None:
    program = (
        "import stpn_swift, numpy as np\n"
        "stpn_swift.show_config()\n"
        "try: stpn_swift.STPNR(3, 2)(np.zeros((1, 1, 3), np.float32))\n"
        "except ValueError as error: print(error)\n"
    )
    command = [sys.executable, "-c", program]
    result = subprocess.run(
        command, env=os.environ | {"STPN_ISA": "abacus"}, capture_output=True, text=True, check=True
    )
    assert "in use           none" in result.stdout
    assert "STPN_ISA: expected one of plain, baseline" in result.stdout
    assert 'got "abacus"' in result.stdout


def test_a_forked_process_computes_the_same() -> None:
    program = (
        "import os, numpy as np, stpn_swift\n"
        "cell = stpn_swift.STPNR(37, 65, seed=0)\n"
        "cell.threads = 4\n"
        "x = np.random.default_rng(0).normal(size=(64, 9, 37)).astype(np.float32)\n"
        "expected = cell(x)[0].tobytes()\n"
        "child = os.fork()\n"
        "same = cell(x)[0].tobytes() == expected\n"
        "if child == 0: os._exit(0 if same else 1)\n"
        "print(same, os.waitpid(child, 0)[1])\n"
    )
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout == "True 0\n"
