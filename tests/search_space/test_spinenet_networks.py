"""Counts, outputs and computations of published networks as they are built."""

import math
from dataclasses import replace

import pytest

pytest.importorskip("torch")

import torch

from exporters.cost import count
from exporters.exporter import NamedInput
from search_space import catalog
from search_space.architecture import Classifier, Detector
from search_space.chain import Activation
from search_space.spinenet import PermutedStem
from search_space.spinenet_networks import SCALES, create

CLASSES = 91
"""Of the published RetinaNets on COCO, the background among them."""

# Backbone with endpoints, RetinaNet with 91 classes, classifier with 1001: arithmetic from the
# published code (tensorflow/tpu), which agrees with the published figures of 49 to all digits.
# Of 49S the authors print 11.9M or 12.0M parameters and 33.8B multiply-adds; the filter scale of
# their code, 0.65, gives 11.27M and 30.8B. These are by the code.
PARAMS = {
    "spinenet-49s": (9_089_215, 11_265_942, 9_218_344),
    "spinenet-49": (21_831_488, 28_543_383, 22_088_745),
    "spinenet-mobile-49": (2_268_708, 2_337_579, None),
}
MACS = {
    ("spinenet-49s", 640): 30_778_541_175,
    ("spinenet-49", 640): 85_281_555_200,
    ("spinenet-49", 896): 167_151_848_192,
    ("spinenet-mobile-49", 384): 980_858_928,
}
CLASSIFIER_MACS = {"spinenet-49s": 1_516_409_269, "spinenet-49": 3_477_940_480}
# As printed: millions of parameters, billions of multiply-adds. RetinaNet (tensorflow/tpu's model
# zoo), then classifiers at 224 pixels with 1001 classes.
PRINTED = {
    "spinenet-49": (28.5, 85.4),
    "spinenet-96": (43.0, 265.4),
    "spinenet-143": (67.0, 524.0),
    "spinenet-190": (163.6, 1885.0),
    "spinenet-mobile-49": (2.34, 1.0),
}
PRINTED_CLASSIFIERS = {
    "spinenet-49": (22.1, 3.5),
    "spinenet-96": (36.5, 5.7),
    "spinenet-143": (60.5, 9.1),
    "spinenet-190": (127.1, 19.1),
}


def on_meta(name, head, size=None):
    network = create(name) if size is None else create(name).at(size)
    with torch.device("meta"):
        return network.build(head), network.inputs[0].shape


def params(module):
    return sum(each.numel() for each in module.parameters())


def macs(name, head, size=None):
    module, shape = on_meta(name, head, size)
    return count(module, (NamedInput(name="image", value=torch.zeros(1, *shape)),)).macs


@pytest.mark.parametrize("name", PARAMS)
def test_parameters_hold_to_the_unit(name):
    detector, _ = on_meta(name, Detector(classes=CLASSES))
    classifier, _ = on_meta(name, Classifier(classes=1001))
    backbone, whole, classifying = PARAMS[name]
    assert (params(detector.backbone), params(detector)) == (backbone, whole)
    assert classifying is None or params(classifier) == classifying


@pytest.mark.parametrize(("name", "size"), MACS)
def test_multiply_adds_hold_to_the_unit(name, size):
    assert macs(name, Detector(classes=CLASSES), size) == MACS[name, size]


@pytest.mark.parametrize("name", CLASSIFIER_MACS)
def test_multiply_adds_of_classifiers_hold_at_a_size_that_levels_do_not_divide(name):
    assert macs(name, Classifier(classes=1001), 224) == CLASSIFIER_MACS[name]


@pytest.mark.parametrize("name", PRINTED)
def test_detectors_agree_with_printed_figures(name):
    millions, billions = PRINTED[name]
    detector, _ = on_meta(name, Detector(classes=CLASSES))
    assert params(detector) / 1e6 == pytest.approx(millions, rel=0.002)
    rounding = 0.05 if billions < 10 else 0.005
    assert macs(name, Detector(classes=CLASSES)) / 1e9 == pytest.approx(billions, rel=rounding)


@pytest.mark.parametrize("name", PRINTED_CLASSIFIERS)
def test_classifiers_agree_with_printed_figures(name):
    millions, billions = PRINTED_CLASSIFIERS[name]
    classifier, _ = on_meta(name, Classifier(classes=1001))
    assert params(classifier) / 1e6 == pytest.approx(millions, rel=0.002)
    assert macs(name, Classifier(classes=1001), 224) / 1e9 == pytest.approx(billions, rel=0.015)


