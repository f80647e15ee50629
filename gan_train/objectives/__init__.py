"""Losses, penalties and augmentation."""
