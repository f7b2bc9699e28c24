"""The same bits whatever the number of threads, from run to run, and for a sample alone."""

import itertools
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stpn_swift
from arrays import assert_same, draw, results
from stpn_swift import Cell
from variants import CONFIGS, make

Problem = tuple[Cell, dict[str, Any]]

# (B, T, I, H): of each cell one sample, a few and many, of some also large ones.
SHAPES = [(1, 3, 5, 7), (7, 5, 6, 11), (34, 3, 9, 17)]
LARGE = [(33, 9, 37, 11), (64, 4, 17, 65)]
PROBLEMS = [
    *itertools.product(CONFIGS, SHAPES),
    *itertools.product(("stpnr", "stpnf", "fast weights", "modplast"), LARGE),
]


def run(cell: Cell, data: dict[str, Any], threads: int) -> dict[str, Any]:
    cell.threads = threads
    return results(cell, **data)


@pytest.fixture(params=PROBLEMS, ids=str)
def problem(request: pytest.FixtureRequest, dtype: str, implementation: str) -> Problem:
    variant, (B, T, I, H) = request.param  # noqa: E741
    cell = make(variant, I, H, dtype=dtype, implementation=implementation)
    return cell, draw(np.random.default_rng(T), cell, B, T)


def test_any_number_of_threads_gives_the_same_bits(problem: Problem) -> None:
    expected = run(*problem, threads=1)
    for threads in (1, 2, 3, 8, 0):
        assert_same(run(*problem, threads), expected)


def test_a_sample_alone_gives_the_bits_that_it_has_in_a_batch(problem: Problem) -> None:
    cell, data = problem
    expected = run(cell, data, 2)
    for b in range(0, len(data["x"]), 5):
        alone = {
            key: {name: array[b : b + 1] for name, array in value.items()}
            if isinstance(value, dict)
            else value[b : b + 1]
            for key, value in data.items()
        }
        for name, array in run(cell, alone, 1).items():
            if not name.startswith("grad param"):
                assert_same(array, expected[name][b : b + 1])


def test_python_threads_may_share_a_cell(variant: str, implementation: str) -> None:
    cell = make(variant, 6, 11, dtype="float32", implementation=implementation)
    problems = [draw(np.random.default_rng(seed), cell, 5, 7) for seed in range(16)]
    expected = [run(cell, data, 2) for data in problems]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
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


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="threads cannot be tied to processors on this system"
)
def test_workers_keep_to_the_processors_of_their_caller() -> None:
    """Beside the caller's own processor where that leaves enough, and on it where it is the only one."""
    program = (
        "import os, numpy as np, stpn_swift\n"
        "cell = stpn_swift.STPNR(37, 65, seed=0)\n"
        "cell.threads = 2\n"
        "x = np.zeros((64, 9, 37), np.float32)\n"
        "allowed = sorted(os.sched_getaffinity(0))[:2]\n"
        "def workers():\n"
        "    tasks = [int(task) for task in os.listdir('/proc/self/task')]\n"
        "    return [os.sched_getaffinity(task) for task in tasks if task != os.getpid()]\n"
        "for given in ({allowed[0]}, set(allowed), {allowed[-1]}):\n"
        "    os.sched_setaffinity(0, given)\n"
        "    for _ in range(3): cell(x)\n"
        "    [cores] = [cores for cores in workers() if cores <= given]\n"
        "    assert len(cores) == 1, cores\n"
    )
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def stress(*arguments: str, timeout: float) -> int:
    """The calls that were compared; a deadlock is a TimeoutExpired."""
    program = Path(__file__).with_name("stress.py")
    command = [
        sys.executable,
        "-W",
        "ignore::DeprecationWarning",
        str(program),
        *arguments,
    ]  # fork with threads
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)
    assert result.returncode == 0, result.stderr
    return int(result.stdout.split()[0])


def test_python_threads_call_the_same_and_different_cells_for_a_while(request: pytest.FixtureRequest) -> None:
    seconds = request.config.getoption("--stress-seconds")
    assert stress("threads", str(seconds), timeout=seconds + 300) >= 8


def test_processes_that_are_forked_while_threads_compute() -> None:
    assert stress("forks", timeout=300) >= 200
