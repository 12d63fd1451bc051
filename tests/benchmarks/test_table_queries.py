from latency.table_file import load
from latency.table_source import TableSource
from search_space.space import create


def test_answers_for_many_points_equal_those_one_by_one(script):
    space = create("mnasnet", {})
    found = script.timed(space, TableSource(script.made_up_table(space)), 2000, 1)
    assert found["largest_difference"] < 1e-12
    assert found["per_s"] >= found["slowest_per_s"] > 0


def test_the_published_table_answers_too(script):
    found = script.timed(create("proxyless", {}), TableSource(load("pixel1")), 2000, 2)
    assert found["largest_difference"] < 1e-12
