import pytest

from benchmarks.comparison.log import Log, key_of, log_folder
from workspace.errors import InputError


def test_facts_are_found_again_by_another_that_reads_the_file(tmp_path):
    path = tmp_path / "deep" / "log.jsonl"
    log = Log(path)
    log.add("a", {"accuracy": 0.5, "sessions": [1.0, 2.0]})
    log.add("b", {})
    again = Log(path)
    assert again.keys == ("a", "b")
    assert again.find("a") == {"accuracy": 0.5, "sessions": [1.0, 2.0]}
    assert again.find("c") is None


def test_later_facts_of_a_key_count(tmp_path):
    log = Log(tmp_path / "log.jsonl")
    log.add("a", {"hours": 1})
    log.add("a", {"hours": 2})
    assert log.find("a") == Log(tmp_path / "log.jsonl").find("a") == {"hours": 2}


def test_a_last_line_that_was_cut_off_is_dropped_and_the_next_stands_alone(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"key": "a", "x": 1}\n{"key": "b", "x"')
    log = Log(path)
    assert log.keys == ("a",)
    log.add("c", {"x": 3})
    assert Log(path).keys == ("a", "c")


@pytest.mark.parametrize("line", ["nonsense", "[1]", '{"x": 1}', '"text"', "null"])
def test_another_file_is_refused_with_the_line_and_left_as_it_was(tmp_path, line):
    path = tmp_path / "log.jsonl"
    text = f'{{"key": "a"}}\n{line}\n'
    path.write_text(text)
    with pytest.raises(InputError, match="line 2 is no line of such a log"):
        Log(path)
    assert path.read_text() == text


def test_a_log_that_cannot_be_read_or_written_is_said_in_a_sentence(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        Log(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        Log(tmp_path / "file" / "log.jsonl").add("a", {})


def test_equal_facts_have_equal_keys():
    assert key_of("a", [1, 2]) == key_of("a", [1, 2])
    assert key_of("a", [1, 2]) != key_of("a", [2, 1])


def test_the_quick_form_keeps_nothing_unless_a_folder_is_given(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "home"))
    with log_folder("headline", None, quick=True) as folder:
        assert folder.is_dir()
    assert not folder.exists()
    with log_folder("headline", tmp_path / "own", quick=True) as folder:
        assert folder == tmp_path / "own"
    with log_folder("headline", None, quick=False) as folder:
        assert folder == tmp_path / "home" / "benchmarks" / "headline"
