"""Associative retrieval in PyTorch: a layer of short-term plasticity neurons is a module like any other.

python examples/retrieval_torch.py --epochs 40
"""

import argparse

import stpn_swift.torch
import torch
from stpn_swift.experiments.retrieval_data import SYMBOLS, Seeds, Sequences, generate
from torch import Tensor, nn

BATCH = 128


class Retrieval(nn.Module):
    """Reads a sequence and tells the symbol that answers it."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.cell = stpn_swift.torch.STPNR(len(SYMBOLS), hidden_size)
        self.readout = nn.Linear(hidden_size, len(SYMBOLS))

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.cell(x)  # x (batch, time, symbols), y (batch, time, hidden)
        return self.readout(y[:, -1])


def tensors(sequences: Sequences) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(sequences.one_hot()), torch.from_numpy(sequences.answers).long()


def train(model: Retrieval, optimizer: torch.optim.Optimizer, sequences: Sequences) -> float:
    """Goes through the sequences once, and returns the mean loss."""
    batches = len(sequences) // BATCH
    total = 0.0
    for start in range(0, batches * BATCH, BATCH):
        x, answers = tensors(sequences[start : start + BATCH])
        loss = nn.functional.cross_entropy(model(x), answers)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / batches


@torch.no_grad()
def accuracy(model: Retrieval, sequences: Sequences) -> float:
    x, answers = tensors(sequences)
    return (model(x).argmax(dim=1) == answers).double().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description="Train STPNR on associative retrieval in PyTorch.")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--hidden-size", type=int, default=11)
    parser.add_argument("--sequences", type=int, default=100_000, help="for training")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    seeds = Seeds.from_seed(options.seed)
    training = generate(options.sequences, seeds.train)
    validation = generate(10_000, seeds.validation)
    torch.manual_seed(options.seed)
    model = Retrieval(options.hidden_size)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(1, options.epochs + 1):
        loss = train(model, optimizer, training)
        print(f"epoch {epoch:3}   loss {loss:.4f}   validation {accuracy(model, validation):.4f}", flush=True)
    print(f"test accuracy {accuracy(model, generate(20_000, seeds.test)):.5f}")


if __name__ == "__main__":
    main()
