"""The trainer's commands, as :mod:`monitor.cli` names them."""

from __future__ import annotations

from trainer.bench import kernel
from trainer.evaluate import evaluate
from trainer.train import train

__all__ = ["evaluate", "kernel", "train"]
