"""Measurements, each a module to run; they print ratios taken within one run."""
