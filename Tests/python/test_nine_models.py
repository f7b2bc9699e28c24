"""The nine networks of the comparison: their sizes, both variants, and the kernel against plain PyTorch."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stpn_swift
from stpn_swift.experiments.models import MODEL_NAMES, MODELS, ModelName, build, describe, usual_backend
from stpn_swift.experiments.network import KernelClassifier, SequenceClassifier
from stpn_swift.experiments.retrieval_data import generate
from stpn_swift.experiments.run import prepare
from stpn_swift.experiments.settings import RetrievalSettings
from stpn_swift.experiments.training import Trainer, evaluate

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def one_thread_of_torch() -> Iterator[None]:
    """As in a run: for networks of this size more are slower, and much slower where others want them too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# (H, learned parameters with the readout), as in the paper
SIZES: dict[ModelName, tuple[int, int]] = {
    "stpnr": (11, 2039),
    "lstm": (9, 2062),
    "rnn": (20, 1937),
    "fast-weights": (20, 1977),
    "modulated": (17, 1908),
    "stpnr-scalar": (20, 1939),
    "stpnf": (13, 1974),
    "stpnf-scalar": (26, 1989),
    "hebbff": (26, 1989),
}
BY_KERNEL: list[ModelName] = [name for name in MODEL_NAMES if name not in ("lstm", "rnn")]


def network_of(model: ModelName, hidden_size: int | None = None, **how: Any) -> SequenceClassifier:
    settings = RetrievalSettings(model=model, hidden_size=hidden_size, **how).resolve()
    random = np.random.default_rng(3)
    return build(settings.describe(), settings.resolved_backend, settings.dtype, random)


@pytest.mark.parametrize("model", MODEL_NAMES)
def test_the_nine_have_the_sizes_of_the_paper(model: ModelName) -> None:
    H, parameters = SIZES[model]
    network = network_of(model)
    assert MODELS[model].hidden_size == H
    assert network.parameters["readout.weight"].shape == (37, H)
    assert network.vector.size == parameters


def test_their_cells_are_those_of_the_library() -> None:
    cells = {
        "stpnr": stpn_swift.STPNR(37, 11),
        "fast-weights": stpn_swift.FastWeights(37, 20),
        "modulated": stpn_swift.Modulated(37, 17),
        "stpnr-scalar": stpn_swift.STPNR(37, 20, plasticity_shape="scalar"),
        "stpnf": stpn_swift.STPNF(37, 13),
        "stpnf-scalar": stpn_swift.STPNF(37, 26, plasticity_shape="scalar"),
        "hebbff": stpn_swift.HebbFF(37, 26),
    }
    for model in BY_KERNEL:
        network = network_of(model)
        assert isinstance(network, KernelClassifier)
        assert network.cell.config == cells[model].config


def test_rates_of_fast_weights_are_fixed() -> None:
    for variant, rates in (("paper", (0.9, 0.5)), ("published", (0.81, 0.95))):
        network = network_of("fast-weights", variant=variant)
        assert isinstance(network, KernelClassifier)
        found = [float(network.cell.params[name]) for name in ("weight_lambda", "weight_gamma")]
        assert found == pytest.approx(rates)
        assert not any("weight_lambda" in name or "weight_gamma" in name for name in network.parameters)
    gain = network.parameters["cell.layer_norm.weight"]
    assert np.abs(gain).max() <= 20**-0.5  # published: drawn around 0


@pytest.mark.parametrize("model", MODEL_NAMES)
@pytest.mark.parametrize("variant", ["paper", "published"])
def test_either_variant_at_any_size_learns_and_uses_energy(model: ModelName, variant: Any) -> None:
    settings = RetrievalSettings(
        model=model,
        variant=variant,
        hidden_size=5,
        batch=32,
        lr=0.02,
        train_sequences=640,
        validation_sequences=40,
        test_sequences=32,
    ).resolve()
    trainer, _ = prepare(settings)
    losses = []
    for _ in range(3):
        assert trainer.epoch(lambda: False, lambda: None)
        losses.append(trainer.progress.history[-1].loss)
    assert losses[-1] < losses[0]
    energy = trainer.progress.history[-1].energy_by_step
    assert len(energy) == 9 and min(energy) > 0
    published = variant == "published" and model in ("stpnf", "stpnf-scalar", "hebbff")
    assert settings.backend == ("torch" if published or model in ("lstm", "rnn") else "kernel")


