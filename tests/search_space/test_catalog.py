import json

import pytest

from search_space import catalog
from search_space.architecture import Classifier
from search_space.chain import Activation, Skip
from search_space.layers import macs, params
from search_space.mnasnet import MnasNetSpace
from workspace.errors import InputError

IMAGENET = Classifier(classes=1000)

# Trainable numbers and MACs at 224 pixels. timm 1.0.20 (mnasnet_*, semnasnet_*, mobilenetv2_*) and
# arithmetic on the published block lists, which agree; MACs None: torchvision 0.28's figures.
COUNTS = {
    "mnasnet-a1": (3_887_038, 311_579_072),
    "mnasnet-a1@0.75": (2_912_278, 223_448_480),
    "mnasnet-a1@1.0": (3_887_038, 311_579_072),
    "mnasnet-a1@1.4": (6_105_992, 586_317_952),
    "mnasnet-b1": (4_383_312, 314_415_872),
    "mnasnet-b1@0.5": (2_218_512, 104_455_968),
    "mnasnet-b1@0.75": (3_170_208, 215_493_104),
    "mnasnet-b1@1.3": (6_282_256, None),
    "mnasnet-b1@1.4": (7_115_728, 588_799_408),
    "mnasnet-small": (2_030_264, 68_339_184),
    "mobilenet-v2": (3_504_872, 300_774_272),
    "mobilenet-v2@0.35": (1_677_128, 59_285_808),
    "mobilenet-v2@0.5": (1_968_680, 97_131_840),
    "mobilenet-v2@0.75": (2_636_424, 209_069_792),
    "mobilenet-v2@1.4": (6_108_776, 582_195_824),
    "mobilenet-v2-110d": (4_516_520, 430_516_080),
    "mobilenet-v2-120d": (5_831_144, 668_857_568),
}
A1_MACS = {192: 229_322_144, 160: 159_720_128, 128: 102_773_024, 96: 58_480_832}
GIGA_MACS = {  # torchvision 0.28's metadata
    "mnasnet-b1@0.5": 0.104,
    "mnasnet-b1@0.75": 0.215,
    "mnasnet-b1": 0.314,
    "mnasnet-b1@1.3": 0.526,
    "mobilenet-v2": 0.301,
}


@pytest.mark.parametrize("name", COUNTS)
def test_published_counts_hold_to_the_unit(name):
    trained, done = COUNTS[name]
    network = catalog.create(name)
    assert params(network, IMAGENET) == trained
    if done is not None:
        assert macs(network, IMAGENET) == done


@pytest.mark.parametrize("size", A1_MACS)
def test_counts_hold_at_other_sizes(size):
    assert macs(catalog.create("mnasnet-a1", size=size), IMAGENET) == A1_MACS[size]


@pytest.mark.parametrize("name", GIGA_MACS)
def test_counts_agree_with_torchvision(name):
    assert macs(catalog.create(name), IMAGENET) / 1e9 == pytest.approx(GIGA_MACS[name], abs=6e-4)


@pytest.mark.parametrize(
    ("name", "running"),
    [("mnasnet-a1", 33_488), ("mnasnet-b1", 37_920), ("mnasnet-small", 16_928),
     ("mobilenet-v2", 34_112), ("mobilenet-v2-120d", 63_776)],
)  # fmt: skip
def test_built_networks_have_the_published_counts(name, running):
    pytest.importorskip("torch")
    network = catalog.create(name).build(IMAGENET)
    assert sum(p.numel() for p in network.parameters()) == COUNTS[name][0]
    statistics = [b for n, b in network.named_buffers() if "running" in n]
    assert sum(b.numel() for b in statistics) == running


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("mnasnet-b1", "mnasnet_100"),
        ("mnasnet-b1@0.75", "mnasnet_075"),
        ("mnasnet-a1", "semnasnet_100"),
        ("mobilenet-v2", "mobilenetv2_100"),
        ("mobilenet-v2-110d", "mobilenetv2_110d"),
        ("efficientnet-b0", "tf_efficientnet_b0"),
        ("efficientnet-b1", "tf_efficientnet_b1"),
        ("efficientnet-lite2", "tf_efficientnet_lite2"),
        ("efficientnet-edgetpu-s", "efficientnet_es"),
        ("efficientnet-edgetpu-m", "efficientnet_em"),
        ("efficientnetv2-b0", "tf_efficientnetv2_b0"),
        ("efficientnetv2-b3", "tf_efficientnetv2_b3"),
    ],
)
def test_networks_compute_what_timm_computes_from_the_same_weights(ours, theirs):
    torch = pytest.importorskip("torch")
    timm = pytest.importorskip("timm")
    reference = timm.create_model(theirs, pad_type="same", bn_eps=1e-3).eval()
    network = catalog.create(ours).build(IMAGENET).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        state = network.state_dict()
        values = reference.state_dict().values()
        for (name, mine), value in zip(state.items(), values, strict=True):
            assert mine.shape == value.shape, name
            mine.copy_(value)
        image = torch.randn(1, 3, 97, 97, generator=generator)
        found, wanted = network(image), reference(image)
    assert (found - wanted).abs().max() <= 1e-4 * wanted.abs().max()


