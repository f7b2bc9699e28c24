"""What an installation has for the experiments."""

from __future__ import annotations

import importlib.metadata
import platform

from .. import show_config
from .models import MODELS, describe, usual_backend

PACKAGES = ("numpy", "torch", "tqdm", "matplotlib", "safetensors", "tyro")


def show_info() -> None:
    """Prints the kernel, the packages and the networks."""
    show_config()
    print(f"python           {platform.python_version()}")
    for package in PACKAGES:
        print(f"{package:16} {installed_version(package)}")
    print("\nmodel            neurons  computed by (paper, published)")
    for name, model in MODELS.items():
        backends = [
            usual_backend(describe(model.section, model.hidden_size, variant))
            for variant in ("paper", "published")
        ]
        print(f"{name:16} {model.hidden_size:7}  {', '.join(backends)}")


def installed_version(package: str) -> str:
    """As pip names it, without an import of the package."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
