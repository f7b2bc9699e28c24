"""Installs a wheel for every Python of 3.11 or later that the machine has, and runs the Python tests on it
where no Swift can be reached.

    python Tests/try_wheel.py WHEEL [--python INTERPRETER ...] [--without-torch] [PYTEST_ARGUMENT ...]

Each interpreter gets a new virtual environment with NumPy 2, or, where the system brings a NumPy for it, with
that one; PyTorch goes with NumPy 2, where there is a wheel of it. What is left out is named.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST = (3, 11)
TOOLS = ["pytest>=8", "hypothesis>=6"]
TORCH = "torch==2.13.*"

QUESTION = """
import importlib.util, json, platform, sys, sysconfig
system = sys.base_prefix == "/usr" and importlib.util.find_spec("numpy")
print(json.dumps({
    "name": platform.python_implementation(),
    "version": list(sys.version_info[:3]),
    "final": sys.version_info.releaselevel == "final",
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "prefix": sys.base_prefix,
    "numpy": __import__("numpy").__version__ if system else None,
}))
"""


@dataclass(frozen=True)
class Interpreter:
    path: Path
    version: tuple[int, ...]
    prefix: str
    numpy: str | None  # the version that the system's packages bring

    def __str__(self) -> str:
        return f"Python {'.'.join(map(str, self.version))} of {self.prefix}"


def candidates() -> Iterator[Path]:
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    on_path = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep)]
    for folder in (*on_path, Path("/usr/bin"), Path("/usr/local/bin"), *pyenv.glob("versions/*/bin")):
        if folder != pyenv / "shims":
            yield from sorted(folder.glob("python3.[0-9][0-9]"))


def ask(path: Path) -> Interpreter | None:
    """None where it is none that a wheel for CPython's stable interface is for."""
    answer = subprocess.run([path, "-I", "-c", QUESTION], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        return None
    facts = json.loads(answer.stdout)
    version = tuple(facts["version"])
    if facts["name"] != "CPython" or version < OLDEST or not facts["final"] or facts["free_threaded"]:
        return None
    return Interpreter(path, version, facts["prefix"], facts["numpy"])


def interpreters() -> list[Interpreter]:
    """One for each installation."""
    found = {one.prefix: one for path in candidates() if (one := ask(path)) is not None}
    return sorted(found.values(), key=lambda one: (one.version, one.prefix))


def without_swift() -> dict[str, str]:
    """The environment, but for the folders that a Swift compiler is in."""
    folders = [
        folder
        for folder in os.environ["PATH"].split(os.pathsep)
        if not any(shutil.which(name, path=folder) for name in ("swift", "swiftc"))
    ]
    environment = {name: value for name, value in os.environ.items() if name not in ("SWIFTC", "PYTHONPATH")}
    return environment | {"PATH": os.pathsep.join(folders)}


def prepare(interpreter: Interpreter, wheel: Path, folder: Path, with_torch: bool) -> Path:
    """The Python of a new virtual environment with the wheel and what its tests need."""
    shutil.rmtree(folder, ignore_errors=True)
    system = ["--system-site-packages"] if interpreter.numpy else []
    subprocess.run([interpreter.path, "-m", "venv", *system, folder], check=True)
    python = folder / "bin" / "python"
    install: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    numpy = f"numpy=={interpreter.numpy}" if interpreter.numpy else "numpy>=2"
    subprocess.run([*install, f"{wheel}[experiments]", numpy, *TOOLS], check=True)
    if interpreter.numpy or not with_torch:
        print(f"{interpreter}: PyTorch is left out")
    elif subprocess.run([*install, TORCH], check=False).returncode != 0:
        print(f"{interpreter}: {TORCH} cannot be installed, and is left out")
    return python


def try_wheel(
    interpreter: Interpreter, wheel: Path, folder: Path, with_torch: bool, arguments: list[str]
) -> bool:
    print(f"\n{interpreter}", flush=True)
    python = prepare(interpreter, wheel, folder, with_torch)
    environment = without_swift()
    program = "import numpy, stpn_swift; stpn_swift.show_config(); print(f'NumPy {numpy.__version__}')"
    shown = subprocess.run([python, "-c", program], env=environment, cwd=folder, check=False)
    if shown.returncode != 0:
        return False
    tests: list[str | Path] = [python, "-m", "pytest", "-q", *arguments]
    return subprocess.run(tests, env=environment, cwd=ROOT, check=False).returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Runs the Python tests on a wheel with every Python there is."
    )
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "wheel-tests")
    parser.add_argument("--python", type=Path, action="append", help="only this one; may be given again")
    parser.add_argument("--without-torch", action="store_true", help="it is a large download")
    options, arguments = parser.parse_known_args()
    wheel = options.wheel.resolve(strict=True)
    chosen = [ask(path) for path in options.python] if options.python else interpreters()
    failed = []
    for interpreter in chosen:
        if interpreter is None:
            raise SystemExit("--python: expected CPython of 3.11 or later")
        name = f"{'.'.join(map(str, interpreter.version))}{interpreter.prefix.replace('/', '-')}"
        folder = options.folder.resolve() / name
        if not try_wheel(interpreter, wheel, folder, not options.without_torch, arguments):
            failed.append(interpreter)
    print(f"\n{wheel.name}, {wheel.stat().st_size:,} bytes, on {len(chosen)} Pythons:")
    for interpreter in chosen:
        print(f"{interpreter}: {'failed' if interpreter in failed else 'passed'}")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
