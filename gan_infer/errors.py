"""The errors that users meet, one tree.

    GanError                 base of every error that ganforge raises on purpose
    +-- ModelError           a model file cannot be found, read or trusted
    +-- LabelError           no such class, or a model without classes
    +-- OptionError          an option or argument is out of its range
    +-- DeviceError          the requested device is not available
    +-- DataError            training pictures cannot be read or used
    +-- TrainingError        a run cannot go on (for example, values that are not finite)

Each message says what was given, what was expected and what to do, in one line that is safe to print
even if it quotes a hostile file.
"""

from gan_infer.text.escaping import plain


class GanError(Exception):
    """Base of every error that ganforge raises on purpose."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(plain(each) if isinstance(each, str) else each for each in arguments))


class ModelError(GanError):
    """A model file cannot be found, read or trusted."""


class LabelError(GanError):
    """A label names no class of the model, or the model has no classes."""


class OptionError(GanError):
    """An option or argument is out of its range, or a path cannot be written."""


class DeviceError(GanError):
    """The requested device is not available; the message names what is missing."""


class DataError(GanError):
    """Training pictures cannot be read or used; the message names the file."""


class TrainingError(GanError):
    """A training run cannot go on; the message names the network and the step."""
