"""What this installation runs."""

from typing import Any, Literal, overload

from . import _kernel


def _config() -> dict[str, Any]:
    implementations = _kernel.implementations()
    return {
        "version": _kernel.__version__,
        "build": _kernel.build,
        "implementations": {name: available for name, available, _ in implementations},
        "implementation": next((name for name, _, best in implementations if best), None),
        "threads": _kernel.get_num_threads(),
    }


@overload
def show_config(mode: Literal["stdout"] = "stdout") -> None: ...
@overload
def show_config(mode: Literal["dicts"]) -> dict[str, Any]: ...
def show_config(mode: Literal["stdout", "dicts"] = "stdout") -> dict[str, Any] | None:
    """Prints the version, how the kernel was built, its implementations, the one in use, and the number of
    threads.

    Parameters
    ----------
    mode
        "stdout" prints; "dicts" returns the same as a dict that JSON can hold: `version`, `build`,
        `implementations` (name -> whether this processor runs it), `implementation` (None where STPN_ISA
        names none that it runs) and `threads`.
    """
    if mode not in ("stdout", "dicts"):
        raise ValueError(f'mode: expected "stdout" or "dicts", got {mode!r}')
    config = _config()
    if mode == "dicts":
        return config
    names = [
        name if available else f"{name} (not on this processor)"
        for name, available in config["implementations"].items()
    ]
    print(f"stpn_swift       {config['version']}")
    print(f"kernel           {config['build']}")
    print(f"implementations  {', '.join(names)}")
    print(f"in use           {config['implementation'] or 'none: STPN_ISA names none of these'}")
    print(f"threads          {config['threads']}")
    return None
