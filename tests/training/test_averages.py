import torch
from torch import nn

from training.averages import WeightAverage


def weight_of(average):
    return next(average.network.parameters())


def filled(value):
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, value)
    return layer


def test_a_short_training_does_not_end_with_its_first_weights():
    layer = filled(0.0)
    average = WeightAverage(layer, 0.9999)
    nn.init.constant_(layer.weight, 1.0)
    for _ in range(30):
        average.update()
    assert weight_of(average).item() > 0.99


def test_a_long_one_forgets_by_its_decay():
    layer = filled(0.0)
    average = WeightAverage(layer, 0.5)
    nn.init.constant_(layer.weight, 1.0)
    for _ in range(3):  # warm-up: 2/11, 3/12, 4/13
        average.update()
    left = 2 / 11 * 3 / 12 * 4 / 13
    assert torch.allclose(weight_of(average), torch.tensor([[1 - left]]))
    for _ in range(100):
        average.update()
    nn.init.constant_(layer.weight, 3.0)
    average.update()
    assert torch.allclose(weight_of(average), torch.tensor([[2.0]]))


def test_the_average_can_take_the_weights_place():
    layer = filled(0.0)
    average = WeightAverage(layer, 0.9)
    nn.init.constant_(layer.weight, 1.0)
    average.update()
    average.put()
    assert torch.allclose(layer.weight, torch.tensor([[9 / 11]]))
