import dataclasses
import json
import random
from typing import Any

import pytest

from search_space import catalog
from search_space.architecture import Classifier, Detector, Json, VideoClassifier, from_json
from search_space.chain import Activation, ChainArchitecture, Op, Skip, Stage, Stem
from workspace.errors import InputError


def stage(op: Op = Op.MBCONV, **changes: Any) -> Stage:
    plain = Stage(op=op, kernel=3, stride=1, expansion=3, filters=8, repeats=1)
    return dataclasses.replace(plain, **changes)


def chain(*stages: Stage, **changes: Any) -> ChainArchitecture:
    values: dict[str, Any] = {"size": 16, "stem": Stem(filters=8), "head_filters": 16}
    return ChainArchitecture(**{**values, "stages": stages, **changes})


def test_the_key_is_text_for_people():
    network = catalog.create("mnasnet-a1")
    assert network.key == (
        "chain_224px_3ch_relu_stem32k3s2_mb1k3s1f16_2xmb6k3s2f24_3xmb3k5s2f40se0.25_"
        "4xmb6k3s2f80_2xmb6k3s1f112se0.25_3xmb6k5s2f160se0.25_mb6k3s1f320_head1280_drop0.2"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"size": 17},
        {"channels": 1},
        {"stem": Stem(filters=9)},
        {"stem": Stem(filters=8, kernel=5)},
        {"stem": Stem(filters=8, stride=1)},
        {"head_filters": 17},
        {"activation": Activation.RELU6},
        {"dropout": 0.1},
        {"stages": (stage(repeats=2),), "stochastic_depth": 0.2},
    ],
)
def test_each_field_of_a_network_is_in_its_key(change):
    assert chain(stage(), **change).key != chain(stage()).key


@pytest.mark.parametrize(
    "change",
    [
        {"op": Op.CONV},
        {"kernel": 5},
        {"stride": 2},
        {"expansion": 6},
        {"filters": 9},
        {"repeats": 2},
        {"se_ratio": 0.25},
        {"skip": Skip.NONE},
        {"op": Op.FUSED},
        {"expands": 4},
        {"activation": Activation.SWISH},
    ],
)
def test_each_field_of_a_stage_is_in_the_key(change):
    assert chain(stage(**change)).key != chain(stage()).key


SAME_FUNCTION = {
    "an expansion that a convolution does not have": (
        [stage(Op.CONV, expansion=1)],
        [stage(Op.CONV, expansion=6)],
    ),
    "an expansion that a depthwise layer does not have": (
        [stage(Op.DEPTHWISE, expansion=1)],
        [stage(Op.DEPTHWISE, expansion=6)],
    ),
    "a depthwise layer and a bottleneck of expansion 1": (
        [stage(Op.DEPTHWISE)],
        [stage(Op.MBCONV, expansion=1)],
    ),
    "no skip where the only layer changes the width": (
        [stage(filters=9, skip=Skip.NONE)],
        [stage(filters=9, skip=Skip.IDENTITY)],
    ),
    "no skip where the only layer has a stride": (
        [stage(stride=2, skip=Skip.NONE)],
        [stage(stride=2, skip=Skip.IDENTITY)],
    ),
    "pooling over windows of one pixel": (
        [stage(repeats=2, skip=Skip.POOL)],
        [stage(repeats=2, skip=Skip.IDENTITY)],
    ),
    "two stages of equal layers": ([stage(repeats=3)], [stage(), stage(repeats=2)]),
    "layers after a stride in a stage of their own": (
        [stage(stride=2, filters=9, repeats=3)],
        [stage(stride=2, filters=9, skip=Skip.NONE), stage(filters=9), stage(filters=9)],
    ),
    "a pooled layer and identities after it": (
        [stage(stride=2, filters=9, repeats=3, skip=Skip.POOL)],
        [stage(stride=2, filters=9, skip=Skip.POOL), stage(filters=9, repeats=2)],
    ),
    "a fused bottleneck of expansion 1 and a convolution": (
        [stage(Op.FUSED, expansion=1, expands=4, se_ratio=0.25)],
        [stage(Op.CONV, se_ratio=0.25)],
    ),
    "an expansion of the channels that come": (
        [stage(expands=8, repeats=2)],
        [stage(repeats=2)],
    ),
    "what an expansion of 1 multiplies": (
        [stage(expansion=1, expands=4)],
        [stage(Op.DEPTHWISE, expands=5)],
    ),
    "an activation that the network has": (
        [stage(activation=Activation.RELU, repeats=2)],
        [stage(), stage(activation=Activation.RELU)],
    ),
    "layers without any skip": (
        [stage(filters=9, repeats=2, skip=Skip.NONE)],
        [stage(filters=9), stage(filters=9, skip=Skip.NONE)],
    ),
}


