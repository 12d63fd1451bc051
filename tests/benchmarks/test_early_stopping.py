import json
import statistics

import pytest

from benchmarks.data.fashion_mbconv import POINTS, SCHEDULE, SEEDS, digits, points, schedule
from benchmarks.early_stopping import FashionSpace, Known, searched


@pytest.fixture
def log(tmp_path):
    """A made-up log: more of everything is better, and the second seed gets a little less."""
    path = tmp_path / "log.jsonl"
    with path.open("w") as file:
        for point in points():
            for seed in SEEDS:
                line = {
                    "choices": digits(point),
                    "seed": seed,
                    "schedule": schedule(),
                    "accuracy": 0.5 + sum(point) / 50 - seed / 100,
                }
                file.write(json.dumps(line) + "\n")
    return path


def test_the_space_finds_the_point_of_a_network():
    space = FashionSpace()
    for point in list(points())[::100]:
        assert space.encode(space.decode(point)) == point


def test_what_the_log_has_is_not_trained_again_and_both_seeds_judge_the_chosen(log, tmp_path):
    known = Known.of(log)
    assert len(known.macs) == POINTS.count
    ended = searched(tmp_path / "run", known, seed=1, trials=12, early=False)
    assert ended.samples == 12 * SCHEDULE.samples
    assert ended.seconds == 0
    best_key = max(
        ended.finished, key=lambda k: known.reward.value(ended.finished[k], known.macs[k])
    )
    mean = statistics.fmean(known.log[best_key, seed] for seed in SEEDS)
    assert ended.worth == pytest.approx(known.reward.value(mean, known.macs[best_key]))
    again = searched(tmp_path / "run", known, seed=1, trials=12, early=False)
    assert again == ended
