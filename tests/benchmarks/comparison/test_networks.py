import pytest

from benchmarks.comparison.networks import DROPOUT, Baseline, Family, Own
from benchmarks.comparison.timing import exported
from search_space.architecture import Classifier, Detector
from search_space.mnasnet import MnasNetSpace
from search_space.spinenet_networks import create
from training.classification import SMALL_IMAGES

torch = pytest.importorskip("torch")

HEAD = Classifier(classes=10)
SMALLEST = [Baseline(family=family, width=0.25) for family in Family]


@pytest.fixture
def own():
    space = MnasNetSpace.from_options({**SMALL_IMAGES, "size": "28"})
    return Own(name="ours", architecture=space.decode((0,) * len(space.points.choices)))


def last_size(module):
    """Pixels a side that the last convolution over the image works on."""
    sizes = []

    def note(_part, _inputs, output):
        sizes.append(output.shape[-1])

    hooks = [
        part.register_forward_hook(note)
        for part in module.modules()
        if isinstance(part, torch.nn.Conv2d) and part.kernel_size != (1, 1)
    ]
    with torch.no_grad():
        module.eval()(torch.zeros(1, 1, 28, 28))
    for hook in hooks:
        hook.remove()
    return sizes[-1]


@pytest.mark.parametrize("baseline", SMALLEST, ids=lambda one: one.name)
def test_baselines_halve_three_times_as_our_spaces_do(baseline, own):
    module = baseline.build(HEAD, 0)
    halving = [
        part
        for part in module.modules()
        if isinstance(part, torch.nn.Conv2d) and part.stride == (2, 2)
    ]
    assert len(halving) == 3
    assert last_size(module) == last_size(own.build(HEAD, 0)) == 4


@pytest.mark.parametrize("baseline", SMALLEST, ids=lambda one: one.name)
def test_baselines_take_grey_images_and_have_our_dropout_and_no_pad(baseline, own, tmp_path):
    from exporters.tflite_file import operators

    module = baseline.build(HEAD, 0)
    assert module.drop_rate == own.architecture.dropout == DROPOUT
    with torch.no_grad():
        assert module.eval()(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    artifact, cost = exported(module, 28, tmp_path)
    assert "PAD" not in operators(artifact.path)
    assert 1e6 < cost.macs < 1e7


def test_a_wider_baseline_costs_more(tmp_path):
    macs = [
        exported(Baseline(family=family, width=width).build(HEAD, 0), 28, tmp_path)[1].macs
        for family in Family
        for width in (0.35, 0.5)
    ]
    assert macs[0] < macs[1]
    assert macs[2] < macs[3]
    assert macs[4] < macs[5]


def weights(module):
    return torch.cat([value.flatten().float() for value in module.state_dict().values()])


def test_weights_are_drawn_by_the_seed_in_baselines_and_ours_alike(own):
    for network in (SMALLEST[0], own):
        first, again, other = (weights(network.build(HEAD, seed)) for seed in (0, 0, 1))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


def test_keys_and_names_tell_networks_apart(own):
    everything = [*SMALLEST, Baseline(family=Family.MOBILENET_V2, width=0.5), own]
    assert len({one.key for one in everything}) == len({one.name for one in everything}) == 5
    assert SMALLEST[0].name == "mobilenetv2@0.25"


def test_scores_are_of_one_size_at_first_however_wide_the_last_layer_is(own):
    for network in (*SMALLEST, own):
        *_, last = (
            part for part in network.build(HEAD, 0).modules() if isinstance(part, torch.nn.Linear)
        )
        limit = last.in_features**-0.5
        assert 0.9 * limit < last.weight.abs().max().item() <= limit
        assert not last.bias.any()


def test_a_detector_has_weights_of_its_seed_and_retinanets_prior():
    network = Own(name="found", architecture=create("spinenet-mobile-49xs").at(128))
    modules = [network.build(Detector(classes=2), seed) for seed in (0, 0, 1)]
    first, again, other = map(weights, modules)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    with torch.no_grad():
        scores = modules[2].eval()(torch.zeros(1, 3, 128, 128))[0].sigmoid()
    assert scores.mean().item() == pytest.approx(0.01, rel=0.2)  # of focal loss, section 4.1


def test_a_baseline_is_no_detector():
    with pytest.raises(ValueError, match="a baseline is a classifier, got Detector"):
        SMALLEST[0].build(Detector(classes=2), 0)