@pytest.mark.parametrize("pair", SAME_FUNCTION.values(), ids=SAME_FUNCTION)
def test_networks_of_one_function_have_one_key(pair):
    first, second = (chain(*stages) for stages in pair)
    assert first != second
    assert first.key == second.key
    assert first.canonical() == second.canonical()


OTHER_FUNCTION = {
    "a last layer without skip": (
        [stage(filters=9, repeats=3)],
        [stage(filters=9, repeats=2), stage(filters=9, skip=Skip.NONE)],
    ),
    "a pooled layer and none after it": (
        [stage(stride=2, repeats=2, skip=Skip.POOL)],
        [stage(stride=2, skip=Skip.POOL), stage(skip=Skip.NONE)],
    ),
    "a stride in the second layer": (
        [stage(filters=9, repeats=2)],
        [stage(filters=9), stage(filters=9, stride=2)],
    ),
    "a fused and a plain bottleneck": (
        [stage(Op.FUSED)],
        [stage(Op.MBCONV)],
    ),
    "an expansion of fewer channels than come, in the first layer only": (
        [stage(Op.FUSED, filters=6, repeats=2, expands=6)],
        [stage(Op.FUSED, filters=6, repeats=2)],
    ),
    "an activation in the second layer": (
        [stage(repeats=2)],
        [stage(), stage(activation=Activation.SWISH)],
    ),
    "a pool before a stride": (
        [stage(stride=2, skip=Skip.POOL)],
        [stage(stride=2, skip=Skip.IDENTITY)],
    ),
}


@pytest.mark.parametrize("pair", OTHER_FUNCTION.values(), ids=OTHER_FUNCTION)
def test_networks_of_other_functions_have_other_keys(pair):
    first, second = (chain(*stages) for stages in pair)
    assert first.key != second.key


def random_chain(rng: random.Random) -> ChainArchitecture:
    """Few options, so that equal neighbours and redundant fields are common."""
    stages = [
        stage(
            rng.choice(list(Op)),
            stride=rng.choice((1, 1, 1, 2)),
            expansion=rng.choice((1, 2)),
            filters=rng.choice((4, 8)),
            repeats=rng.choice((1, 2)),
            skip=rng.choice(list(Skip)),
            expands=rng.choice((None, None, None, 4)),
            activation=rng.choice((None, None, Activation.RELU, Activation.SWISH)),
        )
        for _ in range(rng.randrange(1, 4))
    ]
    return chain(*stages, size=64)


def test_keys_are_equal_exactly_when_the_layers_are():
    rng = random.Random(0)
    drawn = [random_chain(rng) for _ in range(3000)]
    by_key: dict[str, tuple[Stage, ...]] = {}
    for network in drawn:
        assert by_key.setdefault(network.key, network.unrolled()) == network.unrolled()
    assert len(set(by_key.values())) == len(by_key) < len({*drawn})


def test_a_canonical_network_has_the_same_layers_and_is_its_own_canonical():
    rng = random.Random(1)
    for _ in range(300):
        network = random_chain(rng)
        canonical = network.canonical()
        assert canonical.unrolled() == network.unrolled()
        assert canonical.canonical() == canonical
        assert len(canonical.stages) <= len(network.unrolled())


def test_networks_survive_json():
    rng = random.Random(2)
    for network in [random_chain(rng) for _ in range(50)]:
        assert from_json(json.loads(json.dumps(network.to_json()))) == network