@pytest.mark.parametrize("name", SCALES)
def test_every_network_is_in_the_catalog_and_gives_ten_tensors(name):
    network = catalog.resolve(name)
    assert network == create(name)
    module, shape = on_meta(name, Detector(classes=4))
    outputs = module(torch.zeros(2, *shape, device="meta"))
    sides = [network.size // 2**level for level in range(3, 8)]
    assert [tuple(each.shape) for each in outputs] == [
        (2, channels, side, side) for channels in (9 * 4, 9 * 4) for side in sides
    ]
    assert (
        network.endpoint_filters
        == module.backbone(torch.zeros(1, *shape, device="meta"))[0].shape[1]
    )


def small(name="spinenet-49", **settings):
    given = {"size": 128, "filter_scale": 0.125, "endpoint_filters": 16, "head_filters": 16}
    return replace(create(name), **{**given, **settings})


@pytest.mark.parametrize("name", ["spinenet-49", "spinenet-mobile-49"])
@pytest.mark.parametrize("size", [128, 129, 224])
def test_levels_have_the_sizes_that_their_names_say(name, size):
    module = small(name, size=size).build(Detector(classes=2)).eval()
    with torch.no_grad():
        levels = module.backbone(torch.zeros(1, 3, size, size))
    assert [each.shape[1:] for each in levels] == [
        (16, math.ceil(size / 2**level), math.ceil(size / 2**level)) for level in range(3, 8)
    ]


def test_images_need_not_be_square():
    module = small().build(Classifier(classes=5)).eval()
    with torch.no_grad():
        assert module(torch.zeros(2, 3, 130, 200)).shape == (2, 5)


def test_an_untrained_detector_gives_each_class_the_prior():
    outputs = small().build(Detector(classes=3))(torch.randn(2, 3, 128, 128))
    for logits in outputs[:5]:
        assert torch.sigmoid(logits).detach().numpy() == pytest.approx(0.01, rel=1e-2)
    for boxes in outputs[5:]:
        assert boxes.shape[1] == 4 * 9
        assert float(boxes.detach().abs().max()) < 1e-2


def test_levels_share_convolutions_and_have_batch_norms_of_their_own():
    head = small(head_convs=2).build(Detector(classes=3)).head
    assert len(head.classes.convs) == 2
    norms = [norm for level in head.classes.norms for norm in level]
    assert len(norms) == len({id(norm) for norm in norms}) == 5 * 2


def test_all_batch_norms_are_as_published():
    module = small().build(Detector(classes=3))
    norms = [each for each in module.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    assert {(each.eps, each.momentum) for each in norms} == {(1e-4, 0.003)}


def test_weights_are_drawn_from_the_key_without_the_size():
    first, again = (small(size=size).build(Detector(classes=3)) for size in (128, 256))
    other = small(alpha=1.0).build(Detector(classes=3))
    state = first.state_dict()
    assert all(torch.equal(state[name], value) for name, value in again.state_dict().items())
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


def test_swish_can_be_relu_and_depth_is_only_in_training():
    module = small(activation=Activation.RELU, stochastic_depth=0.5).build(Classifier(classes=3))
    assert any(isinstance(each, torch.nn.ReLU) for each in module.modules())
    image = torch.randn(2, 3, 128, 128)
    module.eval()
    with torch.no_grad():
        assert torch.equal(module(image), module(image))
        module.train()
        assert not torch.equal(module(image), module(image))


def test_a_small_stem_doubles_every_level():
    for name in ("spinenet-49", "spinenet-mobile-49"):
        network = small(name, size=96, channels=1, stem=PermutedStem(filters=8, reduction=2))
        module = network.build(Detector(classes=2)).eval()
        with torch.no_grad():
            levels = module.backbone(torch.zeros(1, 1, 96, 96))
        assert [each.shape[2] for each in levels] == [24, 12, 6, 3, 2]


def test_every_level_trains():
    module = small().build(Detector(classes=3))
    outputs = module(torch.randn(2, 3, 128, 128))
    sum(each.square().sum() for each in outputs).backward()
    assert all(each.grad is not None for each in module.parameters())
