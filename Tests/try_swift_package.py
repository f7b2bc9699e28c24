"""Depends on this package by its version, as docs/swift.md shows it, and builds and runs that page's first
program: as it is, and in the two ways that the page has to the rest of the speed.

    python Tests/try_swift_package.py [--folder DIRECTORY]

What is in the tree becomes a repository of its own, with the version as its tag. SwiftPM refuses unsafe flags
in a dependency by version alone: that by path, which examples/swift has, would not show them.
"""

import argparse
import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "swift.md").read_text(encoding="utf-8")
HEAD = """\
// swift-tools-version:6.2
import PackageDescription

let package = Package(
    name: "shown","""
LAST_LINE = "the first neuron after ten steps:"


def run(command: str, folder: Path) -> str:
    print(f"{folder}$ {command}", flush=True)
    return subprocess.run(
        command, shell=True, cwd=folder, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def shown(begins: str) -> list[str]:
    """The indented blocks of the page that begin with these words, each as one text."""
    blocks = re.findall(r"^ {4,}\S.*(?:\n {4,}\S.*)*", PAGE, re.MULTILINE)
    return [text for block in blocks if (text := re.sub(r"^ +", "", block, flags=re.M)).startswith(begins)]


def version() -> str:
    header = (ROOT / "Sources" / "CSTPN" / "include" / "stpn.h").read_text(encoding="utf-8")
    return str(re.findall(r'STPN_VERSION_STRING "(.*)"', header)[0])


def publish(repository: Path) -> None:
    """The package as a repository that has its version for a tag."""
    shutil.copytree(ROOT / "Sources", repository / "Sources")
    shutil.copytree(ROOT / "Tests" / "STPNKernelTests", repository / "Tests" / "STPNKernelTests")
    shutil.copy(ROOT / "Package.swift", repository)
    author = "-c user.name=test -c user.email=test@localhost"
    run(f"git init -q . && git add . && git {author} commit -q -m package && git tag {version()}", repository)


def depend(package: Path, repository: Path) -> None:
    """A package whose manifest has the lines of the page, and the page's first program."""
    (lines,) = shown("dependencies:")
    lines = lines.replace("https://…/stpn_swift.git", repository.as_uri()).replace(
        'name: "…"', 'name: "shown"'
    )
    program = re.findall(r"^```swift\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0]
    assert "…" not in lines and LAST_LINE in program
    manifest = f"{HEAD}\n{lines}\n)\n"
    (package / "Sources" / "shown").mkdir(parents=True)
    (package / "Package.swift").write_text(manifest, encoding="utf-8")
    (package / "Sources" / "shown" / "main.swift").write_text(program, encoding="utf-8")


def needs_avx512(command: str) -> bool:
    return "-march=x86-64-v4" in command


def has_avx512() -> bool:
    facts = Path("/proc/cpuinfo")
    return facts.exists() and " avx512f " in facts.read_text(encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Depends on the Swift package by its version.")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "swift-package")
    folder = parser.parse_args().folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    repository, package = folder / "stpn_swift", folder / "shown"
    repository.mkdir(parents=True)
    publish(repository)
    depend(package, repository)
    plain, *fast = (
        "swift build -c release",
        *(
            command.replace("\\\n", "").replace("…/", f"{ROOT}{os.sep}")
            for command in shown("swift build -c")
        ),
    )
    assert len(fast) == 2, "docs/swift.md shows another number of ways"
    for place, command in enumerate((plain, *fast)):
        scratch = f"--scratch-path .build-{place}"
        run(command.replace("swift build", f"swift build {scratch}"), package)
        if needs_avx512(command) and not has_avx512():
            print("this processor has no AVX-512: built, and not run")
        else:
            assert LAST_LINE in run(f".build-{place}/release/shown", package)
    print(f"the package of version {version()}: as it is, and in {len(fast)} other ways")


if __name__ == "__main__":
    main()
