"""Generator: loads a model file and makes pictures from seeds, labels and other conditions."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from gan_infer import arguments
from gan_infer.conditions.labels import LABEL
from gan_infer.errors import LabelError, OptionError
from gan_infer.latent import interpolation
from gan_infer.latent import seeds as latents
from gan_infer.modelfile import catalog, loader, signature
from gan_infer.modelfile.metadata import GENERATOR, Metadata
from gan_infer.modelfile.reading import Setting, make_reading
from gan_infer.models.base import Model
from gan_infer.models.feeds import Feeder, as_latents, split
from gan_infer.outputs.base import find_kind
from gan_infer.runtime.devices import Providers
from gan_infer.runtime.session import BATCH, AnySession
from gan_infer.text.escaping import abridge

if TYPE_CHECKING:
    import numpy.typing as npt
    import onnxruntime as ort
    from PIL import Image

    from gan_infer.conditions.labels import LabelSpec, Mix, Weights
    from gan_infer.conditions.names import Label
    from gan_infer.conditions.spec import Feed
    from gan_infer.latent.directions import Amount, Direction
    from gan_infer.models.critic import Critic
    from gan_infer.models.feeds import Latents, Point
    from gan_infer.provenance.record import Provenance

    Pictures = npt.NDArray[np.uint8]
    Seeds = latents.Seeds


class Generator(Model[Metadata]):
    """A generator of pictures from a model file. Make one with `Generator.load`.

    The same model, seed and label give the same pixels, for every batch size, position in the batch,
    number of threads and process: byte for byte on one machine and execution provider; between them,
    pixel values differ by at most 1 of 256.

    Threads can share a generator. A forked process opens the model again at its first picture. It is
    pickled as the name and SHA-256 of its file and the options of `load`. As a context manager it
    closes itself.

    Attributes:
        metadata: what the file says about itself.
        source: where the model comes from, a path.
    """

    def __init__(self, session: AnySession, metadata: Metadata, source: str, batch: int = BATCH) -> None:
        """Hold an open session; `batch` is the largest number of pictures in one call of it.

        Raises:
            ModelError: an input or the output has a kind that this version does not know.
        """
        super().__init__(session, metadata, source, batch)
        self._kind = find_kind(metadata.outputs[0], metadata.name)
        self._feeder = Feeder(metadata, self._conditions)

    @classmethod
    def load(
        cls,
        source: catalog.Source = catalog.DEFAULT,
        device: str = "auto",
        providers: Providers | None = None,
        session_options: ort.SessionOptions | None = None,
        threads: int | None = None,
        *,
        latent_input: str | None = None,
        label_input: str | None = None,
        output: str | None = None,
        class_names: Sequence[str] | None = None,
        value_range: tuple[float, float] | None = None,
        image_shape: Sequence[int] | None = None,
        set_inputs: Mapping[str, Setting] | None = None,
        trust: bool = False,
    ) -> Generator:
        """Load a model file.

        A file that is new on this machine first runs once in a process with limits, which takes a moment;
        the result is kept by the hash of the file (SECURITY.md says what this protects from).

        An ONNX generator by another tool can be loaded as well, if its inputs and output can be recognised
        (`gan_infer.modelfile.foreign` says which) or are given by the seven arguments before the last.

        Args:
            source: a path, a folder with one .onnx file, the name of a shipped model,
                `hf://owner/repository[@revision][/file]` (needs the extra `hub`), or the file itself:
                its bytes, or an open binary file.
            device: "auto" takes an NVIDIA GPU if one works, else the CPU; "cpu"; "cuda" or "cuda:1"
                takes that GPU or raises, as do "coreml" and "dml" if the installed runtime has them.
            providers: onnxruntime's own list of execution providers, instead of `device`. If the CPU is
                in it, providers that are not available are left out, and `device_note` says so; else
                the first must be available.
            session_options: onnxruntime's own options, passed on unchanged.
            threads: 1 to 1,024, the number of threads on the CPU; by default the number of cores that
                affinity and control groups leave to this process.
            latent_input: of a foreign file, the input that takes latents.
            label_input: of a foreign file, the input that takes labels.
            output: of a foreign file, the output that is the picture.
            class_names: of a foreign file, the classes, in the order of their indices.
            value_range: of a foreign file, its values for black and white: (-1, 1), (0, 1) or (0, 255).
            image_shape: of a foreign file, the order of a picture's values, if its output does not
                show it: (28, 28), (32, 32, 3) or (3, 32, 32).
            set_inputs: of a foreign file, the inputs that stay constant, and the value of each: a
                number or a flag, or several.
            trust: open a new file without running it first in a process with limits, and without a
                check of its golden pictures; for your own files.

        Raises:
            ModelError: there is no such file, `modelfile.safety` refuses it, it exceeds the limits of its
                first run, it draws other pictures than it says, or it is not a generator that this
                version can read or recognise.
            DeviceError: the requested device is not available; the message says what is missing.
            OptionError: `device` is unknown, `threads` is out of range or given together with
                `session_options`, an hf:// address is given without the extra `hub`, or an
                argument for foreign files does not fit the file, or is given for one of ours.
        """
        reading = make_reading(
            latent_input, label_input, output, class_names, value_range, image_shape, set_inputs
        )
        opened = loader.open_model(
            source, GENERATOR, device, providers, session_options, threads, reading, trust=trust
        )
        metadata = opened.metadata
        assert isinstance(metadata, Metadata)
        signature.check_signature(opened.session, metadata, opened.source)
        generator = cls(opened.session, metadata, opened.source, opened.batch)
        generator.file_note = opened.note
        if session_options is None:
            options = {"device": device, "providers": providers, "threads": threads, "trust": trust}
            generator._remember(source, **options, **dataclasses.asdict(reading))
        return generator

    # What the file says about itself.

    @property
    def latent_dim(self) -> int:
        """Elements in a latent."""
        return self.metadata.latent_dim

    @property
    def mixes_labels(self) -> bool:
        """True if labels can be mixed: {"4": 0.7, "9": 0.3}, or "4:0.7,9:0.3"."""
        return self._classes.mixes

    @property
    def directions(self) -> dict[str, Direction]:
        """The directions to `edit` a picture along, by name, in the file's order."""
        return dict(self._feeder.directions)

    # Pictures.

    def __call__(
        self, latents: npt.ArrayLike, labels: npt.ArrayLike | Mix | None = None, **conditions: npt.ArrayLike
    ) -> Pictures:
        """Return the pictures of latents, for callers that have latents and no seeds.

        Args:
            latents: float [n, latent_dim], n >= 1, or a single one, [latent_dim]; finite, which is not
                checked here.
            labels: integer [n], always class indices, for all class names; or one class or mix for all,
                as in `sample`; or float [n, classes], weights of classes, if the model mixes labels.
                Required by a conditional model, refused by others.
            **conditions: other conditions by the name of their input, arrays [n, ...] as the model takes
                them.

        Returns:
            uint8 [n, height, width, channels], or the array of another kind of output.

        Raises:
            OptionError: `latents` has a wrong shape, or there is no such condition.
            LabelError: `labels` are missing, not expected, of a wrong shape or out of range.
        """
        array = as_latents(latents)
        if array.ndim == 1:
            array = array[None]
        count = len(array) if array.ndim == 2 else 0
        if count == 0 or array.shape[1] != self.metadata.latent_dim:
            raise OptionError(
                f"latents of shape {array.shape} were given; "
                f"expected [n, {self.metadata.latent_dim}] with n >= 1"
            )
        if labels is not None:
            conditions[LABEL] = labels  # type: ignore[assignment]
        feed = {"latent": array, **self._conditions.check(conditions, count)}
        if count > self._batch:
            return self._run_all(split(feed, self._batch), count)
        drawn: Pictures = self._run(self._outputs, feed)[0]
        return drawn

    @overload
    def sample(
        self,
        n: int = 1,
        label: LabelSpec = None,
        seed: int | None = None,
        output: Literal["np"] = "np",
        *,
        psi: float = 1.0,
        best_of: int = 1,
        critic: Critic | None = None,
        **conditions: Any,
    ) -> Pictures: ...
    @overload
    def sample(
        self,
        n: int = 1,
        label: LabelSpec = None,
        seed: int | None = None,
        *,
        output: Literal["pil"],
        psi: float = 1.0,
        best_of: int = 1,
        critic: Critic | None = None,
        **conditions: Any,
    ) -> list[Image.Image]: ...
    def sample(
        self,
        n: int = 1,
        label: LabelSpec = None,
        seed: int | None = None,
        output: Literal["np", "pil"] = "np",
        *,
        psi: float = 1.0,
        best_of: int = 1,
        critic: Critic | None = None,
        **conditions: Any,
    ) -> Pictures | list[Image.Image]:
        """Make n pictures, those of the seeds seed, seed + 1, ... seed + n - 1.

        Args:
            n: the number of pictures, at least 1.
            label: a class by name or by index, one for all or one each (n of them). A text is a
                name first; a number is an index, and is refused if it is the name of another class,
                unless "index:7" or "name:7" says which. None lets the seed choose: class
                seed % number of classes. If the model mixes labels, a class can be a mix:
                {4: 0.7, 9: 0.3} or "4:0.7,9:0.3", scaled to a sum of 1.
            seed: 0 <= seed < 2**63; None takes a new one each time.
            output: "np" or "pil".
            psi: truncation, 0 to 2, a factor on latents in addition to the graph's own: below 1 gives
                more typical, less varied pictures, 0 the mean picture.
            best_of: the number of candidates per seed, all with its label; the one that looks most real
                to `critic` is returned. `latents.candidate_seeds` defines the candidates, so that a
                seed still names one picture.
            critic: a critic for pictures of the same shape and, if it takes labels, the same classes.
            **conditions: other conditions of the model by the name of their input, `age=60`: one value
                for all, or n of them, one each. The seed chooses those that are left out.

        Returns:
            uint8 [n, height, width, channels], or a list of n Pillow images; if the model makes no
            pictures, the array that it returns.

        Raises:
            OptionError: n, seed, psi, output or best_of is out of range, n pictures would fill more
                than 2 GiB (use `iter_batches`), the critic is missing or does not fit, or the model
                takes no such condition.
            LabelError: there is no such class, the number of labels is wrong, or the model takes none.
        """
        self._kind.check_form(output)
        count = self._feeder.count(n)
        candidates = arguments.whole_number(best_of, "best_of")
        if candidates != 1 or critic is not None:
            options: Any = {"best_of": candidates, "critic": critic, "psi": psi, **conditions}
            drawn = self.choose(count, label, seed, **options)[0]
        else:
            first, rows = (
                _choose_first(count, seed),
                self._conditions.read({LABEL: label, **conditions}, count),
            )
            size, factor = min(BATCH, self._batch), interpolation.check_psi(psi)
            drawn = self._run_all(self._feeder.iter_seeds(first, count, rows, factor, size), count)
        converted: Pictures = self._kind.convert(drawn, output)
        return converted

    def choose(
        self,
        n: int = 1,
        label: LabelSpec = None,
        seed: int | None = None,
        *,
        best_of: int,
        critic: Critic | None,
        psi: float = 1.0,
        **conditions: Any,
    ) -> tuple[Pictures, npt.NDArray[np.uint64]]:
        """Make the pictures that `sample` makes with `best_of`, and return which candidates they are.

        Returns:
            uint8 [n, height, width, channels], and uint64 [n]: the seed of each candidate, drawn with
            the conditions of the seed that it was chosen for. `provenance` takes both.

        Raises:
            OptionError, LabelError: as `sample`.
        """
        from gan_infer.models.best_of import check, choose_best  # most callers do not choose

        count, factor = self._feeder.count(n), interpolation.check_psi(psi)
        first = _choose_first(count, seed)
        seeds = np.arange(first, first + count, dtype=np.uint64)
        given = self._conditions.feed(self._conditions.read({LABEL: label, **conditions}, count), seeds)
        candidates = arguments.whole_number(best_of, "best_of")
        critic = check(critic, self.image_shape, self.class_names, self._conditions.each, candidates)
        values = self._conditions.describe(given)
        if critic.conditional and any(isinstance(each, Mapping) for each in values[LABEL]):
            raise LabelError("a critic with classes takes no mixes of labels; give one class, or no best_of")

        def draw(seeds: npt.NDArray[np.uint64], conditions: Feed) -> Pictures:
            return self._draw(self._feeder.with_latents(self.latents(seeds), conditions, factor))

        critic_feed = critic._read({name: values[name] for name in critic._conditions.each}, count)
        return choose_best(draw, critic._run_pictures, seeds, given, critic_feed, candidates)

    def iter_batches(
        self,
        n: int,
        label: LabelSpec = None,
        seed: int | None = None,
        batch_size: int = BATCH,
        *,
        psi: float = 1.0,
        **conditions: Any,
    ) -> Iterator[Pictures]:
        """Make n pictures as `sample` does, in batches, with memory that does not grow with n.

        Arguments are checked at the call, before the first batch is requested.

        Returns:
            an iterator over uint8 [batch_size, height, width, channels]; the last may be shorter.

        Raises:
            OptionError, LabelError: as `sample`.
        """
        count = arguments.whole_number(n)
        size = arguments.whole_number(batch_size, "batch_size")
        first, rows = _choose_first(count, seed), self._conditions.read({LABEL: label, **conditions}, count)
        feeds = self._feeder.iter_seeds(first, count, rows, interpolation.check_psi(psi), size)
        return map(self._draw, feeds)

    @overload
    def grid(
        self,
        label: LabelSpec = None,
        seeds: latents.Seeds | None = None,
        rows: int | None = None,
        columns: int | None = None,
        output: Literal["np"] = "np",
        *,
        psi: float = 1.0,
        **conditions: Any,
    ) -> Pictures: ...
    @overload
    def grid(
        self,
        label: LabelSpec = None,
        seeds: latents.Seeds | None = None,
        rows: int | None = None,
        columns: int | None = None,
        *,
        output: Literal["pil"],
        psi: float = 1.0,
        **conditions: Any,
    ) -> Image.Image: ...
    def grid(
        self,
        label: LabelSpec = None,
        seeds: latents.Seeds | None = None,
        rows: int | None = None,
        columns: int | None = None,
        output: Literal["np", "pil"] = "np",
        *,
        psi: float = 1.0,
        **conditions: Any,
    ) -> Pictures | Image.Image:
        """Lay out pictures on one sheet.

        If the model is conditional, without `label` and without `rows`, each row is a class and each
        column a seed. If there are very many classes, only the first are shown, as many as fit on a sheet
        that viewers can open (16,383 pixels at 64 per picture), and a warning says so. Otherwise the seeds
        fill the sheet row by row; `label` can be a list of classes, one per seed.

        Args:
            label: as in `sample`; one for all, or one per seed.
            seeds: the seeds to show; by default 0, 1, ... as many as fit on the sheet.
            rows: rows of the sheet; by default as many as needed (8 if no seeds are given).
            columns: pictures per row; by default 8.
            output: "np" or "pil".
            psi: as in `sample`.
            **conditions: as in `sample`; one for all, or one per picture in the order of the sheet.

        Returns:
            uint8 [height, width, channels] of the whole sheet, or a Pillow image.

        Raises:
            OptionError: there are too many seeds, or rows, columns or a seed is out of range.
            LabelError: as `sample`.
        """
        self._kind.check_form(output)
        self._kind.check_pictures()
        shown = self._feeder.sheet({LABEL: label, **conditions}, seeds, rows, columns)
        if shown.rows < shown.choices:
            warnings.warn(
                f"the sheet shows the first {shown.rows:,} of {shown.choices:,} classes; "
                "for others give label, or rows and columns",
                stacklevel=2,
            )
        feed = self._feeder.with_latents(self.latents(shown.seeds), shown.conditions, psi)
        sheet: Pictures = self._kind.lay_out(self._draw(feed), shown.columns)
        converted: Pictures = self._kind.convert(sheet[None], output)[0]
        return converted

    def provenance(
        self,
        seeds: latents.Seeds,
        label: LabelSpec = None,
        *,
        psi: float = 1.0,
        scale: int = 1,
        **conditions: Any,
    ) -> Provenance:
        """Return where the pictures of seeds come from, for `images.save`; `psi` is as given to `sample`.

        Args:
            scale: how often each pixel was repeated, as by `images.enlarge`.

        Raises:
            OptionError, LabelError: as `sample`.
        """
        chosen = latents.seed_array(seeds)
        rows = self._conditions.read({LABEL: label, **conditions}, len(chosen))
        feed = self._conditions.feed(rows, chosen)
        return self._record(chosen, feed, interpolation.check_psi(psi), scale)

    def grid_provenance(
        self,
        label: LabelSpec = None,
        seeds: latents.Seeds | None = None,
        rows: int | None = None,
        columns: int | None = None,
        *,
        psi: float = 1.0,
        scale: int = 1,
        **conditions: Any,
    ) -> Provenance:
        """Return where the sheet comes from that `grid` makes with the same arguments.

        Raises:
            OptionError, LabelError: as `grid`.
        """
        shown = self._feeder.sheet({LABEL: label, **conditions}, seeds, rows, columns)
        factor = interpolation.check_psi(psi)
        return self._record(shown.seeds, shown.conditions, factor, scale, shown.columns)

    def latents(self, seeds: latents.Seeds) -> Latents:
        """Return the latents of seeds, float32 [number of seeds, latent_dim].

        Raises:
            OptionError: a seed is not an integer or not in 0 <= seed < 2**63.
        """
        return self._feeder.latents(seeds)

    def latent(self, seed: int) -> Latents:
        """Return the latent of one seed, float32 [latent_dim], for calculations.

        `z = gen.latent(3) + 0.5 * (gen.latent(8) - gen.latent(5))` is a latent too; draw it with
        `gen(z, label)`.

        Raises:
            OptionError: as `latents`.
        """
        latent: Latents = self.latents(latents.check_seed(seed))[0]
        return latent

    # Paths and edits in the latent space.

    def interpolate(
        self,
        a: Point,
        b: Point,
        steps: int = 9,
        mode: Literal["slerp", "lerp"] | None = None,
        label: LabelSpec = None,
        *,
        psi: float = 1.0,
        **conditions: Any,
    ) -> Pictures:
        """Make the pictures on the path from one seed or latent to another, including both.

        Args:
            a: the seed of the first picture, or its latent, float [latent_dim].
            b: the same for the last picture.
            steps: the number of pictures, at least 2.
            mode: "slerp" (an arc) or "lerp" (a straight line), see `latent.interpolation`; None takes the
                arc for normal latents and the line for uniform ones, which do not lie on a sphere.
            label: a class or mix for all or, if the model mixes labels, two of them, for the ends. None
                lets the seeds choose, as in `sample`.
            psi: as in `sample`.
            **conditions: other conditions by name, one for all or two of them, for the ends.

        Returns:
            uint8 [steps, height, width, channels].

        Raises:
            OptionError: an argument is out of its range or has a wrong shape.
            LabelError: there is no such class, the labels of the ends differ and the model cannot mix
                them, or an end is a latent and no label is given.
        """
        count, given = self._feeder.count(steps, "steps"), {LABEL: label, **conditions}
        return self._draw(self._feeder.interpolate(a, b, count, mode, given, psi))

    def loop(
        self,
        points: Sequence[Point] | npt.NDArray[Any],
        steps: int = 64,
        mode: Literal["slerp", "lerp"] | None = None,
        label: LabelSpec = None,
        *,
        psi: float = 1.0,
        **conditions: Any,
    ) -> Pictures:
        """Make the frames of a closed path through seeds or latents, from the first back to it.

        The last frame is one step before the first, so that they repeat without a stop. From each point
        to the next there are equally many steps.

        Args:
            points: seeds or latents, at least one.
            steps: the number of frames, at least 1.
            mode: as in `interpolate`.
            label: a class or mix for all, or one per point; None lets the seeds choose.
            psi: as in `interpolate`.
            **conditions: other conditions by name, one for all or one per point.

        Returns:
            uint8 [steps, height, width, channels].

        Raises:
            OptionError, LabelError: as `interpolate`.
        """
        count, given = self._feeder.count(steps, "steps"), {LABEL: label, **conditions}
        return self._draw(self._feeder.loop(points, count, mode, given, psi))

    def edit(
        self,
        seed: Seeds | npt.NDArray[np.floating[Any]],
        label: LabelSpec = None,
        amounts: Mapping[str | int, Amount] | None = None,
        *,
        psi: float = 1.0,
        **named: Any,
    ) -> Pictures:
        """Make the pictures of seeds, changed along directions: `gen.edit(7, thickness=+2, slant=-1)`.

        Args:
            seed: one seed, several, or latents, float [latent_dim] or [n, latent_dim].
            label: as in `sample`; required if the model is conditional and latents are given.
            amounts: direction -> amount, for directions by number (k means "direction<k>") or with names
                that Python does not accept as keywords.
            psi: as in `sample`; applied to the latents after the change.
            **named: direction = amount, in the direction's units (see `directions`): a number, or n
                numbers, one per picture; and conditions of the model by the name of their input, as in
                `sample`. A name that both have means the condition; `amounts` reaches the direction.

        Returns:
            uint8 [n, height, width, channels]; with all amounts 0, the pictures of `sample`.

        Raises:
            OptionError: there is no such direction (the message names those there are), an amount is not
                a number from -100 to 100, or the numbers of seeds and amounts do not fit.
            LabelError: as `sample`.
        """
        if amounts is not None and not isinstance(amounts, Mapping):
            raise OptionError(
                f"amounts were {abridge(amounts)}; give direction -> amount, as {{'thickness': 2}}"
            )
        given = {name: value for name, value in named.items() if name in self._conditions.each}
        moves: dict[str | int, Amount] = dict(amounts or {})
        moves.update({name: value for name, value in named.items() if name not in given})
        return self._draw(self._feeder.edit(seed, {LABEL: label, **given}, moves, psi))

    # Labels.

    def label_weights(self, label: Label | Mix) -> Weights:
        """Return the weights of a class or mix, summing to 1: float32 [classes].

        Raises:
            LabelError: there is no such class, a mix does not parse, or the model is unconditional.
        """
        return self._classes.as_weights(self._classes.one(label))

    # Internal.

    def _draw(self, feed: Feed) -> Pictures:
        """Run a feed of any length."""
        return self._run_all(split(feed, self._batch), len(feed["latent"]))

    def _record(
        self, seeds: npt.NDArray[np.uint64], feed: Feed, psi: float, scale: int, columns: int = 0
    ) -> Provenance:
        from gan_infer.provenance.record import MAX_SCALE, PICTURE, SHEET, Provenance

        conditions = self._conditions.describe(feed)
        return Provenance(
            model=self.name,
            model_sha256=self.sha256,
            seeds=tuple(seeds.tolist()),
            labels=conditions.pop(LABEL, ()),
            psi=float(psi),
            kind=SHEET if columns else PICTURE,
            columns=columns,
            scale=arguments.whole_number(scale, "scale", most=MAX_SCALE),
            conditions=conditions,
        )


def _choose_first(count: int, seed: int | None) -> int:
    first = latents.fresh_seed(count) if seed is None else latents.check_seed(seed)
    if first + count > latents.SEED_LIMIT:
        raise OptionError(f"seeds {first} and the {count - 1} after it run past 2**63 - 1")
    return first
