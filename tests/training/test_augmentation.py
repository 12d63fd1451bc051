import pytest
import torch

from training.augmentation import augmented
from training.stages import Regularization
from training.task import Preprocessing

CLASSES = 10


def batch(count=64, size=12):
    """Images that are as bright all over as their class says, and their labels."""
    labels = torch.arange(count) % CLASSES
    images = labels.float()[:, None, None, None].repeat(1, 3, size, size)
    return images, labels


def after(strength, images, labels, seed=0, preprocessing=None):
    return augmented(
        images,
        labels,
        strength=strength,
        classes=CLASSES,
        preprocessing=preprocessing,
        generator=torch.Generator().manual_seed(seed),
    )


def expected(shares):
    return shares @ torch.arange(CLASSES).float()


def test_no_strength_leaves_a_batch_as_it_is():
    images, labels = batch()
    same, targets = after(Regularization(dropout=0.3), images, labels)
    assert torch.equal(same, images)
    assert torch.equal(targets, labels)
    assert targets.dtype is torch.int64


def test_mixup_mixes_images_and_targets_alike_with_the_reversed_batch():
    images, labels = batch()
    mixed, shares = after(Regularization(mixup=0.4), images, labels)
    assert torch.allclose(mixed.mean((1, 2, 3)), expected(shares), atol=1e-5)
    assert torch.allclose(shares.sum(1), torch.ones(64))
    own = shares[torch.arange(64), labels]
    assert own.min() >= 0.5
    assert torch.allclose(own + shares[torch.arange(64), labels.flip(0)], torch.ones(64))
    assert len(own.unique()) > 32  # each image has a weight of its own


def test_weights_of_mixup_at_an_alpha_of_1_are_uniform():
    images, labels = batch(count=4000, size=1)
    _, shares = after(Regularization(mixup=1.0), images, labels)
    own = shares[torch.arange(4000), labels]
    # Uniform on [0.5, 1]: the mean of 4000 differs from 0.75 by 0.011 once in a million.
    assert own.mean() == pytest.approx(0.75, abs=0.011)


def test_cutmix_pastes_a_rectangle_of_which_the_targets_know_the_share():
    images, labels = batch()
    pasted, shares = after(Regularization(cutmix=1.0), images, labels)
    assert torch.allclose(pasted.mean((1, 2, 3)), expected(shares), atol=1e-5)
    for image, label, other in zip(pasted, labels, labels.flip(0), strict=True):
        inside = image[0] == other
        assert torch.equal(inside | (image[0] == label), torch.ones(12, 12, dtype=torch.bool))
        if other != label:
            rows, columns = inside.any(1), inside.any(0)
            assert torch.equal(inside, rows[:, None] & columns[None, :])
    assert len(shares.unique(dim=0)) > 32


def test_with_both_the_first_half_is_mixed_up_and_the_second_cut():
    images, labels = batch()
    both, shares = after(Regularization(mixup=0.4, cutmix=1.0), images, labels)
    assert torch.allclose(both.mean((1, 2, 3)), expected(shares), atol=1e-5)
    flat = [len(image.unique()) == 1 for image in both]
    assert all(flat[:32])
    assert not all(flat[32:])
    partners = labels[:32].flip(0)  # of the half, not of the batch
    first = torch.arange(32)
    own, others = shares[first, labels[:32]], shares[first, partners]
    assert torch.allclose(own + others, torch.ones(32))


def test_a_single_image_is_mixed_with_itself():
    images, labels = batch(count=1)
    mixed, shares = after(Regularization(mixup=0.2, cutmix=0.2), images, labels)
    assert torch.equal(mixed, images)
    assert shares.tolist() == [[1.0] + [0.0] * 9]


def test_normalised_images_get_what_their_pixels_would_get():
    pixels = torch.rand(64, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(64) % CLASSES
    how = Preprocessing(channels=3, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    mean, std = (torch.tensor(each)[:, None, None] for each in (how.mean, how.std))
    strength = Regularization(randaugment=15)
    plain, _ = after(strength, pixels, labels)
    normalised, targets = after(strength, (pixels - mean) / std, labels, preprocessing=how)
    # A pixel that rounding lifts over a threshold may come out otherwise.
    close = (normalised * std + mean - plain).abs() < 1e-4
    assert close.float().mean() > 0.99
    assert torch.equal(targets, labels)


def test_equal_generators_give_equal_batches_and_the_global_one_is_left_alone():
    images, labels = torch.rand(64, 1, 28, 28), torch.arange(64) % CLASSES
    strength = Regularization(randaugment=6.667, mixup=0.0667, cutmix=0.0667)
    state, before = torch.get_rng_state(), images.clone()
    (first, shares), (second, again) = (after(strength, images, labels) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(shares, again)
    assert not torch.equal(first, after(strength, images, labels, seed=1)[0])
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(images, before)


def test_clips_are_mixed_as_images_are_all_frames_alike():
    images, labels = batch()
    clips = images[:, :, None].repeat(1, 1, 3, 1, 1)
    for strength in (Regularization(mixup=0.4), Regularization(cutmix=1.0)):
        wanted, shares = after(strength, images, labels)
        made, told = after(strength, clips, labels)
        assert torch.equal(told, shares)
        assert torch.allclose(made, wanted[:, :, None].expand_as(clips), atol=1e-6)


def test_clips_take_randaugment_of_pixels_before_their_preprocessing():
    clips = torch.rand(8, 3, 4, 12, 12, generator=torch.Generator().manual_seed(0))
    _, labels = batch(8)
    half = Preprocessing(channels=3, mean=(0.5,) * 3, std=(0.5,) * 3)
    plain, _ = after(Regularization(randaugment=10), clips, labels)
    made, _ = after(Regularization(randaugment=10), 2 * clips - 1, labels, preprocessing=half)
    assert torch.allclose(made, 2 * plain - 1, atol=1e-5)
    assert not torch.equal(plain, clips)


def test_of_several_labels_each_is_there_as_much_as_its_image():
    images, _ = batch(count=8)
    several = torch.eye(8, CLASSES)
    _, shares = after(Regularization(mixup=0.4), images, several)
    assert torch.allclose(shares.sum(1), torch.ones(8))
    assert (shares.diagonal() >= 0.5).all()
