"""Measurements, each a module to run; they print ratios measured within one run."""
