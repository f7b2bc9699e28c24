"""Settings from files: `--config`."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import typeguard

from ..files import read_json
from ..published import from_published_config
from .errors import ExperimentError
from .models import MODELS, differences, model_of
from .settings import RetrievalSettings, TrainingSettings

S = TypeVar("S", bound=TrainingSettings)


def read_config(path: Path, kind: type[TrainingSettings]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The settings that a file names, and remarks on what it says without effect.

    The file is JSON: an object of settings by their names, the config.json of a run, or a configuration of
    the code published with the paper.

    Raises
    ------
    ExperimentError
        It cannot be read, or says what is not known here; the message names it.
    """
    where = f"--config {path}"
    try:
        record = read_json(path)
    except ValueError as error:
        raise ExperimentError(f"{where}: expected JSON: {error}") from None
    if not isinstance(record, Mapping):
        raise ExperimentError(f"{where}: expected an object, got {type(record).__name__}")
    if "command" in record:
        raise ExperimentError(f"{where} is a configuration of the maze, and this is associative retrieval")
    if isinstance(record.get("model"), Mapping):
        if kind is not RetrievalSettings:
            raise ExperimentError(f"{where} describes one network: it is for stpn train")
        return _from_published(record, where)
    if "settings" not in record:
        settings_from(record, kind, where)
        return {**record}, ()
    run = settings_from(record["settings"], RetrievalSettings, where)
    return (run.as_dict(), ()) if kind is RetrievalSettings else _shared(run, where)


def _shared(run: RetrievalSettings, where: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What a comparison takes over of a run: what is not the model's own."""
    if run.section is not None:
        raise ExperimentError(f"{where} describes one network: it is for stpn train")
    usual = RetrievalSettings(model=run.model, variant=run.variant).resolve().as_dict()
    settings = {setting.name: getattr(run, setting.name) for setting in fields(TrainingSettings)}
    for name in ("hidden_size", "backend"):
        if settings[name] == usual[name]:
            del settings[name]
    remark = f"model {run.model} and seed {run.seed} have no effect: a comparison has --models and --seeds"
    return settings, (remark,)


def settings_from(record: object, kind: type[S], where: str) -> S:
    """The settings in an object of JSON; those that are missing have their defaults.

    Raises
    ------
    ExperimentError
        A setting is unknown or of the wrong type.
    """
    if not isinstance(record, Mapping):
        raise ExperimentError(f"{where}: expected an object of settings, got {type(record).__name__}")
    types = get_type_hints(kind)
    names = [setting.name for setting in fields(kind)]
    for name, value in record.items():
        if name not in names:
            raise ExperimentError(f"{where}: {name}: expected a setting, one of {', '.join(names)}")
        check_type(value, types[name], f"{where}: {name}")
    return kind(**record)


def check_type(value: object, kind: Any, where: str) -> None:
    """Refuses a value of JSON that is of another type; to Python true is a number too.

    Raises
    ------
    ExperimentError
        It is of another type.
    """
    try:
        if isinstance(value, bool) and kind is not bool:
            raise typeguard.TypeCheckError("is true or false where that means nothing")
        typeguard.check_type(value, kind)
    except (typeguard.TypeCheckError, RecursionError) as error:
        raise ExperimentError(f"{where}: {reprlib.repr(value)} {' '.join(str(error).split())}") from None


def _from_published(record: Mapping[str, Any], where: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What a configuration of the published code says, as settings of the variant "published"."""
    try:
        described = from_published_config(record)
        name = model_of(record["model"])
    except ValueError as error:
        raise ExperimentError(f"{where}: {error}") from None
    if described.config["input_size"] != 37:
        raise ExperimentError(f"{where}: data.dict_size: expected 37, got {described.config['input_size']}")
    settings = {
        "model": name,
        "hidden_size": described.config["hidden_size"],
        "variant": "published",
        **described.training,
    }
    section = {**record["model"], "hidden_size": MODELS[name].section["hidden_size"]}
    model, usual = (from_published_config({"model": one}) for one in (section, MODELS[name].section))
    if differences(model, usual):
        settings["section"] = record["model"]
    settings_from(settings, RetrievalSettings, where)
    return settings, described.ignored
