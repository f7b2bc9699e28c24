"""Builds the kernel as a static library, libstpn.a: Swift without its runtime, once per instruction set.

    python build_kernel.py [--output DIRECTORY]

setup.py links the library into the Python extension, the Makefile into the C tests. The sources are those of
the Swift package, compiled as Embedded Swift, so that the result needs libc alone. For x86-64 the part that
computes is compiled three times, for SSE, AVX2 and AVX-512, and chosen at run time
(Sources/CPlatform/kernels.c).
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent
KERNEL = ROOT / "Sources" / "STPNKernel"
PLATFORM = ROOT / "Sources" / "CPlatform"
HEADERS = [ROOT / "Sources" / "CSTPN" / "include", PLATFORM / "include"]
DEFAULT_OUTPUT = ROOT / "build" / "native"

SWIFT_NEEDED = (6, 2)
INSTALL_HINT = "install it from https://www.swift.org/install and put swiftc on the PATH, or set SWIFTC to it"


class BuildError(Exception):
    """What keeps the kernel from being built, in one sentence."""


@dataclass(frozen=True)
class InstructionSet:
    """A processor level that the computing part is compiled for, and the condition that selects it in
    Swift."""

    name: str
    march: str
    condition: str

    @property
    def entry_point(self) -> str:
        return "stpn_kernel_" + self.name.replace("-", "_")


BASELINES = {"x86_64": "x86-64-v2", "aarch64": "armv8-a"}
X86_64_SETS = [
    InstructionSet("x86-64-v3", "x86-64-v3", "STPN_X86_64_V3"),
    InstructionSet("x86-64-v4", "x86-64-v4", "STPN_X86_64_V4"),
]


def swift_compiler() -> str:
    """The path of a swiftc that is new enough; BuildError names what was found and what is needed."""
    needed = f"stpn_swift is built with Swift {'.'.join(map(str, SWIFT_NEEDED))} or later"
    compiler = shutil.which(os.environ.get("SWIFTC", "swiftc"))
    if compiler is None:
        raise BuildError(f"{needed}, and no swiftc was found: {INSTALL_HINT}.")
    answer = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)
    version = re.search(r"Swift version (\d+)\.(\d+)", answer.stdout)
    if version is None:
        raise BuildError(f"{needed}, and {compiler} names no version: {INSTALL_HINT}.")
    found = (int(version[1]), int(version[2]))
    if found < SWIFT_NEEDED:
        raise BuildError(f"{needed}, and {compiler} is {found[0]}.{found[1]}: {INSTALL_HINT}.")
    return compiler


def llvm_tool(swiftc: str, name: str) -> str:
    """A binary tool of the Swift toolchain (llvm-ar), or the system's of the same purpose (ar)."""
    beside = Path(os.path.realpath(swiftc)).parent / f"llvm-{name}"
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise BuildError(f"Neither {beside} nor {name} was found: install binutils.")
    return found


def run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.stderr.write(result.stdout + result.stderr)
        raise BuildError(f"This command failed with exit code {result.returncode}: {' '.join(command)}")


def compile_swift(swiftc: str, sources: list[Path], march: str, condition: str | None, target: Path) -> None:
    command = [swiftc, "-O", "-wmo", "-parse-as-library", "-swift-version", "6", "-module-name", "STPNKernel"]
    command += [
        "-enable-experimental-feature",
        "Embedded",
        "-Xcc",
        "-fno-math-errno",
        "-Xcc",
        f"-march={march}",
    ]
    command += ["-Xcc", "-fPIC"]
    command += ["-D", condition] if condition else []
    command += [f"-I{headers}" for headers in HEADERS]
    run([*command, "-c", *map(str, sorted(sources)), "-o", str(target)])


def compile_c(source: Path, definitions: list[str], target: Path) -> None:
    command = [os.environ.get("CC", "cc"), "-std=c11", "-O2", "-fPIC", "-fvisibility=hidden", "-pthread"]
    command += ["-Wall", "-Wextra", "-Wconversion", "-Werror", *definitions]
    command += [f"-I{headers}" for headers in HEADERS]
    run([*command, "-c", str(source), "-o", str(target)])


def is_of_kernel(path: Path) -> bool:
    """Whether a path belongs to the kernel, and not to its API for Swift, which is ordinary Swift, or its
    documentation."""
    return not {"API", "STPNKernel.docc"} & set(path.relative_to(ROOT).parts)


def is_current(library: Path) -> bool:
    """Whether a library is newer than all that it is built from."""
    if not library.exists():
        return False
    found = (path for folder in [KERNEL, PLATFORM, *HEADERS] for path in folder.rglob("*"))
    sources = [Path(__file__), *filter(is_of_kernel, found)]
    return library.stat().st_mtime > max(source.stat().st_mtime for source in sources)


def build(output: Path = DEFAULT_OUTPUT) -> Path:
    """Builds libstpn.a in a directory, unless it is there and current, and returns its path."""
    library = output / "libstpn.a"
    if is_current(library):
        return library
    machine = {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    if machine not in BASELINES:
        raise BuildError(f"stpn_swift is built for {' and '.join(BASELINES)}, and this machine is {machine}.")
    swiftc = swift_compiler()
    objcopy = llvm_tool(swiftc, "objcopy")
    output.mkdir(parents=True, exist_ok=True)

    everything = [source for source in KERNEL.rglob("*.swift") if is_of_kernel(source)]
    computing = [source for source in everything if source.parent.name != "ABI"]
    instruction_sets = X86_64_SETS if machine == "x86_64" else []

    base = output / "base.o"
    objects = [base] + [output / f"{instruction_set.name}.o" for instruction_set in instruction_sets]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        compilations = [pool.submit(compile_swift, swiftc, everything, BASELINES[machine], None, base)]
        for instruction_set, target in zip(instruction_sets, objects[1:], strict=True):
            march, condition = instruction_set.march, instruction_set.condition
            compilations.append(pool.submit(compile_swift, swiftc, computing, march, condition, target))
        for compilation in compilations:
            compilation.result()

    # Every object carries copies of the runtime functions that Embedded Swift needs, compiled for its
    # instruction set, of which the linker would keep the first for all: each object keeps its own to itself.
    run([objcopy, "--wildcard", "--keep-global-symbol=stpn_*", str(base)])
    for instruction_set, target in zip(instruction_sets, objects[1:], strict=True):
        run([objcopy, f"--keep-global-symbol={instruction_set.entry_point}", str(target)])

    definitions = ["-DSTPN_WITH_X86_64_KERNELS"] if instruction_sets else []
    for source in sorted(PLATFORM.glob("*.c")):
        objects.append(output / f"{source.stem}.o")
        compile_c(source, definitions, objects[-1])

    unfinished = output / "unfinished.a"
    unfinished.unlink(missing_ok=True)
    run([llvm_tool(swiftc, "ar"), "crs", str(unfinished), *map(str, objects)])
    return unfinished.rename(library)


def main() -> int:
    parser = argparse.ArgumentParser(description="Builds the kernel as a static library, libstpn.a.")
    parser.add_argument(
        "--output", type=Path, default=DEFAULT_OUTPUT, help="directory of the library (default: %(default)s)"
    )
    try:
        print(build(parser.parse_args().output))
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
