"""The command line `stpn`."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional

from .. import __version__
from .compare import compare, plan, read_models, read_seeds
from .comparison import Record, processors
from .config_file import read_config
from .errors import ExperimentError, optional_import
from .info import show_info
from .interrupts import stop_with_parent
from .models import MODEL_NAMES, Backend, ModelName
from .report import write_report
from .run import INTERRUPTED, default_output, evaluate_run, summary, train
from .run_folder import RunFolder
from .settings import SIGNED, RetrievalSettings, TrainingSettings

S = TypeVar("S", bound=TrainingSettings)
BROKEN_PIPE = 141

HELP = """\
usage: stpn COMMAND …

The experiments with short-term plasticity neurons (STPN; Rodriguez, Guo, Moraitis, ICML 2022).
"""


@dataclass(frozen=True)
class Train:
    """Trains one network on associative retrieval, and tests it at the end.

    A sequence holds three pairs of a letter and a digit, then ??, then one of the letters: c9k8j3??k. The
    network answers with that letter's digit (8). Guessing is right in 10 % of the cases, knowing the three
    digits but not which in 43 %. All that an STPN remembers with is the short-term part of its synapses.

    A run is a folder: config.json, metrics.csv (a row an epoch), checkpoint.safetensors, result.json and
    figures/. Ctrl-C saves and stops, also within an epoch, and so do SIGTERM and SIGHUP; --resume goes on to
    the same bits as if nothing had happened, also after the process was killed, and with more --epochs to
    those of a run that had as many from the start. A second Ctrl-C stops at once, without saving.

      stpn train retrieval                             STPNR at the paper's sizes, 200 epochs
      stpn train retrieval --model lstm --seed 1       another network and seed
      stpn train retrieval --config stpnr.json         as a file says, also one of the published code
      stpn train retrieval --resume --output RUN       go on with a run; its settings are in its folder
    """

    experiment: Positional[Literal["retrieval"]]
    """what to train on"""
    settings: OmitArgPrefixes[RetrievalSettings] = field(default_factory=RetrievalSettings)
    config: Path | None = None
    (
        "a JSON file of settings, a run's config.json, or a configuration of the published code; options go "
        "before what it says"
    )
    output: Path | None = None
    """the run's folder; None: runs/retrieval/MODEL/seed-SEED"""
    threads: int | None = None
    """of the kernel; None: one a processor. The bits of the results do not depend on it"""
    tensorboard: FlagCreatePairsOff[bool] = False
    """writes the metrics for TensorBoard too, to tensorboard/ in the run's folder (needs tensorboardX)"""
    resume: FlagCreatePairsOff[bool] = False
    """go on with the run in the folder"""
    overwrite: FlagCreatePairsOff[bool] = False
    """replace the run in the folder"""

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.output or default_output(self.settings))

    def defaults(self) -> Train | None:
        """Those that the run or the file which it names has, or --dale, where they are not the usual ones."""
        if self.resume and (self.overwrite or self.config):
            other = "--overwrite" if self.overwrite else "--config"
            raise ExperimentError(f"--resume contradicts {other}: a run goes on with its own settings")
        if self.resume:
            return Train(tyro.MISSING, self.folder.read_settings())
        settings = _defaults(self.config, self.settings, RetrievalSettings)
        return None if settings is None else Train(tyro.MISSING, settings)

    def run(self) -> int:
        if self.resume:
            self.folder.read_settings().check_agreement(self.settings.resolve(), longer=True)
        stop_with_parent()
        how = {"resume": self.resume, "overwrite": self.overwrite}
        return train(self.folder, self.settings, **how, threads=self.threads, tensorboard=self.tensorboard)


