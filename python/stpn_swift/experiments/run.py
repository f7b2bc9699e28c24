"""One run of associative retrieval: trained, resumed, evaluated."""

from __future__ import annotations

import platform
import re
import resource
import shlex
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__, set_num_threads, show_config
from ..files import write_json
from .adam import Adam
from .console import Console
from .errors import ExperimentError, optional_import
from .figure import draw_accuracy
from .info import installed_version
from .interrupts import Interrupts
from .models import MODELS, Backend, build
from .network import KernelClassifier, SequenceClassifier
from .results import Group, RunResult
from .retrieval_data import Seeds, Sequences, generate
from .run_folder import Result, RunFolder
from .settings import RetrievalSettings
from .synapses import record
from .tensorboard import TensorBoard
from .training import Evaluation, Trainer, check_finite, evaluate

INTERRUPTED = 130


def prepare(settings: RetrievalSettings) -> tuple[Trainer, Sequences]:
    """The trainer of a run before its first update, and the test set in whole batches.

    Raises
    ------
    ExperimentError
        The settings are out of their range, or PyTorch is needed and not installed.
    """
    settings = settings.resolve()
    seeds = Seeds.from_seed(settings.seed)
    train = generate(settings.train_sequences, seeds.train, settings.task)
    validation = generate(settings.validation_sequences, seeds.validation, settings.task)
    test = generate(settings.test_sequences, seeds.test, settings.task)

    network = build(settings.describe(), settings.resolved_backend, settings.dtype, seeds.parameters)
    order = seeds.order if settings.shuffle else None
    optimizer = Adam(network.vector, settings.lr)
    trainer = Trainer(network, optimizer, train, validation, settings.batch, order, settings.dale)
    return trainer, test[: len(test) // settings.batch * settings.batch]


def use_threads(kernel: int | None, backend: Backend) -> None:
    """Sets the threads of the kernel; None: as they are. PyTorch gets one: networks of this size are slower
    with more, and so the bits do not depend on the machine.

    Raises
    ------
    ExperimentError
        The number is out of its range.
    """
    if kernel is not None:
        try:
            set_num_threads(kernel)
        except ValueError as error:
            raise ExperimentError(f"--threads: {error}") from None
    if backend == "torch":
        optional_import("torch").set_num_threads(1)


def train(
    folder: RunFolder,
    settings: RetrievalSettings,
    *,
    resume: bool = False,
    overwrite: bool = False,
    threads: int | None = None,
    tensorboard: bool = False,
) -> int:
    """Trains to the end, or to the end of the batch in which Ctrl-C comes (or SIGTERM, or SIGHUP), and
    evaluates on the test set.

    Parameters
    ----------
    folder
        Where the run is or is to be.
    settings
        Of a run that is resumed, its own, or with more epochs.
    resume, overwrite
        Whether to go on with the run that the folder holds, or to replace it.
    threads
        Of the kernel; None: one a processor.
    tensorboard
        Whether to write the metrics for TensorBoard too.

    Returns
    -------
    int
        The exit code: 0, or 130 where it was interrupted.

    Raises
    ------
    ExperimentError
        The settings are refused, the folder holds another run or is in use, or the training diverged.
    OSError
        A file cannot be read or written; what was there before is as it was.
    """
    settings = settings.resolve()
    use_threads(threads, settings.resolved_backend)
    trainer, test = prepare(settings)
    with folder.locked():
        if overwrite and folder.holds_run():
            folder.replace(describe(settings), settings, trainer)
        elif not resume:
            folder.create(describe(settings))
        saved = folder.load(settings)
        if saved:
            saved.restore(trainer)
        if resume:
            result = _result_of(folder, settings)
            if result is not None and trainer.progress.epoch == settings.epochs:
                folder.save_metrics(trainer.progress.history)
                _tell(folder, result)
                return 0
            _go_on(folder, settings)
        folder.save(settings, trainer)
        if not _train_to_end(folder, settings, trainer, tensorboard):
            _explain_interruption(trainer, folder)
            return INTERRUPTED
        _conclude(folder, settings, trainer, test)
    return 0


def _result_of(folder: RunFolder, settings: RetrievalSettings) -> Result | None:
    """Of a run that is complete; one that is damaged is made again."""
    try:
        result = folder.read_result(settings)
    except ExperimentError:
        return None
    return result if result is not None and result["epochs"] == settings.epochs else None


def _go_on(folder: RunFolder, settings: RetrievalSettings) -> None:
    """Brings the record of a run to how it goes on: with more epochs, or computed by something else."""
    folder.result.unlink(missing_ok=True)
    config = describe(settings)
    now: dict[str, str] = config["versions"]
    first, *later = folder.read_versions()
    before = (later or [first])[-1]
    if now != before:
        print(
            f"note: {folder.path} was trained by {_difference(before, now)}, and goes on by "
            f"{_difference(now, before)}: its bits are those of neither alone",
            file=sys.stderr,
        )
        later.append(now)
    folder.write_config({**config, "versions": first, **({"later_versions": later} if later else {})})


def _difference(versions: Mapping[str, str], others: Mapping[str, str]) -> str:
    """Those that are not among the others."""
    return ", ".join(f"{name} {value}" for name, value in versions.items() if others.get(name) != value)


def _train_to_end(
    folder: RunFolder, settings: RetrievalSettings, trainer: Trainer, tensorboard: bool
) -> bool:
    with ExitStack() as stack:
        interrupts = stack.enter_context(Interrupts())
        console = stack.enter_context(Console(trainer, settings.epochs))
        viewers: list[Console | TensorBoard] = [console]
        if tensorboard:
            board = TensorBoard(folder.path / "tensorboard", trainer.progress.history)
            viewers.append(stack.enter_context(board))
        while trainer.progress.epoch < settings.epochs:
            finished = trainer.epoch(lambda: interrupts.requested, console.on_batch)
            folder.save(settings, trainer)
            for viewer in viewers if finished else ():
                viewer.on_epoch(trainer.progress.history[-1])
            if interrupts.requested and trainer.progress.epoch < settings.epochs:
                return False
    return True


def describe(settings: RetrievalSettings) -> dict[str, Any]:
    """The content of config.json."""
    model = settings.describe()
    return {
        "experiment": "retrieval",
        "settings": settings.as_dict(),
        "network": {
            "cell": model.config,
            "squashed": model.squashed,
            "fixed": model.fixed,
            "initial": model.initial,
        },
        "versions": _versions(settings.resolved_backend),
    }


def _versions(backend: Backend) -> dict[str, str]:
    """What the bits of a run can depend on."""
    if backend == "torch":
        computed_by = {"torch": installed_version("torch")}
    else:
        computed_by = {"kernel": show_config("dicts")["implementation"]}
    return {
        "stpn_swift": __version__,
        **computed_by,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }


def default_output(settings: RetrievalSettings) -> Path:
    return Path("runs", "retrieval", settings.model, f"seed-{settings.seed}")


def _conclude(folder: RunFolder, settings: RetrievalSettings, trainer: Trainer, test: Sequences) -> None:
    evaluation = evaluate(trainer.network, test)
    check_finite(evaluation.energy, "the energy on the test set")
    folder.figures.mkdir(exist_ok=True)
    run = RunResult(folder.path, settings, folder.read_metrics(), None, [])
    title = f"{MODELS[settings.model].title}, seed {settings.seed}"
    draw_accuracy([Group(title, settings, [run])], folder.figure)
    result = _result(trainer, test, evaluation)
    if settings.dale is not None:
        recorded = record(by_kernel(trainer.network, settings), test)
        folder.save_synapses(recorded.images())
        result["synapses"] = recorded.means()
    write_json(folder.result, result)
    _tell(folder, result)


def _tell(folder: RunFolder, result: Mapping[str, Any]) -> None:
    """What a complete run has come to, and where it is."""
    evaluation = Evaluation(result["test_accuracy"], tuple(result["test_energy_by_step"]))
    print(
        f"{summary(evaluation, result['test_sequences'])}, after {result['seconds']:.1f} s of training\n"
        f"figure      {folder.figure}"
    )
    print(f"metrics     {folder.metrics}\ncheckpoint  {folder.checkpoint}")


def _result(trainer: Trainer, test: Sequences, evaluation: Evaluation) -> dict[str, Any]:
    """The content of result.json."""
    history = trainer.progress.history
    last = history[-1]
    return {
        "epochs": last.epoch,
        "loss": last.loss,
        "train_accuracy": last.train_accuracy,
        "validation_accuracy": last.validation_accuracy,
        "validation_energy": last.energy,
        "test_sequences": len(test),
        "test_accuracy": evaluation.accuracy,
        "test_energy": evaluation.energy,
        "test_energy_by_step": evaluation.energy_by_step,
        "parameters": trainer.network.vector.size,
        "seconds": sum(row.seconds for row in history),
        "peak_memory_bytes": _peak_memory(),
    }


def summary(evaluation: Evaluation, sequences: int) -> str:
    """A line on an evaluation of so many sequences."""
    correct = round(evaluation.accuracy * sequences)
    return (
        f"test accuracy {evaluation.accuracy:.5f} ({correct} of {sequences}), "
        f"energy {evaluation.energy:.2f} a sequence"
    )


def _peak_memory() -> int:
    """Of this process, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux counts in getrusage what the process had been that started this one
        return 1024 * int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _explain_interruption(trainer: Trainer, folder: RunFolder) -> None:
    progress = trainer.progress
    command = [
        sys.executable,
        "-m",
        "stpn_swift",
        "train",
        "retrieval",
        "--resume",
        "--output",
        str(folder.path),
    ]
    print(
        f"interrupted in epoch {progress.epoch + 1} after batch {progress.batch} of {trainer.batches}; "
        f"saved to {folder.checkpoint}. Go on with\n  {shlex.join(command)}",
        file=sys.stderr,
    )


def by_kernel(network: SequenceClassifier, settings: RetrievalSettings) -> KernelClassifier:
    """The network of a run, computed by the kernel.

    Raises
    ------
    ExperimentError
        The kernel does not compute it.
    """
    if not isinstance(network, KernelClassifier):
        network = _rebuilt(network, settings, "kernel")
        assert isinstance(network, KernelClassifier)
    return network


def _rebuilt(
    network: SequenceClassifier, settings: RetrievalSettings, backend: Backend
) -> SequenceClassifier:
    other = build(settings.describe(), backend, settings.dtype, np.random.default_rng())
    other.vector[:] = network.vector
    return other


def evaluate_run(folder: RunFolder, backend: Backend | None = None) -> tuple[Evaluation, int, int]:
    """What the network of a run answers to its test set.

    Parameters
    ----------
    folder
        A run, complete or not.
    backend
        What computes; None: what has trained it.

    Returns
    -------
    tuple
        The evaluation, the number of sequences, and after how many epochs.

    Raises
    ------
    ExperimentError
        There is no run, no checkpoint, or none that can be read; or the backend does not compute the network.
    """
    settings = folder.read_settings().resolve()
    trainer, test = prepare(settings)
    saved = folder.load(settings)
    if saved is None:
        raise ExperimentError(f"there is no checkpoint {folder.checkpoint}")
    saved.restore(trainer)
    network = trainer.network
    if backend is not None and backend != settings.backend:
        network = _rebuilt(network, settings, backend)
    use_threads(None, backend or settings.resolved_backend)
    return evaluate(network, test), len(test), trainer.progress.epoch
