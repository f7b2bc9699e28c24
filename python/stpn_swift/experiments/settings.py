"""What determines the result of a run: dataclasses that are the command line and what files hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from tyro.conf import Suppress

from ..published import PublishedModel, Variant
from .dale import Signs, check_signs
from .errors import ExperimentError
from .models import MODELS, Backend, ModelName, check_backend, describe, model_of, usual_backend
from .retrieval_data import DIGITS, LETTERS, RetrievalTask


@dataclass(frozen=True)
class TrainingSettings(RetrievalTask):
    """The settings of associative retrieval that the runs of a comparison share; the defaults are the
    paper's."""

    hidden_size: int | None = None
    """number of neurons, H; None: the model's in the paper, where all have some 2,000 parameters"""
    variant: Variant = "paper"
    """the equations of the paper, or what the published code did otherwise in its runs"""
    backend: Backend | None = None
    (
        "kernel: the cell by the kernel, the rest by NumPy; torch: everything in plain PyTorch; None: the "
        "kernel where it computes the model"
    )
    dtype: Literal["float32", "float64"] = "float32"
    """of all numbers"""
    epochs: int = 200
    """how often to go through the training sequences"""
    batch: int = 128
    """sequences in an update; an incomplete last one is left out of training and test"""
    lr: float = 1e-3
    """learning rate of Adam"""
    shuffle: bool = False
    """whether to draw another order of the training sequences for each epoch"""
    train_sequences: int = 100_000
    """size of the training set"""
    validation_sequences: int = 10_000
    """size of the validation set"""
    test_sequences: int = 20_000
    """size of the test set"""
    dale: Signs | None = None
    (
        "excitatory and inhibitory neurons, 4 : 1: after each update the weights of the first are clipped to "
        "0 or more, of the others to 0 or less. columns: those that a neuron sends to neurons; rows: all "
        "that it receives. With it the defaults are those of the study: 50 neurons, 150 epochs, 10,000 / "
        "5,000 / 1,000 sequences"
    )

    @property
    def task(self) -> RetrievalTask:
        return RetrievalTask(**{size.name: getattr(self, size.name) for size in fields(RetrievalTask)})

    def check(self) -> None:
        """Refuses settings that are out of their range or contradict each other.

        Raises
        ------
        ExperimentError
            It names the setting.
        """
        for name in ("hidden_size", "epochs", "batch", *_SETS):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ExperimentError(f"{flag(name)} must be 1 or more, not {value}")
            if value is not None and value > MOST:
                raise ExperimentError(f"{flag(name)} must be {MOST} or less, not {value}")
        for name, least, most in (
            ("pairs", 1, len(LETTERS)),
            ("letters", self.pairs, len(LETTERS)),
            ("digits", 1, len(DIGITS)),
            ("question_marks", 0, MOST_QUESTION_MARKS),
        ):
            if not least <= getattr(self, name) <= most:
                raise ExperimentError(
                    f"{flag(name)} must be from {least} to {most}, not {getattr(self, name)}"
                    + (", the pairs having letters of their own" if name == "letters" else "")
                )
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise ExperimentError(f"--lr must be a positive number, not {self.lr}")
        for name in ("train_sequences", "test_sequences"):
            if getattr(self, name) < self.batch:
                raise ExperimentError(
                    f"{flag(name)} {getattr(self, name)} is less than one batch (--batch {self.batch}): "
                    "incomplete batches are left out, so none would be left"
                )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


MOST = 10**9
MOST_QUESTION_MARKS = 10_000
_SETS = ("train_sequences", "validation_sequences", "test_sequences")


@dataclass(frozen=True)
class OneRun:
    """The settings that tell one run of a comparison from another."""

    model: ModelName = "stpnr"
    """which network to train"""
    seed: int = 0
    """of the data, the initial parameters and the order, each through a generator of its own"""
    section: Suppress[Mapping[str, Any] | None] = None
    """The section `model` of a published configuration, where that is not one of the nine."""


@dataclass(frozen=True)
class RetrievalSettings(TrainingSettings, OneRun):
    """Two runs with the same settings end with the same bits."""

    def check(self) -> None:
        super().check()
        if self.seed < 0:
            raise ExperimentError(f"--seed must be 0 or more, not {self.seed}")
        if self.section is not None and (of_section := self._model_of_section()) != self.model:
            raise ExperimentError(
                f"--model {self.model} contradicts the configuration, which is of {of_section}"
            )
        check_backend(self.describe(), self.resolved_backend)
        if self.dale is not None:
            check_signs(self.describe().config)

    def describe(self) -> PublishedModel:
        """The network.

        Raises
        ------
        ExperimentError
            This library does not compute what its section says.
        """
        section = MODELS[self.model].section if self.section is None else self.section
        size = self.hidden_size or section.get("hidden_size")
        try:
            return describe(section, size, self.variant, len(self.task.symbols))
        except ValueError as error:
            raise ExperimentError(f"the configuration is refused: {error}") from None

    def _model_of_section(self) -> ModelName:
        try:
            return model_of(self.section or {})
        except ValueError as error:
            raise ExperimentError(f"the configuration is refused: {error}") from None

    @property
    def resolved_backend(self) -> Backend:
        return self.backend or usual_backend(self.describe())

    def resolve(self) -> RetrievalSettings:
        """Checked, with no None left but for the section.

        Raises
        ------
        ExperimentError
            As `check` does.
        """
        self.check()
        size = self.describe().config["hidden_size"]
        return replace(self, hidden_size=size, backend=self.resolved_backend)

    def check_agreement(self, other: RetrievalSettings, *, longer: bool = False) -> None:
        """Checks that settings to go on with a run are those of the run, or with `longer` of more epochs.

        Raises
        ------
        ExperimentError
            One differs; it names the setting.
        """
        for name, value in asdict(other).items():
            mine = getattr(self, name)
            if value != mine and not (longer and name == "epochs" and value > mine):
                raise ExperimentError(
                    f"{flag(name)} {value} contradicts the run, which has {mine}: go on with what it has, or "
                    "start another run (--output)"
                )


# The study of networks with excitatory and inhibitory neurons.
SIGNED: dict[str, Any] = {
    "hidden_size": 50,
    "epochs": 150,
    "train_sequences": 10_000,
    "validation_sequences": 5_000,
    "test_sequences": 1_000,
}


def flag(name: str) -> str:
    """The option of the command line for a setting: `hidden_size` is `--hidden-size`."""
    return "--" + name.replace("_", "-")
