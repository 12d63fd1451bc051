import random

import pytest

pytest.importorskip("torch")

import timm
import torch
from torch import nn

from exporters import cost
from exporters.cost import count
from exporters.exporter import ExportError, NamedInput
from exporters.testing import SmallNetwork, random_inputs
from exporters.trace import to_graph
from search_space import catalog, layers
from search_space.architecture import Classifier
from search_space.space import SpaceName, create
from workspace.errors import InputError

IMAGENET = Classifier(classes=1000)

# Trainable, all numbers, and MACs at 224 pixels: timm 1.0.20's mnasnet_*, semnasnet_* and
# mobilenetv2_*, which agree with arithmetic on the published block lists.
PUBLISHED = {
    "mnasnet-small": (2_030_264, 2_047_192, 68_339_184),
    "mnasnet-b1": (4_383_312, 4_421_232, 314_415_872),
    "mnasnet-b1@0.75": (3_170_208, 3_200_016, 215_493_104),
    "mnasnet-b1@1.4": (7_115_728, 7_168_176, 588_799_408),
    "mnasnet-a1": (3_887_038, 3_920_526, 311_579_072),
    "mnasnet-a1@0.75": (2_912_278, 2_939_110, 223_448_480),
    "mnasnet-a1@1.4": (6_105_992, 6_152_008, 586_317_952),
    "mobilenet-v2": (3_504_872, 3_538_984, 300_774_272),
}


CHAINS = [name for name in SpaceName if not name.startswith(("spinenet", "assemblenet"))]


def image(size, channels=3):
    return (NamedInput("image", torch.zeros(1, channels, size, size)),)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_counts_hold_to_the_unit(name):
    found = count(catalog.create(name).build(IMAGENET), image(224))
    assert (found.params, found.total_params, found.macs) == PUBLISHED[name]


@pytest.mark.parametrize("space", CHAINS)
def test_counts_agree_with_arithmetic_on_the_architecture(space):
    rng, space = random.Random(0), create(space, {})
    for _ in range(3):
        architecture = space.decode(space.points.sample(rng)).at(96)
        found = count(architecture.build(IMAGENET), image(96))
        assert found.params == layers.params(architecture, IMAGENET)
        assert found.macs == layers.macs(architecture, IMAGENET)


def test_the_peak_of_mnasnet_a1_is_its_first_wide_depthwise_convolution():
    # 16 channels widened to 96 at 112 pixels, then halved: input and output of that convolution.
    found = count(catalog.create("mnasnet-a1").build(IMAGENET), image(224))
    assert found.peak_activation_bytes == 4 * 96 * (112**2 + 56**2)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.widen = nn.Sequential(nn.Conv2d(2, 6, 1), nn.BatchNorm2d(6), nn.ReLU())
        self.narrow = nn.Conv2d(6, 2, 1)

    def forward(self, image):
        return self.narrow(self.widen(image)) + image


def test_a_residual_input_lives_until_it_is_added():
    # At `narrow`: the input (2 channels), what `widen` made (6) and the result (2).
    found = count(Residual(), image(5, channels=2))
    assert found.peak_activation_bytes == 4 * 25 * (2 + 6 + 2)


class Unmapped(Residual):
    """With an operator that cannot be exported."""

    def forward(self, image):
        return torch.cumsum(super().forward(image), 1)


class DataDependent(Residual):
    """With a way that depends on the numbers."""

    def forward(self, image):
        return super().forward(image) if image.sum() >= 0 else image


@pytest.mark.parametrize("network", [Unmapped, DataDependent])
def test_what_cannot_be_exported_is_counted_too(network):
    with pytest.raises(ExportError):
        to_graph(network(), image(5, channels=2))
    found, usual = count(network(), image(5, channels=2)), count(Residual(), image(5, channels=2))
    assert found == usual


@pytest.mark.parametrize(
    "make",
    [
        lambda: catalog.create("mnasnet-a1@0.35").build(IMAGENET),
        lambda: timm.create_model("mobilenetv2_100"),
        lambda: timm.create_model("resnet18"),
        SmallNetwork,
        Residual,
    ],
)
def test_the_graph_and_torch_s_own_operators_agree(make):
    module = make().eval()
    inputs = image(64, channels=2 if isinstance(module, Residual) else 3)
    found = cost._on_graph(module, inputs)
    assert found is not None
    assert found == cost._as_it_runs(module, inputs)


def test_layers_that_no_tflite_file_has_are_counted():
    transposed = nn.Sequential(nn.ConvTranspose2d(4, 6, 2, 2), nn.GELU(), nn.Conv2d(6, 4, 1))
    found = count(transposed, (NamedInput("image", torch.zeros(1, 4, 5, 5)),))
    assert found.macs == 4 * 6 * 2 * 2 * 25 + 6 * 4 * 100
    volume = count(nn.Conv3d(2, 3, 3, padding=1), random_inputs((1, 2, 4, 5, 6)))
    assert volume.macs == 2 * 3 * 27 * 4 * 5 * 6


def test_attention_counts_its_linear_layers_only():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    found = count(layer, random_inputs((1, 5, 8)))
    assert found.macs == 5 * (8 * 24 + 8 * 8 + 8 * 16 + 16 * 8)


def test_a_batch_norm_that_no_layer_could_take_costs_no_multiply_adds():
    found = count(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1)), image(5))
    assert found.macs == 3 * 4 * 25


def test_frozen_weights_are_in_the_total_only():
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    module[0].weight.requires_grad = False
    found = count(module, image(5))
    assert (found.params, found.total_params) == (4 + 8, 12 + 4 + 8 + 8)


def test_modules_on_the_meta_device_are_counted():
    with torch.device("meta"):
        network = timm.create_model("resnet50")
    assert count(network, image(224)).params == 25_557_032


@pytest.mark.parametrize("make", [SmallNetwork, lambda: Unmapped().train()])
def test_counting_changes_nothing(make):
    module = make().train()
    state = {name: value.clone() for name, value in module.state_dict().items()}
    channels = 3 if isinstance(module, SmallNetwork) else 2
    before = torch.random.get_rng_state()
    first, second = (count(module, image(8, channels)) for _ in range(2))
    assert first == second
    assert module.training
    assert all(torch.equal(state[name], value) for name, value in module.state_dict().items())
    assert torch.equal(before, torch.random.get_rng_state())


def test_inputs_that_do_not_fit_are_an_input_error():
    with pytest.raises(InputError, match=r"SmallNetwork does not run on .*\(1, 5, 8, 8\)"):
        count(SmallNetwork(), image(8, channels=5))
