"""The installed package: what its extension asks of the system and shows to it, and what an import costs."""

import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import stpn_swift
from stpn_swift import _kernel

EXTENSION = Path(_kernel.__file__)

NEEDS_ELF = pytest.mark.skipif(sys.platform != "linux", reason="the extension is no ELF file")


def tool(name: str, *arguments: str) -> str:
    """What a tool of binutils says about the extension."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    command = [name, *arguments, str(EXTENSION)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@NEEDS_ELF
def test_the_extension_exports_its_init_function_alone() -> None:
    lines = tool("nm", "--dynamic", "--defined-only").splitlines()
    assert [line.split()[-1] for line in lines] == ["PyInit__kernel"]


@NEEDS_ELF
def test_the_extension_needs_the_c_library_alone() -> None:
    lines = [line for line in tool("readelf", "--dynamic", "--wide").splitlines() if "(NEEDED)" in line]
    needed = {line.split("[")[1].rstrip("]").split(".so")[0] for line in lines}
    # The dynamic loader is a part of the C library; a Swift runtime asks it which libraries there are.
    allowed = {"libc", "libm", "libpthread"} | (
        {"ld-linux-x86-64", "ld-linux-aarch64"} if "static" in _kernel.build else set()
    )
    assert "libc" in needed and needed <= allowed


@NEEDS_ELF
def test_the_extension_has_no_search_path() -> None:
    assert "RUNPATH" not in tool("readelf", "--dynamic") and "RPATH" not in tool("readelf", "--dynamic")


def test_one_wheel_is_for_every_python() -> None:
    wheel = importlib.metadata.distribution("stpn_swift").read_text("WHEEL")
    assert wheel is not None and "Tag: cp311-abi3-" in wheel
    assert EXTENSION.name == "_kernel.abi3.so"


def test_the_build_is_named() -> None:
    assert stpn_swift.show_config("dicts")["build"] in ("Embedded Swift", "Swift runtime (static)")


def test_an_import_loads_nothing_but_numpy() -> None:
    program = (
        "import sys, numpy, numpy.random, numpy.typing; before = set(sys.modules); import stpn_swift; "
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "stpn_swift\n"
