"""The code of README.md and docs/ runs as it stands there.

The Python blocks of a page are one program, each C or Swift block is one of its own. Of a console block the
commands behind "$ " run, and print what stands below them, where "…" stands for anything. Commands in sh
blocks build, install and measure: what they name has to exist. CMake's blocks, and the commands for the C
library, are run by test_library.py, what docs/swift.md has for a manifest and for speed by `make
test-swift-package`.
"""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
INCLUDE = ROOT / "Sources" / "CSTPN" / "include"
SHOWN = {"", "text"}

SWIFT_PACKAGE = """\
// swift-tools-version:6.2
import PackageDescription

let package = Package(
    name: "shown",
    platforms: [.macOS(.v15)],
    dependencies: [.package(path: "stpn_swift")],
    targets: [
        .executableTarget(name: "shown", dependencies: [.product(name: "STPNKernel", package: "stpn_swift")])
    ]
)
"""


@dataclass(frozen=True)
class Block:
    page: Path
    line: int  # of its first line of code, from 1
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The fenced code of a page."""
    text = page.read_text(encoding="utf-8")
    found = []
    for fence in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        found.append(Block(page, text.count("\n", 0, fence.start(2)) + 1, *fence.groups()))
    return found


BLOCKS = [block for page in PAGES for block in blocks(page)]


def of(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language]


def run(command: list[str], folder: Path) -> None:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}{result.stderr}"


def test_every_kind_of_user_is_shown_code() -> None:
    languages = {block.language for block in blocks(ROOT / "README.md")}
    assert {"python", "c", "swift"} <= languages


def test_every_block_is_run_or_typed() -> None:
    known = {"python", "c", "swift", "sh", "console", "cmake"} | SHOWN
    unknown = [str(block) for block in BLOCKS if block.language not in known]
    assert unknown == []


@pytest.mark.parametrize("page", sorted({block.page for block in of("python")}), ids=lambda page: page.name)
def test_python(page: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    for block in of("python"):
        if block.page == page:
            for module in re.findall(
                r"^import (?:stpn_swift\.)?(torch|jax|autograd)\b", block.code, re.MULTILINE
            ):
                pytest.importorskip(module)
            lines += [""] * (block.line - 1 - len(lines))  # so that a traceback names the lines of the page
            lines += block.code.splitlines()
    program = tmp_path / f"{page.name}.py"
    program.write_text("\n".join(lines) + "\n", encoding="utf-8")
    run([sys.executable, str(program)], tmp_path)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """libstpn.a: as make has built it, or built now."""
    made = ROOT / "build" / "native" / "libstpn.a"
    if made.exists():
        return made
    folder = tmp_path_factory.mktemp("native")
    run([sys.executable, str(ROOT / "build_kernel.py"), "--output", str(folder)], ROOT)
    return folder / "libstpn.a"


@pytest.mark.parametrize("block", of("c"), ids=str)
def test_c(block: Block, library: Path, tmp_path: Path) -> None:
    source = tmp_path / "shown.c"
    source.write_text(f'#line {block.line} "{block.page.name}"\n{block.code}', encoding="utf-8")
    compiler = [os.environ.get("CC", "cc"), "-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{INCLUDE}"]
    run([*compiler, str(source), str(library), "-pthread", "-lm", "-o", "shown"], tmp_path)
    run(["./shown"], tmp_path)


@pytest.fixture(scope="module")
def swift_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package for the Swift blocks one after the other: what it depends on is built once."""
    folder = tmp_path_factory.mktemp("swift")
    (folder / "Sources" / "shown").mkdir(parents=True)
    (folder / "Package.swift").write_text(SWIFT_PACKAGE, encoding="utf-8")
    (folder / "stpn_swift").symlink_to(ROOT)  # a package by path goes by the name of its folder
    return folder


@pytest.mark.parametrize("block", of("swift"), ids=str)
@pytest.mark.skipif(shutil.which("swift") is None, reason="Swift is not installed")
def test_swift(block: Block, swift_package: Path) -> None:
    (swift_package / "Sources" / "shown" / "main.swift").write_text(block.code, encoding="utf-8")
    run(["swift", "run"], swift_package)


@pytest.mark.parametrize("block", of("console"), ids=str)
def test_console(block: Block, tmp_path: Path) -> None:
    folder = str(Path(sys.executable).parent)
    environment = os.environ | {"PATH": os.pathsep.join([folder, os.environ["PATH"]])}
    for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.code, re.MULTILINE):
        result = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
        pattern = ".*".join(map(re.escape, shown.split("…")))
        assert re.fullmatch(pattern, result.stdout, re.DOTALL), f"{command}\n{result.stdout}"


def missing(command: list[str]) -> list[str]:
    """What a command names that is not there: targets of make, modules and files."""
    words = [word for word in command if not re.fullmatch(r"[A-Za-z_]+=.*", word)]
    if not words:
        return []
    program, *arguments = words
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        return [word for word in arguments if not word.startswith("-") and word not in targets]
    if re.search(r"python3?$", program) and arguments[:1] == ["-m"]:
        return [] if importlib.util.find_spec(arguments[1]) else [arguments[1]]
    return [word for word in arguments if word.endswith(".py") and not (ROOT / word).exists()]


@pytest.mark.parametrize("block", of("sh"), ids=str)
def test_sh(block: Block) -> None:
    if "stpn_swift.jax" in block.code:
        pytest.importorskip("jax")
    subprocess.run(["sh", "-n", "-c", block.code], check=True)
    for line in block.code.splitlines():
        assert missing(shlex.split(line, comments=True)) == [], line


def test_links_lead_to_files() -> None:
    broken = []
    for page in PAGES:
        prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose):
            if not target.startswith("https://") and not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert broken == []


def test_every_page_is_in_the_list() -> None:
    listed = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES if page.parent.name == "docs" and page.name not in listed] == [
        "README.md"
    ]
