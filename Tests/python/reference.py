"""STPNR in NumPy, after docs/cells.md section 1: how NaN and infinity flow."""

from typing import Any

import numpy as np
import stpn_swift
from numpy.typing import NDArray

Array = NDArray[Any]


def forward(
    cell: stpn_swift.STPNR, x: Array, state: dict[str, Array], resets: Array
) -> tuple[Array, dict[str, Array]]:
    """y (B,T,H) and the final state of a cell for x (B,T,I)."""
    normalize, c = cell.config["normalize"], cell.config["clamp"]
    W, decay, rate = (cell.params[name] for name in ("weight", "weight_lambda", "weight_gamma"))
    b = cell.params.get("bias", np.zeros(cell.hidden_size, cell.dtype))
    h, F = state["h"].copy(), state["F"].copy()
    y = np.empty((*x.shape[:2], cell.hidden_size), cell.dtype)
    with np.errstate(all="ignore"):
        for t in range(x.shape[1]):
            h[resets[:, t]] = 0
            F[resets[:, t]] = 0
            v = np.concatenate([x[:, t], h], axis=1)[:, None, :]
            n = _norm(W + F)
            a = ((W + F) * v).sum(axis=2) / (n[:, :, 0] if normalize else 1) + b
            h = np.tanh(a)
            F = decay * (F / n if normalize == "pre" else F) + rate * h[:, :, None] * v
            if c is not None:
                F = np.clip(F, -c, c)
            if normalize == "post":
                F = F / _norm(W + F)
            y[:, t] = h
    return y, {"h": h, "F": F}


def _norm(G: Array) -> Array:
    """(B,H,1), of each row of G (B,H,K)."""
    n: Array = np.sqrt((G * G).sum(axis=2, keepdims=True)) + 1e-16
    return n
