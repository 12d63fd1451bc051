"""Each bad input gets one sentence, exit code 2, and nothing is lost or left behind."""

import sqlite3
import subprocess
import sys

import pytest

TABLE = (
    "search",
    "--space=proxyless",
    "--latency=table:pixel1",
    "--dataset=analytic-standin",
    "--algorithm=random",
    "--run=run",
)


def refused(done, *words):
    assert done.code == 2, done
    assert done.out == ""
    assert len(done.err.strip().splitlines()) == 1, done.err
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err, done.err


@pytest.fixture
def finished_run(pocketnas, tmp_path):
    assert pocketnas(*TABLE, "--target-ms=75", "--trials=3").code == 0
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--space=mnasnett", ("'mnasnett'", "mnasnet", "proxyless")),
        ("--algorithm=pp0", ("'pp0'", "ppo", "evolution")),
        ("--dataset=digit", ("'digit'", "digits", "fashion-mnist")),
        ("--latency=phone", ("'phone'", "host", "adb:SERIAL", "table:")),
        ("--latency=table:nowhere", ("nowhere",)),
        ("--latency=predictor:nowhere", ("no predictor 'nowhere'", "predictor fit")),
        ("--latency=predictor:", ("'predictor:'", "predictor:NAME_OR_PATH")),
        ("--latency=hybrid:pixel1", ("'hybrid:pixel1'", "hybrid:lab-phone,adb:any")),
        ("--latency=hybrid:nowhere,host", ("no table 'nowhere'", "pixel1")),
        ("--latency=hybrid:predictor:nowhere,host", ("no predictor 'nowhere'",)),
        ("--latency=hybrid:pixel1,table:pixel1", ("a table or predictor and a device",)),
        ("--latency=hybrid:pixel1,adb:NOSUCHPHONE", ("NOSUCHPHONE",)),
        ("--latency=adb:NOSUCHPHONE", ("NOSUCHPHONE",)),
        ("--space=my_folder.spaces:SPACE", ("my_folder.spaces:SPACE",)),
        ("--algorithm=my_folder:ALGORITHM", ("my_folder:ALGORITHM",)),
        ("--latency=my_folder.sources:SOURCE", ("my_folder.sources:SOURCE",)),
        ("--dataset=my_folder:TASK", ("my_folder:TASK",)),
        ("--exporter=my_folder:EXPORTER", ("my_folder:EXPORTER",)),
        ("--reward=medium", ("'reward'", "'soft'", "'hard'", "'medium'")),
        ("--trials=0", ("'trials'", "0")),
        ("--confirm=99", ("confirm must leave at least 2 of the 3 trials", "99")),
        ("--constraint=params<3", ("FIGURE<=NUMBER", "'params<3'")),
        ("--constraint=params<=3", ("no network", "params<=3", "the nearest has params of")),
        ("--objective=speed", ("unknown objective 'speed'", "accuracy, latency_ms, params")),
        ("--objective=params", ("accuracy must be among the objectives", "params")),
        ("--constraint=size<=3", ("FIGURE<=NUMBER", "size_mb", "'size<=3'")),
        ("--space-option=sise=224", ("'sise'", "size")),
        ("--algorithm-option=speed=1", ("speed",)),
        ("--train-command=python train.py", ("{arch}",)),
        ("--stop-early", ("'analytic-standin' trains nothing",)),
        ("--reduction=1", ("'reduction'", "2", "1")),
        ("--rungs=0", ("'rungs'", "0")),
        ("--rungs=3", ("without effect", "--stop-early")),
    ],
)
def test_a_search_with_a_wrong_setting_is_refused_and_makes_no_folder(
    pocketnas, tmp_path, flag, words
):
    arguments = [*TABLE, "--target-ms=75", "--trials=3"]
    if flag.startswith("--train-command"):
        arguments.remove("--dataset=analytic-standin")
    if flag.startswith("--exporter"):
        arguments += ["--latency=host"]
    refused(pocketnas(*arguments, flag), *words)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (
            ("--objective=accuracy", "--algorithm=nsga2"),
            ("nsga2 weighs two objectives or more", "got accuracy alone", "--objective"),
        ),
        (
            ("--algorithm=nsga2", "--algorithm-option=objectives=1"),
            ("nsga2 weighs two objectives or more", "got accuracy alone"),
        ),
        (
            ("--objective=accuracy", "--algorithm=surrogate", "--algorithm-option=objectives=2"),
            ("surrogate is set to weigh 2 objectives", "has 1, accuracy", "--objective"),
        ),
        (
            ("--objective=accuracy", "--objective=macs", "--objective=macs"),
            ("'macs' is named twice",),
        ),
        (
            ("--objective=accuracy", "--objective=energy_mj"),
            ("nobody tells energy_mj", "'table:pixel1' predicts", "--latency adb:SERIAL"),
        ),
        (
            ("--objective=accuracy", "--objective=peak_memory_mb", "--latency=hybrid:pixel1,host"),
            ("nobody tells peak_memory_mb", "'hybrid:pixel1,host' predicts"),
        ),
    ],
)
def test_objectives_that_cannot_be_weighed_are_refused(pocketnas, tmp_path, flags, words):
    refused(pocketnas(*TABLE, "--target-ms=75", "--trials=3", *flags), *words)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--dataset=digits", "--train-size=2"), ("'mnasnet' cannot be trained at 2 pixels",)),
        (
            ("--space=spinenet", "--dataset=generated-fashion-scenes", "--train-size=64"),
            ("'spinenet' cannot be trained at 64 pixels", "at least 128 pixels"),
        ),
        (
            ("--space=assemblenet", "--dataset=generated-moving-fashion", "--train-size=8"),
            ("'assemblenet' cannot be trained at 8 pixels", "at least 32 pixels"),
        ),
        (
            ("--space=proxyless", "--dataset=analytic-standin", "--train-size=31"),
            ("'proxyless' cannot be trained at 31 pixels", "at least 32 pixels"),
        ),
    ],
)
def test_a_size_at_which_no_network_can_be_trained_is_refused(pocketnas, tmp_path, flags, words):
    refused(pocketnas("search", "--target-ms=5", "--run=run", *flags), *words)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("target", ["0", "-3", "nan", "inf"])
