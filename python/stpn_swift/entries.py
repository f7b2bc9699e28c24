"""What is said of parameters and states that are not those of a cell, in every framework."""

from collections.abc import Iterable
from typing import Any


def check_dict(name: str, entries: Any, of: str = "arrays") -> None:
    """A framework's own dicts, such as those that HIPS autograd traces, are taken too."""
    if not hasattr(entries, "keys"):
        raise TypeError(f"{name}: expected a dict of {of}, got {type(entries).__name__}")


def check_entries(name: str, entries: Any, expected: Iterable[str]) -> None:
    if {*entries.keys()} != {*expected}:
        raise ValueError(f"{name}: expected the entries {(*expected,)}, got {(*entries.keys(),)}")