def trainers_of(model: ModelName, variant: Any) -> list[Trainer]:
    """The same training in float64, by the kernel and by PyTorch."""
    settings = RetrievalSettings(
        model=model, variant=variant, dtype="float64", batch=16, train_sequences=3200, epochs=1
    )
    return [prepare(replace(settings, backend=backend))[0] for backend in ("kernel", "torch")]


@pytest.mark.parametrize("model", BY_KERNEL)
def test_200_updates_by_the_kernel_and_by_torch(model: ModelName) -> None:
    """From the same initial parameters, the losses agree to 1e-9, and so do the answers then. Fast weights
    are those as published: training those of the paper makes 1e-16 of the gradient 1e-2 of the loss."""
    variant = "published" if model == "fast-weights" else "paper"
    runs = []
    for trainer in trainers_of(model, variant):
        losses = []
        for _ in range(200):
            before = trainer.progress.loss_sum
            trainer._update(trainer.train)
            losses.append(trainer.progress.loss_sum - before)
        assert trainer.optimizer.steps == 200
        runs.append((np.array(losses), evaluate(trainer.network, trainer.validation[:100])))
    (kernel, of_kernel), (plain, of_plain) = runs
    assert np.abs(kernel - plain).max() < 1e-9 and kernel[-1] < kernel[0]
    assert of_kernel.accuracy == of_plain.accuracy
    np.testing.assert_allclose(of_kernel.energy_by_step, of_plain.energy_by_step, rtol=1e-9)


def test_fast_weights_of_the_paper_have_the_same_gradients_all_along() -> None:
    kernel, plain = trainers_of("fast-weights", "paper")
    for update in range(200):
        plain.network.vector[:] = kernel.network.vector
        batch = kernel.train[16 * update : 16 * (update + 1)]
        x, answers = batch.one_hot("float64"), batch.answers
        losses = [trainer.network.loss(x, answers)[0] for trainer in (kernel, plain)]
        assert abs(losses[0] - losses[1]) < 1e-12
        gradient = kernel.network.gradient
        assert np.abs(gradient - plain.network.gradient).max() < 1e-12 * np.abs(gradient).max()
        kernel.optimizer.step(gradient)


@pytest.mark.parametrize("model", ["lstm", "rnn"])
def test_the_energy_of_pytorchs_networks(model: ModelName) -> None:
    """As docs/cells.md, section 2, has it: |W_ih| x² + |W_hh| h², of an LSTM summed over the gates."""
    network = network_of(model, 4, dtype="float64")
    x = generate(5, np.random.default_rng(0)).one_hot("float64")
    W, U = (np.abs(network.parameters[f"cell.rnn.weight_{part}_l0"]) for part in ("ih", "hh"))
    y = network.cell(torch.from_numpy(x))[0].detach().numpy()  # type: ignore[attr-defined]
    h = np.concatenate([np.zeros((5, 1, 4)), y[:, :-1]], axis=1)
    expected = (x**2 @ W.T).sum(axis=2) + (h**2 @ U.T).sum(axis=2)
    np.testing.assert_allclose(network.respond(x).energy, expected, rtol=1e-12)


PUBLISHED = Path(__file__).resolve().parents[1] / "published"


@pytest.mark.parametrize("model", MODEL_NAMES)
def test_published_checkpoints_answer_and_use_energy_as_published(model: ModelName) -> None:
    """The networks of the variant "published", with the parameters of the published code's networks."""
    from stpn_swift.torch import load_published

    name = model.replace("-", "_")
    section = MODELS[model].section
    checkpoint = load_published(PUBLISHED / f"{name}.pth", {"model": section})
    described = describe(section, MODELS[model].hidden_size, "published")
    network = build(described, usual_backend(described), "float64", np.random.default_rng(0))
    inner = getattr(checkpoint.cell, "cell", checkpoint.cell)
    theirs = {f"cell.{key}": value for key, value in inner.named_parameters()}
    theirs |= {f"readout.{key}": value for key, value in checkpoint.readouts["hidden2tag"].named_parameters()}
    for key, array in network.parameters.items():
        array[...] = theirs[key].detach().numpy()
    expected = np.load(PUBLISHED / f"{name}.npz")
    response = network.respond(expected["x"].astype(np.float64))
    logits = expected["logits"] if expected["logits"].ndim == 2 else expected["logits"][:, -1]
    np.testing.assert_allclose(response.logits, logits, rtol=0, atol=1e-6)
    assert response.energy.shape == (4, 9)
    np.testing.assert_allclose(response.energy, expected["energy"], rtol=1e-5)
