"""What determines the result of a run, and its way on to the command line."""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .errors import ExperimentError


def _setting(default: Any, meaning: str) -> Any:
    return field(default=default, metadata={"help": meaning})


@dataclass(frozen=True)
class RetrievalSettings:
    """The settings of associative retrieval; the defaults are the paper's.

    Two runs with the same settings end with the same bits.

    Raises
    ------
    ExperimentError
        A setting is out of its range, or contradicts another.
    """

    hidden_size: int = _setting(11, "number of neurons, H")
    epochs: int = _setting(200, "how often to go through the training sequences")
    batch: int = _setting(
        128, "sequences in an update; an incomplete last one is left out of training and test"
    )
    lr: float = _setting(1e-3, "learning rate of Adam")
    train_sequences: int = _setting(100_000, "size of the training set")
    validation_sequences: int = _setting(10_000, "size of the validation set")
    test_sequences: int = _setting(20_000, "size of the test set")
    seed: int = _setting(0, "of the data and the initial parameters, each through a generator of its own")

    def __post_init__(self) -> None:
        for setting in fields(self):
            value = getattr(self, setting.name)
            least = 0 if setting.name == "seed" else 1
            if setting.name != "lr" and value < least:
                raise ExperimentError(f"{flag(setting.name)} must be {least} or more, not {value}")
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise ExperimentError(f"--lr must be a positive number, not {self.lr}")
        for name in ("train_sequences", "test_sequences"):
            if getattr(self, name) < self.batch:
                raise ExperimentError(
                    f"{flag(name)} {getattr(self, name)} is less than one batch (--batch {self.batch}): "
                    "incomplete batches are left out, so none would be left"
                )

    def check_agreement(self, given: dict[str, Any]) -> None:
        """Checks that settings which the user gives to go on with a run are those of the run.

        Raises
        ------
        ExperimentError
            One differs.
        """
        for name, value in given.items():
            if value != getattr(self, name):
                raise ExperimentError(
                    f"{flag(name)} {value} contradicts the run, which has {getattr(self, name)}: leave it "
                    "out to go on with that run, or start another one (--output)"
                )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def flag(name: str) -> str:
    """The option of the command line for a setting: `hidden_size` is `--hidden-size`."""
    return "--" + name.replace("_", "-")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Gives the parser an option for every setting; those not given stay out of what it parses."""
    group = parser.add_argument_group("settings of the run")
    for setting in fields(RetrievalSettings):
        group.add_argument(
            flag(setting.name),
            type=type(setting.default),
            default=argparse.SUPPRESS,
            metavar="X" if isinstance(setting.default, float) else "N",
            help=f"{setting.metadata['help']} (default {setting.default})",
        )


def given_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings that the command line gives."""
    names = {setting.name for setting in fields(RetrievalSettings)}
    return {name: value for name, value in vars(arguments).items() if name in names}
