"""The linear readout and its loss, forward beside backward."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def linear(h: Array, weight: Array, bias: Array) -> Array:
    """The scores of classes, logits (B,C), of activations h (B,H), for weight (C,H) and bias (C)."""
    return h @ weight.T + bias


def linear_backward(grad_logits: Array, h: Array, weight: Array) -> tuple[Array, Array, Array]:
    """The gradients of `linear` for h (B,H), weight (C,H) and bias (C), from that for the logits (B,C)."""
    return grad_logits @ weight, grad_logits.T @ h, grad_logits.sum(axis=0)


def cross_entropy(logits: Array, targets: Array) -> tuple[float, Array]:
    """The mean over the batch of -log softmax(logits)[target], and its gradient for the logits.

    Parameters
    ----------
    logits
        (B,C); of any finite size, the largest of a row is subtracted first.
    targets
        (B), integers from 0 to C - 1.
    """
    samples = np.arange(len(logits))
    shifted = logits - logits.max(axis=1, keepdims=True)
    grad = np.exp(shifted)
    total = grad.sum(axis=1, keepdims=True)
    loss = np.log(total[:, 0]) - shifted[samples, targets]
    grad /= total
    grad[samples, targets] -= 1
    grad /= len(logits)
    return float(loss.mean()), grad
