"""Associative retrieval on the command line: `python -m stpn_swift.experiments.retrieval`.

The network is an STPNR cell with a linear readout after the last step. The Swift kernel computes the cell,
forward and backward; NumPy does the rest. What enters the update of a synapse is the presynaptic activity of
the step before, as in the paper's equations and the demo published with it; the code published for this very
experiment took that of the same step (docs/cells.md, section 6).
"""

from __future__ import annotations

import argparse
import platform
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import STPNR, __version__, set_num_threads
from ..files import write_json
from .adam import Adam
from .console import Console
from .errors import ExperimentError, optional_import
from .figure import draw_accuracy
from .interrupts import Interrupts
from .network import SequenceClassifier
from .retrieval_data import SYMBOLS, Seeds, Sequences, generate
from .run_folder import RunFolder
from .settings import RetrievalSettings, add_arguments, given_settings
from .training import Trainer, accuracy

MODULE = "stpn_swift.experiments.retrieval"
INTERRUPTED = 130

DESCRIPTION = """\
Train a network of short-term plasticity neurons (STPNR) on associative retrieval.

A sequence holds three pairs of a letter and a digit, then ??, then one of the letters: c9k8j3??k.
The network answers with that letter's digit (8). Guessing is right in 10 % of the cases, knowing the
three digits but not which in 43 %. All the network has to remember with is the short-term part of its
synapses.
"""

EPILOG = """\
A run is a folder: config.json, metrics.csv (a row an epoch), checkpoint.safetensors, result.json and
figures/accuracy.png. Ctrl-C saves and stops, also within an epoch; --resume goes on to the same bits as
if nothing had happened, whatever --threads. A second Ctrl-C stops at once, without saving.

with nothing                     the paper's sizes, 200 epochs
with --seed 1 --epochs 50        another seed, shorter
with --resume                    go on with the run of seed 0
with --resume --output FOLDER    go on with another run; its settings are in its folder

Several runs in one figure: python -m stpn_swift.experiments.figure RUN... --output accuracy.png
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; answers the exit code: 0, 1 after an error, 130 after Ctrl-C."""
    parsed = _parser().parse_args(arguments)
    try:
        for package in ("safetensors", "tqdm", "matplotlib"):
            optional_import(package)
        return _run(parsed)
    except (ExperimentError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped at once; what was saved before is as it was", file=sys.stderr)
        return INTERRUPTED


def _run(parsed: argparse.Namespace) -> int:
    given = given_settings(parsed)
    folder = RunFolder(parsed.output or default_output(given.get("seed", RetrievalSettings.seed)))
    saved = folder.load() if parsed.resume else None
    settings = saved.settings if saved else RetrievalSettings(**given)
    settings.check_agreement(given)
    if parsed.threads is not None:
        _set_threads(parsed.threads)

    trainer, test = prepare(settings)
    if saved:
        saved.restore(trainer)
    else:
        folder.create(describe(settings, trainer.network), overwrite=parsed.overwrite)
    folder.save(settings, trainer)

    with Interrupts() as interrupts, Console(trainer, settings.epochs) as console:
        while trainer.progress.epoch < settings.epochs:
            finished = trainer.epoch(lambda: interrupts.requested, console.on_batch)
            folder.save(settings, trainer)
            if finished:
                console.on_epoch(trainer.progress.history[-1])
            if interrupts.requested and trainer.progress.epoch < settings.epochs:
                break
    if trainer.progress.epoch < settings.epochs:
        _explain_interruption(trainer, folder)
        return INTERRUPTED

    _conclude(trainer, test, folder)
    return 0


def _set_threads(threads: int) -> None:
    try:
        set_num_threads(threads)
    except ValueError as error:
        raise ExperimentError(f"--threads: {error}") from None


def prepare(settings: RetrievalSettings) -> tuple[Trainer, Sequences]:
    """The trainer of a run before its first update, and the test set in whole batches."""
    seeds = Seeds.from_seed(settings.seed)
    train = generate(settings.train_sequences, seeds.train)
    validation = generate(settings.validation_sequences, seeds.validation)
    test = generate(settings.test_sequences, seeds.test)

    cell = STPNR(len(SYMBOLS), settings.hidden_size, seed=seeds.parameters)
    network = SequenceClassifier(cell, len(SYMBOLS), seeds.parameters)
    trainer = Trainer(network, Adam(network.vector, settings.lr), train, validation, settings.batch)
    return trainer, test[: len(test) // settings.batch * settings.batch]


def describe(settings: RetrievalSettings, network: SequenceClassifier) -> dict[str, Any]:
    """The content of config.json."""
    return {
        "experiment": "retrieval",
        "settings": settings.as_dict(),
        "cell": network.cell.config,
        "parameters": network.vector.size,
        "versions": {
            "stpn_swift": __version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
        },
    }


def default_output(seed: int) -> Path:
    return Path("runs", "retrieval", f"seed-{seed}")


def _conclude(trainer: Trainer, test: Sequences, folder: RunFolder) -> None:
    test_accuracy = accuracy(trainer.network, test)
    last = trainer.progress.history[-1]
    write_json(
        folder.result,
        {
            "epochs": last.epoch,
            "loss": last.loss,
            "train_accuracy": last.train_accuracy,
            "validation_accuracy": last.validation_accuracy,
            "test_accuracy": test_accuracy,
            "test_sequences": len(test),
        },
    )
    draw_accuracy([folder], folder.figure)
    seconds = sum(row.seconds for row in trainer.progress.history)
    correct = round(test_accuracy * len(test))
    print(f"test accuracy {test_accuracy:.5f} ({correct} of {len(test)}), after {seconds:.1f} s of training")
    print(f"figure      {folder.figure}\nmetrics     {folder.metrics}\ncheckpoint  {folder.checkpoint}")


def _explain_interruption(trainer: Trainer, folder: RunFolder) -> None:
    progress = trainer.progress
    command = [sys.executable, "-m", MODULE, "--resume", "--output", str(folder.path)]
    print(
        f"interrupted in epoch {progress.epoch + 1} after batch {progress.batch} of {trainer.batches}; "
        f"saved to {folder.checkpoint}. Go on with\n  {shlex.join(command)}",
        file=sys.stderr,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {MODULE}",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_arguments(parser)
    how = parser.add_argument_group("how to run it")
    how.add_argument("--threads", type=int, metavar="N", help="of the kernel (default: one a processor)")
    how.add_argument("--output", type=Path, metavar="FOLDER", help="(default runs/retrieval/seed-SEED)")
    existing = how.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help="go on with the run in the folder")
    existing.add_argument("--overwrite", action="store_true", help="replace the run in the folder")
    return parser


if __name__ == "__main__":
    sys.exit(main())
