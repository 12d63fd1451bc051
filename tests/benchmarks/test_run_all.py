import json
import sys

import pytest

GOOD = """
import sys
print("on the way: {")
print('{"speed": 2, "arguments": ' + str(sys.argv[1:]).replace("'", '"') + "}")
"""


@pytest.fixture
def folder(script, tmp_path, monkeypatch):
    """Three benchmarks: one that works, one that fails, one that prints no JSON at its end."""
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "broken.py").write_text("raise SystemExit(3)")
    (tmp_path / "talkative.py").write_text("print('all went well')")
    monkeypatch.setattr(script, "HERE", tmp_path)
    return tmp_path


def ran(script, monkeypatch, capfd, *arguments):
    """Exit code of the script, and what it printed."""
    monkeypatch.setattr(sys, "argv", ["run_all.py", *arguments])
    code: object = 0
    try:
        script.main()
    except SystemExit as ended:
        code = ended.code
    return code, capfd.readouterr()


@pytest.mark.usefixtures("folder")
def test_what_each_printed_is_told_and_one_that_failed_loses_no_other(script, monkeypatch, capfd):
    code, printed = ran(script, monkeypatch, capfd, "--quick")
    found = json.loads(printed.out)
    assert code == 1
    assert list(found) == ["broken", "good", "talkative"]
    assert found["good"]["speed"] == 2
    assert found["good"]["arguments"] == ["--quick"]
    assert all(result["seconds"] >= 0 for result in found.values())
    assert found["broken"]["failure"] == "ended with exit code 3"
    said = found["talkative"]["failure"]
    assert said.startswith("expected a JSON object last on stdout, got 'all went well")


@pytest.mark.usefixtures("folder")
def test_only_those_named_run(script, monkeypatch, capfd):
    code, printed = ran(script, monkeypatch, capfd, "good")
    assert code == 0
    assert list(json.loads(printed.out)) == ["good"]


@pytest.mark.usefixtures("folder")
def test_a_name_that_is_none_s_is_told_before_anything_runs(script, monkeypatch, capfd):
    code, printed = ran(script, monkeypatch, capfd, "good", "bettr")
    assert code == 2
    assert "there is no benchmark 'bettr'; there are broken, good, talkative" in printed.err
    assert printed.out == ""


def test_all_benchmarks_of_the_folder_are_found_by_name(script):
    found = script.scripts()
    assert {"headline", "loop_overhead", "progressive"} <= set(found)
    assert "run_all" not in found


@pytest.mark.parametrize("text", ["", "[1]", "{'a': 1}", '{"a": 1}\nmore'])
def test_what_does_not_end_with_an_object_is_refused(script, text):
    with pytest.raises(ValueError, match="expected a JSON object last on stdout"):
        script.last_object(text)
