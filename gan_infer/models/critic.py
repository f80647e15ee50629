"""Critic: load a model file, then pictures in, how real they look out.

`realness` is calibrated: of pictures that get 0.6, about 60 % are real, where as many real as
generated ones are shown. It is the view of one critic on pictures of the kind that it was trained on,
and says nothing of pictures of another kind or made by another generator.

The file, for programs in other languages: inputs `image` uint8 [batch, height, width, channels] and, where
there are classes, `label` int64 [batch]; output `realness` float32 [batch]; the description is that of
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

    A picture's realness does not depend on the pictures that it is judged with.

    Attributes:
        metadata: all that the file says of itself, its calibration among it.
        source: where the model came from, a path.
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
            ModelError: no such file, or it is no critic that this version can read.
            DeviceError: the asked-for device cannot be had; says what is missing.
            OptionError: `device` is none that there is, or `threads` is out of range.
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

    # Judgements.

    def __call__(
        self, images: npt.ArrayLike, labels: npt.ArrayLike | None = None, **conditions: npt.ArrayLike
    ) -> Realness:
        """Say how real pictures of the critic's shape look.

        Args:
            images: uint8 [n, height, width, channels], n >= 1.
            labels: integer [n], class indices; needed by a conditional critic, refused by others.
            **conditions: other conditions by their input's name, arrays [n, ...] as the file takes them.

        Returns:
            float32 [n], from 0 to 1.

        Raises:
            OptionError: `images` are of another shape or type.
            LabelError: `labels` are missing, not wanted, of another shape or out of range.
        """
        array = self._check_images(images)
        if labels is not None:
            conditions[LABEL] = labels
        return self._judge(array, self._conditions.check(conditions, len(array), "picture"))

    def score(
        self,
        pictures: Picture | Iterable[Picture],
        labels: LabelSpec = None,
        value_range: ValueRange = None,
        **conditions: Any,
    ) -> Realness:
        """Say how real any pictures look, each brought to the critic's shape as in training.

        Args:
            pictures: paths, Pillow images or uint8 arrays [height, width] or
                [height, width, channels], of any size.
            labels: a class by index or by name, one for all or one each; None where it is not
                known, see `of_any_class`.
            value_range: as `settle_range` takes it, for all pictures together.
            **conditions: other conditions by their input's name, one for all or one each.

        Returns:
            float32 [n], from 0 to 1.

        Raises:
            DataError: a picture cannot be used; names it.
            LabelError: no such class, another number of labels, or the critic takes none.
            OptionError: `value_range` is none.
        """
        each = _list_pictures(pictures)
        chosen = self.settle_range(each, value_range)
        array = np.stack([self.prepare(picture, chosen) for picture in each])
        if labels is None and self.conditional and not conditions:
            return self.of_any_class(array)
        return self._judge(array, self._read({LABEL: labels, **conditions}, len(array)))

    def of_any_class(self, images: npt.ArrayLike) -> Realness:
        """Say how real pictures look whose class is not known: the mean log-odds under every class.

        Less telling than the class itself. (Not the class under which a picture looks most real: many a
        critic has never met a picture of a wrong class, and holds it more real.)

        Args:
            images: uint8 [n, height, width, channels], n >= 1.

        Returns:
            float32 [n], from 0 to 1.

        Raises:
            OptionError: `images` are of another shape or type.
        """
        array = self._check_images(images)
        if not self.conditional:
            return self(array)
        total = np.zeros(len(array))
        for index in range(len(self.class_names)):
            share = self(array, np.full(len(array), index)).astype(np.float64).clip(1e-7, 1 - 1e-7)
            total += np.log(share / (1 - share))
        return (1 / (1 + np.exp(-total / len(self.class_names)))).astype(np.float32)

    def settle_range(self, pictures: Iterable[Picture], value_range: ValueRange = None) -> Ranges | None:
        """Return which values of pictures with more than 8 bits are black and white, for all of them.

        Args:
            value_range: "LOW:HIGH" or (low, high); None or "auto" for that of the critic's training, else
                it is settled by what is in the pictures.

        Returns:
            None where no picture has more than 8 bits.

        Raises:
            DataError: their values are in no usual range; says what to give.
            OptionError: `value_range` is none.
        """
        from gan_infer.decoding import image, ranges

        known = ranges.read(value_range) or ranges.of_recipe(self.metadata.recipe)
        return known or image.settle_ranges(pictures)

    def prepare(
        self, picture: Picture, value_range: ValueRange = None, remarks: list[str] | None = None
    ) -> Pictures:
        """Bring a picture to the critic's shape: decoded, turned, cropped or padded, and averaged.

        Args:
            value_range: as `settle_range` takes it.
            remarks: what a person should know of the picture is added here, to be read after "pictures".

        Returns:
            uint8 [height, width, channels].

        Raises:
            DataError: it cannot be used; names it.
            OptionError: `value_range` is none.
        """
        from gan_infer.decoding import image, ranges  # brings Pillow

        shape, fit = self.image_shape, self.metadata.fit
        chosen = ranges.read(value_range) or ranges.of_recipe(self.metadata.recipe)
        if isinstance(picture, (str, os.PathLike)):
            try:
                path = arguments.path(picture, "a picture")
            except OptionError as error:
                raise DataError(str(error)) from None
            return image.read(path, shape, fit, chosen, remarks)
        if isinstance(picture, np.ndarray):
            if picture.dtype == np.uint8 and picture.shape == shape:
                return picture
            return image.prepare(_to_image(picture), shape, fit)
        from PIL import Image

        if not isinstance(picture, Image.Image):
            raise DataError(f"{abridge(picture)} was given; give a path, a Pillow image or a uint8 array")
        return image.prepare(picture, shape, fit, chosen, remarks)

    # Inside.

    def _judge(self, array: Pictures, conditions: Feed) -> Realness:
        return self._run_all(split({"image": array, **conditions}, self._batch), len(array))

    def _read(self, given: Mapping[str, Any], count: int) -> Feed:
        """Return the feed of conditions as people give them."""
        rows = self._conditions.read(given, count)
        self._conditions.need_all(rows)
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
