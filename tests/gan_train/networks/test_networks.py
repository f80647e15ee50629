from __future__ import annotations

import copy
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_train.networks import FAMILIES, Condition, ConditionSpec, conditioning, of_class, r3
from gan_train.networks.conditioning import ConditionalBatchNorm, LatentInput, OutputHead
from gan_train.networks.pixels import PixelGenerator
from gan_train.networks.pyramid import channels_at, pyramid
from gan_train.networks.ways import Given, WaysIn
from tests.conftest import DCGAN, DCGAN_PLAIN, Kind, make_network
from tests.new_ways import Years

SIZES = [
    (8, 8),
    (8, 13),
    (16, 16),
    (28, 28),
    (17, 33),
    (48, 32),
    (64, 64),
    (127, 19),
    (96, 96),
    (128, 128),
    (256, 200),
]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    ("channels", "spec"),
    [(1, ConditionSpec()), (3, ConditionSpec(5)), (4, ConditionSpec(100, "one_hot", "concatenation"))],
    ids=["plain", "projection", "concatenation"],
)
def test_every_family_makes_and_judges_every_size(
    family: str, size: tuple[int, int], channels: int, spec: ConditionSpec
) -> None:
    classes = spec.classes
    generator = FAMILIES[family].generator(size, channels, 2, 6, spec)
    discriminator = FAMILIES[family].discriminator(size, channels, 2, spec)
    condition = of_class(torch.tensor([0, classes - 1, 0]) if classes else None)
    pictures = generator(torch.randn(3, 6), condition)
    assert pictures.shape == (3, channels, *size)
    assert pictures.abs().max() <= 1
    logits, features, classified = discriminator(pictures, condition)
    assert classified is None
    assert len(features) == 3
    assert logits.shape == (3,)
    logits.sum().backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name


@given(st.integers(16, 128), st.integers(16, 128), st.sampled_from([4, 8]))
def test_a_pyramid_ends_at_the_size_and_halves_rounding_up(height: int, width: int, smallest: int) -> None:
    sizes = pyramid((height, width), smallest)
    assert sizes[-1] == (height, width)
    assert min(sizes[0]) <= smallest
    for (low_h, low_w), (high_h, high_w) in itertools.pairwise(sizes):
        assert low_h * 2 - high_h in (0, 1)
        assert low_w * 2 - high_w in (0, 1)


def test_channels_double_downwards_to_a_bound() -> None:
    assert channels_at(16, 3) == [64, 32, 16]
    assert channels_at(4, 5) == [32, 32, 16, 8, 4]


def test_dcgan_at_64_is_the_papers_figure_1() -> None:
    generator = FAMILIES["dcgan"].generator((64, 64), 3, 128, 100, ConditionSpec())
    layers = [tuple(up.weight.shape[:2]) for up in generator.ups]  # type: ignore[union-attr]
    assert layers == [(1024, 512), (512, 256), (256, 128), (128, 3)]
    assert generator.linear.weight.shape == (4 * 4 * 1024, 100)  # type: ignore[union-attr]
    weights = torch.cat([p.flatten() for p in generator.parameters() if p.dim() > 1])
    assert abs(weights.std().item() - 0.02) < 1e-4
    discriminator = FAMILIES["dcgan"].discriminator((64, 64), 3, 128, ConditionSpec())
    norms = [type(norm).__name__ for norm in discriminator.norms]  # type: ignore[union-attr]
    assert norms == ["Identity", "BatchNorm", "BatchNorm", "BatchNorm"]
    assert [down.weight.shape[0] for down in discriminator.downs] == [128, 256, 512, 1024]  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", [DCGAN, DCGAN_PLAIN], ids=str)
def test_folding_normalisation_changes_no_picture(kind: Kind) -> None:
    network = make_network(kind)
    folded = network.fold()  # type: ignore[operator]
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    condition = of_class(torch.arange(4) % kind.classes if kind.classes else None)
    latent = torch.randn(4, kind.latent_dim)
    before, after = network(latent, condition), folded(latent, condition)
    assert before.std() > 0.01
    torch.testing.assert_close(before, after, atol=1e-5, rtol=0)


def test_the_condition_matters_to_both_networks() -> None:
    torch.manual_seed(0)
    joined = LatentInput(4, ConditionSpec(3), length=2.0)
    latent = torch.randn(3, 4)
    vectors = joined(latent, of_class(torch.arange(3)))
    assert torch.equal(vectors[:, :4], latent)
    torch.testing.assert_close(vectors[:, 4:].norm(dim=1), torch.full((3,), 2.0))
    judgement = OutputHead(4, ConditionSpec(3))
    same = torch.ones(3, 4)
    logits = judgement(same, of_class(torch.arange(3))).logits
    table = judgement.get_parameter("embedding.weight")
    expected = judgement.linear(same)[:, 0] + table.sum(1) / 2
    torch.testing.assert_close(logits, expected)


