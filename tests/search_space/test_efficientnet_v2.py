import pytest

from search_space import catalog, efficientnet_v2
from search_space.architecture import Classifier
from search_space.chain import Activation, Op
from search_space.layers import macs, params, statistics

IMAGENET = Classifier(classes=1000)

# Trainable numbers, those with the running statistics, and MACs at the size of the evaluation:
# timm 1.0.20's tf_efficientnetv2_*, Keras 3.15 and the unit tests of google/automl, which agree.
# M: Keras' and torchvision's parameters; its MACs are torchvision's figure.
COUNTS = {
    "efficientnetv2-b0": (7_139_704, 7_200_312, 718_086_176),
    "efficientnetv2-b1": (8_141_052, 8_212_124, 1_196_819_360),
    "efficientnetv2-b2": (10_096_086, 10_178_374, 1_697_542_832),
    "efficientnetv2-b3": (14_358_406, 14_467_622, 3_011_458_816),
    "efficientnetv2-s": (21_458_488, 21_612_360, 8_365_617_152),
    "efficientnetv2-m": (54_139_356, 54_431_388, None),
    "efficientnetv2-l": (118_515_272, 119_027_848, 56_079_699_008),
}
# timm 1.0.20 at other sizes, those of the training among them.
MACS_AT = {
    ("efficientnetv2-b0", 192): 528_186_752,
    ("efficientnetv2-b1", 192): 747_003_008,
    ("efficientnetv2-b1", 224): 1_015_859_232,
    ("efficientnetv2-b2", 208): 1_043_476_528,
    ("efficientnetv2-b2", 224): 1_168_830_832,
    ("efficientnetv2-b3", 224): 1_609_978_624,
    ("efficientnetv2-b3", 240): 1_908_036_640,
    ("efficientnetv2-s", 224): 2_849_895_872,
    ("efficientnetv2-s", 300): 5_307_561_248,
    ("efficientnetv2-l", 224): 12_231_188_544,
    ("efficientnetv2-l", 384): 35_899_418_624,
}
GIGA_MACS = {  # torchvision 0.28's metadata
    "efficientnetv2-s": 8.366,
    "efficientnetv2-m": 24.582,
    "efficientnetv2-l": 56.08,
}
# By the published code, whose rounding has no 10 % rule.
SHAPES = {
    "b0": (32, (16, 32, 48, 96, 112, 192), 1280, (1, 2, 2, 3, 5, 8)),
    "b1": (32, (16, 32, 48, 96, 112, 192), 1280, (2, 3, 3, 4, 6, 9)),
    "b2": (32, (16, 32, 56, 104, 120, 208), 1408, (2, 3, 3, 4, 6, 10)),
    "b3": (40, (16, 40, 56, 112, 136, 232), 1536, (2, 3, 3, 5, 7, 12)),
    "s": (24, (24, 48, 64, 128, 160, 256), 1280, (2, 4, 4, 6, 9, 15)),
    "m": (24, (24, 48, 80, 160, 176, 304, 512), 1280, (3, 5, 5, 7, 14, 18, 5)),
    "l": (32, (32, 64, 96, 192, 224, 384, 640), 1280, (4, 7, 7, 10, 19, 25, 7)),
    "xl": (32, (32, 64, 96, 192, 256, 512, 640), 1280, (4, 8, 8, 16, 24, 32, 8)),
}
# Largest side while training, side of the evaluation, dropout.
PUBLISHED = {
    "b0": (192, 224, 0.2),
    "b1": (192, 240, 0.2),
    "b2": (208, 260, 0.3),
    "b3": (240, 300, 0.3),
    "s": (300, 384, 0.2),
    "m": (384, 480, 0.3),
    "l": (384, 480, 0.4),
    "xl": (384, 512, 0.4),
}


@pytest.mark.parametrize("name", COUNTS)
def test_published_counts_hold_to_the_unit(name):
    trained, total, done = COUNTS[name]
    network = catalog.create(name)
    assert params(network, IMAGENET) == trained
    assert trained + statistics(network, IMAGENET) == total
    if done is not None:
        assert macs(network, IMAGENET) == done


@pytest.mark.parametrize(("name", "size"), MACS_AT)
def test_counts_hold_at_other_sizes(name, size):
    assert macs(catalog.create(name, size=size), IMAGENET) == MACS_AT[name, size]


@pytest.mark.parametrize("name", GIGA_MACS)
def test_counts_agree_with_torchvision(name):
    assert macs(catalog.create(name), IMAGENET) / 1e9 == pytest.approx(GIGA_MACS[name], abs=6e-4)


def test_xl_is_as_large_as_its_paper_says():
    # EfficientNetV2, table 7: 208M parameters, 94B FLOPs.
    network = catalog.create("efficientnetv2-xl")
    assert params(network, IMAGENET) / 1e6 == pytest.approx(208, abs=0.5)
    assert macs(network, IMAGENET) / 1e9 == pytest.approx(94, abs=1)


@pytest.mark.parametrize("name", SHAPES)
def test_widths_and_layers_are_the_published_ones(name):
    network = catalog.create(f"efficientnetv2-{name}")
    found = (
        network.stem.filters,
        tuple(stage.filters for stage in network.stages),
        network.head_filters,
        tuple(stage.repeats for stage in network.stages),
    )
    assert found == SHAPES[name]


def test_every_network_has_its_published_sizes_and_regularization():
    found = {}
    for name, variant in efficientnet_v2.VARIANTS.items():
        network = catalog.create(name)
        short = name.removeprefix("efficientnetv2-")
        found[short] = (variant.train_size, network.size, network.dropout)
        assert (network.stochastic_depth, network.activation) == (0.2, Activation.SWISH)
    assert found == PUBLISHED


def test_early_stages_are_fused_and_late_ones_squeeze():
    for name in efficientnet_v2.VARIANTS:
        stages = catalog.create(name).stages
        ops = [stage.op for stage in stages]
        assert ops == [Op.FUSED] * 3 + [Op.MBCONV] * (len(stages) - 3)
        assert [stage.se_ratio for stage in stages] == [0.0] * 3 + [0.25] * (len(stages) - 3)


def test_a_built_network_has_the_published_counts():
    pytest.importorskip("torch")
    network = catalog.create("efficientnetv2-b0").build(IMAGENET)
    trained = sum(p.numel() for p in network.parameters())
    statistics = sum(b.numel() for n, b in network.named_buffers() if "running" in n)
    assert (trained, trained + statistics) == COUNTS["efficientnetv2-b0"][:2]
