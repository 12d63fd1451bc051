import pytest
import torch

from training.box_augmentation import augmented_boxes
from training.framing import PAD
from training.randaugment import IN_PLACE, Operation, changed
from training.stages import Regularization
from training.task import Preprocessing

NOTHING = [float(PAD), 0.0, 0.0, 0.0, 0.0]


def batch(count=32, size=16):
    """Images as bright all over as their place says, each with one thing of that class."""
    places = torch.arange(count).float()
    images = (places / count)[:, None, None, None].repeat(1, 1, size, size)
    box = torch.tensor([2.0, 3.0, 9.0, 12.0]).repeat(count, 1)
    things = torch.cat((places[:, None], box), dim=1)
    nothing = torch.tensor(NOTHING).repeat(count, 1)
    return images, torch.stack((things, nothing), dim=1)


def after(strength, images, targets, seed=0, preprocessing=None):
    return augmented_boxes(
        images,
        targets,
        strength=strength,
        preprocessing=preprocessing,
        generator=torch.Generator().manual_seed(seed),
    )


def test_no_strength_leaves_a_batch_as_it_is():
    images, targets = batch()
    same, told = after(Regularization(dropout=0.3), images, targets)
    assert same is images
    assert told is targets


def test_mixup_keeps_the_things_of_both_images_as_much_as_each_is_there():
    images, targets = batch()
    mixed, told = after(Regularization(mixup=0.4), images, targets)
    assert told.shape == (32, 4, 6)
    assert torch.equal(told[:, :2, :5], targets)
    assert torch.equal(told[:, 2:, :5], targets.flip(0))
    own, partner = told[:, 0, 5], told[:, 2, 5]
    assert torch.allclose(own + partner, torch.ones(32))
    assert own.min() >= 0.5
    assert len(own.unique()) > 16
    brightness = (own * told[:, 0, 0] + partner * told[:, 2, 0]) / 32
    assert torch.allclose(mixed.mean((1, 2, 3)), brightness, atol=1e-6)


def test_things_of_an_image_of_which_nothing_is_left_are_padding():
    images, targets = batch()
    _, told = after(Regularization(mixup=1e-4), images, targets)  # all or nothing
    gone = told[:, :, 5] == 0
    assert gone.any()
    assert (told[..., 0][gone] == PAD).all()
    assert torch.equal(told[:, 0, 0], targets[:, 0, 0])


def test_a_crowd_of_either_image_stays_one():
    images, targets = batch()
    targets[:, 0, 0] = -2.0 - targets[:, 0, 0]
    _, told = after(Regularization(mixup=1.0), images, targets)
    assert torch.equal(told[:, 0, 0], targets[:, 0, 0])
    assert torch.equal(told[:, 2, 0], targets.flip(0)[:, 0, 0])


@pytest.mark.parametrize("operation", IN_PLACE)
def test_what_boxes_are_around_stays_where_it_is(operation):
    images = torch.rand(4, 3, 12, 16, generator=torch.Generator().manual_seed(0))

    def done(given):
        return changed(given, operation, 15.0, torch.Generator().manual_seed(1))

    assert torch.allclose(done(images.flip(-1)), done(images).flip(-1), atol=1e-6)
    assert torch.allclose(done(images.flip(-2)), done(images).flip(-2), atol=1e-6)


def test_no_operation_that_moves_or_hides_things_is_drawn():
    assert len(IN_PLACE) == len(Operation) - 6
    images = torch.zeros(512, 1, 16, 16)
    images[..., 4:9, 4:9] = 1.0
    _, targets = batch(512)
    made, told = after(Regularization(randaugment=15), images, targets)
    assert told is targets
    inside, outside = made[..., 5:8, 5:8], made[..., 12:, 12:]
    for part in (inside, outside):
        assert torch.equal(part.amax((1, 2, 3)), part.amin((1, 2, 3)))


def test_pixels_are_changed_as_they_were_before_the_preprocessing():
    images, targets = batch()
    half = Preprocessing(channels=1, mean=(0.5,), std=(0.5,))
    strength = Regularization(randaugment=10)
    plain, _ = after(strength, images, targets)
    made, _ = after(strength, images.sub(0.5).div(0.5), targets, preprocessing=half)
    assert torch.allclose(made, plain.sub(0.5).div(0.5), atol=1e-5)


def test_equal_generators_give_equal_batches_and_what_is_given_is_left_alone():
    strength = Regularization(randaugment=10, mixup=0.5)
    images, targets = batch()
    before = images.clone(), targets.clone()
    (first, told), (second, again) = (after(strength, images, targets) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(told, again)
    assert torch.equal(images, before[0])
    assert torch.equal(targets, before[1])
