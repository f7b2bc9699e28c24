"""Excitatory and inhibitory neurons (Dale's law): the first 4/5 of the neurons excite, the others inhibit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import ExperimentError

Array = NDArray[Any]
Signs = Literal["rows", "columns"]


class Population(NamedTuple):
    """How many neurons excite (E), of how many (H)."""

    excitatory: int
    neurons: int

    @classmethod
    def of(cls, hidden_size: int) -> Population:
        return cls(hidden_size * 4 // 5, hidden_size)

    def between(self, synapses: Array) -> dict[str, Array]:
        """The synapses (…,H,K) from excitatory neurons to excitatory ones (E→E) and to inhibitory ones (E→I),
        where the columns are the inputs and then the neurons."""
        E, H = self
        sent = synapses[..., synapses.shape[-1] - H :][..., :E]
        return {"E→E": sent[..., :E, :], "E→I": sent[..., E:, :]}


def check_signs(config: Mapping[str, Any]) -> None:
    """Refuses a cell whose neurons have no weights to sign, or no inhibitory one.

    Raises
    ------
    ExperimentError
        With the reason.
    """
    if config["cell"] != "stpn" or not config["recurrent"]:
        raise ExperimentError("--dale is for stpnr and stpnr-scalar: the model has other synapses")
    if config["hidden_size"] < 5:
        raise ExperimentError(f"--dale needs 5 neurons or more, not --hidden-size {config['hidden_size']}")


def restore_signs(weight: Array, signs: Signs) -> None:
    """Sets to 0 what has the wrong sign in a weight (H,K), in place.

    Parameters
    ----------
    weight
        Its columns are the inputs and then the neurons.
    signs
        "rows": of all synapses that a neuron receives; "columns": of those that it sends to neurons.
    """
    E, H = Population.of(len(weight))
    by_neuron = weight if signs == "rows" else weight[:, weight.shape[1] - H :].T
    np.maximum(by_neuron[:E], 0, out=by_neuron[:E])
    np.minimum(by_neuron[E:], 0, out=by_neuron[E:])
