"""Many runs of associative retrieval, some at a time, each in a process of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from statistics import mean
from typing import Any, Literal

from ..files import write_atomically
from .comparison import Record
from .console import duration, progress_bar
from .errors import ExperimentError
from .interrupts import WITH_PARENT, Interrupts
from .models import MODEL_NAMES, ModelName
from .run import INTERRUPTED, describe
from .run_folder import Result, RunFolder
from .settings import RetrievalSettings, TrainingSettings

State = Literal["waiting", "running", "done", "failed"]
POLL_SECONDS = 0.2
MOST_SEEDS = 10_000


class PlannedRun:
    """One of the runs, wherever it is."""

    def __init__(self, settings: RetrievalSettings, output: Path) -> None:
        self.settings = settings
        self.folder = RunFolder(output / settings.model / f"seed-{settings.seed}")
        self.name = f"{settings.model} seed {settings.seed}"
        self.log = self.folder.log
        self.state: State = "waiting"
        self.error = ""
        self.epochs_done = 0
        self.seconds_done = 0.0
        self.result: Result | None = None
        self._log_begins = 0
        self._process: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        """Reads how far it is, and whether it is done before it begins.

        Raises
        ------
        ExperimentError
            Its folder holds a run of other settings.
        """
        if not self.folder.holds_run():
            return
        self.folder.read_settings().check_agreement(self.settings)
        with contextlib.suppress(ExperimentError):  # its process repairs what is damaged, or says why not
            self.read_progress()
            result = self.folder.read_result(self.settings)
            if result is not None and result["epochs"] == self.epochs_done:
                self.state = "done"

    def read_progress(self) -> None:
        if self.folder.metrics.exists():
            history = self.folder.read_metrics()
            self.epochs_done = len(history)
            self.seconds_done = sum(row["seconds"] for row in history)

    def start(self, options: Sequence[str]) -> None:
        if not self.folder.holds_run():
            self.folder.create(describe(self.settings))
        arguments = ["train", "retrieval", "--resume", "--output", str(self.folder.path)]
        with open(self.log, "ab") as log:
            self._log_begins = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "stpn_swift", *arguments, *options],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C comes from us alone
                env={**os.environ, WITH_PARENT: "1"},
            )
        self.state = "running"

    def poll(self) -> bool:
        """Whether it has ended since."""
        if self._process is None or self._process.poll() is None:
            return False
        self.wait()
        try:
            self._conclude(self._process.returncode)
        except (ExperimentError, OSError) as error:
            self.fail(str(error))
        return True

    def _conclude(self, code: int) -> None:
        if code != 0:
            self.fail(self._last_words(code))
            return
        self.read_progress()
        result = self.folder.read_result(self.settings)
        if result is None:
            raise ExperimentError(f"there is no {self.folder.result}")
        self.state, self.result = "done", result

    def fail(self, error: str) -> None:
        self.state, self.error = "failed", error

    def _last_words(self, code: int) -> str:
        if code < 0:
            return f"killed by signal {-code}"
        log = self.log.read_bytes()[self._log_begins :].decode(errors="replace")
        lines = [line for line in log.split("\n") if line.strip()]
        # A process that outlived an earlier comparison may write to the log too.
        errors = [line for line in lines if line.startswith("error: ")]
        if (
            not lines
        ):  # what kept it from writing a word, such as a full disk, keeps us too and is raised here
            write_atomically(self.log, f"exit code {code}\n".encode())
        return (errors or lines or [f"exit code {code}"])[-1]

    def interrupt(self) -> None:
        """As Ctrl-C: it saves and stops."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)

    def wait(self) -> None:
        if self._process is not None:
            self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self.wait()

    @property
    def begun(self) -> bool:
        """Whether it has had a process."""
        return self._process is not None

    @property
    def epochs_left(self) -> int:
        return 0 if self.state in ("done", "failed") else self.settings.epochs - self.epochs_done


def plan(
    shared: TrainingSettings, models: Sequence[ModelName], seeds: Sequence[int], output: Path
) -> list[PlannedRun]:
    """The runs of a comparison, all models with the first seed first.

    Raises
    ------
    ExperimentError
        A model contradicts the settings.
    """
    common = {setting.name: getattr(shared, setting.name) for setting in fields(TrainingSettings)}
    return [
        PlannedRun(RetrievalSettings(**common, model=model, seed=seed).resolve(), output)
        for seed in seeds
        for model in models
    ]


def compare(runs: Sequence[PlannedRun], jobs: int, options: Sequence[str], record: Record) -> int:
    """Brings all runs to their end: those that are done stay as they are, others go on or begin, and one that
    fails keeps no other from running.

    Parameters
    ----------
    runs
        From `plan`.
    jobs
        So many at a time.
    options
        Of `stpn train`, for each.
    record
        Of how long it takes.

    Returns
    -------
    int
        The exit code: 0, 1 where a run has failed, 130 where it was interrupted.
    """
    for run in runs:
        try:
            run.look()
        except (ExperimentError, OSError) as error:
            run.fail(str(error))
    skipped = sum(run.state == "done" for run in runs)
    print(f"{len(runs)} runs, of which {skipped} are done; {jobs} at a time")
    for run in _failed(runs):
        print(f"{run.name} failed: {run.error}", file=sys.stderr)
    try:
        with Interrupts() as interrupts, Board(runs, jobs) as board:
            while any(run.state in ("waiting", "running") for run in runs) and not interrupts.requested:
                record.write()
                _start_waiting(runs, jobs, options, board)
                _wait_for_an_end(runs, interrupts, board)
            if interrupts.requested:
                _interrupt(runs)
            if any(run.begun for run in runs):
                record.write()
    finally:
        for run in runs:
            run.kill()
    if interrupts.requested:
        print("interrupted; the same command goes on with every run", file=sys.stderr)
        return INTERRUPTED
    failed = [*_failed(runs)]
    if failed:
        print(
            f"{len(failed)} of {len(runs)} runs failed: {', '.join(run.name for run in failed)}",
            file=sys.stderr,
        )
    return 1 if failed else 0


