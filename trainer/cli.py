"""The trainer's commands, as :mod:`monitor.cli` names them."""

from __future__ import annotations

from trainer.bench import kernel
from trainer.evaluate import evaluate
from trainer.train import train
from trainer.train_qrs import train_qrs

__all__ = ["evaluate", "kernel", "train", "train_qrs"]
