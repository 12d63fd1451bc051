import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from exporters.exporter import NamedInput
from search_space.assemblenet import Attention, FlowSource, ModuleKind


def test_every_kind_of_member_is_exported_and_the_lite_network_comes_last(script):
    *members, lite = script.networks(5)
    assert len({member.key for member in members}) == 5
    assert {member.flow for member in members} == set(FlowSource)
    assert {member.module for member in members} == set(ModuleKind)
    assert {member.attention for member in members} == {Attention.NONE, Attention.PEER}
    assert lite.stem.filters == 24


def test_the_error_of_floats_is_what_rounding_does(script):
    half = NamedInput("x", torch.rand(1, 4))
    assert script.float_error(nn.Linear(4, 3), (half,)) < 1e-6

    class Cancels(nn.Module):
        def forward(self, x):
            return (x + 1e6) - 1e6

    assert script.float_error(Cancels(), (half,)) > 1e-3