def test_an_impossible_target_is_refused(pocketnas, tmp_path, target):
    refused(pocketnas(*TABLE, f"--target-ms={target}"), "target_ms", target)
    assert not (tmp_path / "run").exists()


def test_a_missing_target_is_named(pocketnas):
    refused(pocketnas(*TABLE), "--target-ms")


@pytest.mark.parametrize("reward", ["soft", "hard"])
def test_a_target_that_no_architecture_meets_is_found_before_the_search(
    pocketnas, tmp_path, reward
):
    refused(pocketnas(*TABLE, "--target-ms=5", f"--reward={reward}"), "5", "ms", "fastest")
    assert not (tmp_path / "run").exists()


def test_a_table_that_lacks_a_block_of_the_space_names_it(pocketnas, tmp_path):
    refused(pocketnas(*TABLE, "--target-ms=75", "--space-option=size=192"), "table:pixel1", "192")
    assert not (tmp_path / "run").exists()


def test_a_run_folder_that_exists_is_left_as_it_was(pocketnas, finished_run):
    before = sorted((path.name, path.stat().st_mtime_ns) for path in finished_run.iterdir())
    refused(pocketnas(*TABLE, "--target-ms=75"), "run", "resume")
    after = sorted((path.name, path.stat().st_mtime_ns) for path in finished_run.iterdir())
    assert after == before


def test_a_run_locked_by_a_live_process_names_it(pocketnas, finished_run):
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from controller.run_folder import resume\n"
            "with resume(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()",
            str(finished_run),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline().strip() == "held"
        refused(pocketnas("resume", str(finished_run)), str(finished_run), str(holder.pid))
    finally:
        holder.communicate()
    assert pocketnas("resume", str(finished_run)).code == 0


def test_a_run_of_a_newer_version_is_refused_unread(pocketnas, finished_run):
    connection = sqlite3.connect(finished_run / "study.db")
    connection.execute("UPDATE alembic_version SET version_num = 'from_the_future'")
    connection.commit()
    connection.close()
    for command in ("resume", "show", "report"):
        refused(pocketnas(command, str(finished_run)), "newer", "from_the_future")


@pytest.mark.parametrize("command", ["show", "resume", "report", "replay"])
def test_a_folder_that_is_no_run_is_refused(pocketnas, tmp_path, command):
    refused(pocketnas(command, str(tmp_path / "nothing")), "nothing")


