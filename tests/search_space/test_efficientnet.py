import pytest

from search_space import catalog, efficientnet
from search_space.architecture import Classifier
from search_space.chain import Activation, Op, Skip
from search_space.layers import macs, params, statistics

IMAGENET = Classifier(classes=1000)

# Trainable numbers, those with the running statistics, and MACs at the native size: timm 1.0.20's
# tf_efficientnet_* and efficientnet_es/em/el, which agree with torchvision's metadata, Keras and
# the unit tests of google/automl. The code of the last has its B3 without the 10 % rule. Lite3 and
# lite4 at the sizes of Google's code: arithmetic on the published blocks.
COUNTS = {
    "efficientnet-b0": (5_288_548, 5_330_564, 385_814_752),
    "efficientnet-b1": (7_794_184, 7_856_232, 686_802_832),
    "efficientnet-b2": (9_109_994, 9_177_562, 993_561_872),
    "efficientnet-b3": (12_233_232, 12_320_528, 1_827_141_392),
    "efficientnet-b4": (19_341_616, 19_466_816, 4_393_771_024),
    "efficientnet-b7": (66_347_960, 66_658_680, 37_745_884_192),
    "efficientnet-b8": (87_413_142, 87_793_174, 62_597_461_568),
    "efficientnet-lite0": (4_652_008, 4_694_024, 385_187_552),
    "efficientnet-lite1": (5_416_680, 5_470_344, 600_185_232),
    "efficientnet-lite2": (6_092_072, 6_150_168, 859_736_272),
    "efficientnet-lite3": (8_197_096, 8_273_768, 1_383_321_872),
    "efficientnet-lite4": (13_006_568, 13_118_936, 2_553_034_336),
    "efficientnet-edgetpu-s": (5_438_392, 5_489_832, 1_788_731_008),
    "efficientnet-edgetpu-m": (6_899_496, 6_967_304, 3_013_321_088),
    "efficientnet-edgetpu-l": (10_589_712, 10_681_920, 7_936_082_848),
}
# timm 1.0.20 at other sizes.
MACS_AT = {
    ("efficientnet-b1", 224): 569_651_680,
    ("efficientnet-b2", 224): 658_963_440,
    ("efficientnet-b3", 224): 962_708_240,
    ("efficientnet-b4", 224): 1_503_710_432,
    ("efficientnet-b7", 224): 5_169_865_152,
    ("efficientnet-b8", 224): 6_971_883_840,
    ("efficientnet-lite1", 224): 502_467_680,
    ("efficientnet-lite2", 224): 576_509_424,
    ("efficientnet-lite3", 224): 852_099_536,
    ("efficientnet-lite3", 300): 1_607_554_544,
    ("efficientnet-lite4", 224): 1_347_665_152,
    ("efficientnet-lite4", 380): 3_943_564_112,
    ("efficientnet-edgetpu-m", 224): 2_613_273_216,
    ("efficientnet-edgetpu-l", 224): 4_354_191_104,
}
# torchvision 0.28's metadata: parameters and GMACs.
TORCHVISION = {
    "efficientnet-b5": (30_389_784, 10.266),
    "efficientnet-b6": (43_040_704, 19.068),
    "efficientnet-b7": (66_347_960, 37.746),
}
# EfficientNet's rounding on table 1 of the paper, by the published code: stem, stages, last
# convolution, layers, layers in all.
SHAPES = {
    "b0": (32, (16, 24, 40, 80, 112, 192, 320), 1280, (1, 2, 2, 3, 3, 4, 1), 16),
    "b1": (32, (16, 24, 40, 80, 112, 192, 320), 1280, (2, 3, 3, 4, 4, 5, 2), 23),
    "b2": (32, (16, 24, 48, 88, 120, 208, 352), 1408, (2, 3, 3, 4, 4, 5, 2), 23),
    "b3": (40, (24, 32, 48, 96, 136, 232, 384), 1536, (2, 3, 3, 5, 5, 6, 2), 26),
    "b4": (48, (24, 32, 56, 112, 160, 272, 448), 1792, (2, 4, 4, 6, 6, 8, 2), 32),
    "b5": (48, (24, 40, 64, 128, 176, 304, 512), 2048, (3, 5, 5, 7, 7, 9, 3), 39),
    "b6": (56, (32, 40, 72, 144, 200, 344, 576), 2304, (3, 6, 6, 8, 8, 11, 3), 45),
    "b7": (64, (32, 48, 80, 160, 224, 384, 640), 2560, (4, 7, 7, 10, 10, 13, 4), 55),
    "b8": (72, (32, 56, 88, 176, 248, 424, 704), 2816, (4, 8, 8, 11, 11, 15, 4), 61),
    "l2": (136, (72, 104, 176, 344, 480, 824, 1376), 5504, (6, 11, 11, 16, 16, 22, 6), 88),
}
LITE_REPEATS = {
    "lite0": (1, 2, 2, 3, 3, 4, 1),
    "lite1": (1, 3, 3, 4, 4, 5, 1),
    "lite2": (1, 3, 3, 4, 4, 5, 1),
    "lite3": (1, 3, 3, 5, 5, 6, 1),
    "lite4": (1, 4, 4, 6, 6, 8, 1),
}
DROPOUT = {
    "b0": 0.2, "b1": 0.2, "b2": 0.3, "b3": 0.3, "b4": 0.4, "b5": 0.4, "b6": 0.5, "b7": 0.5,
    "b8": 0.5, "l2": 0.5, "lite0": 0.2, "lite1": 0.2, "lite2": 0.3, "lite3": 0.3, "lite4": 0.3,
    "edgetpu-s": 0.2, "edgetpu-m": 0.2, "edgetpu-l": 0.3,
}  # fmt: skip
SIZES = {
    "b0": 224, "b1": 240, "b2": 260, "b3": 300, "b4": 380, "b5": 456, "b6": 528, "b7": 600,
    "b8": 672, "l2": 800, "lite0": 224, "lite1": 240, "lite2": 260, "lite3": 280, "lite4": 300,
    "edgetpu-s": 224, "edgetpu-m": 240, "edgetpu-l": 300,
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTS)
def test_published_counts_hold_to_the_unit(name):
    network = catalog.create(name)
    trained = params(network, IMAGENET)
    found = (trained, trained + statistics(network, IMAGENET), macs(network, IMAGENET))
    assert found == COUNTS[name]


