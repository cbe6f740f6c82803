"""The trainer's commands, as :mod:`monitor.cli` names them."""

from __future__ import annotations

from trainer.evaluate import evaluate
from trainer.train import train

__all__ = ["evaluate", "train"]
