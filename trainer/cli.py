"""The trainer's commands, as :mod:`monitor.cli` names them."""

from __future__ import annotations

from trainer.bench import kernel
from trainer.dataset_cli import app as dataset
from trainer.evaluate import evaluate
from trainer.experiments_cli import app as experiments
from trainer.standard.command import standard
from trainer.train import train
from trainer.train_qrs import train_qrs
from trainer.train_quality import train_quality
from trainer.train_vf import train_vf

__all__ = [
    "dataset",
    "evaluate",
    "experiments",
    "kernel",
    "standard",
    "train",
    "train_qrs",
    "train_quality",
    "train_vf",
]
