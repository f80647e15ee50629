"""Critic: loads a model file and says how real pictures look.

`realness` is calibrated: of the pictures that get 0.6, about 60 % are real, if half of all pictures shown
are real. It holds for pictures like those of the critic's training, and says nothing about pictures of
another kind or by another generator.

The file, for programs in other languages: inputs `image` uint8 [batch, height, width, channels] and, if
there are classes, `label` int64 [batch]; output `realness` float32 [batch]; metadata as in
`metadata.CriticMetadata`, under the same key as a generator's.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer import arguments
from gan_infer.conditions.labels import LABEL
from gan_infer.errors import DataError, OptionError
from gan_infer.modelfile import catalog, loader, signature
from gan_infer.modelfile.metadata import CRITIC, CriticMetadata
from gan_infer.models.base import Model
from gan_infer.models.feeds import split
from gan_infer.runtime.devices import Providers
from gan_infer.text.escaping import abridge

if TYPE_CHECKING:
    import numpy.typing as npt
    import onnxruntime as ort
    from PIL import Image

    from gan_infer.conditions.labels import LabelSpec
    from gan_infer.conditions.spec import Feed
    from gan_infer.decoding.ranges import Ranges

    Pictures = npt.NDArray[np.uint8]
    Realness = npt.NDArray[np.float32]
    Picture = str | os.PathLike[str] | Image.Image | npt.NDArray[np.uint8]
    ValueRange = str | tuple[float, float] | Ranges | None

_CHANNELS: Final = (1, 3, 4)


class Critic(Model[CriticMetadata]):
    """Says how real pictures look. Make one with `Critic.load`.

    A picture's realness does not depend on the other pictures in its batch.

    Attributes:
        metadata: what the file says about itself, including its calibration.
        source: where the model comes from, a path.
    """

    @classmethod
    def load(
        cls,
        source: catalog.Source,
        device: str = "auto",
        providers: Providers | None = None,
        session_options: ort.SessionOptions | None = None,
        threads: int | None = None,
        *,
        trust: bool = False,
    ) -> Critic:
        """Load a critic that `gan-train export --critic` wrote.

        Args:
            source: a path, a folder, an address or the file's bytes, as `Generator.load` takes it.
            device: as `Generator.load` takes it.
            providers: as `Generator.load` takes them.
            session_options: as `Generator.load` takes them.
            threads: as `Generator.load` takes them.
            trust: as `Generator.load` takes it.

        Raises:
            ModelError: there is no such file, or it is not a critic that this version can read.
            DeviceError: the requested device is not available; the message says what is missing.
            OptionError: `device` is unknown, or `threads` is out of range.
        """
        opened = loader.open_model(source, CRITIC, device, providers, session_options, threads, trust=trust)
        metadata = opened.metadata
        assert isinstance(metadata, CriticMetadata)
        signature.check_signature(opened.session, metadata, opened.source)
        critic = cls(opened.session, metadata, opened.source, opened.batch)
        critic.file_note = opened.note
        if session_options is None:
            critic._remember(source, device=device, providers=providers, threads=threads, trust=trust)
        return critic

    # Scores.

    def __call__(
        self, images: npt.ArrayLike, labels: npt.ArrayLike | None = None, **conditions: npt.ArrayLike
    ) -> Realness:
        """Return how real pictures look that have the critic's shape.

        Args:
            images: uint8 [n, height, width, channels], n >= 1.
            labels: integer [n], class indices; required by a conditional critic, refused by others.
            **conditions: other conditions by the name of their input, arrays [n, ...] as the file takes them.

        Returns:
            float32 [n], from 0 to 1.

        Raises:
            OptionError: `images` have a wrong shape or type.
            LabelError: `labels` are missing, not expected, of a wrong shape or out of range.
        """
        array = self._check_images(images)
        if labels is not None:
            conditions[LABEL] = labels
        return self._run_pictures(array, self._conditions.check(conditions, len(array), "picture"))

    def score(
        self,
        pictures: Picture | Iterable[Picture],
        labels: LabelSpec = None,
        value_range: ValueRange = None,
        **conditions: Any,
    ) -> Realness:
        """Return how real pictures of any size look, after resizing as in training.

        Args:
            pictures: paths, Pillow images or uint8 arrays [height, width] or
                [height, width, channels], of any size.
            labels: a class by index or by name, one for all or one each; None if it is not
                known, see `of_any_class`.
            value_range: as `settle_range` takes it, for all pictures together.
            **conditions: other conditions by the name of their input, one for all or one each.

        Returns:
            float32 [n], from 0 to 1.

        Raises:
            DataError: a picture cannot be used; the message names it.
            LabelError: there is no such class, the number of labels is wrong, or the critic takes none.
            OptionError: `value_range` is not a range.
        """
        each = _list_pictures(pictures)
        chosen = self.settle_range(each, value_range)
        array = np.stack([self.prepare(picture, chosen) for picture in each])
        if labels is None and self.conditional:
            return self.of_any_class(array, **conditions)
        return self._run_pictures(array, self._read({LABEL: labels, **conditions}, len(array)))

    def of_any_class(self, images: npt.ArrayLike, **conditions: Any) -> Realness:
        """Return how real pictures of unknown class look: by the mean of the log-odds over all classes.

        With the class, the result is more exact. (The highest realness over all classes would be wrong: a
        critic that never saw a picture with a wrong class can score it higher.)

        Args:
            images: uint8 [n, height, width, channels], n >= 1.
            **conditions: other conditions, as in `score`.

        Returns:
            float32 [n], from 0 to 1.

        Raises:
            OptionError: `images` have a wrong shape or type, or there is no such condition.
        """
        array = self._check_images(images)
        if not self.conditional:
            return self._run_pictures(array, self._read(conditions, len(array)))
        total = np.zeros(len(array))
        for index in range(len(self.class_names)):
            feed = self._read({**conditions, LABEL: f"index:{index}"}, len(array))
            share = self._run_pictures(array, feed).astype(np.float64).clip(1e-7, 1 - 1e-7)
            total += np.log(share / (1 - share))
        return (1 / (1 + np.exp(-total / len(self.class_names)))).astype(np.float32)

    def settle_range(self, pictures: Iterable[Picture], value_range: ValueRange = None) -> Ranges | None:
        """Return which values are black and white in pictures with more than 8 bits, one range for all.

        Args:
            value_range: "LOW:HIGH" or (low, high); None or "auto" for the range of the critic's training
                or, if that is not known, a range that fits the pictures.

        Returns:
            None if no picture has more than 8 bits.

        Raises:
            DataError: no usual range fits the values; the message says what to give.
            OptionError: `value_range` is not a range.
        """
        from gan_infer.decoding import decode, ranges

        known = ranges.read(value_range) or ranges.of_recipe(self.metadata.recipe)
        return known or decode.settle_ranges(pictures)

    def prepare(
        self, picture: Picture, value_range: ValueRange = None, remarks: list[str] | None = None
    ) -> Pictures:
        """Return a picture in the critic's shape: decoded, turned, cropped or padded, and resized.

        Args:
            value_range: as `settle_range` takes it.
            remarks: gets texts that the user should know, to be read after "pictures".

        Returns:
            uint8 [height, width, channels].

        Raises:
            DataError: it cannot be used; the message names it.
            OptionError: `value_range` is not a range.
        """
        from gan_infer.decoding import decode, ranges  # brings Pillow

        shape, fit = self.image_shape, self.metadata.fit
        chosen = ranges.read(value_range) or ranges.of_recipe(self.metadata.recipe)
        if isinstance(picture, (str, os.PathLike)):
            try:
                path = arguments.path(picture, "a picture")
            except OptionError as error:
                raise DataError(str(error)) from None
            return decode.read(path, shape, fit, chosen, remarks)
        if isinstance(picture, np.ndarray):
            if picture.dtype == np.uint8 and picture.shape == shape:
                return picture
            return decode.prepare(_to_image(picture), shape, fit)
        from PIL import Image

        if not isinstance(picture, Image.Image):
            raise DataError(f"{abridge(picture)} was given; give a path, a Pillow image or a uint8 array")
        return decode.prepare(picture, shape, fit, chosen, remarks)

    # Internal.

    def _run_pictures(self, array: Pictures, conditions: Feed) -> Realness:
        return self._run_all(split({"image": array, **conditions}, self._batch), len(array))

    def _read(self, given: Mapping[str, Any], count: int) -> Feed:
        """Return the feed of conditions that a person gives."""
        rows = self._conditions.read(given, count)
        if absent := [name for name in self._conditions.each if name not in rows]:
            raise OptionError(
                f"critic {self.name!r} needs {', '.join(absent)}, and got none; "
                f"give {absent[0]}=VALUE (on the command line: --condition {absent[0]}=VALUE)"
            )
        return self._conditions.feed(rows, np.zeros(count, np.uint64))

    def _check_images(self, images: npt.ArrayLike) -> Pictures:
        try:
            array = np.asarray(images)
        except (TypeError, ValueError):
            array = np.array(None)
        if array.dtype != np.uint8 or array.shape[1:] != self.image_shape or not array.size:
            height, width, channels = self.image_shape
            raise OptionError(
                f"images of shape {list(array.shape)} and type {array.dtype} were given; expected uint8 "
                f"[n, {height}, {width}, {channels}] with n >= 1 (score takes pictures of any size)"
            )
        return np.ascontiguousarray(array)


def _list_pictures(pictures: Picture | Iterable[Picture]) -> list[Picture]:
    from PIL import Image

    if isinstance(pictures, (str, os.PathLike, Image.Image)):
        return [pictures]
    if isinstance(pictures, np.ndarray):
        return list(pictures) if pictures.ndim == 4 else [pictures]
    try:
        found = list(pictures)
    except TypeError:
        raise DataError(
            f"{abridge(pictures)} was given; give pictures: paths, Pillow images or arrays"
        ) from None
    if not found:
        raise DataError("no pictures were given; give at least one")
    return found


def _to_image(array: npt.NDArray[Any]) -> Image.Image:
    from PIL import Image

    flat = array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array
    shaped = flat.ndim == 2 or (flat.ndim == 3 and flat.shape[2] in _CHANNELS)
    if array.dtype != np.uint8 or not shaped or not array.size:
        raise DataError(
            f"an array of shape {list(array.shape)} and type {array.dtype} is no picture; "
            "expected uint8 [height, width] or [height, width, 1, 3 or 4]"
        )
    return Image.fromarray(np.ascontiguousarray(flat))
