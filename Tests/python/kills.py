"""A run, and others with the same options that are killed at random moments, 20 times in all.

    python Tests/python/kills.py --epochs 300

makes the folders `whole` and `killed-0`, `killed-1`, … Each of the latter is resumed until it is complete. A
process of its own, as it forks, which a process with threads of other libraries must not.
"""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
from stpn_swift.experiments import cli

KILLS = 20


def train(*arguments: str) -> int:
    return cli.main(["train", "retrieval", *arguments])


def killed_after(seconds: float, *arguments: str) -> bool:
    """Whether a run in a fork was killed so long after its beginning, or had ended."""
    process = os.fork()
    if process == 0:
        os._exit(train(*arguments))
    time.sleep(seconds)
    os.kill(process, signal.SIGKILL)
    status = os.waitpid(process, 0)[1]
    assert status in (0, signal.SIGKILL), status
    return status != 0


def main(*options: str) -> None:
    started = time.monotonic()
    assert train(*options, "--output", "whole") == 0
    most = (time.monotonic() - started) / 8
    random = np.random.default_rng(0)
    kills, number = 0, 0
    while kills < KILLS:
        folder = f"killed-{number}"
        resume = Path(folder, "config.json").exists()
        if killed_after(random.uniform(0, most), *(["--resume"] if resume else options), "--output", folder):
            kills += Path(folder, "config.json").exists()
        else:
            number += 1
    assert train(*(["--resume"] if Path(folder).exists() else options), "--output", folder) == 0


if __name__ == "__main__":
    main(*sys.argv[1:])
