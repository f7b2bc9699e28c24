"""Threads and processes that compute at the same time and compare all results with those of one thread.

    python Tests/python/stress.py threads SECONDS
    python Tests/python/stress.py forks

A program of its own, as a deadlock is ended from outside. It prints how many calls were compared.
"""

import os
import sys
import threading
import time
from typing import Any

import numpy as np
from arrays import Array, assert_same, draw, results
from stpn_swift import Cell
from variants import CONFIGS, make

THREADS = 8
PROCESSES = 4
CALLS_PER_PROCESS = 50

Problem = tuple[Cell, dict[str, Any], dict[str, Array]]


def problems() -> list[Problem]:
    """Every cell with two inputs, large enough for threads, and with what one thread makes of them."""
    found = []
    for variant in CONFIGS:
        cell = make(variant, 17, 33, dtype="float32")
        for seed in range(2):
            data = draw(np.random.default_rng(seed), cell, 34, 6)
            cell.threads = 1
            expected = results(cell, **data)
            cell.threads = 4
            found.append((cell, data, expected))
    return found


def check_one(random: np.random.Generator, among: list[Problem]) -> None:
    cell, data, expected = among[random.integers(len(among))]
    assert_same(results(cell, **data), expected)


class Worker(threading.Thread):
    """Half of the workers call any cell, the others the first cells, so that they meet there."""

    def __init__(self, number: int, among: list[Problem], stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.random = np.random.default_rng(number)
        self.among = among if number % 2 else among[:4]
        self.stop = stop
        self.calls = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                check_one(self.random, self.among)
                self.calls += 1
        except BaseException as error:
            self.error = error


def start(among: list[Problem], stop: threading.Event) -> list[Worker]:
    workers = [Worker(number, among, stop) for number in range(THREADS)]
    for worker in workers:
        worker.start()
    return workers


def finish(workers: list[Worker], stop: threading.Event) -> int:
    """The calls of all workers, each of which has to have made some."""
    stop.set()
    for worker in workers:
        worker.join()
        if worker.error is not None:
            raise worker.error
    assert all(worker.calls > 0 for worker in workers), [worker.calls for worker in workers]
    return sum(worker.calls for worker in workers)


def threads(seconds: float) -> None:
    among, stop = problems(), threading.Event()
    workers = start(among, stop)
    end = time.monotonic() + seconds
    while time.monotonic() < end or any(worker.calls == 0 and worker.error is None for worker in workers):
        time.sleep(0.05)
    print(finish(workers, stop), "calls")


def child(number: int, among: list[Problem]) -> None:
    """The life of a forked process: exit code 0 where all its results are right."""
    try:
        random = np.random.default_rng(number)
        for _ in range(CALLS_PER_PROCESS):
            check_one(random, among)
    except BaseException as error:
        os.write(2, f"{error!r}\n".encode())
        os._exit(1)
    os._exit(0)


def forks() -> None:
    """The parent's threads go on all the while, and their calls are in the kernel when the children begin."""
    among, stop = problems(), threading.Event()
    workers = start(among, stop)
    while any(worker.calls == 0 and worker.error is None for worker in workers):
        time.sleep(0.05)
    children = []
    for number in range(PROCESSES):
        process = os.fork()
        if process == 0:
            child(number, among)
        children.append(process)
    statuses = [os.waitpid(process, 0)[1] for process in children]
    assert statuses == [0] * PROCESSES, statuses
    print(finish(workers, stop) + PROCESSES * CALLS_PER_PROCESS, "calls")


if __name__ == "__main__":
    if sys.argv[1] == "threads":
        threads(float(sys.argv[2]))
    else:
        forks()
