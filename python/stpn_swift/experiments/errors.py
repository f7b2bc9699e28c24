"""What an experiment tells its user to put right."""

from __future__ import annotations

import importlib
from typing import Any


class ExperimentError(Exception):
    """Something that the user can put right; the message is all there is to see."""


def optional_import(module: str) -> Any:
    """Imports a module of an optional package.

    Raises
    ------
    ExperimentError
        The package is not installed; the message says how to get it.
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise ExperimentError(
            f"the experiments need the package {package}, which is not installed: "
            f"pip install {package}, or pip install 'stpn_swift[experiments,torch]' for all that they need"
        ) from None