def test_every_way_of_a_condition_changes_what_comes_out() -> None:
    torch.manual_seed(0)
    size, latent = (12, 16), torch.randn(4, 6)
    first, second = of_class(torch.zeros(4, dtype=torch.int64)), of_class(torch.ones(4, dtype=torch.int64))
    pictures = torch.randn(4, 1, *size)
    for way in ("one_hot", "embedding", "batch_norm"):
        generator = FAMILIES["sngan"].generator(size, 1, 4, 6, ConditionSpec(2, way)).eval()
        for name, parameter in generator.named_parameters():
            if name.endswith(("scale.weight", "shift.weight")):  # equal for all labels at the start
                torch.nn.init.normal_(parameter)
        assert not torch.allclose(generator(latent, first), generator(latent, second)), way
    for way in ("concatenation", "projection"):
        discriminator = FAMILIES["resnet"].discriminator(size, 1, 4, ConditionSpec(2, "embedding", way))
        one, other = discriminator(pictures, first), discriminator(pictures, second)
        assert not torch.allclose(one.logits, other.logits), way
    auxiliary = FAMILIES["resnet"].discriminator(size, 1, 4, ConditionSpec(2, "embedding", "auxiliary"))
    one, other = auxiliary(pictures, first), auxiliary(pictures, second)
    assert torch.equal(one.logits, other.logits)  # it names the class, and is not told it
    assert one.classes.shape == (4, 2)


def test_conditional_batch_norm_scales_and_shifts_by_the_label() -> None:
    norm = ConditionalBatchNorm(2, ConditionSpec(3, "batch_norm"))
    scale, shift = (norm.get_parameter(f"{name}.weight") for name in ("scale", "shift"))
    torch.nn.init.normal_(scale)
    torch.nn.init.normal_(shift)
    x, label = torch.randn(6, 2, 3, 3) * 4 + 1, torch.tensor([0, 1, 2, 2, 1, 0])
    plain = (x - x.mean((0, 2, 3), keepdim=True)) / (
        x.var((0, 2, 3), correction=0, keepdim=True) + 1e-5
    ).sqrt()
    expected = plain * scale[label][:, :, None, None] + shift[label][:, :, None, None]
    torch.testing.assert_close(norm(x, of_class(label)), expected)


def test_a_kind_of_condition_that_the_packages_do_not_know_enters_every_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind = WaysIn(
        latent=lambda given, latent_dim, length: Years(3), score=lambda given, features: Years(features)
    )
    monkeypatch.setitem(conditioning.KINDS, "number", kind)
    spec = ConditionSpec(2, others=(Given("age", "number"),))
    ages = [{**of_class(torch.tensor([0, 1])), "age": torch.tensor([age, 50.0])} for age in (20.0, 60.0)]
    for name, family in FAMILIES.items():
        torch.manual_seed(0)
        generator = family.generator((16, 16), 1, 16, 4, spec).eval()
        discriminator = family.discriminator((16, 16), 1, 16, spec).eval()
        assert "input.years.weight" in generator.state_dict(), name
        for parameter in [*generator.parameters(), *discriminator.parameters()]:
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.2)
        younger, older = (copy.deepcopy(generator)(torch.ones(2, 4), given) for given in ages)
        assert not torch.equal(younger[0], older[0]), name
        torch.testing.assert_close(younger[1], older[1])
        judged = [discriminator(torch.ones(2, 1, 16, 16), given).logits for given in ages]
        assert judged[0][0] != judged[1][0], name
        average = copy.deepcopy(generator)
        with torch.no_grad():
            generator.get_parameter("input.years.weight").zero_()
        assert average.get_parameter("input.years.weight").any()
        assert torch.equal(average(torch.ones(2, 4), ages[1]), older), name


def test_blocks_of_r3_begin_as_the_identity() -> None:
    block = r3.Block(32, 8)
    x = torch.randn(2, 32, 5, 5)
    assert torch.equal(block(x), x)
    assert block.second.groups == 4


def test_judgement_stays_in_float32_under_autocast() -> None:
    judgement = OutputHead(4, ConditionSpec())
    with torch.autocast("cpu", torch.bfloat16):
        assert judgement(torch.randn(2, 4).bfloat16(), {}).logits.dtype == torch.float32


class _Fixed(torch.nn.Module):
    def __init__(self, values: torch.Tensor) -> None:
        super().__init__()
        self.values = values

    def forward(self, latent: torch.Tensor, condition: Condition) -> torch.Tensor:
        return self.values


@settings(max_examples=40)
@given(st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=6))
def test_pixels_are_rounded_and_clipped(values: list[float]) -> None:
    pictures = torch.tensor(values, dtype=torch.float32).reshape(1, 1, 1, -1)
    got = PixelGenerator(_Fixed(pictures))(torch.zeros(1, 1))
    assert got.dtype == torch.uint8
    assert got.shape == (1, 1, len(values), 1)
    for value, level in zip(pictures.flatten().tolist(), got.flatten().tolist(), strict=True):
        assert abs(level - min(255.0, max(0.0, (value + 1) * 127.5))) <= 0.5 + 1e-4


def test_the_ends_of_the_range_are_black_and_white() -> None:
    ends = PixelGenerator(_Fixed(torch.tensor([[[[-1.0, 0.0, 1.0]]]])))(torch.zeros(1, 1))
    assert ends.flatten().tolist() == [0, 128, 255]
