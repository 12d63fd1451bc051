import pytest

from training.recipes import Length, RecipeName, schedule_of
from training.schedule import Decay, OptimizerName, Schedule
from workspace.errors import InputError

PROXY = Schedule(samples=6400, batch=32, learning_rate=0.02)


def test_the_published_recipes_are_as_published():
    """218,949 steps of 2,048 are 350 epochs of ImageNet's 1,281,167 images (EfficientNet)."""
    found = schedule_of(RecipeName.EFFICIENTNET, PROXY, Length(), epoch=1_281_167)
    assert found.samples // found.batch == 218_949
    assert found.learning_rate == pytest.approx(0.128)
    assert (found.optimizer, found.decay, found.decay_epochs) == (
        OptimizerName.RMSPROP_TF,
        Decay.STAIRCASE,
        2.4,
    )
    assert (found.ema, found.weight_decay, found.label_smoothing) == (0.9999, 1e-5, 0.1)
    assert found.warmup == pytest.approx(5 / 350)
    second = schedule_of(RecipeName.EFFICIENTNETV2, PROXY, Length(), epoch=1_281_167)
    assert second.batch == 4096
    assert second.learning_rate == pytest.approx(0.256)


def test_the_proxy_is_the_data_sets_own_at_any_length():
    assert schedule_of(RecipeName.PROXY, PROXY, Length(), epoch=50_000) == PROXY
    longer = schedule_of(RecipeName.PROXY, PROXY, Length(epochs=0.5, batch=64), epoch=50_000)
    assert (longer.samples, longer.batch, longer.learning_rate) == (25_000, 64, 0.02)


def test_a_length_is_samples_or_epochs():
    assert Length(samples=7).seen(100) == 7
    assert Length(epochs=1.5).seen(100) == 150
    with pytest.raises(InputError, match="got 5 samples and 1 epochs"):
        Length(samples=5, epochs=1)
    with pytest.raises(InputError, match="more than 0 epochs, got 0"):
        Length(epochs=0)


def test_spinenets_protocols_are_as_published():
    """231,500 steps of 256 are 500 epochs of COCO; drops at 217,610 and 226,870 (section 4.1)."""
    found = schedule_of(RecipeName.SPINENET_C, PROXY, Length(), epoch=118_287)
    assert found.samples / found.batch == pytest.approx(231_500, rel=0.003)
    assert list(found.drops) == pytest.approx([217_610 / 231_500, 226_870 / 231_500])
    assert found.learning_rate == pytest.approx(0.28)
    assert found.warmup == pytest.approx(2000 / 231_500, rel=0.01)
    assert (found.weight_decay, found.clip, found.jitter) == (4e-5, 10.0, (0.5, 2.0))
    first = schedule_of(RecipeName.SPINENET_A, PROXY, Length(), epoch=1000)
    assert (first.samples, first.jitter) == (250_000, (0.8, 1.2))
    assert list(first.drops) == pytest.approx([220 / 250, 240 / 250])
    mobile = schedule_of(RecipeName.SPINENET_MOBILE, PROXY, Length(epochs=6), epoch=1000)
    assert (mobile.samples, mobile.weight_decay) == (6000, 3e-5)
    assert list(mobile.drops) == pytest.approx([0.95, 590 / 600])