@pytest.mark.parametrize(("name", "size"), MACS_AT)
def test_counts_hold_at_other_sizes(name, size):
    assert macs(catalog.create(name, size=size), IMAGENET) == MACS_AT[name, size]


@pytest.mark.parametrize("name", TORCHVISION)
def test_counts_agree_with_torchvision(name):
    trained, giga = TORCHVISION[name]
    network = catalog.create(name)
    assert params(network, IMAGENET) == trained
    assert macs(network, IMAGENET) / 1e9 == pytest.approx(giga, abs=6e-4)


@pytest.mark.parametrize("name", SHAPES)
def test_widths_and_layers_are_the_published_ones(name):
    network = catalog.create(f"efficientnet-{name}")
    found = (
        network.stem.filters,
        tuple(stage.filters for stage in network.stages),
        network.head_filters,
        tuple(stage.repeats for stage in network.stages),
        len(network.unrolled()),
    )
    assert found == SHAPES[name]


@pytest.mark.parametrize("name", LITE_REPEATS)
def test_lite_keeps_the_ends_as_they_are(name):
    network = catalog.create(f"efficientnet-{name}")
    assert (network.stem.filters, network.head_filters) == (32, 1280)
    assert tuple(stage.repeats for stage in network.stages) == LITE_REPEATS[name]
    assert network.activation is Activation.RELU6
    assert not any(stage.se_ratio for stage in network.stages)


def test_every_network_has_its_published_size_and_regularization():
    made = {
        name.removeprefix("efficientnet-"): catalog.create(name)
        for name in efficientnet.COEFFICIENTS
    }
    assert {name: network.size for name, network in made.items()} == SIZES
    assert {name: network.dropout for name, network in made.items()} == DROPOUT
    assert {network.stochastic_depth for network in made.values()} == {0.2}


def test_edgetpu_expands_24_scaled_channels_of_its_stem_and_adds_nothing_there():
    for name, stem, expanded in (("s", 32, 24), ("m", 32, 24), ("l", 40, 32)):
        network = catalog.create(f"efficientnet-edgetpu-{name}")
        first = network.stages[0]
        assert (first.op, first.skip, first.expands) == (Op.FUSED, Skip.NONE, expanded)
        assert network.stem.filters == stem
        assert network.activation is Activation.RELU
        assert not any(stage.se_ratio for stage in network.stages)


@pytest.mark.parametrize(
    "name", ["efficientnet-b0", "efficientnet-lite1", "efficientnet-edgetpu-m"]
)
def test_built_networks_have_the_published_counts(name):
    pytest.importorskip("torch")
    network = catalog.create(name).build(IMAGENET)
    trained = sum(p.numel() for p in network.parameters())
    statistics = sum(b.numel() for n, b in network.named_buffers() if "running" in n)
    assert (trained, trained + statistics) == COUNTS[name][:2]
