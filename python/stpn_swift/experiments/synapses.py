"""What the synapses of a network with excitatory and inhibitory neurons do: F over a sequence, Λ and Γ."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .dale import Population
from .network import KernelClassifier
from .retrieval_data import Sequences

Array = NDArray[Any]

# The state of a batch after each step is in memory: 250 MB for 100 neurons.
RECORDED_BATCH = 512


class Synapses(NamedTuple):
    """Means over sequences of what is in the synapses after each step, and what they have learned.

    `short_term`, `absolute`: of F and of |F|, (T,H,K). `decay`, `plasticity`: Λ and Γ, (H,K).
    """

    short_term: Array
    absolute: Array
    decay: Array
    plasticity: Array

    def means(self) -> dict[str, dict[str, Any]]:
        """Of each over the synapses from excitatory to excitatory neurons and to inhibitory ones: of F and of
        |F| after each step, of Λ and Γ one number."""
        population = Population.of(len(self.decay))
        arrays = {"F": self.short_term, "|F|": self.absolute, "Λ": self.decay, "Γ": self.plasticity}
        return {
            name: {
                synapses: part.mean(axis=(-2, -1), dtype=np.float64).tolist()
                for synapses, part in population.between(array).items()
            }
            for name, array in arrays.items()
        }

    def images(self) -> dict[str, Array]:
        """F at the end, Λ and Γ, (H,K) each."""
        return {"F": self.short_term[-1], "Λ": self.decay, "Γ": self.plasticity}


def record(network: KernelClassifier, sequences: Sequences) -> Synapses:
    """The synapses of a network that reads sequences."""
    shape = network.cell.params["weight"].shape
    F = np.zeros((sequences.task.length, *shape))
    absolute = np.zeros_like(F)
    for start in range(0, len(sequences), RECORDED_BATCH):
        part = sequences[start : start + RECORDED_BATCH]
        *_, states = network.cell.forward(part.one_hot(network.dtype), record_state=True)
        F += states["F"].sum(axis=0, dtype=np.float64)
        absolute += np.abs(states["F"]).sum(axis=0, dtype=np.float64)
    decay, plasticity = (
        np.broadcast_to(network.cell.params[name], shape) for name in ("weight_lambda", "weight_gamma")
    )
    return Synapses(F / len(sequences), absolute / len(sequences), decay, plasticity)
