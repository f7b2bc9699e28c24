import pytest
from stpn_swift import _kernel

AVAILABLE = [name for name, available, _ in _kernel.implementations() if available]


@pytest.fixture(params=AVAILABLE)
def implementation(request: pytest.FixtureRequest) -> str:
    """Each implementation that this processor runs."""
    return str(request.param)


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> str:
    return str(request.param)
