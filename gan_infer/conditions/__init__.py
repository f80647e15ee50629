"""What a person asks a model for: classes and mixes of them."""

from gan_infer.conditions.labels import classes_of_seeds

__all__ = ["classes_of_seeds"]
