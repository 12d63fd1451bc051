from dataclasses import replace

import numpy as np
import pytest

from latency.accuracy import Accuracy
from latency.device_prior import DevicePrior
from latency.evidence import Measurement
from latency.made_up import MadeUpDevice
from latency.predictor import LEAST_MEASUREMENTS, Predictor
from latency.predictor_design import first_choice, next_choice
from latency.signatures import parts_of, unknown_part
from latency.table_plan import random_networks
from search_space.architecture import Classifier
from search_space.proxyless import ProxylessSpace
from search_space.space import create
from workspace.errors import InputError

SUBJECTS = random_networks(ProxylessSpace(size=64), Classifier(classes=10), 320, seed=1)
NETWORKS = [parts_of(each.architecture, each.head) for each in SUBJECTS]
SEEN, UNSEEN = NETWORKS[:160], NETWORKS[160:]
NEW = MadeUpDevice(9)


@pytest.fixture(scope="module")
def prior():
    return DevicePrior.of([MadeUpDevice(seed).other(SEEN[:100]) for seed in range(1, 6)], SEEN)


@pytest.fixture(scope="module")
def predictor(prior):
    chosen = [SEEN[place] for place in first_choice(prior, SEEN, 10)]
    return Predictor.of(prior, NEW.measured(chosen))


def accuracy(predictor, device=NEW, networks=UNSEEN, noise=0.0):
    found = predictor.predict(networks)
    measured = [each.latency_ms for each in device.measured(networks, noise=noise, seed=5)]
    return Accuracy.of(found.latency_ms, measured, low_ms=found.low_ms, high_ms=found.high_ms)


def test_ten_measurements_and_other_devices_predict_a_new_one(predictor):
    found = accuracy(predictor)
    assert found.mape < 0.015
    assert found.spearman > 0.97
    assert found.within_10 == 1.0


def test_networks_with_fused_layers_and_swish_are_predicted_too():
    space = create("efficientnetv2", {"size": "64"})
    subjects = random_networks(space, Classifier(classes=10), 70, seed=1)
    networks = [parts_of(each.architecture, each.head) for each in subjects]
    seen, unseen = networks[:40], networks[40:]
    known = DevicePrior.of([MadeUpDevice(seed).other(seen) for seed in range(1, 4)], seen)
    chosen = [seen[place] for place in first_choice(known, seen, 10)]
    found = accuracy(Predictor.of(known, NEW.measured(chosen)), networks=unseen)
    assert found.spearman > 0.85
    assert found.mape < 0.15


def test_intervals_of_90_percent_hold_about_as_many(predictor):
    """160 networks of one device, whose errors are alike: far from independent draws."""
    assert 0.8 <= accuracy(predictor, noise=0.01).interval_coverage <= 1.0


def test_the_ten_that_are_chosen_teach_more_than_ten_at_random(prior):
    """On average over devices; on one of them ten at random may be lucky."""
    chosen = [SEEN[place] for place in first_choice(prior, SEEN, 10)]
    ways = [chosen, *(SEEN[start : start + 10] for start in range(0, 100, 10))]
    designed, at_random = [], []
    for seed in (9, 11, 13):
        device = MadeUpDevice(seed)
        found = [Predictor.of(prior, device.measured(ten, seed=seed)) for ten in ways]
        errors = [accuracy(each, device).mape for each in found]
        designed.append(errors[0])
        at_random += errors[1:]
    assert np.mean(designed) < np.mean(at_random)


def test_more_measurements_make_it_better(predictor):
    more = predictor.with_measurements(NEW.measured(SEEN[20:120], noise=0.003, seed=3))
    assert accuracy(more).mape < 0.8 * accuracy(predictor).mape
    assert len(more.measurements) == len(predictor.measurements) + 100


def test_without_other_devices_it_predicts_worse_and_says_so_in_its_intervals(predictor):
    alone = DevicePrior.of([], SEEN)
    chosen = [SEEN[place] for place in first_choice(alone, SEEN, 10)]
    found = Predictor.of(alone, NEW.measured(chosen))
    assert accuracy(found).mape > 2 * accuracy(predictor).mape
    width = found.predict(UNSEEN).high_ms - found.predict(UNSEEN).low_ms
    narrow = predictor.predict(UNSEEN).high_ms - predictor.predict(UNSEEN).low_ms
    assert np.median(width) > np.median(narrow)


def test_measurements_that_something_disturbed_cost_little(prior, predictor):
    disturbed = [
        replace(each, latency_ms=1.6 * each.latency_ms) if place == 4 else each
        for place, each in enumerate(predictor.measurements)
    ]
    found = Predictor.of(prior, disturbed)
    assert accuracy(found).median_error < 0.05


def test_an_interval_holds_its_prediction_and_widens_with_confidence(predictor):
    narrow, wide = predictor.predict(UNSEEN, 0.5), predictor.predict(UNSEEN, 0.99)
    for found in (narrow, wide):
        assert (found.low_ms <= found.latency_ms).all()
        assert (found.latency_ms <= found.high_ms).all()
        assert (found.low_ms >= 0).all()
    assert (wide.high_ms - wide.low_ms > narrow.high_ms - narrow.low_ms).all()


def test_a_part_that_no_device_was_measured_with_costs_something_and_is_counted(predictor):
    strange = replace(UNSEEN[0][3], key="strange", macs=3 * UNSEEN[0][3].macs)
    without, network = UNSEEN[0][:3] + UNSEEN[0][4:], (*UNSEEN[0][:3], strange, *UNSEEN[0][4:])
    found = predictor.predict([without, network, UNSEEN[0]])
    assert found.latency_ms[1] > found.latency_ms[0]
    shares = (found.high_ms - found.low_ms) / found.latency_ms
    assert shares[1] > shares[2]
    assert found.coverage.tolist() == pytest.approx([1.0, 1 - 1 / len(network), 1.0])


def test_a_prediction_does_not_depend_on_what_else_is_asked(predictor):
    together, alone = predictor.predict(UNSEEN[:20]), predictor.predict(UNSEEN[7:8])
    assert together.latency_ms[7] == pytest.approx(alone.latency_ms[0], rel=1e-9)
    assert together.low_ms[7] == pytest.approx(alone.low_ms[0], rel=0.01)


def test_too_few_measurements_are_refused(prior):
    with pytest.raises(InputError, match=f"at least {LEAST_MEASUREMENTS} measured .*got 4"):
        Predictor.of(prior, NEW.measured(SEEN[:4]))


@pytest.mark.parametrize("latency_ms", [float("nan"), 0.0, -1.0, float("inf")])
def test_a_measurement_that_is_no_latency_is_refused(latency_ms):
    with pytest.raises(InputError, match="above 0 and finite"):
        Measurement(parts=(unknown_part("x"),), latency_ms=latency_ms)


def test_the_next_one_is_where_it_is_least_sure(predictor):
    (best,) = next_choice(predictor, UNSEEN, 1)
    found = predictor.predict(UNSEEN)
    widths = (found.high_ms - found.low_ms) / found.latency_ms
    assert widths[best] == widths.max()


def test_choices_are_all_different_and_as_many_as_asked(prior):
    chosen = first_choice(prior, SEEN, 25)
    assert len(set(chosen)) == 25
    with pytest.raises(InputError, match="200 networks cannot be chosen among 160"):
        first_choice(prior, SEEN, 200)
