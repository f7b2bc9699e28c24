"""Installs the C library: libstpn shared and static, stpn.h, and what pkg-config and CMake read.

    python install_library.py [--prefix DIRECTORY] [--libdir NAME] [--destdir DIRECTORY]

The kernel's objects (build_kernel.py) become one, of which the functions of stpn.h alone are visible.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from build_kernel import ROOT, BuildError, build, llvm_tool, output_directory, run, swift_compiler

HEADER = ROOT / "Sources" / "CSTPN" / "include" / "stpn.h"
TEMPLATES = ROOT / "packaging"
CC = os.environ.get("CC", "cc")


@dataclass(frozen=True)
class Version:
    """A version of stpn.h; programs run with every library of the same abi (docs/c.md)."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def abi(self) -> str:
        return f"0.{self.minor}" if self.major == 0 else str(self.major)

    @classmethod
    def of_header(cls) -> Version:
        parts = re.findall(r"#define STPN_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", HEADER.read_text())
        major, minor, patch = map(int, parts)
        return cls(major, minor, patch)


def functions() -> list[str]:
    """The names of the functions that stpn.h declares."""
    return re.findall(r"^[^\s#/].*?\b(stpn_\w+)\(", HEADER.read_text(), re.MULTILINE)


def shared_name(version: str) -> str:
    return f"libstpn.so.{version}"


def current(target: Path, *sources: Path) -> bool:
    return target.exists() and target.stat().st_mtime > max(source.stat().st_mtime for source in sources)


def join_objects(archive: Path, joined: Path) -> None:
    """Links the kernel to one object that keeps what its parts know each other by to itself."""
    run([CC, "-nostdlib", "-r", "-Wl,--whole-archive", str(archive), "-o", str(joined)])
    # Swift hides from other libraries what its module does not export to Swift.
    options = [f"--keep-global-symbol={function}" for function in functions()]
    options += [f"--set-symbol-visibility={function}=default" for function in functions()]
    run([llvm_tool(swift_compiler(), "objcopy"), "--strip-unneeded", *options, str(joined)])


def link_shared(joined: Path, version: Version, target: Path) -> None:
    options = [
        f"-Wl,-soname,{shared_name(version.abi)}",
        f"-Wl,--version-script={TEMPLATES / 'exports.map'}",
        "-Wl,--gc-sections",
        "-Wl,-s",
    ]
    run([CC, "-shared", *options, str(joined), "-o", str(target), "-lm", "-pthread"])


def build_libraries(version: Version, folder: Path) -> tuple[Path, Path]:
    """The static and the shared library, built in a folder unless they are there and current."""
    archive = build()
    joined, static, shared = folder / "stpn.o", folder / "libstpn.a", folder / shared_name(str(version))
    if current(static, archive, HEADER, Path(__file__)) and current(shared, static):
        return static, shared
    folder.mkdir(parents=True, exist_ok=True)
    join_objects(archive, joined)
    static.unlink(missing_ok=True)
    run([llvm_tool(swift_compiler(), "ar"), "crs", str(static), str(joined)])
    unfinished = folder / "unfinished.so"
    link_shared(joined, version, unfinished)
    unfinished.rename(shared)
    return static, shared


def replace(target: Path, write: Callable[[Path], object]) -> None:
    """Writes a file beside the target first: programs that run with the old one keep it whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    write(unfinished)
    unfinished.replace(target)


def copy(source: Path, folder: Path) -> None:
    replace(folder / source.name, lambda target: shutil.copy(source, target))


def link(folder: Path, name: str, to: str) -> None:
    replace(folder / name, lambda target: target.symlink_to(to))


def fill(template: str, values: dict[str, str], folder: Path) -> None:
    text = re.sub(r"@(\w+)@", lambda name: values[name[1]], (TEMPLATES / template).read_text())
    replace(folder / template.removesuffix(".in"), lambda target: target.write_text(text))


def install(prefix: Path, libdir: str) -> None:
    if sys.platform != "linux":
        raise BuildError(f"The C library is installed on Linux alone; on {sys.platform} link {build()}.")
    version = Version.of_header()
    static, shared = build_libraries(version, output_directory() / "library")
    soname = shared_name(version.abi)
    lib = prefix / libdir
    copy(HEADER, prefix / "include")
    copy(static, lib)
    copy(shared, lib)
    link(lib, soname, to=shared.name)
    link(lib, "libstpn.so", to=soname)

    values = {
        "ABI": version.abi,
        "LIBDIR": libdir,
        "SHARED": shared.name,
        "SONAME": soname,
        "UP": os.path.relpath(prefix, lib / "pkgconfig"),
        "VERSION": str(version),
    }
    fill("stpn.pc.in", values, lib / "pkgconfig")
    fill("stpn-config.cmake.in", values, lib / "cmake" / "stpn")
    fill("stpn-config-version.cmake.in", values, lib / "cmake" / "stpn")


def main() -> int:
    parser = argparse.ArgumentParser(description="Installs the C library of stpn_swift.")
    parser.add_argument("--prefix", type=Path, default=Path("/usr/local"), help="default: %(default)s")
    parser.add_argument("--libdir", default="lib", help="within the prefix (default: %(default)s)")
    parser.add_argument("--destdir", default="", help="goes before the prefix, for packagers")
    options = parser.parse_args()
    if not options.prefix.is_absolute():
        parser.error(f"--prefix: expected an absolute path, got {options.prefix}")
    try:
        install(Path(f"{options.destdir}{options.prefix}"), options.libdir)
    except (BuildError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
