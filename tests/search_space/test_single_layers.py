from dataclasses import replace

import pytest
import torch

from latency.signatures import signature_of
from latency.space_parts import SpaceParts
from search_space import catalog
from search_space.architecture import Classifier
from search_space.chain import Activation
from search_space.efficientnet_v2_space import EfficientNetV2Space
from search_space.layers import layers
from search_space.mnasnet import MnasNetSpace
from search_space.single_layers import LeadIn, SingleLayer

HEAD = Classifier(classes=10)
LAYERS = list(SpaceParts.of(MnasNetSpace(size=64), HEAD).frequencies())
FUSED = list(SpaceParts.of(EfficientNetV2Space(size=64, width=0.25), HEAD).frequencies())
EDGETPU = layers(catalog.create("efficientnet-edgetpu-s", size=64), HEAD)[1:4]


@pytest.mark.parametrize(
    "layer",
    [*LAYERS[::61], *FUSED[::101], FUSED[-2], *EDGETPU],
    ids=lambda layer: signature_of(layer).key,
)
def test_a_layer_alone_has_the_shapes_and_the_weights_that_it_has_in_a_network(layer):
    module = SingleLayer(layer, Activation.RELU, "key").eval()
    image = torch.zeros(1, layer.in_channels, layer.in_size, layer.in_size)
    with torch.no_grad():
        shape = tuple(module(image).shape)
    size = (layer.out_size,) * 2 if layer.kind != "classifier" else ()
    assert shape == (1, layer.out_channels, *size)
    assert sum(p.numel() for p in module.layer.parameters()) == layer.params


def test_the_same_key_gives_the_same_weights():
    layer = LAYERS[100]
    first, second = (SingleLayer(layer, Activation.RELU, "key") for _ in range(2))
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])


def test_the_lead_in_is_that_of_its_channels_alone():
    layer = LAYERS[100]
    alone = LeadIn(layer.in_channels, Activation.RELU).state_dict()
    inside = SingleLayer(layer, Activation.RELU, "key").lead_in.state_dict()
    assert all(torch.equal(value, inside[name]) for name, value in alone.items())


def test_the_lead_in_keeps_the_shape():
    assert LeadIn(5, Activation.RELU6)(torch.zeros(1, 5, 9, 9)).shape == (1, 5, 9, 9)


def test_a_layer_has_its_own_activation_and_its_lead_in_that_of_the_network():
    layer = replace(LAYERS[100], activation=Activation.SWISH)
    module = SingleLayer(layer, Activation.RELU, "key")
    kinds = {type(part).__name__ for part in module.layer.modules()}
    assert "SiLU" in kinds
    assert "ReLU" not in kinds
    assert "ReLU" in {type(part).__name__ for part in module.lead_in.modules()}
