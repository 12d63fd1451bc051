from dataclasses import replace
from types import SimpleNamespace

import pytest

from pocketnas.variants import variant_of
from search_space import catalog
from search_space.architecture import Family, from_json
from search_space.chain import Activation, ChainArchitecture, Skip
from workspace.errors import InputError


@pytest.mark.parametrize("name", ["spinenet-49", "spinenet-mobile-49xs", "efficientnet-b0"])
def test_a_network_of_the_catalog_takes_another_activation_and_stochastic_depth(name):
    known = catalog.resolve(name)
    made = variant_of(known, activation=Activation.RELU, stochastic_depth=0.3)
    assert "swish" in known.key
    assert "relu" in made.key
    assert "depth0.3" in made.key
    assert from_json(made.to_json()) == made
    assert variant_of(made, activation=Activation.SWISH).key != known.key
    document = {**made.to_json(), "activation": "swish"}
    depth = known.to_json().get("stochastic_depth", 0.0)
    assert from_json({**document, "stochastic_depth": depth}) == known


def test_a_network_of_which_nothing_is_asked_stays_as_it_is():
    known = catalog.resolve("spinenet-49")
    assert variant_of(known) is known


def test_a_network_of_streams_has_no_stochastic_depth():
    known = catalog.resolve("assemblenet-26")
    assert "swish" in variant_of(known, activation=Activation.SWISH).key
    with pytest.raises(InputError, match=r"stochastic depth is for .* family 'multi_stream'"):
        variant_of(known, stochastic_depth=0.2)


def test_a_stochastic_depth_of_one_is_refused():
    with pytest.raises(InputError, match=r"stochastic depth .* got 1"):
        variant_of(catalog.resolve("spinenet-49"), stochastic_depth=1.0)


def test_stochastic_depth_is_refused_where_no_layer_could_be_left_out():
    known = catalog.resolve("efficientnet-b0")
    assert isinstance(known, ChainArchitecture)
    plain = replace(known, stages=tuple(replace(one, skip=Skip.NONE) for one in known.stages))
    with pytest.raises(InputError, match="this network has none"):
        variant_of(plain, stochastic_depth=0.2)
    assert variant_of(plain, stochastic_depth=0.0) == replace(plain, stochastic_depth=0.0)


@pytest.mark.parametrize("asked", [{"activation": Activation.RELU}, {"stochastic_depth": 0.1}])
def test_a_network_of_another_maker_keeps_what_it_has(asked):
    foreign = SimpleNamespace(family=Family.CHAIN)
    assert variant_of(foreign) is foreign
    with pytest.raises(InputError, match="leave it out"):
        variant_of(foreign, **asked)