@pytest.mark.parametrize(
    ("content", "name"),
    [(b"", "model.tflite"), (b"hello, phone", "model.tflite"), (b"\0" * 64, "model.tflite")],
)
def test_a_model_file_that_is_no_tflite_file_is_refused(pocketnas, tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    refused(pocketnas("measure", name), name, "TFLite")


def test_a_model_file_that_is_not_there_is_refused(pocketnas):
    refused(pocketnas("measure", "nowhere.tflite"), "nowhere.tflite")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "must map keys of layers"),
        (b"a: {count: 1", "is no YAML"),
        (b"- 1\n- 2\n", "must map keys of layers"),
        (b"a: {count: 1, mean: .nan, var: 0}\n", "'a'"),
        (b"\xff\xfe\x00", "damaged"),
        (b"pocketnas: {version: 99}\na: {count: 1, mean: 1, var: 0}\n", "newer"),
    ],
)
def test_a_table_that_is_damaged_is_refused_by_every_command(pocketnas, tmp_path, content, word):
    (tmp_path / "damaged.yaml").write_bytes(content)
    for words in (
        ("table", "show", "damaged.yaml"),
        ("table", "validate", "damaged.yaml"),
        ("table", "export", "damaged.yaml", "--out", "out"),
        ("table", "diff", "pixel1", "damaged.yaml"),
        ("table", "import", "damaged.yaml", "--name", "mine"),
        (*TABLE, "--target-ms=75", "--latency=table:damaged.yaml"),
    ):
        refused(pocketnas(*words), "damaged.yaml", word)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged.yaml"]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "no whole JSON"),
        (b'{"pocketnas_predictor": 1, "parts": [', "no whole JSON"),
        (b"[]", "is no predictor"),
        (b"{}", "is no predictor"),
        (b'{"pocketnas_predictor": 1}', "is damaged"),
        (b'{"pocketnas_predictor": NaN}', "NaN"),
        (b'{"pocketnas_predictor": 99}', "newer"),
        (b"\xff\xfe\x00", "no whole JSON"),
    ],
)
def test_a_predictor_that_is_damaged_is_refused_by_every_command(
    pocketnas, tmp_path, content, word
):
    (tmp_path / "damaged.json").write_bytes(content)
    for words in (
        ("predictor", "validate", "damaged.json"),
        ("predictor", "suggest", "damaged.json", "--out", "out"),
        ("predictor", "suggest", "--space", "proxyless", "--from", "predictor:damaged.json"),
        ("measure", "mnasnet-a1", "--on", "predictor:damaged.json"),
        (*TABLE, "--target-ms=75", "--latency=predictor:damaged.json"),
    ):
        refused(pocketnas(*words), "damaged.json", word)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged.json"]


@pytest.mark.parametrize("command", ["arch", "measure", "export"])
def test_an_unknown_network_is_refused_with_the_close_ones(pocketnas, command):
    refused(pocketnas(command, "mnasnet-a2"), "'mnasnet-a2'", "mnasnet-a1")


def test_a_phone_that_is_not_there_is_refused(pocketnas):
    refused(pocketnas("measure", "mnasnet-a1", "--on", "adb:NOSUCHPHONE"), "NOSUCHPHONE")


@pytest.mark.parametrize("flag", [("--delegate", "tpu"), ("--preset", "thorough")])
def test_an_unknown_way_of_measuring_is_refused(pocketnas, flag):
    refused(pocketnas("measure", "mnasnet-a1", *flag), flag[1])


def test_an_unknown_export_format_is_refused_and_writes_nothing(pocketnas, tmp_path):
    done = pocketnas("export", "mnasnet-small", "--format", "coreml", "-o", "out")
    refused(done, "'coreml'", "tflite")
    assert not (tmp_path / "out").exists()


def test_a_trial_that_the_run_does_not_have_is_refused(pocketnas, finished_run):
    refused(pocketnas("arch", f"{finished_run}:99"), "99")


def test_a_command_that_does_not_exist_is_refused(pocketnas):
    done = pocketnas("serach")
    assert done.code == 2
    assert "serach" in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("spinenet-49", "--head=boxes"), ("unknown head 'boxes'", "classifier, detector")),
        (("spinenet-49", "--size=100"), ("at least 128 pixels", "level 7", "got 100")),
        (("assemblenet-50", "--size=31"), ("at least 32 pixels", "got 31")),
    ],
)
def test_a_network_that_cannot_be_is_refused(pocketnas, arguments, words):
    refused(pocketnas("arch", *arguments), *words)


@pytest.mark.parametrize(
    ("name", "head", "words"),
    [
        ("assemblenet-50", "classifier", ("only a classifier of videos",)),
        ("mnasnet-a1", "videoclassifier", ("only a classifier", "VideoClassifier")),
    ],
)
def test_a_head_that_a_family_has_not_is_refused(pocketnas, name, head, words):
    refused(pocketnas("arch", name, f"--head={head}"), *words)
