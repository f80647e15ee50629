from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gan_train.objectives import augment

AUGMENTATIONS = tuple(augment.TRANSFORMS)


def draws(count: int, seed: int = 0) -> torch.Tensor:
    return torch.rand((count, augment.DRAWS), generator=torch.Generator().manual_seed(seed))


ALWAYS, NEVER = torch.tensor(1.0), torch.tensor(0.0)


@given(
    st.sets(st.sampled_from(AUGMENTATIONS)),
    st.sampled_from([1, 3, 4]),
    st.integers(8, 40),
    st.integers(8, 40),
)
def test_shapes_stay_and_strength_zero_changes_nothing(
    names: set[str], channels: int, height: int, width: int
) -> None:
    policies = tuple(sorted(names))
    pictures = torch.rand(5, channels, height, width) * 2 - 1
    assert augment.augment(pictures, draws(5), ALWAYS, policies).shape == pictures.shape
    assert torch.equal(augment.augment(pictures, draws(5), NEVER, policies), pictures)


def test_the_table_holds_what_the_options_name() -> None:
    assert AUGMENTATIONS == ("colour", "translation", "cutout")


@pytest.mark.parametrize("strength", [0.2, 0.7])
def test_strength_is_the_share_of_pictures_that_change(strength: float) -> None:
    pictures = torch.rand(4000, 1, 8, 8) * 2 - 1
    changed = augment.augment(pictures, draws(4000), torch.tensor(strength), ("colour",))
    share = (changed != pictures).flatten(1).any(1).float().mean().item()
    assert share == pytest.approx(strength, abs=0.03)


def test_translation_moves_by_up_to_an_eighth_and_fills_with_zero() -> None:
    pictures = torch.zeros(600, 1, 16, 24)
    pictures[:, :, 8, 12] = 1.0
    moved = augment.augment(pictures, draws(600), ALWAYS, ("translation",))
    assert torch.equal(moved.sum((1, 2, 3)), torch.ones(600))
    places = moved[:, 0].flatten(1).argmax(1)
    rows, columns = places // 24, places % 24
    assert (rows.min(), rows.max()) == (6, 10)
    assert (columns.min(), columns.max()) == (9, 15)
    edge = augment.augment(torch.ones(50, 1, 16, 24), draws(50), ALWAYS, ("translation",))
    assert set(edge.unique().tolist()) == {0.0, 1.0}


def test_cutout_blanks_a_rectangle_of_half_of_each_side_wherever_its_centre_lies() -> None:
    cut = augment.augment(torch.ones(2000, 3, 16, 24), draws(2000), ALWAYS, ("cutout",)) == 0
    areas = cut[:, 0].flatten(1).sum(1)
    assert areas.max() == 8 * 12
    assert areas.min() < 8 * 12 / 2  # reaching over the edge
    assert torch.equal(cut[:, 0], cut[:, 2])
    assert cut[:, 0].float().mean(0).min() > 0.05  # every place is cut at times


def test_colour_moves_brightness_and_contrast_and_leaves_alpha() -> None:
    pictures = torch.rand(200, 4, 8, 8) * 2 - 1
    changed = augment.augment(pictures, draws(200), ALWAYS, ("colour",))
    assert torch.equal(changed[:, 3], pictures[:, 3])
    means = changed[:, :3].mean((1, 2, 3)) - pictures[:, :3].mean((1, 2, 3))
    assert means.min() < -0.4
    assert means.max() > 0.4
    assert means.abs().max() <= 0.5 + 1e-5
    contrast = changed[:, :3].mean(1).flatten(1).std(1) / pictures[:, :3].mean(1).flatten(1).std(1)
    assert 0.5 <= contrast.min() < 0.6
    assert 1.4 < contrast.max() <= 1.5


def test_gradients_pass_through() -> None:
    pictures = (torch.rand(8, 3, 12, 12) * 2 - 1).requires_grad_()
    augment.augment(pictures, draws(8), ALWAYS, AUGMENTATIONS).square().sum().backward()
    assert pictures.grad is not None
    assert (pictures.grad.flatten(1).abs().sum(1) > 0).all()


def test_a_chance_decides_for_one_picture_alone() -> None:
    pictures, chance = torch.rand(6, 1, 16, 16), draws(6)
    whole = augment.augment(pictures, chance, torch.tensor(0.5), AUGMENTATIONS)
    halves = [
        augment.augment(pictures[part], chance[part], torch.tensor(0.5), AUGMENTATIONS)
        for part in (slice(0, 2), slice(2, 6))
    ]
    assert torch.equal(whole, torch.cat(halves))


def test_the_strength_moves_towards_its_target_and_stays_a_probability() -> None:
    def adapt(strength: float, rightness: float) -> float:
        got = augment.adapt(torch.tensor(strength), torch.tensor(rightness), 0.6, 0.01)
        return float(got)

    assert adapt(0.5, 0.9) == pytest.approx(0.51)
    assert adapt(0.5, 0.1) == pytest.approx(0.49)
    assert adapt(0.999, 1.0) == 1.0
    assert adapt(0.0, -1.0) == 0.0
