"""Settings from files: `--config`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import typeguard

from ..published import PublishedModel, from_published_config
from .errors import ExperimentError
from .models import MODELS, model_of
from .settings import RetrievalSettings, TrainingSettings

S = TypeVar("S", bound=TrainingSettings)


def read_config(path: Path, kind: type[S]) -> tuple[S, tuple[str, ...]]:
    """The settings of a file, and remarks on what it says without effect.

    The file is JSON: an object of settings by their names, the config.json of a run, or a configuration of
    the code published with the paper.

    Raises
    ------
    ExperimentError
        It cannot be read, or says what is not known here; the message names it.
    """
    where = f"--config {path}"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ExperimentError(f"{where}: expected JSON: {error}") from None
    if not isinstance(record, Mapping):
        raise ExperimentError(f"{where}: expected an object, got {type(record).__name__}")
    if "command" in record:
        raise ExperimentError(f"{where} is a configuration of the maze, and this is associative retrieval")
    if isinstance(record.get("model"), Mapping):
        if kind is not RetrievalSettings:
            raise ExperimentError(f"{where} describes one network: it is for stpn train")
        published, remarks = _from_published(record, where)
        return settings_from(published, kind, where), remarks
    return settings_from(record.get("settings", record), kind, where), ()


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
        try:
            typeguard.check_type(value, types[name])
        except typeguard.TypeCheckError as error:
            raise ExperimentError(f"{where}: {name}: {value!r} {' '.join(str(error).split())}") from None
    return kind(**record)


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
    if not _same(from_published_config({"model": section}), MODELS[name].section):
        settings["section"] = record["model"]
    return settings, described.ignored


def _same(described: PublishedModel, section: Mapping[str, Any]) -> bool:
    usual = from_published_config({"model": section})
    return (described.config, described.fixed, described.initial) == (
        usual.config,
        usual.fixed,
        usual.initial,
    )
