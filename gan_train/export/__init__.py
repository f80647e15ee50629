"""Exports a run's checkpoint as checked model files."""

from gan_train.export.generator import TRUNCATION, Exported, export, verify, write
from gan_train.export.verification import MOST_LEVELS, VERIFIED_BATCHES

__all__ = ["MOST_LEVELS", "TRUNCATION", "VERIFIED_BATCHES", "Exported", "export", "verify", "write"]
