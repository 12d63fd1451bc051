import pytest
import torch
from torch import nn

from training.gates import Gated, learned_gates


class Part(nn.Module):
    def __init__(self, name, *values):
        super().__init__()
        self.name, self.values = name, values

    def gates(self):
        return {self.name: self.values}


def test_a_network_without_gates_tells_none(tiny_video_network):
    assert learned_gates(nn.Conv2d(1, 1, 1)) == {}
    assert learned_gates(tiny_video_network(3)) == {}


def test_gates_of_all_parts_are_told_by_name_as_plain_numbers():
    network = nn.Sequential(Part("4", 0.25, 0.75), nn.Sequential(Part("5", torch.tensor(0.5))))
    assert isinstance(network[0], Gated)
    assert learned_gates(network) == {"4": (0.25, 0.75), "5": (0.5,)}


def test_two_parts_with_one_name_are_refused():
    with pytest.raises(ValueError, match=r"two parts of the network have gates called '4'"):
        learned_gates(nn.Sequential(Part("4", 0.25), Part("4", 0.5)))


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_what_is_no_share_is_refused(value):
    with pytest.raises(ValueError, match=r"gates are in \[0, 1\], those called '4' have"):
        learned_gates(Part("4", 0.5, value))