def _wait_for_an_end(runs: Sequence[PlannedRun], interrupts: Interrupts, board: Board) -> None:
    """Until one of those that run has ended, or Ctrl-C comes."""
    ended = False
    while any(_running(runs)) and not ended and not interrupts.requested:
        time.sleep(POLL_SECONDS)
        for run in _running(runs):
            if run.poll():
                board.on_end(run)
                ended = True
        board.refresh()


def _interrupt(runs: Sequence[PlannedRun]) -> None:
    for run in _running(runs):
        run.interrupt()
    for run in _running(runs):
        run.wait()


def _start_waiting(runs: Sequence[PlannedRun], jobs: int, options: Sequence[str], board: Board) -> None:
    free = jobs - sum(1 for _ in _running(runs))
    for run in [run for run in runs if run.state == "waiting"][:free]:
        try:
            run.start(options)
        except (ExperimentError, OSError) as error:
            run.fail(str(error))
            board.on_end(run)


def _running(runs: Sequence[PlannedRun]) -> Iterator[PlannedRun]:
    return (run for run in runs if run.state == "running")


def _failed(runs: Sequence[PlannedRun]) -> Iterator[PlannedRun]:
    return (run for run in runs if run.state == "failed")


def seconds_left(runs: Sequence[PlannedRun], jobs: int) -> float | None:
    """How long all will take: by what an epoch of the same model takes, or of any where none has been seen;
    None before the first epoch."""
    known: dict[str, list[float]] = {}
    for run in runs:
        if run.epochs_done:
            known.setdefault(run.settings.model, []).append(run.seconds_done / run.epochs_done)
    if not known:
        return None
    of_any = mean(mean(times) for times in known.values())
    left = [run.epochs_left * mean(known.get(run.settings.model, [of_any])) for run in runs]
    return max(sum(left) / jobs, *left)


class Board:
    """What one sees of a comparison: a line for each run that ends, and on a terminal a bar over all epochs
    below the lines."""

    def __init__(self, runs: Sequence[PlannedRun], jobs: int) -> None:
        self._runs = runs
        self._jobs = jobs
        self._bar = progress_bar(
            total=sum(run.settings.epochs for run in runs),
            unit="epoch",
            bar_format="{percentage:3.0f} %|{bar}| {n_fmt}/{total_fmt} epochs{postfix}",
        )
        self._looked = 0.0

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: Any) -> None:
        self._bar.close()

    def refresh(self) -> None:
        """Once a second."""
        if time.monotonic() < self._looked + 1:
            return
        for run in _running(self._runs):
            with contextlib.suppress(
                ExperimentError, OSError
            ):  # a folder that is gone: its process will tell
                run.read_progress()
        self._bar.n = sum(run.epochs_done for run in self._runs)
        self._bar.set_postfix_str(f"{', '.join(run.name for run in _running(self._runs))}{self._left()}")
        self._looked = time.monotonic()

    def on_end(self, run: PlannedRun) -> None:
        ended = sum(run.state in ("done", "failed") for run in self._runs)
        if run.result is None:
            outcome = f"failed: {run.error}"
        else:
            outcome = (
                f"test accuracy {run.result['test_accuracy']:.5f}, energy {run.result['test_energy']:.2f}, "
                f"{duration(run.result['seconds'])}"
            )
        self._bar.write(f"{ended}/{len(self._runs)}  {run.name}: {outcome}{self._left()}")
        sys.stdout.flush()

    def _left(self) -> str:
        left = seconds_left(self._runs, self._jobs)
        return f"; {duration(left)} left" if left else ""


def read_seeds(text: str) -> tuple[int, ...]:
    """`0..4`, `3` or `0,2,7..9`.

    Raises
    ------
    ExperimentError
        It is none of these.
    """
    seeds: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", part.strip())
        if found is None:
            raise ExperimentError(f"--seeds: expected seeds such as 0..4 or 0,2,7, got {text!r}")
        first = int(found[1])
        last = int(found[2] or first)
        if last < first:
            raise ExperimentError(f"--seeds: expected a range that goes up, got {part.strip()!r}")
        if last - first >= MOST_SEEDS:
            raise ExperimentError(f"--seeds: expected {MOST_SEEDS} seeds at most, got {part.strip()!r}")
        seeds += range(first, last + 1)
    return tuple(dict.fromkeys(seeds))


def read_models(names: Sequence[str]) -> tuple[ModelName, ...]:
    """The names, of which `all` is all nine."""
    return tuple(dict.fromkeys(model for name in names for model in MODEL_NAMES if name in ("all", model)))
