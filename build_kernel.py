"""Builds the kernel as a static library, libstpn.a: complete in itself, and once per instruction set.

    python build_kernel.py [--output DIRECTORY]

setup.py links the library into the Python extension, the Makefile into the C tests. The sources are those of
the Swift package, compiled as Embedded Swift, which has no runtime, or by a toolchain that cannot do that as
ordinary Swift, whose runtime becomes a part of the library. Either way it needs libc alone. STPN_KERNEL_BUILD
in the environment, "embedded" or "static", takes the place of that choice. For x86-64 the fast kernel is
compiled three times, for SSE, AVX2 and AVX-512, and chosen at run time (Sources/CPlatform/kernels.c).

Linux on x86-64 is what is tested. Linux and macOS on arm64 have one instruction set each, and are untested.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent
KERNEL = ROOT / "Sources" / "STPNKernel"
PLATFORM = ROOT / "Sources" / "CPlatform"
HEADERS = [ROOT / "Sources" / "CSTPN" / "include", PLATFORM / "include"]

SWIFT_NEEDED = (6, 2)
INSTALL_HINT = "install it from https://www.swift.org/install and put swiftc on the PATH, or set SWIFTC to it"
EMBEDDED = ["-enable-experimental-feature", "Embedded"]
# What is worth a vector is written as one: what the optimiser makes of the other loops is a quarter of the
# code, and no faster.
OPTIMIZER = [
    "-force-vector-width=1",
    "-force-vector-interleave=1",
    "-unroll-runtime=false",
    "-enable-epilogue-vectorization=false",
]


class BuildError(Exception):
    """What keeps the kernel from being built, in one sentence."""


class Runtime(Enum):
    """What the kernel stands on, in the words of `show_config()`."""

    EMBEDDED = "Embedded Swift"
    STATIC = "Swift runtime (static)"


# A kernel is called after its arguments were checked, checks no pointer anyway, and has no array on the stack
# whose indices come from a caller. The sets that today's processors choose are compiled for speed, the one of
# processors from before 2013 for size.
UNCHECKED = ["-Xfrontend", "-remove-runtime-asserts", "-Xfrontend", "-disable-stack-protector"]


@dataclass(frozen=True)
class InstructionSet:
    """A processor level that the fast kernel is compiled for, the condition that selects it in Swift, and
    what it is optimised for."""

    name: str
    march: str
    condition: str
    optimization: str

    @property
    def entry_point(self) -> str:
        return "stpn_kernel_" + self.name.replace("-", "_")


BASELINES = {"x86_64": "x86-64-v2", "aarch64": "armv8-a"}
X86_64_SETS = [
    InstructionSet("baseline", BASELINES["x86_64"], "STPN_BASELINE", "-Osize"),
    InstructionSet("x86-64-v3", "x86-64-v3", "STPN_X86_64_V3", "-O"),
    InstructionSet("x86-64-v4", "x86-64-v4", "STPN_X86_64_V4", "-O"),
]
# Said to Swift and to C where these sets have objects of their own. Elsewhere the fast kernel is compiled
# once, with what checks the calls.
BASELINE_APART = "STPN_BASELINE_APART"


def machine() -> str:
    """The processor's architecture, one of BASELINES."""
    name = {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    if name not in BASELINES or sys.platform not in ("linux", "darwin"):
        raise BuildError(
            f"stpn_swift is built for Linux and macOS on {' and '.join(BASELINES)}, "
            f"and this is {platform.system()} on {name}."
        )
    return name


def run(command: list[str]) -> str:
    """Runs a command that has to succeed, and returns what it prints."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.stderr.write(result.stdout + result.stderr)
        raise BuildError(f"This command failed with exit code {result.returncode}: {' '.join(command)}")
    return result.stdout


# The toolchain.


def c_compiler() -> list[str]:
    """The words of CC: a compiler, perhaps with options or behind another program, as in "ccache gcc"."""
    words = shlex.split(os.environ.get("CC", "")) or ["cc"]
    if shutil.which(words[0]) is None:
        raise BuildError(
            f"stpn_swift is built with a C compiler, and no {words[0]} was found: set CC to one."
        )
    return words


def swift_compiler() -> str:
    """The path of a swiftc that is new enough; BuildError names what was found and what is needed."""
    needed = f"stpn_swift is built with Swift {'.'.join(map(str, SWIFT_NEEDED))} or later"
    name = os.environ.get("SWIFTC") or "swiftc"
    compiler = shutil.which(name)
    if compiler is None:
        raise BuildError(f"{needed}, and no {name} was found: {INSTALL_HINT}.")
    try:
        answer = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)
    except OSError as error:
        raise BuildError(
            f"{needed}, and {compiler} cannot be run ({error.strerror}): {INSTALL_HINT}."
        ) from None
    version = re.search(r"Swift version (\d+)\.(\d+)", answer.stdout)
    if version is None:
        said = (answer.stderr or answer.stdout).strip().partition("\n")[0]
        raise BuildError(f'{needed}, and {compiler} names no version, but says "{said}": {INSTALL_HINT}.')
    found = (int(version[1]), int(version[2]))
    if found < SWIFT_NEEDED:
        raise BuildError(f"{needed}, and {compiler} is {found[0]}.{found[1]}: {INSTALL_HINT}.")
    return compiler


def llvm_tool(swiftc: str, name: str, instead: str = "") -> str:
    """A binary tool of LLVM: that of the Swift toolchain, one on the PATH, or another program that does."""
    resources = json.loads(run([swiftc, "-print-target-info"]))["paths"]["runtimeResourcePath"]
    folders = [Path(os.path.realpath(swiftc)).parent, Path(resources).parents[1] / "bin"]
    tool = f"llvm-{name}"
    found = (
        shutil.which(tool, path=os.pathsep.join(map(str, folders)))
        or shutil.which(tool)
        or shutil.which(instead)
    )
    if found is None:
        raise BuildError(
            f"stpn_swift is built with {tool}, and none was found beside {swiftc} or on the PATH."
        )
    return found


def requested_runtime() -> Runtime | None:
    """The one that STPN_KERNEL_BUILD names; None where the toolchain decides."""
    name = os.environ.get("STPN_KERNEL_BUILD", "")
    if name not in ("", *(runtime.name.lower() for runtime in Runtime)):
        raise BuildError(f'STPN_KERNEL_BUILD: expected "embedded", "static" or nothing, got "{name}".')
    return Runtime[name.upper()] if name else None


def has_embedded_swift(swiftc: str) -> bool:
    """Whether a toolchain brings what Embedded Swift needs, shown by a program of one line."""
    with TemporaryDirectory() as folder:
        source = Path(folder) / "first.swift"
        source.write_text("public func first(_ numbers: [Int]) -> Int { numbers[0] }\n", encoding="utf-8")
        command = [swiftc, *EMBEDDED, "-wmo", "-parse-as-library", "-c", str(source)]
        return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


def choose_runtime(swiftc: str) -> Runtime:
    runtime = requested_runtime() or (Runtime.EMBEDDED if has_embedded_swift(swiftc) else Runtime.STATIC)
    if runtime is Runtime.STATIC and sys.platform != "linux":
        raise BuildError(f"{swiftc} cannot do Embedded Swift, without which there is a build on Linux alone.")
    return runtime


def runtime_files(swiftc: str) -> list[str]:
    """All that an ordinary Swift object needs beyond libc: the runtime, and what that was made with."""
    info = json.loads(run([swiftc, "-print-target-info", "-static-stdlib"]))
    folder = Path(info["paths"]["runtimeResourcePath"]) / info["target"]["platform"]
    files = [folder / info["target"]["arch"] / "swiftrt.o", folder / "libswiftCore.a"]
    for name in ("libstdc++.a", "libgcc_eh.a"):
        files.append(Path(run([*c_compiler(), f"-print-file-name={name}"]).strip()))
    for file in files:
        if not file.exists():
            raise BuildError(f"A build with a static Swift runtime needs {file}, which was not found.")
    return [str(file) for file in files]


# What is built of what.


def compile_swift(
    swiftc: str,
    runtime: Runtime,
    sources: list[Path],
    march: str,
    options: list[str],
    name: str,
    target: Path,
) -> None:
    command = [swiftc, "-wmo", "-parse-as-library", "-swift-version", "6", "-module-name", "STPNKernel"]
    if runtime is Runtime.EMBEDDED:
        command += EMBEDDED
    else:  # a runtime tells types apart by their names, into which that of the module enters
        command += ["-static-stdlib", "-module-abi-name", name]
    command += [word for option in OPTIMIZER for word in ("-Xllvm", option)]
    command += ["-Xcc", "-fno-math-errno", "-Xcc", f"-march={march}", "-Xcc", "-fPIC", *options]
    command += [f"-I{headers}" for headers in HEADERS]
    run([*command, "-c", *map(str, sorted(sources)), "-o", str(target)])


def compile_c(source: Path, definitions: list[str], target: Path) -> None:
    command = [*c_compiler(), "-std=c11", "-O2", "-fPIC", "-fvisibility=hidden", "-pthread"]
    command += ["-Wall", "-Wextra", "-Wconversion", "-Werror", *definitions]
    command += [f"-I{headers}" for headers in HEADERS]
    run([*command, "-c", str(source), "-o", str(target)])


def keep_global(swiftc: str, symbols: str, target: Path) -> None:
    """Makes every symbol of an object that does not match a pattern its own.

    Every object carries copies of functions of the standard library, compiled for its instruction set, of
    which the linker would keep the first for all. It also carries a hash for incremental compilation, of the
    folder among other things; without it the same sources make the same file everywhere.
    """
    if sys.platform == "darwin":
        unfinished = target.with_suffix(".unfinished")
        run(["ld", "-r", "-exported_symbol", f"_{symbols}", str(target), "-o", str(unfinished)])
        unfinished.rename(target)
    else:
        objcopy = llvm_tool(swiftc, "objcopy")
        options = [f"--keep-global-symbol={symbols}", "--remove-section=.swift_modhash"]
        run([objcopy, "--wildcard", *options, str(target)])


def join_with_runtime(swiftc: str, objects: list[Path], target: Path) -> None:
    """One object of these and of what they need of the Swift runtime, which no other runtime in a process
    can meet."""
    swiftrt, *libraries = runtime_files(swiftc)
    group = ["-Wl,--start-group", *libraries, "-Wl,--end-group"]
    run([*c_compiler(), "-r", "-nostdlib", "-o", str(target), *map(str, objects), swiftrt, *group])
    keep_global(swiftc, "stpn_*", target)
    # The linker defines these for whoever asks for them, and another Swift runtime in the process does too.
    hidden = [f"--set-symbol-visibility=__{end}_swift5_*=hidden" for end in ("start", "stop")]
    run([llvm_tool(swiftc, "objcopy"), "--wildcard", *hidden, str(target)])


def output_directory() -> Path:
    """Where a build goes that is told no other place: one that was asked for leaves the usual one alone."""
    runtime = requested_runtime()
    return ROOT / "build" / (f"native-{runtime.name.lower()}" if runtime else "native")


def runtime_of(library: Path) -> Runtime:
    """What a library stands on that was built here."""
    return Runtime((library.parent / "runtime.txt").read_text(encoding="utf-8"))


def is_of_kernel(path: Path) -> bool:
    """Whether a path belongs to the kernel, and not to its API for Swift, which is ordinary Swift, or its
    documentation."""
    return not {"API", "STPNKernel.docc"} & set(path.relative_to(ROOT).parts)


def is_current(library: Path) -> bool:
    """Whether a library is newer than all that it is built from, and stands on what is asked for."""
    if not library.exists() or not (library.parent / "runtime.txt").exists():
        return False
    found = (path for folder in [KERNEL, PLATFORM, *HEADERS] for path in folder.rglob("*"))
    sources = [Path(__file__), *filter(is_of_kernel, found)]
    if library.stat().st_mtime <= max(source.stat().st_mtime for source in sources):
        return False
    return requested_runtime() in (None, runtime_of(library))


def build(output: Path | None = None) -> Path:
    """Builds libstpn.a in a directory, unless it is there and current, and returns its path."""
    output = output or output_directory()
    library = output / "libstpn.a"
    if is_current(library):
        return library
    architecture = machine()
    swiftc = swift_compiler()
    c_compiler()
    runtime = choose_runtime(swiftc)
    output.mkdir(parents=True, exist_ok=True)

    everything = [source for source in KERNEL.rglob("*.swift") if is_of_kernel(source)]
    computing = [source for source in everything if source.parent.name != "ABI"]
    instruction_sets = X86_64_SETS if architecture == "x86_64" else []

    objects = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        compilations = []
        for each in reversed(instruction_sets):
            objects.append(output / f"{each.name}.o")
            options = [each.optimization, *UNCHECKED, f"-D{each.condition}"]
            arguments = (swiftc, runtime, computing, each.march, options, each.condition, objects[-1])
            compilations.append((pool.submit(compile_swift, *arguments), each.entry_point, objects[-1]))
        objects.append(output / "interface.o")
        options = ["-O", *([f"-D{BASELINE_APART}"] if instruction_sets else [])]
        arguments = (swiftc, runtime, everything, BASELINES[architecture], options, "STPNKernel", objects[-1])
        compilations.append((pool.submit(compile_swift, *arguments), "stpn_*", objects[-1]))
        for compilation, symbols, target in compilations:
            compilation.result()
            keep_global(swiftc, symbols, target)
    if runtime is Runtime.STATIC:
        joined = output / "joined.o"
        join_with_runtime(swiftc, objects, joined)
        objects = [joined]

    definitions = ["-DSTPN_WITH_X86_64_KERNELS", f"-D{BASELINE_APART}"] if instruction_sets else []
    for source in sorted(PLATFORM.glob("*.c")):
        objects.append(output / f"{source.stem}.o")
        compile_c(source, definitions, objects[-1])

    unfinished = output / "unfinished.a"
    unfinished.unlink(missing_ok=True)
    run([llvm_tool(swiftc, "ar", instead="ar"), "crs", str(unfinished), *map(str, objects)])
    (output / "runtime.txt").write_text(runtime.value, encoding="utf-8")
    return unfinished.rename(library)


def main() -> int:
    parser = argparse.ArgumentParser(description="Builds the kernel as a static library, libstpn.a.")
    parser.add_argument("--output", type=Path, help="directory of the library (default: build/native)")
    try:
        print(build(parser.parse_args().output))
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
