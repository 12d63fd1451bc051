from types import SimpleNamespace

import pytest

from benchmarks.comparison.log import Log
from benchmarks.comparison.networks import Family, Own
from benchmarks.comparison.trainings import Trained
from search_space.mnasnet import MnasNetSpace
from workspace.errors import InputError, OperationError

pytest.importorskip("timm")


def quiet(_text):
    pass


@pytest.fixture(scope="module")
def networks():
    """Of different keys."""
    space = MnasNetSpace.from_options({"size": "28", "strides": "small"})
    point = (0,) * len(space.points.choices)
    return [space.decode((width, *point[1:])) for width in range(4)]


def test_the_whole_form_keeps_what_was_promised(script):
    plan = script.FULL
    assert plan.trials * len(plan.target_widths) <= 240
    assert plan.seeds >= 2
    assert set(plan.widths) == set(Family)
    assert all(len(widths) >= 4 for widths in plan.widths.values())


def test_ours_and_baselines_are_trained_by_one_recipe_with_the_same_seeds(
    script, networks, tmp_path
):
    own = Own(name="ours", architecture=networks[0])
    jobs = [script.FULL.job(one, 0.01, 1, tmp_path) for one in (own, *script.FULL.baselines)]
    assert len({(job.schedule, job.size, job.task, job.seed) for job in jobs}) == 1
    assert len({job.key for job in jobs}) == len(jobs)


def test_the_first_seed_alone_leaves_weights_under_the_name_of_its_training(script, tmp_path):
    one = script.FULL.baselines[0]
    first, second = (script.FULL.job(one, 0.01, seed, tmp_path) for seed in (0, 1))
    assert first.checkpoint == tmp_path / "weights" / f"{first.key}.safetensors"
    assert second.checkpoint is None
    other = script.FULL.job(one, 0.02, 0, tmp_path)
    assert other.checkpoint != first.checkpoint


def with_results(script, log, accuracy):
    """A log of the trainings that choose the rate, as if they had been done."""
    for rate, jobs in script.FULL.rate_jobs.items():
        for number, job in enumerate(jobs):
            log.add(job.key, accuracy(rate, number).to_json())


def test_the_rate_is_the_best_of_the_baselines_on_validation(script, tmp_path):
    best = script.FULL.rates[1]

    def accuracy(rate, _number):
        return Trained(
            validation=0.9 if rate == best else 0.8, test=0.5 if rate == best else 0.99, seconds=1
        )

    log = Log(tmp_path / "log")
    with_results(script, log, accuracy)
    assert script.chosen_rate(script.FULL, log, quiet) == best


def test_a_rate_at_which_one_baseline_diverges_is_not_taken(script, tmp_path):
    high, low = script.FULL.rates[-1], script.FULL.rates[0]

    def accuracy(rate, number):
        if rate == high and number == 2:
            return Trained(validation=0, test=0, seconds=0, failure="the loss is nan")
        return Trained(validation={high: 0.99, low: 0.9}.get(rate, 0.8), test=0.5, seconds=1.0)

    log = Log(tmp_path / "log")
    with_results(script, log, accuracy)
    assert script.chosen_rate(script.FULL, log, quiet) == low


def test_no_rate_is_left_where_all_diverge(script, tmp_path):
    def fails(_rate, _number):
        return Trained(validation=0, test=0, seconds=0, failure="the loss is nan")

    log = Log(tmp_path / "log")
    with_results(script, log, fails)
    with pytest.raises(OperationError, match="diverged at each of the rates"):
        script.chosen_rate(script.FULL, log, quiet)


def test_further_settings_of_a_search_come_from_a_file_but_not_how_long_it_is(script, tmp_path):
    path = tmp_path / "more.toml"
    path.write_text(
        'trials = 9999\nsamples = 1\nconfirm = 40\n[algorithm_options]\nnoise = "0.01"\n'
    )
    plain, more = (script.search_config(script.FULL, 0.1234567, each) for each in (None, path))
    assert more.trials == plain.trials == script.FULL.trials
    assert more.samples == script.FULL.short_samples
    assert (plain.confirm, more.confirm) == (script.FULL.confirm, 40)
    assert more.algorithm_options == {"noise": "0.01"}
    assert more.space_options == plain.space_options
    assert (plain.target_ms, plain.size, plain.reward) == (0.123457, 28, "hard")
    path.write_text("nonsense = 1\n")
    with pytest.raises(InputError, match="nonsense"):
        script.search_config(script.FULL, 0.1, path)


def test_the_searched_networks_are_made_for_the_same_images_as_the_baselines(script):
    from pocketnas.assembly import evaluation_of, head_of, space_of

    config = script.search_config(script.FULL, 0.1, None)
    space = space_of(config)
    (spec,) = space.decode(space.points.sample(script.random.Random(0))).inputs
    assert spec.shape == (1, script.SIZE, script.SIZE)
    assert head_of(config) == script.HEAD
    schedule = evaluation_of(config, space).schedule
    assert (schedule.samples, schedule.batch) == (script.FULL.short_samples, 64)


def test_what_an_earlier_search_found_is_not_taken_twice(script, networks):
    found = [SimpleNamespace(architecture=one) for one in networks]
    known = [Own(name="searched-1-1", architecture=networks[0])]
    new = script.new_networks(found, known, 2, "searched-2")
    assert [one.name for one in new] == ["searched-2-1", "searched-2-2"]
    assert [one.architecture for one in new] == networks[1:3]
