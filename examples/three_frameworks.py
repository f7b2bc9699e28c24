"""One network trained in NumPy, PyTorch and JAX from the same parameters: one loss curve, three times.

python examples/three_frameworks.py --updates 50
"""

import argparse
from collections.abc import Iterator
from typing import Any

import autograd
import autograd.numpy as anp
import jax
import jax.numpy as jnp
import numpy as np
import stpn_swift
import stpn_swift.autograd
import stpn_swift.jax
import stpn_swift.torch
import torch
from stpn_swift.experiments.retrieval_data import SYMBOLS, generate

BATCH, HIDDEN, RATE = 128, 11, 0.1
Batch = tuple[Any, Any]  # x (batch, time, symbols) and answers (batch, symbols), one-hot


def batches(count: int) -> Iterator[Batch]:
    random = np.random.default_rng(1)
    for _ in range(count):
        sequences = generate(BATCH, random)
        yield sequences.one_hot().astype(np.float64), np.eye(len(SYMBOLS))[sequences.answers]


def train_numpy(cell: stpn_swift.Cell, readout: Any, data: Iterator[Batch]) -> list[float]:
    def loss(params: Any, readout: Any, x: Any, answers: Any) -> Any:
        y, _ = stpn_swift.autograd.sequence(cell, params, x)
        logits = anp.dot(y[:, -1], readout)
        logits = logits - anp.max(logits, axis=1, keepdims=True)
        return anp.mean(anp.log(anp.sum(anp.exp(logits), axis=1)) - anp.sum(logits * answers, axis=1))

    losses, params = [], cell.params
    for batch in data:
        losses.append(float(loss(params, readout, *batch)))
        gradients, of_readout = autograd.grad(loss, (0, 1))(params, readout, *batch)
        params = {name: array - RATE * gradients[name] for name, array in params.items()}
        readout = readout - RATE * of_readout
    return losses


def train_torch(original: stpn_swift.Cell, readout: Any, data: Iterator[Batch]) -> list[float]:
    cell = stpn_swift.torch.cell_from_config(original.config, dtype=torch.float64)
    cell.load_state_dict({name: torch.from_dlpack(array) for name, array in original.params.items()})
    weight = torch.tensor(readout, requires_grad=True)
    optimizer = torch.optim.SGD([*cell.parameters(), weight], lr=RATE)
    losses = []
    for x, answers in data:
        y, _ = cell(torch.from_numpy(x))
        loss = torch.nn.functional.cross_entropy(y[:, -1] @ weight, torch.from_numpy(answers))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def train_jax(original: stpn_swift.Cell, readout: Any, data: Iterator[Batch]) -> list[float]:
    key = jax.random.key(0)
    cell = stpn_swift.jax.cell_from_config(original.config, key=key, dtype=jnp.float64)
    network = cell.with_params(original.params), jnp.asarray(readout)

    def loss(network: Any, x: Any, answers: Any) -> Any:
        cell, readout = network
        y, _ = cell(x)
        return -jnp.mean(jnp.sum(answers * jax.nn.log_softmax(y[:, -1] @ readout), axis=1))

    @jax.jit
    def update(network: Any, x: Any, answers: Any) -> Any:
        value, gradients = jax.value_and_grad(loss)(network, x, answers)
        return value, jax.tree.map(lambda p, g: p - RATE * g, network, gradients)

    losses = []
    for batch in data:
        value, network = update(network, *batch)
        losses.append(float(value))
    return losses


def main() -> None:
    parser = argparse.ArgumentParser(description="Train one network in three frameworks.")
    parser.add_argument("--updates", type=int, default=50)
    updates = parser.parse_args().updates

    jax.config.update("jax_enable_x64", True)
    cell = stpn_swift.STPNR(len(SYMBOLS), HIDDEN, dtype="float64", seed=0)
    readout = np.random.default_rng(0).uniform(-0.3, 0.3, (HIDDEN, len(SYMBOLS)))
    curves = [train(cell, readout, batches(updates)) for train in (train_numpy, train_torch, train_jax)]
    print("NumPy              PyTorch            JAX")
    for losses in zip(*curves, strict=True):
        print(*(f"{loss:.16f}" for loss in losses))


if __name__ == "__main__":
    main()
