"""The golden cases (Tests/golden/README.md): loading them, and comparing with them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arrays = dict[str, Array]

FOLDER = Path(__file__).resolve().parent.parent / "golden"
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


@dataclass(frozen=True)
class Golden:
    """One case; `state` and `grad_state` are empty where it begins with zeros."""

    config: dict[str, Any]
    x: Array
    params: Arrays
    state: Arrays
    resets: Array | None
    y: Array
    energy: Array
    final: Arrays
    grad_y: Array
    grad_final: Arrays
    grad_x: Array
    grad_params: Arrays
    grad_state: Arrays


def load(name: str, dtype: str) -> Golden:
    """A case, with what goes into the cell in a dtype; what comes out stays float64."""
    with np.load(FOLDER / f"{name}.npz") as file:
        arrays = {key: file[key] for key in file.files if key != "config"}
        config = json.loads(str(file["config"]))
    for key, array in arrays.items():
        if key.startswith(("x", "param.", "state.", "cotangent.")):
            arrays[key] = array.astype(dtype)

    def group(prefix: str) -> Arrays:
        return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}

    return Golden(
        config=config,
        x=arrays["x"],
        params=group("param."),
        state=group("state."),
        resets=arrays.get("resets"),
        y=arrays["y"],
        energy=arrays["energy"],
        final=group("final."),
        grad_y=arrays["cotangent.y"],
        grad_final=group("cotangent.final."),
        grad_x=arrays["grad.x"],
        grad_params=group("grad.param."),
        grad_state=group("grad.state."),
    )


NAMES = sorted(path.stem for path in FOLDER.glob("*.npz"))


def assert_close(actual: Array, expected: Array, what: str = "", slack: float = 1) -> None:
    """Compares as Tests/golden/README.md says, within slack times the tolerance of actual's dtype; NaN is not
    close."""
    assert actual.shape == expected.shape, what
    if expected.size == 0:
        return
    error = np.abs(actual.astype(np.float64) - expected)
    bound = slack * TOLERANCE[actual.dtype.name] * max(1.0, float(np.abs(expected).max()))
    assert np.all(error <= bound), f"{what}: error {error.max():.3g}, allowed {bound:.3g}"


def assert_all_close(actual: Arrays, expected: Arrays, what: str, slack: float = 1) -> None:
    assert actual.keys() >= expected.keys(), what
    for name, array in expected.items():
        assert_close(actual[name], array, f"{what}['{name}']", slack)
