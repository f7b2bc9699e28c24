"""Compiles the XLA custom calls for the jaxlib that is installed: `python -m stpn_swift.jax.build`.

Without them `stpn_swift.jax` reaches the kernel by a callback to Python, which takes longer a call.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import jax

from .ffi import path


def build(library: Path) -> None:
    """Compiles ffi.cpp with the C++ compiler that CXX names, or c++.

    Raises
    ------
    OSError
        There is no such compiler, or the folder of the library cannot be written.
    subprocess.CalledProcessError
        The compiler fails; its messages go to stderr.
    """
    here = Path(__file__).parent
    compiler = os.environ.get("CXX", "c++").split()
    options = ["-std=c++17", "-O2", "-shared", "-fPIC", f"-I{here}", "-isystem", jax.ffi.include_dir()]
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        compiled = Path(folder) / library.name
        subprocess.run([*compiler, *options, str(here / "ffi.cpp"), "-o", str(compiled)], check=True)
        compiled.replace(library)


def main() -> None:
    try:
        build(path())
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"stpn_swift.jax.build: {error}")
    print(path())


if __name__ == "__main__":
    main()
