"""Signatures that name every option."""

import inspect
from collections.abc import Callable, Mapping
from typing import TypeVar, get_args, get_type_hints

Init = TypeVar("Init", bound=Callable[..., None])


def spelled_out(defaults: Mapping[str, object]) -> Callable[[Init], Init]:
    """For an __init__ with **options: Unpack[...]: `inspect.signature` of it has them one by one, with their
    defaults. `torch.nn.utils.skip_init` looks there for "device"."""

    def spell(init: Init) -> Init:
        signature = inspect.signature(init)
        *named, options = signature.parameters.values()
        (described,) = get_args(options.annotation)
        spelled = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults[name], annotation=kind)
            for name, kind in get_type_hints(described).items()
        ]
        init.__signature__ = signature.replace(parameters=[*named, *spelled])  # type: ignore[attr-defined]
        return init

    return spell
