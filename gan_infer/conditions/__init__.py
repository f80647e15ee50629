"""What a person asks a model for, such as a class or a mix of classes."""

from gan_infer.conditions.labels import classes_of_seeds

__all__ = ["classes_of_seeds"]
