"""A critic's judgement depends on the picture alone; the best of several is still named by its seed."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from gan_infer import Critic, DataError, Generator, LabelError, ModelError, OptionError
from gan_infer.latent.seeds import candidate_seeds
from gan_infer.modelfile.golden import golden_picture
from tests.conftest import CONDITIONAL, DCGAN_PLAIN, RGBA, UNCONDITIONAL, Kind, random_pictures, with_metadata

Models = Callable[[Kind], Path]
KINDS = [CONDITIONAL, UNCONDITIONAL, DCGAN_PLAIN, RGBA]


@pytest.fixture(scope="module")
def critic(critic_file: Models) -> Critic:
    return Critic.load(critic_file(CONDITIONAL), device="cpu")


def labels_of(kind: Kind, count: int) -> np.ndarray | None:
    return np.arange(count) % kind.classes if kind.classes else None


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_judgement_does_not_depend_on_the_batch(critic_file: Models, kind: Kind) -> None:
    critic = Critic.load(critic_file(kind), device="cpu")
    pictures, labels = random_pictures(kind, 70, seed=3), labels_of(kind, 70)
    whole = critic(pictures, labels)
    assert whole.shape == (70,)
    assert whole.dtype == np.float32
    assert 0 <= whole.min() < 0.3
    assert 0.7 < whole.max() <= 1
    for size in (1, 2, 7, 64):
        parts = [
            critic(pictures[i : i + size], None if labels is None else labels[i : i + size])
            for i in range(0, 70, size)
        ]
        assert np.array_equal(np.concatenate(parts), whole), size


def test_threads_that_share_a_critic_get_their_own_judgements(critic: Critic) -> None:
    pictures = random_pictures(CONDITIONAL, 40)

    def judge(index: int) -> float:
        return float(critic(pictures[index : index + 1], [index % 10])[0])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(judge, range(40))) == [judge(index) for index in range(40)]


def test_golden_judgements_are_what_the_file_says(critic_file: Models) -> None:
    for kind in (CONDITIONAL, RGBA, UNCONDITIONAL):
        critic = Critic.load(critic_file(kind), device="cpu")
        assert len(critic.metadata.golden) == 4
        for golden in critic.metadata.golden:
            picture = golden_picture(golden, critic.image_shape)
            got = critic(picture[None], None if golden.label is None else [golden.label])
            assert abs(float(got[0]) - golden.realness) < 1e-4


def test_what_a_critic_says_of_itself(critic: Critic, critic_file: Models) -> None:
    assert (critic.image_shape, critic.conditional, critic.device) == ((28, 28, 1), True, "cpu")
    assert critic.label_index("class 3") == critic.label_index("3") == 3
    assert repr(critic).startswith("<Critic 'critic-resnet")
    assert not Critic.load(critic_file(UNCONDITIONAL), device="cpu").conditional


def test_a_file_of_the_other_kind_is_named(critic_file: Models, model_file: Models) -> None:
    with pytest.raises(ModelError, match=r"is a generator, not a critic; open it with Generator\.load"):
        Critic.load(model_file(CONDITIONAL), device="cpu")
    with pytest.raises(ModelError, match=r"is a critic, not a generator; open it with Critic\.load"):
        Generator.load(critic_file(CONDITIONAL), device="cpu")


@pytest.mark.parametrize(
    "images", [np.zeros((2, 28, 28, 1)), np.zeros((28, 28, 1), np.uint8), np.zeros((0, 28, 28, 1), np.uint8)]
)
def test_images_of_another_shape_or_type_are_refused(critic: Critic, images: np.ndarray) -> None:
    with pytest.raises(OptionError, match=r"expected uint8 \[n, 28, 28, 1\]"):
        critic(images, [0] * len(images))


@pytest.mark.parametrize("labels", [None, [0], [0, 10], [0, -1], [0.5, 1]])
def test_labels_are_checked(critic: Critic, labels: object) -> None:
    with pytest.raises(LabelError):
        critic(random_pictures(CONDITIONAL, 2), labels)  # type: ignore[arg-type]


def test_a_label_for_an_unconditional_critic_is_refused(critic_file: Models) -> None:
    with pytest.raises(LabelError, match="unconditional"):
        Critic.load(critic_file(UNCONDITIONAL), device="cpu")(random_pictures(UNCONDITIONAL, 1), [0])


def test_files_images_and_arrays_of_any_size_are_scored_as_prepared(critic: Critic, tmp_path: Path) -> None:
    small = random_pictures(CONDITIONAL, 1)[0]
    large = small.repeat(3, 0).repeat(3, 1)  # averaged by area, it is the small one again
    Image.fromarray(large[..., 0]).save(tmp_path / "large.png")
    expected = float(critic(small[None], [4])[0])
    colour = np.repeat(large, 3, axis=2)
    for picture in (small, large, large[..., 0], colour, tmp_path / "large.png", Image.fromarray(colour)):
        assert critic.score([picture], "class 4") == pytest.approx([expected], abs=1e-6)
    assert critic.score(tmp_path / "large.png", 4).shape == (1,)
    several = critic.score([small, large], [4, 5])
    assert several == pytest.approx([expected, float(critic(small[None], [5])[0])], abs=1e-6)


def test_pictures_that_cannot_be_used_are_named(critic: Critic, tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(b"\x89PNG")
    for picture in (tmp_path / "cut.png", tmp_path / "gone.png", tmp_path):
        with pytest.raises(DataError, match=picture.name):
            critic.score([picture])
    with pytest.raises(DataError, match="is no picture"):
        critic.score([np.zeros((4, 4, 2), np.uint8)])
    with pytest.raises(DataError, match="at least one"):
        critic.score([])
    with pytest.raises(DataError, match="3 was given"):
        critic.score(3)  # type: ignore[arg-type]


def test_without_a_class_the_mean_of_the_log_odds_counts(critic: Critic) -> None:
    pictures = random_pictures(CONDITIONAL, 3)
    every = np.stack([critic(pictures, [label] * 3) for label in range(10)]).astype(float)
    odds = np.log(every / (1 - every)).mean(axis=0)
    assert critic.of_any_class(pictures) == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-5)
    assert np.array_equal(critic.score(pictures), critic.of_any_class(pictures))


# The best of several.


def test_candidates_are_those_that_are_written_down() -> None:
    mask, gamma = 2**64 - 1, 0x9E3779B97F4A7C15

    def mix(x: int) -> int:
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
        return x ^ (x >> 31)

    def word(s: int, i: int) -> int:
        return mix((mix((s + gamma) & mask) + (i + 1) * gamma) & mask)

    seeds = [0, 7, 2**63 - 1]
    expected = [[s, *(word(s, 2**32 + j) >> 1 for j in range(1, 5))] for s in seeds]
    got = candidate_seeds(np.array(seeds, np.uint64), 5)
    assert got.tolist() == expected
    assert got.max() < 2**63
    assert got[1, 1] == 7907787188990097095  # a published vector


def test_the_best_of_four_is_the_most_real_candidate_under_the_label(
    conditional: Generator, critic: Critic
) -> None:
    chosen = conditional.sample(9, label=3, seed=5, best_of=4, critic=critic)
    candidates = candidate_seeds(np.arange(5, 14, dtype=np.uint64), 4)
    drawn = conditional(conditional.latents(candidates.reshape(-1)), [3] * 36)
    told = critic(drawn, [3] * 36).reshape(9, 4)
    assert np.array_equal(chosen, drawn.reshape(9, 4, 28, 28, 1)[np.arange(9), told.argmax(axis=1)])
    plain = conditional.sample(9, label=3, seed=5)
    assert critic(chosen, [3] * 9).mean() > critic(plain, [3] * 9).mean()


def test_what_was_chosen_can_be_drawn_again(conditional: Generator, critic: Critic) -> None:
    pictures, seeds = conditional.choose(9, 3, 5, best_of=4, critic=critic)
    assert np.array_equal(pictures, conditional.sample(9, label=3, seed=5, best_of=4, critic=critic))
    assert seeds.dtype == np.uint64
    assert len(set(seeds.tolist()) - set(range(5, 14))) >= 3  # others than those asked for
    again = [conditional.sample(1, label=3, seed=int(seed))[0] for seed in seeds]
    assert np.array_equal(pictures, again)


def test_the_best_depends_on_its_seed_alone(conditional: Generator, critic: Critic) -> None:
    many = conditional.sample(40, seed=0, best_of=3, critic=critic)
    for seed in (0, 13, 39):
        one = conditional.sample(1, seed=seed, best_of=3, critic=critic)
        assert np.array_equal(one[0], many[seed])
    assert np.array_equal(conditional.sample(4, seed=0, critic=critic), conditional.sample(4, seed=0))


def test_a_critic_that_cannot_choose_is_refused(
    conditional: Generator, unconditional: Generator, critic: Critic, critic_file: Models
) -> None:
    with pytest.raises(OptionError, match="needs a critic"):
        conditional.sample(1, best_of=4)
    with pytest.raises(OptionError, match="judges pictures of"):
        unconditional.sample(1, best_of=4, critic=critic)
    with pytest.raises(OptionError, match="best_of was 0"):
        conditional.sample(1, best_of=0, critic=critic)
    with pytest.raises(OptionError, match="at most"):
        conditional.sample(1, best_of=10**6, critic=critic)
    other = Critic.load(critic_file(RGBA), device="cpu")
    with pytest.raises(OptionError, match="judges pictures of"):
        conditional.sample(1, best_of=2, critic=other)


def test_classes_in_another_order_are_matched_by_name(
    conditional: Generator, critic: Critic, tmp_path: Path
) -> None:
    turned = tuple(reversed(critic.class_names))
    metadata = dataclasses.replace(critic.metadata, class_names=turned)
    path = with_metadata(Path(critic.source), metadata, tmp_path / "turned.onnx")
    other = Critic.load(path, device="cpu", trust=True)
    seeds = np.arange(6, dtype=np.uint64)
    got = conditional.sample(6, label=2, seed=0, best_of=4, critic=other)
    drawn = conditional(conditional.latents(candidate_seeds(seeds, 4).reshape(-1)), [2] * 24)
    told = critic(drawn, [7] * 24).reshape(6, 4)
    assert np.array_equal(got, drawn.reshape(6, 4, 28, 28, 1)[np.arange(6), told.argmax(axis=1)])


def test_a_pickled_critic_judges_the_same_and_a_changed_file_is_refused(
    critic_file: Models, tmp_path: Path
) -> None:
    path = tmp_path / "critic.onnx"
    path.write_bytes(critic_file(CONDITIONAL).read_bytes())
    critic = Critic.load(path, device="cpu", threads=1)
    pictures = random_pictures(CONDITIONAL, 3)
    packed = pickle.dumps(critic)
    assert len(packed) < 1000
    assert np.array_equal(pickle.loads(packed)(pictures, 4), critic(pictures, 4))
    path.write_bytes(critic_file(UNCONDITIONAL).read_bytes())
    with pytest.raises(ModelError, match="changed since the critic was pickled"):
        pickle.loads(packed)
    with pytest.raises(OptionError, match="session_options"):
        pickle.dumps(Critic.load(path, device="cpu", session_options=onnxruntime.SessionOptions()))


def test_a_closed_critic_says_so(critic_file: Models) -> None:
    with Critic.load(critic_file(CONDITIONAL), device="cpu") as critic:
        critic(random_pictures(CONDITIONAL, 1), 4)
    with pytest.raises(ModelError, match="was closed"):
        critic(random_pictures(CONDITIONAL, 1), 4)
