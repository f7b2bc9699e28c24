"""A run of associative retrieval that takes a moment."""

from typing import Any

EPOCHS, BATCHES = 3, 6
SETTINGS: dict[str, Any] = {
    "hidden_size": 5,
    "epochs": EPOCHS,
    "batch": 16,
    "lr": 0.01,
    "train_sequences": 100,  # 6 batches and 4 sequences
    "validation_sequences": 50,
    "test_sequences": 40,
}
OPTIONS = [part for name, value in SETTINGS.items() for part in (f"--{name.replace('_', '-')}", str(value))]
