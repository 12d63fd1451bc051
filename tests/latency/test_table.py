import hashlib
import time
from pathlib import Path

import pytest

import latency.table
from latency.table import Entry
from latency.table_file import PUBLISHED, load, read
from workspace.errors import InputError

FILE = Path(latency.table.__file__).parent / "tables" / "pixel1_proxylessnas.yaml"
GOOD = "a-layer:\n  count: 3\n  mean: 1.5\n  var: 0.25\n"


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "mine.yaml"
        path.write_text(content)
        return path

    return write


def test_the_published_table_is_there_whole_and_unchanged():
    table = load("pixel1")
    assert len(table.entries) == 72
    assert sum(key.startswith("expanded_conv") for key in table.entries) == 69
    assert table.entries["Conv-input:224x224x3-output:112x112x32"] == Entry(
        ms=4.397037934668071, variance_ms2=0.1562765530967112, count=949
    )
    digest = hashlib.sha256(FILE.read_bytes()).hexdigest()
    assert digest == "4f59d150083ed33cce79925a03c7cb14198ff14cb4dd1da2868c973933267035"


def test_it_says_what_is_known_of_its_conditions_and_what_is_not():
    table = load("pixel1")
    assert table.name == "table:pixel1"
    assert table.conditions["device_model"] == "Pixel 1"
    assert table.conditions["threads"] == 1
    assert table.conditions["statistic"] == "mean"
    assert "1812.00332" in str(table.conditions["source"])
    assert "runner_version" in table.unknown
    assert not set(table.unknown) & set(table.conditions)


def test_its_source_and_licence_ship_beside_it():
    for published in PUBLISHED.values():
        assert (FILE.parent / published.file).is_file()
        text = (FILE.parent / "README.md").read_text()
        assert published.file in text
        assert "MIT" in text


def test_it_is_read_in_no_time():
    load("pixel1")
    best = min(_seconds(lambda: load("pixel1")) for _ in range(5))
    assert best < 0.1


def _seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def test_a_file_of_ones_own_is_read_with_its_conditions(file):
    header = "pocketnas:\n  version: 1\n  conditions: {device_model: My Phone, threads: 4}\n"
    path = file(header + GOOD)
    table = load(str(path))
    assert table.name == f"table:{path}"
    assert table.entries == {"a-layer": Entry(ms=1.5, variance_ms2=0.25, count=3)}
    assert table.conditions == {"device_model": "My Phone", "threads": 4}


def test_a_file_in_the_home_folder_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path))
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "lab-phone.yaml").write_text(GOOD)
    assert list(load("lab-phone").entries) == ["a-layer"]


@pytest.mark.parametrize("text", ["nowhere", "nowhere/at/all.yaml", "", "."])
def test_a_table_that_is_not_there_is_quoted(text, tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path))
    with pytest.raises(InputError, match=f"no table '{text}'; there is pixel1"):
        load(text)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "must map keys"),
        ("- 1\n- 2\n", "must map keys"),
        ("a: [1, 2\n", "is no YAML"),
        ("\x00\x01", "is no YAML"),
        (GOOD + GOOD, "keys that come twice: a-layer"),
        ("a-layer:\n  count: 3\n  mean: 1.5\n  mean: 1.6\n  var: 1\n", "come twice: mean"),
        ("3:\n  count: 3\n  mean: 1.5\n  var: 0.25\n", "key that is no text: 3"),
        ("a-layer: 1.5\n", "entry 'a-layer' needs count, mean and var"),
        ("a-layer:\n  count: 3\n  mean: 1.5\n", "entry 'a-layer' needs count, mean and var"),
        (GOOD.replace("1.5", "-1.5"), "not be negative|not negative"),
        (GOOD.replace("1.5", ".nan"), "finite"),
        (GOOD.replace("1.5", ".inf"), "finite"),
        (GOOD.replace("1.5", "fast"), "'fast' is no number"),
        (GOOD.replace("1.5", "true"), "True is no number"),
        (GOOD.replace("0.25", "-0.25"), "not negative"),
        (GOOD.replace("3", "0"), "count at least 1"),
        (GOOD.replace("3", "2.5"), "count at least 1"),
        ("pocketnas: {version: 3}\n" + GOOD, "newer version"),
        ("pocketnas: new\n" + GOOD, "without a version"),
        (
            "pocketnas: {version: 1, conditions: {a: {b: 1}}}\n" + GOOD,
            "condition is text or whole",
        ),
        ("!!python/object/apply:os.system ['true']\n", "is no YAML"),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_what_is_wrong(file, content, words):
    path = file(content)
    with pytest.raises(InputError, match=words) as refused:
        read(path, "mine")
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_table_cut_in_the_middle_is_refused(file):
    text = FILE.read_text()
    with pytest.raises(InputError, match="needs count, mean and var"):
        read(file(text[: text.index("mean", 3000)]), "mine")