def test_the_document_of_version_1_is_read_for_ever():
    document: dict[str, Json] = {
        "family": "chain",
        "version": 1,
        "size": 32,
        "channels": 1,
        "stem": {"filters": 8, "kernel": 3, "stride": 1},
        "stages": [
            {
                "op": "mbconv",
                "kernel": 5,
                "stride": 2,
                "expansion": 6,
                "filters": 16,
                "repeats": 2,
                "se_ratio": 0.25,
                "skip": "pool",
            }
        ],
        "head_filters": 64,
        "activation": "relu6",
        "dropout": 0.0,
    }
    network = from_json(document)
    assert network.key == ("chain_32px_1ch_relu6_stem8k3s1_2xmb6k5s2f16se0.25-pool_head64_drop0.0")
    assert network.to_json() == document


VERSION_2: dict[str, Json] = {
    "family": "chain",
    "version": 2,
    "size": 64,
    "channels": 3,
    "stem": {"filters": 32, "kernel": 3, "stride": 2},
    "stages": [
        {
            "op": "fused",
            "kernel": 3,
            "stride": 1,
            "expansion": 4,
            "filters": 24,
            "repeats": 2,
            "se_ratio": 0.0,
            "skip": "none",
            "expands": 24,
            "activation": "relu",
        },
        {
            "op": "mbconv",
            "kernel": 5,
            "stride": 2,
            "expansion": 6,
            "filters": 40,
            "repeats": 2,
            "se_ratio": 0.25,
            "skip": "identity",
            "expands": None,
            "activation": None,
        },
    ],
    "head_filters": 128,
    "activation": "swish",
    "dropout": 0.2,
    "stochastic_depth": 0.25,
}


def test_the_document_of_version_2_is_read_for_ever():
    network = from_json(VERSION_2)
    assert network.key == (
        "chain_64px_3ch_swish_stem32k3s2_fused4of24k3s1f24-relu_fused4k3s1f24-none-relu_"
        "2xmb6k5s2f40se0.25_head128_drop0.2_depth0.25"
    )
    assert network.to_json() == VERSION_2


@pytest.mark.parametrize(
    "change",
    [
        {"stochastic_depth": 0.1},
        {"stages": (stage(expands=8),)},
        {"stages": (stage(activation=Activation.RELU),)},
    ],
)
def test_what_version_1_cannot_say_is_written_as_version_2(change):
    network = chain(stage(), **change)
    assert network.to_json()["version"] == 2
    assert from_json(network.to_json()) == network


def test_what_version_1_can_say_is_written_as_before():
    assert chain(stage(Op.FUSED), activation=Activation.SWISH).to_json()["version"] == 1


def test_stochastic_depth_grows_from_layer_to_layer():
    network = chain(
        stage(filters=8, repeats=2), stage(filters=8, stride=2, repeats=2), stochastic_depth=0.2
    )
    assert network.drop_rates == pytest.approx((0, 0.05, 0, 0.15))


def test_stochastic_depth_without_an_identity_is_in_no_key():
    for stages in ([stage()], [stage(), stage(stride=2)], [stage(skip=Skip.NONE, repeats=3)]):
        deep, plain = chain(*stages, stochastic_depth=0.2), chain(*stages)
        assert (deep.key, deep.canonical()) == (plain.key, plain.canonical())


