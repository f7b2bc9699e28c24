"""Gradients of the network, the optimiser, and the trainer."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small_run import BATCHES, SETTINGS
from stpn_swift import STPNR
from stpn_swift.experiments.adam import Adam
from stpn_swift.experiments.network import KernelClassifier, flatten
from stpn_swift.experiments.readout import cross_entropy, linear, linear_backward
from stpn_swift.experiments.retrieval_data import generate
from stpn_swift.experiments.run import prepare
from stpn_swift.experiments.settings import RetrievalSettings
from stpn_swift.experiments.training import EVALUATION_BATCH, Trainer, evaluate

Array = NDArray[Any]


# readout, loss and network


def numerical_gradient(f: Any, at: Array, step: float = 1e-6) -> Array:
    """Central differences of a scalar function of an array, which is changed and changed back."""
    gradient = np.empty_like(at)
    for index in np.ndindex(at.shape):
        value = at[index]
        at[index] = value + step
        above = f()
        at[index] = value - step
        below = f()
        at[index] = value
        gradient[index] = (above - below) / (2 * step)
    return gradient


def test_gradients_of_readout_and_loss() -> None:
    random = np.random.default_rng(0)
    h, weight, bias = random.normal(size=(6, 4)), random.normal(size=(5, 4)), random.normal(size=5)
    targets = random.integers(5, size=6)

    def loss() -> float:
        return cross_entropy(linear(h, weight, bias), targets)[0]

    _, grad_logits = cross_entropy(linear(h, weight, bias), targets)
    for array, gradient in zip((h, weight, bias), linear_backward(grad_logits, h, weight), strict=True):
        np.testing.assert_allclose(gradient, numerical_gradient(loss, array), rtol=0, atol=1e-9)


@pytest.mark.parametrize("normalize", ["pre", None])
def test_gradients_of_the_network(normalize: Any) -> None:
    random = np.random.default_rng(1)
    cell = STPNR(4, 3, normalize=normalize, dtype="float64", seed=2)
    cell.params["weight_gamma"] *= 300  # as large as the weights, so that F matters
    network = KernelClassifier(cell, {"weight": random.normal(size=(5, 3)), "bias": random.normal(size=5)})
    x, targets = random.normal(size=(3, 6, 4)), random.integers(5, size=3)

    network.loss(x, targets)
    gradient = network.gradient.copy()
    expected = numerical_gradient(lambda: network.loss(x, targets)[0], network.vector)
    assert network.vector.size == 3 * 3 * (4 + 3) + 3 + 5 * 3 + 5
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-8)


def test_cross_entropy_of_large_logits() -> None:
    logits = np.array([[1e30, -1e30, 0], [2e38, 2e38, -1e38]], dtype=np.float32)
    loss, gradient = cross_entropy(logits, np.array([0, 1]))
    assert loss == pytest.approx(np.log(2) / 2)
    np.testing.assert_allclose(gradient, np.array([[0, 0, 0], [0.25, -0.25, 0]]), atol=1e-7)


def test_cross_entropy_of_nan_is_nan() -> None:
    loss, gradient = cross_entropy(np.array([[np.nan, 1.0], [0.0, 0.0]]), np.array([1, 0]))
    assert np.isnan(loss) and np.isnan(gradient[0]).all() and not np.isnan(gradient[1]).any()


def test_parameters_are_views_of_one_vector() -> None:
    random = np.random.default_rng(0)
    readout = {"weight": random.normal(size=(5, 3)).astype(np.float32), "bias": np.zeros(5, np.float32)}
    network = KernelClassifier(STPNR(4, 3, seed=0), readout)
    network.vector[:] = np.arange(network.vector.size)
    assert sum(array.size for array in network.parameters.values()) == network.vector.size
    for name, array in network.cell.params.items():
        assert array is network.parameters[f"cell.{name}"]
        assert np.shares_memory(array, network.vector)
    together = np.concatenate([array.ravel() for array in network.parameters.values()])
    assert np.array_equal(together, network.vector)


def test_flatten_takes_scalars() -> None:
    vector, views = flatten({"a": np.float64(3) * np.ones(()), "b": np.ones((2, 2))})
    views["a"][...] = 7
    assert vector.tolist() == [7, 1, 1, 1, 1] and views["a"].shape == ()


# Adam


def test_adam_is_the_formula_of_the_paper() -> None:
    random = np.random.default_rng(3)
    parameters = random.normal(size=7)
    adam, expected = Adam(parameters, lr=0.01, betas=(0.8, 0.95), eps=1e-3), parameters.copy()
    mean, square = np.zeros(7), np.zeros(7)
    for t in range(1, 20):
        g = random.normal(size=7)
        adam.step(g)
        mean = 0.8 * mean + 0.2 * g
        square = 0.95 * square + 0.05 * g**2
        expected = expected - 0.01 * (mean / (1 - 0.8**t)) / (np.sqrt(square / (1 - 0.95**t)) + 1e-3)
    np.testing.assert_allclose(parameters, expected, rtol=1e-13)


def test_adam_is_that_of_torch() -> None:
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(4)
    parameters = random.normal(size=50).astype(np.float32)
    theirs = torch.nn.Parameter(torch.tensor(parameters))
    ours, reference = Adam(parameters, lr=1e-3), torch.optim.Adam([theirs], lr=1e-3)
    for _ in range(100):
        g = random.normal(size=50).astype(np.float32)
        ours.step(g)
        theirs.grad = torch.tensor(g)
        reference.step()
    np.testing.assert_allclose(parameters, theirs.detach().numpy(), rtol=0, atol=1e-6)


# the trainer


def trainer_of(**changes: Any) -> Trainer:
    return prepare(RetrievalSettings(**{**SETTINGS, **changes}))[0]


def never() -> bool:
    return False


def test_training_learns() -> None:
    trainer = trainer_of(train_sequences=2000, epochs=10, hidden_size=11)
    for _ in range(10):
        assert trainer.epoch(never, lambda: None)
    losses = [row.loss for row in trainer.progress.history]
    assert losses[-1] < np.log(10) < losses[0]  # at ln 10 it knows that the answer is a digit, and no more
    assert trainer.progress.history[-1].validation_accuracy > 0.1


def test_an_incomplete_last_batch_is_left_out_of_training_and_test() -> None:
    trainer, test = prepare(RetrievalSettings(**SETTINGS))
    updates = 0

    def count() -> None:
        nonlocal updates
        updates += 1

    trainer.epoch(never, count)
    assert updates == trainer.batches == BATCHES
    assert trainer.optimizer.steps == BATCHES
    assert len(test) == 32


def test_an_evaluation_counts_every_sequence() -> None:
    network = trainer_of().network
    assert isinstance(network, KernelClassifier)
    count = 2 * EVALUATION_BATCH + 3
    sequences = generate(count, np.random.default_rng(0))
    x = sequences.one_hot()
    told = network.respond(x).logits.argmax(axis=1)
    assert evaluate(network, sequences).accuracy == np.mean(told == sequences.answers)
    sequences.answers[:] = told
    assert evaluate(network, sequences).accuracy == 1
    sequences.answers[-1] = (told[-1] + 1) % 37
    assert evaluate(network, sequences).accuracy == (count - 1) / count

    energy = network.cell.energy(x).sum(axis=2, dtype=np.float64).mean(axis=0)
    np.testing.assert_allclose(evaluate(network, sequences).energy_by_step, energy, rtol=1e-5)


def test_shuffled_epochs_have_orders_of_their_own() -> None:
    """And the first of another trainer is the same."""
    seen: list[list[str]] = []
    for trainer in (trainer_of(shuffle=True), trainer_of(shuffle=True)):
        for _ in range(2):
            ordered = trainer._ordered()
            seen.append([ordered.text(index) for index in range(len(ordered))])
            trainer.epoch(never, lambda: None)
    data = [trainer.train.text(index) for index in range(len(trainer.train))]
    assert all(sorted(order) == sorted(data) and order != data for order in seen)
    assert seen[0] == seen[2] != seen[1] == seen[3]


def test_seeds_differ_in_data_and_parameters() -> None:
    one, same, other = (trainer_of(seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one.network.vector, same.network.vector)
    assert np.array_equal(one.train.symbols, same.train.symbols)
    assert not np.array_equal(one.train.symbols, other.train.symbols)
    for name, array in one.network.parameters.items():
        assert not np.array_equal(array, other.network.parameters[name]), name


def test_initial_readout_is_in_its_range() -> None:
    parameters = trainer_of().network.parameters
    bound = 5**-0.5
    for name in ("readout.weight", "readout.bias"):
        largest = np.abs(parameters[name]).max()
        assert 0.8 * bound < largest <= bound
