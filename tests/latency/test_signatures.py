from dataclasses import replace

from latency.signatures import signature_of
from search_space.chain import Activation, Op
from search_space.layers import Layer, LayerKind

PLAIN = Layer(
    kind=LayerKind.BLOCK,
    op=Op.MBCONV,
    in_size=14,
    in_channels=24,
    out_size=7,
    out_channels=40,
    kernel=5,
    stride=2,
    expansion=6,
)


def test_a_layer_of_a_published_table_has_its_key():
    key = "expanded_conv-input:14x14x24-output:7x7x40-expand:6-kernel:5-stride:2-idskip:0"
    assert signature_of(PLAIN).key == key
    assert signature_of(replace(PLAIN, activation=Activation.RELU6)).key == key


def test_what_costs_otherwise_has_another_key():
    changes: list[dict[str, object]] = [
        {},
        {"op": Op.FUSED},
        {"op": Op.CONV, "expansion": 1},
        {"squeezed": 6},
        {"expands": 16},
        {"activation": Activation.SWISH},
        {"op": Op.FUSED, "activation": Activation.SWISH},
    ]
    found = [signature_of(replace(PLAIN, **change)) for change in changes]  # type: ignore[arg-type]
    assert len({one.key for one in found}) == len(changes)
    assert signature_of(replace(PLAIN, op=Op.FUSED, expands=16)).key == (
        "fused-input:14x14x24-output:7x7x40-expand:6-kernel:5-stride:2-skip:none-expands:16"
    )


def test_stem_and_head_with_swish_are_none_of_a_published_table():
    stem = Layer(
        kind=LayerKind.STEM, in_size=28, in_channels=3, out_size=14, out_channels=32, kernel=3,
        stride=2, activation=Activation.SWISH,
    )  # fmt: skip
    key = "input:28x28x3-output:14x14x32-expand:1-kernel:3-stride:2-skip:none-swish"
    assert signature_of(stem).key == f"stem-{key}"
    assert signature_of(replace(stem, kind=LayerKind.HEAD)).key == f"head-{key}"


def test_a_correction_treats_fused_layers_and_swish_apart():
    fused = replace(PLAIN, op=Op.FUSED, squeezed=6, activation=Activation.SWISH)
    kinds = [signature_of(layer).kind for layer in (PLAIN, replace(PLAIN, squeezed=6), fused)]
    assert kinds == ["mbconv", "mbconv-se", "fused-se-swish"]


def test_hidden_numbers_are_what_lies_between_the_operators():
    wide, deep = 14**2 * 24 * 6, 7**2 * 24 * 6
    assert signature_of(PLAIN).hidden_elements == wide + deep
    assert signature_of(replace(PLAIN, op=Op.FUSED)).hidden_elements == deep
    swish = replace(PLAIN, activation=Activation.SWISH)
    assert signature_of(swish).hidden_elements == 3 * (wide + deep)
    conv = replace(swish, op=Op.CONV, expansion=1)
    assert signature_of(conv).hidden_elements == 2 * 7**2 * 40
    classifier = replace(swish, kind=LayerKind.CLASSIFIER, op=Op.CONV, expansion=1)
    assert signature_of(classifier).hidden_elements == 0