def broken(path: tuple[str | int, ...], value: object) -> dict[str, Json]:
    document = chain(stage()).to_json()
    inner: Any = document
    for name in path[:-1]:
        inner = inner[name]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("family",), "tree", "family is 'tree', known are: chain"),
        (("version",), 3, "'version' .* must be 1 or 2, got 3"),
        (("version",), 0, "must be 1 or 2, got 0"),
        (("version",), True, "must be 1 or 2, got True"),
        (("version",), 2, "a stage lacks the field 'expands'"),
        (("size",), ..., "lacks the field 'size'"),
        (("size",), "224", "'size' .* whole number, got '224'"),
        (("size",), True, "whole number, got True"),
        (("dropout",), "0.2", "'dropout' .* a number, got '0.2'"),
        (("activation",), "gelu", "one of relu, relu6, swish, got 'gelu'"),
        (("stages",), {}, "'stages' .* a list"),
        (("stages",), [], "at least one stage"),
        (("stages",), [1], "a stage must be a JSON object, got 1"),
        (("stages", 0, "op"), "pool", "one of conv, dwsep, mbconv, fused, got 'pool'"),
        (("stages", 0, "kernel"), 4, "odd number of at least 1, got 4"),
        (("stem",), 32, "'stem' .* JSON object, got 32"),
        (("stem", "stride"), 3, "stride of a stem must be 1 or 2, got 3"),
        (("depth",), 3, "unknown fields: depth"),
        (("stem", "depth"), 3, "unknown fields: depth"),
        (("stochastic_depth",), 0.2, "unknown fields: stochastic_depth"),
    ],
)
def test_a_wrong_document_says_what_is_wrong(path, value, said):
    with pytest.raises(InputError, match=said):
        from_json(broken(path, value))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("expands", "24", "'expands' of a stage must be a whole number, got '24'"),
        ("expands", 0, "expansion of a stage multiplies .* got 0"),
        ("activation", "gelu", "'activation' of a stage must be one of relu, .* got 'gelu'"),
    ],
)
def test_a_wrong_stage_of_version_2_says_what_is_wrong(field, value, said):
    document: Any = json.loads(json.dumps(VERSION_2))
    document["stages"][0][field] = value
    with pytest.raises(InputError, match=said):
        from_json(document)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"filters": 0}, "filters of a stage .* got 0"),
        ({"repeats": 1.0}, "repeats of a stage .* got 1.0"),
        ({"expansion": -6}, "expansion of a stage .* got -6"),
        ({"kernel": 2}, "kernel of a stage .* got 2"),
        ({"stride": 0}, "stride of a stage .* got 0"),
        ({"se_ratio": 1.5}, "in .0, 1., got 1.5"),
        ({"se_ratio": float("nan")}, "got nan"),
    ],
)
def test_a_wrong_stage_quotes_what_came(change, said):
    with pytest.raises(InputError, match=said):
        stage(**change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"channels": 0}, "input channels .* got 0"),
        ({"head_filters": 0}, "head filters .* got 0"),
        ({"dropout": 1.0}, "dropout .* got 1.0"),
        ({"stochastic_depth": -0.1}, "stochastic depth .* got -0.1"),
        ({"stochastic_depth": float("nan")}, "stochastic depth .* got nan"),
        ({"size": 1}, "at least 2 pixels"),
        ({"size": 16.0}, "got 16.0"),
    ],
)
def test_a_wrong_network_quotes_what_came(change, said):
    with pytest.raises(InputError, match=said):
        chain(stage(), **change)


def test_the_size_can_change_down_to_the_product_of_strides():
    network = catalog.create("mnasnet-a1")
    assert network.at(32).inputs[0].shape == (3, 32, 32)
    assert network.at(32).weights_key == network.weights_key
    assert network.at(32).at(224) == network
    for size in (31, 0, -224):
        with pytest.raises(InputError, match=f"at least 32 pixels.* got {size}"):
            network.at(size)


@pytest.mark.parametrize("head", [Detector(classes=3), VideoClassifier(classes=3)])
def test_other_heads_than_a_classifier_are_refused(head):
    with pytest.raises(InputError, match=type(head).__name__):
        chain(stage()).build(head)


def test_values_are_frozen_and_hashable():
    network = chain(stage())
    with pytest.raises(dataclasses.FrozenInstanceError):
        network.size = 3  # type: ignore[misc]
    assert {network: 1}[chain(stage())] == 1


def test_networks_of_one_function_give_one_output():
    torch = pytest.importorskip("torch")
    image = torch.randn(2, 3, 17, 17, generator=torch.Generator().manual_seed(0))
    for stages in SAME_FUNCTION.values():
        first, second = (
            chain(*s, size=17).build(Classifier(classes=4)).eval()(image) for s in stages
        )
        assert torch.equal(first, second)
