"""The trainer's commands, as :mod:`monitor.cli` names them."""

from __future__ import annotations

from trainer.beats.dataset_cli import app as dataset
from trainer.beats.experiments_cli import app as experiments
from trainer.beats.train import train
from trainer.scoring.evaluate import evaluate
from trainer.speed.bench import kernel
from trainer.standard.command import standard
from trainer.weights.train_qrs import train_qrs
from trainer.weights.train_quality import train_quality
from trainer.weights.train_vf import train_vf

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
