"""Installs the C library: libstpn shared and static, stpn.h, and what pkg-config and CMake read.

    python install_library.py [--prefix DIRECTORY] [--libdir DIRECTORY] [--destdir DIRECTORY]
                              [--build-only | --uninstall]

The kernel's objects (build_kernel.py) become one, of which the functions of stpn.h alone are visible. That
takes Swift; where it was done before, with --build-only, installing takes Python alone.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from build_kernel import (
    ROOT,
    BuildError,
    build,
    c_compiler,
    llvm_tool,
    output_directory,
    run,
    swift_compiler,
)

HEADER = ROOT / "Sources" / "CSTPN" / "include" / "stpn.h"
TEMPLATES = ROOT / "packaging"

Write = Callable[[Path], object]


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


# Building.


@dataclass(frozen=True)
class Libraries:
    """The built libraries: what they are installed as, and where they are before."""

    version: Version
    folder: Path

    @property
    def static(self) -> Path:
        return self.folder / "libstpn.a"

    @property
    def shared(self) -> Path:
        return self.folder / f"libstpn.so.{self.version}"

    @property
    def soname(self) -> str:
        return f"libstpn.so.{self.version.abi}"

    def build(self) -> None:
        """Builds what is not there or not current."""
        archive = build()
        if current(self.static, archive, HEADER, Path(__file__)) and current(self.shared, self.static):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        joined, unfinished = self.folder / "stpn.o", self.folder / "unfinished.so"
        join_objects(archive, joined)
        self.static.unlink(missing_ok=True)
        run([llvm_tool(swift_compiler(), "ar", instead="ar"), "crs", str(self.static), str(joined)])
        self._link(joined, unfinished)
        unfinished.rename(self.shared)

    def _link(self, joined: Path, target: Path) -> None:
        options = [
            f"-Wl,-soname,{self.soname}",
            f"-Wl,--version-script={TEMPLATES / 'exports.map'}",
            "-Wl,-z,nodelete",  # its threads wait for work in its code, also after a dlclose
            "-Wl,--gc-sections",
            "-Wl,-s",
        ]
        run([*c_compiler(), "-shared", *options, str(joined), "-o", str(target), "-lm", "-pthread"])


def current(target: Path, *sources: Path) -> bool:
    return target.exists() and target.stat().st_mtime > max(source.stat().st_mtime for source in sources)


def join_objects(archive: Path, joined: Path) -> None:
    """Links the kernel to one object that keeps what its parts know each other by to itself."""
    run([*c_compiler(), "-nostdlib", "-r", "-Wl,--whole-archive", str(archive), "-o", str(joined)])
    # Swift hides from other libraries what its module does not export to Swift.
    options = [f"--keep-global-symbol={function}" for function in functions()]
    options += [f"--set-symbol-visibility={function}=default" for function in functions()]
    run([llvm_tool(swift_compiler(), "objcopy"), "--strip-unneeded", *options, str(joined)])


# Installing.


def copy(source: Path, mode: int = 0o644) -> Write:
    def write(target: Path) -> None:
        shutil.copyfile(source, target)
        target.chmod(mode)

    return write


def link(to: str) -> Write:
    return lambda target: target.symlink_to(to)


def fill(template: str, values: dict[str, str]) -> Write:
    def write(target: Path) -> None:
        text = (TEMPLATES / template).read_text(encoding="utf-8")
        target.write_text(re.sub(r"@(\w+)@", lambda name: values[name[1]], text), encoding="utf-8")
        target.chmod(0o644)

    return write


def contents(libraries: Libraries, prefix: Path, libdir: Path) -> dict[Path, Write]:
    """All files that are installed, and how each is written."""
    lib = prefix / libdir
    values = {
        "ABI": libraries.version.abi,
        "LIBDIR": libdir.as_posix(),
        "SHARED": libraries.shared.name,
        "SONAME": libraries.soname,
        "UP": os.path.relpath(prefix, lib / "pkgconfig"),
        "VERSION": str(libraries.version),
    }
    cmake = ("stpn-config.cmake", "stpn-config-version.cmake")
    return {
        prefix / "include" / HEADER.name: copy(HEADER),
        lib / libraries.static.name: copy(libraries.static),
        lib / libraries.shared.name: copy(libraries.shared, 0o755),
        lib / libraries.soname: link(to=libraries.shared.name),
        lib / "libstpn.so": link(to=libraries.soname),
        lib / "pkgconfig" / "stpn.pc": fill("stpn.pc.in", values),
        **{lib / "cmake" / "stpn" / name: fill(f"{name}.in", values) for name in cmake},
    }


def replace(target: Path, write: Write) -> None:
    """Writes a file beside the target first: programs that run with the old one keep it whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    write(unfinished)
    unfinished.replace(target)


def remove(files: Iterable[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
        if file.parent.name == "stpn" and file.parent.is_dir() and not any(file.parent.iterdir()):
            file.parent.rmdir()


def main() -> int:
    parser = argparse.ArgumentParser(description="Installs the C library of stpn_swift.")
    parser.add_argument("--prefix", type=Path, default=Path("/usr/local"), help="default: %(default)s")
    parser.add_argument(
        "--libdir", type=Path, default=Path("lib"), help="in the prefix (default: %(default)s)"
    )
    parser.add_argument("--destdir", default="", help="goes before the prefix, for packagers")
    parser.add_argument("--build-only", action="store_true", help="install nothing")
    parser.add_argument("--uninstall", action="store_true", help="remove what these options have installed")
    options = parser.parse_args()
    prefix = options.prefix.absolute()
    if not (prefix / options.libdir).is_relative_to(prefix):
        parser.error(f"--libdir: expected a directory in the prefix {prefix}, got {options.libdir}")
    libdir = (prefix / options.libdir).relative_to(prefix)
    if sys.platform != "linux":
        parser.exit(
            1, f"The C library is installed on Linux alone; on {sys.platform} link {output_directory()}.\n"
        )

    libraries = Libraries(Version.of_header(), output_directory() / "library")
    files = contents(libraries, Path(f"{options.destdir}{prefix}"), libdir)
    try:
        if options.uninstall:
            remove(files)
            return 0
        libraries.build()
        os.umask(0o022)
        if not options.build_only:
            for target, write in files.items():
                replace(target, write)
    except (BuildError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
