"""The version of the whole package; it knows nothing else."""

__version__ = "0.1.0"