@dataclass(frozen=True)
class Compare:
    """Trains several networks with several seeds, some at a time.

    Runs that are complete are left alone and others go on where they were: the same command continues a
    comparison that was interrupted, and one with more models or seeds adds to it. A run that fails keeps no
    other from running; its folder has a log.txt.

      stpn compare retrieval --models all --seeds 0..4 --jobs 2
      stpn compare retrieval --models stpnr lstm --seeds 0,1 --epochs 20 --output runs/short
      stpn compare retrieval --dale rows --seeds 0..49 --output runs/rows
    """

    experiment: Positional[Literal["retrieval"]]
    """what to train on"""
    models: tuple[ModelName | Literal["all"], ...] | None = None
    """which networks; None: all, or with --dale stpnr"""
    seeds: str = "0..4"
    """which seeds: 0..4, or 0,2,7"""
    jobs: int = 1
    """so many runs at a time, which share the processors"""
    threads: int | None = None
    """of the kernel in each run; None: the processors divided by --jobs"""
    tensorboard: FlagCreatePairsOff[bool] = False
    """each run writes the metrics for TensorBoard too, to tensorboard/ in its folder (needs tensorboardX)"""
    settings: OmitArgPrefixes[TrainingSettings] = field(default_factory=TrainingSettings)
    config: Path | None = None
    """a JSON file of settings, or a run's config.json; options go before what it says"""
    output: Path = Path("runs", "retrieval")
    """the runs' folders are MODEL/seed-SEED in it; comparison.json there says how long the comparison took"""

    def defaults(self) -> Compare | None:
        """Those that the file which it names has, or --dale, where they are not the usual ones."""
        settings = _defaults(self.config, self.settings, TrainingSettings)
        return None if settings is None else Compare(tyro.MISSING, settings=settings)

    def run(self) -> int:
        for name, value in (("--jobs", self.jobs), ("--threads", self.threads)):
            if value is not None and value < 1:
                raise ExperimentError(f"{name} must be 1 or more, not {value}")
        if self.models == ():
            raise ExperimentError(f"--models: expected all, or some of {', '.join(MODEL_NAMES)}; got none")
        models = self.models or (("all",) if self.settings.dale is None else ("stpnr",))
        threads = self.threads or max(1, processors() // self.jobs)
        options = ["--threads", str(threads), *(["--tensorboard"] if self.tensorboard else [])]
        runs = plan(self.settings, read_models(models), read_seeds(self.seeds), self.output)
        return compare(runs, self.jobs, options, Record(self.output, self.jobs, threads))


@dataclass(frozen=True)
class Evaluate:
    """Tests the network of a run again: its accuracy, and the energy that it uses in each step.

    The run may be complete or not, and what computes may be other than what has trained it.

      stpn evaluate runs/retrieval/stpnr/seed-0
      stpn evaluate runs/retrieval/stpnr/seed-0 --backend torch
    """

    folder: Positional[Path]
    """the run's folder"""
    backend: Backend | None = None
    """what computes; None: what has trained it"""

    def run(self) -> int:
        evaluation, sequences, epochs = evaluate_run(RunFolder(self.folder), self.backend)
        print(f"after {epochs} epochs: {summary(evaluation, sequences)}")
        print("energy by step", *(f"{energy:.3f}" for energy in evaluation.energy_by_step))
        return 0


@dataclass(frozen=True)
class Report:
    """Writes a report on runs: tables and figures, as Markdown and HTML.

    Runs that differ in their seed alone are a group, whose mean and spread it shows.

    What is damaged is left out and named, and the exit code is 1 then.

      stpn report runs/retrieval
      stpn report runs/retrieval/stpnr runs/retrieval/lstm --output two
    """

    runs: Positional[tuple[Path, ...]]
    """runs, or folders with runs below them"""
    output: Path = Path("report")
    """the folder of the report"""

    def run(self) -> int:
        if not self.runs:
            raise ExperimentError("stpn report: expected runs, or folders with runs below them, got none")
        pages, damaged = write_report(self.runs, self.output)
        for page in pages:
            print(page)
        for error in damaged:
            print(f"left out: {error}", file=sys.stderr)
        return 1 if damaged else 0


@dataclass(frozen=True)
class Info:
    """Tells what this installation has: the kernel, the packages, the networks."""

    def run(self) -> int:
        show_info()
        return 0


Command = Train | Compare | Evaluate | Report | Info
COMMANDS: dict[str, type[Command]] = {
    "train": Train,
    "compare": Compare,
    "evaluate": Evaluate,
    "report": Report,
    "info": Info,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Returns
    -------
    int
        The exit code: 0, 1 after an error, 130 after Ctrl-C or another signal to stop, 141 where what it
        printed to has been closed.

    Raises
    ------
    SystemExit
        The command line is wrong (2), or asks for help (0).
    """
    try:
        for package in ("safetensors", "tqdm", "matplotlib"):
            optional_import(package)
        code = parse(sys.argv[1:] if arguments is None else arguments).run()
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is flushed at the end
        return BROKEN_PIPE
    except (ExperimentError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except MemoryError as error:
        print(f"error: out of memory: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped at once; what was saved before is as it was", file=sys.stderr)
        return INTERRUPTED


def parse(arguments: Sequence[str]) -> Command:
    """The command of a command line.

    It is read once to find what brings settings of its own, and again with those as defaults: so options go
    before what a file says.

    Raises
    ------
    ExperimentError
        A file cannot be read, or options contradict each other.
    SystemExit
        It is wrong (2), or asks for help (0).
    """
    name, *options = arguments or ("--help",)
    if name in ("-h", "--help"):
        print(_help())
        raise SystemExit(0)
    if name == "--version":
        print(f"stpn_swift {__version__}")
        raise SystemExit(0)
    if name not in COMMANDS:
        print(f"error: {name} is no command: expected one of {', '.join(COMMANDS)}", file=sys.stderr)
        raise SystemExit(2)
    command = _parse(name, options)
    defaults = command.defaults() if isinstance(command, (Train, Compare)) else None
    return command if defaults is None else _parse(name, options, defaults)


def _help() -> str:
    lines = ((name, inspect.getdoc(kind) or "") for name, kind in COMMANDS.items())
    summaries = (f"  {name:10}{text.splitlines()[0]}" for name, text in lines)
    return "\n".join(
        (HELP, *summaries, "\nstpn COMMAND --help explains a command, stpn --version tells the version.")
    )


def _parse(name: str, options: Sequence[str], defaults: Train | Compare | None = None) -> Command:
    kind: Any = COMMANDS[name]
    command: Command = tyro.cli(kind, prog=f"stpn {name}", args=options, default=defaults)
    return command


def _defaults(config: Path | None, settings: S, kind: type[S]) -> S | None:
    """Those of a file go before those of the study, which come with --dale; None: the usual ones."""
    said, remarks = ({}, ()) if config is None else read_config(config, kind)
    for remark in remarks:
        print(f"note: {config}: {remark}", file=sys.stderr)
    signed = settings.dale is not None or said.get("dale") is not None
    return kind(**{**(SIGNED if signed else {}), **said}) if signed or said else None
