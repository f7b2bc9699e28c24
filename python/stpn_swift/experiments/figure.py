"""Accuracy by epoch, of one run or several: `python -m stpn_swift.experiments.figure RUN… --output FILE`."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from ..files import write_atomically
from .errors import ExperimentError, optional_import
from .retrieval_data import CHANCE, DIGITS_KNOWN
from .run_folder import RunFolder


def draw_accuracy(runs: Sequence[RunFolder], path: Path) -> None:
    """Draws the validation accuracy of each run, pale that in training, and the bounds of the task.

    Parameters
    ----------
    runs
        Each with a metrics.csv; a run's label is the name of its folder.
    path
        Its suffix says the format: .png, .svg, .pdf.

    Raises
    ------
    ExperimentError
        A run cannot be read, or matplotlib does not know the format.
    """
    matplotlib = optional_import("matplotlib.figure")
    figure = matplotlib.Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for run in runs:
        history = run.read_metrics()
        epochs = [row.epoch for row in history]
        validation = [100 * row.validation_accuracy for row in history]
        (line,) = axes.plot(epochs, validation, label=run.path.resolve().name)
        axes.plot(epochs, [100 * row.train_accuracy for row in history], color=line.get_color(), alpha=0.3)
    across = axes.get_yaxis_transform()
    for bound, meaning in ((CHANCE, "chance"), (DIGITS_KNOWN, "the three digits known, but not which")):
        axes.axhline(100 * bound, color="grey", linestyle="--", linewidth=1)
        axes.text(
            0.99, 100 * bound + 1, f"{meaning}: {bound:.0%}", transform=across, ha="right", color="grey"
        )
    axes.set(xlabel="epoch", ylabel="accuracy (%)", title="Associative retrieval, STPNR", ylim=(0, 102))
    axes.legend(title="validation (training pale)", loc="upper right", bbox_to_anchor=(1, 0.9))

    content = io.BytesIO()
    try:
        figure.savefig(content, format=path.suffix.removeprefix(".") or "png", dpi=150)
    except ValueError as error:
        raise ExperimentError(f"{path}: {error}") from None
    write_atomically(path, content.getvalue())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m stpn_swift.experiments.figure",
        description="Draw accuracy by epoch of one or several runs of associative retrieval into one figure.",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run folder")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help=".png, .svg or .pdf")
    parsed = parser.parse_args(arguments)
    try:
        draw_accuracy([RunFolder(run) for run in parsed.runs], parsed.output)
    except (ExperimentError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(parsed.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
