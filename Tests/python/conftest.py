import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings
from stpn_swift import _kernel
from variants import CONFIGS

AVAILABLE = [name for name, available, _ in _kernel.implementations() if available]

# How much a property test draws: the same in every run, or with --hypothesis-profile=thorough what
# --hypothesis-seed decides. Five of six draws vary the one before, so some 100 and 1,000 are of their own.
settings.register_profile("quick", max_examples=500, derandomize=True, database=None, deadline=None)
settings.register_profile("thorough", max_examples=5000, database=None, deadline=None, print_blob=True)
settings.load_profile("quick")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--stress-seconds", type=float, default=3, help="how long the stress test of threads runs"
    )


@pytest.fixture(params=AVAILABLE)
def implementation(request: pytest.FixtureRequest) -> str:
    """Each implementation that this processor runs."""
    return str(request.param)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Of torch's generator, for tests that draw from it."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=CONFIGS)
def variant(request: pytest.FixtureRequest) -> str:
    """Each cell of variants.py, by its name there."""
    return str(request.param)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prefix that `make install` has installed the C library to."""
    if shutil.which("swiftc") is None:
        pytest.skip("Swift is not installed: the C library cannot be built")
    prefix = tmp_path_factory.mktemp("prefix")
    command = ["make", "install", f"PREFIX={prefix}"]
    result = subprocess.run(
        command, cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}{result.stderr}"
    return prefix
