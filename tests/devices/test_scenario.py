"""Scenario files: what may stand in them, and what is said of what may not."""

import pytest

from devices.loopback import scenario
from devices.loopback.scenario import EventKind, Follows, load, shipped
from devices.loopback.scenario_parser import parse
from devices.loopback.scenario_table import ScenarioError
from workspace.errors import InputError


def read(text):
    return parse("mine", f"version = 1\n{text}")


@pytest.mark.parametrize("name", shipped())
def test_what_is_shipped_can_be_read_and_says_what_it_is_about(name):
    found = load(name)
    assert found.name == name
    assert found.about
    assert found == load(scenario.SHIPPED / f"{name}.toml")


def test_three_shipped_phones_throttle_and_one_of_them_cools_with_two_time_constants():
    throttling = [load(name) for name in shipped() if load(name).thermal.steps]
    assert len(throttling) == 3
    assert sum(each.thermal.slow_share > 0 for each in throttling) == 1


def test_the_example_in_the_readme_is_read_whole():
    text = (scenario.SHIPPED.parent / "README.md").read_text()
    example = text.split("```toml\n")[1].split("```")[0]
    found = parse("example", example)
    assert {event.kind for event in found.events} == set(EventKind)
    assert {zone.follows for zone in found.thermal.zones} == set(Follows)
    assert found.rails
    assert found.root
    assert found.hidden
    assert found.transfer_mb_per_s


def test_what_is_left_out_is_an_ordinary_healthy_phone():
    found = read("")
    assert len(found.core_khz) == 8
    assert found.core_khz[0] < found.core_khz[7]
    assert not found.root
    assert found.thermal.steps == ()
    assert found.seconds_per_second == 1
    assert [len(cluster.frequencies_khz) for cluster in found.clusters] == [8, 8]


def test_cores_are_numbered_through_the_clusters():
    clusters = "".join(
        f"[[clusters]]\ncores = {n}\nmin_khz = 1000\nmax_khz = {k}\n"
        for n, k in ((4, 1_800_000), (3, 2_200_000), (1, 2_800_000))
    )
    found = read(clusters)
    assert [each.cores for each in found.clusters] == [(0, 1, 2, 3), (4, 5, 6), (7,)]
    assert found.core_khz == (*4 * (1_800_000,), *3 * (2_200_000,), 2_800_000)


def test_the_digest_tells_two_files_of_one_name_apart():
    assert read("").digest != read("root = true").digest
    assert read("").label == f"mine@{read('').digest}"


def test_events_are_in_the_order_of_their_times():
    events = "".join(f'[[events]]\nat_s = {at}\nkind = "plug"\n' for at in (9, 3, 6))
    assert [event.at_s for event in read(events).events] == [3, 6, 9]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rooot = true", "there is no key 'rooot': did you mean 'root'"),
        ("[thermal]\nheat = 1", "no key 'thermal.heat'"),
        ("[[events]]\nat_s = 1\nkind = 'plug'\npercent = 3", r"no key 'events\[0\]\.percent'"),
        ("root = 1", "root must be true or false, got 1"),
        ("seconds_per_second = 0", "seconds_per_second must be a number from 0.01 to 1000, got 0"),
        ("seconds_per_second = nan", "seconds_per_second must be a number"),
        ("seconds_per_second = true", "seconds_per_second must be a number"),
        ("seconds_per_second = '2'", "must be a number from 0.01 to 1000, got '2'"),
        ("hidden = ['dumpsys batery']", "hidden must be a list, of 'cpufreq', .*'dumpsys batery'"),
        ("hidden = 'cpufreq'", "hidden must be a list"),
        ("hidden = [['cpufreq']]", "hidden must be a list"),
        ("thermal = 3", r"thermal must be a table \[thermal\], got 3"),
        ("clusters = {cores = 1}", r"clusters must be tables \[\[clusters\]\]"),
        ("[[clusters]]\nmin_khz = 1000\nmax_khz = 2000", r"clusters\[0\]\.cores is missing"),
        ("[[clusters]]\ncores = 1.0\nmin_khz = 1000\nmax_khz = 2000", "must be a whole number"),
        ("[[clusters]]\ncores = 1\nmin_khz = 3000\nmax_khz = 2000", "from 3000 to .*, got 2000"),
        (
            "[[clusters]]\ncores = 1\nmin_khz = 1000\nmax_khz = 3000\n"
            "frequencies_khz = [1000, 3000, 2000]",
            "frequencies_khz must go up from min_khz 1000 to 3000",
        ),
        ("[[thermal.steps]]\nabove_c = 40\nbelow_c = 45", "below_c must be .* to 40, got 45"),
        (
            "[[thermal.steps]]\nabove_c = 40\n[[thermal.steps]]\nabove_c = 39",
            "step before, got 39",
        ),
        ("[[thermal.zones]]\ntype = 'x'\nfollows = 'gpu'", "must be one of 'chip', 'skin'"),
        ("[[thermal.zones]]\ntype = 'x'\nper_degree = 100", "must be one of 1000, 10, 1, got 100"),
        ("[[events]]\nat_s = 1\nkind = 'explode'", r"events\[0\].kind must be one of 'reboot'"),
        ("[[events]]\nat_s = 1\nkind = 'battery'", r"events\[0\]\.percent is missing"),
        ('[phone]\nmodel = "a\\nb"', "phone.model must be a text of one line"),
        ("battery = [", "not TOML"),
    ],
)
def test_what_is_wrong_is_named_with_what_would_be_right(text, said):
    with pytest.raises(ScenarioError, match=said):
        read(text)


@pytest.mark.parametrize(("text", "got"), [("", "None"), ("version = 2", "2")])
def test_another_version_is_refused(text, got):
    with pytest.raises(ScenarioError, match=rf"version must be (1|a whole number).*got ({got}|0)"):
        parse("mine", text)


def test_a_name_that_is_not_there_is_answered_with_those_that_are(tmp_path):
    with pytest.raises(InputError, match=r"no scenario 'heat'.*cools-slowly, heats, heats-fast"):
        load("heat")
    with pytest.raises(InputError, match=r"nowhere\.toml"):
        load(tmp_path / "nowhere.toml")


def test_a_file_of_ones_own_is_read_by_its_path(tmp_path):
    path = tmp_path / "my-phone.toml"
    path.write_text("version = 1\nabout = 'mine'\n")
    assert load(path).name == "my-phone"
    path.write_text("version = 1\nabuot = 'mine'\n")
    with pytest.raises(InputError, match=r"scenario 'my-phone': there is no key 'abuot'.*'about'"):
        load(str(path))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="there is no scenario"):
        load(path)
    (tmp_path / "my phone.toml").write_text("version = 1\n")
    with pytest.raises(InputError, match="letters, digits"):
        load(tmp_path / "my phone.toml")