def test_the_first_block_of_mnasnet_small_adds_nothing():
    first = catalog.create("mnasnet-small").unrolled()[0]
    assert first.keeps_shape(8)
    assert first.skip is Skip.NONE


def test_networks_differ_where_their_papers_do():
    assert catalog.create("mobilenet-v2").activation is Activation.RELU6
    assert catalog.create("mnasnet-a1").activation is Activation.RELU
    assert catalog.create("mnasnet-small").dropout == 0.0
    assert catalog.create("mobilenet-v2@1.4").head_filters == 1792
    assert catalog.create("mobilenet-v2@0.5").head_filters == 1280
    assert catalog.create("mnasnet-a1@1.4").head_filters == 1280
    d1 = catalog.create("mnasnet-d1")
    assert [s.filters for s in d1.stages] == [24, 36, 48, 96, 96, 80, 320]
    assert [s.kernel for s in catalog.create("mnasnet-d1-320").stages] == [5, 7, 5, 7, 3, 5, 7]


def test_size_and_channels_can_be_chosen():
    network = catalog.create("mnasnet-d1-320", channels=1)
    assert network.inputs[0].shape == (1, 320, 320)
    assert catalog.create("mnasnet-a1", size=96).inputs[0].shape == (3, 96, 96)


def test_every_name_is_a_network_of_its_own():
    keys = {catalog.resolve(name).key for name in catalog.names()}
    assert len(keys) == len(catalog.names()) == 8 + 18 + 8 + 10 + 8


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mnasnet-a2", "unknown network 'mnasnet-a2'; did you mean mnasnet-a1"),
        ("mobilenetv2", "did you mean mobilenet-v2"),
        ("alexnet", "there are mnasnet-a1, .*mobilenet-v2-120d, .*efficientnetv2-xl"),
        ("mnasnet-a1@", "width multiplier .* got ''"),
        ("mnasnet-a1@zero", "width multiplier .* got 'zero'"),
        ("mnasnet-a1@0", "width multiplier .* got '0'"),
        ("mnasnet-a1@-1", "width multiplier .* got '-1'"),
        (
            "mobilenet-v2-110d@1.4",
            "fixed width, got 'mobilenet-v2-110d@1.4'; mnasnet-a1@W, .*, mobilenet-v2@W take any",
        ),
        ("efficientnet-b0@1.1", "efficientnet-b0 has a fixed width, got 'efficientnet-b0@1.1'"),
        ("efficientnet-b9", "did you mean efficientnet-b"),
        ("efficientnet-v2-s", "did you mean .*efficientnetv2-s"),
        ("spinenet-50", "did you mean spinenet-190|did you mean spinenet-49"),
        ("spinenet-49@0.5", "spinenet-49 has a fixed width, got 'spinenet-49@0.5'"),
        ("spinenet-49", "'spinenet-49' is a scale-permuted network, not a chain of stages"),
        ("assemblenet-50", "'assemblenet-50' is a network of several streams, not a chain"),
    ],
)
def test_an_unknown_name_is_answered_with_close_ones(name, said):
    with pytest.raises(InputError, match=said):
        catalog.create(name)


def test_a_size_too_small_is_refused():
    with pytest.raises(InputError, match="at least 32 pixels"):
        catalog.create("mnasnet-a1", size=31)


def test_a_name_a_file_and_a_list_resolve_to_networks(tmp_path):
    network = catalog.create("mnasnet-b1@0.5")
    file = tmp_path / "network.json"
    file.write_text(json.dumps(network.to_json()))
    assert catalog.resolve(str(file)) == network
    assert catalog.resolve("mnasnet-b1@0.5") == network
    assert catalog.resolve(f"mnasnet:{[0] * 42}") == MnasNetSpace().decode((0,) * 42)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("missing.json", "'missing.json' cannot be read: No such file"),
        ("mnasnet:[0, 1", "must be a JSON list, got '.0, 1'"),
        ("mnasnet:[0, 1]", "has 42 decisions, got 2"),
        ("spinenet-9:[0]", "unknown space 'spinenet-9'"),
        ("mnasnet-a3", "unknown network"),
    ],
)
def test_what_does_not_resolve_says_why(text, said):
    with pytest.raises(InputError, match=said):
        catalog.resolve(text)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "no JSON document"),
        (b"\xff\xfe", "no JSON document"),
        (b"[]", "must be a JSON object, got list"),
        (b"{}", "family is None"),
    ],
)
def test_a_file_that_is_no_network_says_why(tmp_path, content, said):
    file = tmp_path / "network.json"
    file.write_bytes(content)
    with pytest.raises(InputError, match=said):
        catalog.resolve(str(file))
