import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from controller.algorithm import Evaluated, Failed, FailureKind, Proposal, Skipped, Stopped
from controller.candidate import OutcomeKind, evaluated, stopped
from controller.found_latency import FoundLatency
from controller.learning_curves import Expected
from controller.objectives import parse
from controller.schema import SCHEMA
from controller.study import Study, StudyError
from search_space.architecture import Json
from training.executor import Look, TrainingResult
from workspace.database import sqlite_url
from workspace.errors import InputError

LATENCY = FoundLatency(
    latency_ms=1 / 3,
    low_ms=0.1,
    high_ms=0.7,
    origin="measured",
    source="adb:1A2B",
    coverage=1.0,
    verdict="unstable",
    artifact_sha256="ab" * 32,
    measurement={"conditions": {"unit": "x", "cores": [4, 5]}, "sessions": [{"median_ms": 0.3}]},
    labels=("two phones, told as one",),
)
TRAINING = TrainingResult(
    accuracy=0.1 + 0.2,
    samples=2000,
    seconds=1.5,
    feedback={"edges": (0.1, -3.0)},
    stand_in="a formula",
)


def proposal(index, **fields):
    return Proposal(index=index, point=(0, (1, 2.5), "a"), **fields)


def network(lab, point=(0, 0, 0)):
    return lab.space.decode(point)


def test_a_proposal_comes_back_as_it_was(lab):
    study = lab.study()
    asked = proposal(0, parents=(), note={"log_probability": -1 / 3, "policy": [1, None]})
    study.propose([(asked, network(lab)), (proposal(1, parents=(0,)), None)], told=0)
    first, second = study.candidates()
    assert first.proposal == asked
    assert first.key == network(lab).key
    assert first.architecture == network(lab)
    assert (first.outcome, first.latency, first.training, first.told) == (None,) * 4
    assert second.proposal.parents == (0,)
    assert second.document is None
    with pytest.raises(ValueError, match="proposal 1 has no architecture"):
        _ = second.architecture


def test_every_outcome_comes_back_as_it_was_told(lab):
    study = lab.study()
    asked = [proposal(index) for index in range(4)]
    study.propose([(one, network(lab)) for one in asked], told=0)
    for index in (0, 1, 2):
        study.found_latency(index, LATENCY)
    looks = (Look(samples=10, accuracy=0.25), Look(samples=30, accuracy=0.5))
    cut = replace(TRAINING, accuracy=0.5, looks=looks, stopped=True)
    study.found_training(0, replace(TRAINING, looks=looks))
    study.found_training(1, cut)
    told = [
        evaluated(asked[0], TRAINING, LATENCY, 0.7),
        stopped(asked[1], cut, Expected(accuracy=0.6, deviation=0.03), LATENCY, 0.55),
        Skipped(proposal=asked[2], latency_ms=LATENCY.latency_ms, bound=0.2),
        Failed(proposal=asked[3], kind=FailureKind.EXPORT, text="no: such operator"),
    ]
    for position, outcome in enumerate(told):
        study.tell(outcome, told=position)
    found = list(study.candidates())
    assert [candidate.outcome for candidate in found] == told
    assert [candidate.kind for candidate in found] == list(OutcomeKind)
    assert isinstance(told[0], Evaluated)
    assert isinstance(told[1], Stopped)
    assert told[0].feedback == told[1].feedback == TRAINING.feedback
    assert found[0].latency == LATENCY
    assert [one.training for one in found[:2]] == [replace(TRAINING, looks=looks), cut]
    assert found[3].failure is FailureKind.EXPORT


def test_those_told_come_in_the_order_of_telling_and_the_others_too(lab):
    study = lab.study()
    asked = [proposal(index) for index in range(4)]
    study.propose([(one, None) for one in asked], told=0)
    for position, index in enumerate((2, 0)):
        failed = Failed(proposal=asked[index], kind=FailureKind.DECODE, text="none")
        study.tell(failed, told=position)
    assert [candidate.index for candidate in study.told()] == [2, 0]
    assert [candidate.index for candidate in study.untold()] == [1, 3]
    assert study.counts() == (4, 2)


def test_a_fact_that_is_there_does_not_change(lab):
    study = lab.study()
    study.propose([(proposal(0), network(lab))], told=0)
    study.found_latency(0, LATENCY)
    study.found_latency(0, replace(LATENCY, latency_ms=9.0))
    assert study.candidate(0).latency == LATENCY


def test_the_last_one_for_the_same_network_is_found(lab):
    study = lab.study()
    points = [(0, 0, 0), (1, 0, 0), (0, 0, 0), (0, 0, 0)]
    study.propose([(proposal(i), network(lab, p)) for i, p in enumerate(points)], told=0)
    same = network(lab)
    assert [study.last_with_key(same, before=index) for index in range(5)] == [None, 0, 0, 2, 3]
    assert study.last_with_key(network(lab, (2, 2, 2)), before=9) is None


def test_a_batch_is_kept_whole_or_not_at_all(lab):
    study = lab.study()
    study.propose([(proposal(1), None)], told=0)
    with pytest.raises(StudyError, match="another process is at work"):
        study.propose([(proposal(0), None), (proposal(1), None)], told=0)
    assert [candidate.index for candidate in study.candidates()] == [1]


def test_two_writers_cannot_tell_different_outcomes_in_one_place(lab):
    study, other = lab.study(), lab.study()
    asked = [proposal(0), proposal(1)]
    study.propose([(one, None) for one in asked], told=0)
    study.tell(Failed(proposal=asked[0], kind=FailureKind.DECODE, text=""), told=0)
    with pytest.raises(StudyError, match="another process is at work"):
        other.tell(Failed(proposal=asked[1], kind=FailureKind.DECODE, text=""), told=0)


def test_threads_write_while_someone_reads(lab):
    study = lab.study()
    study.propose([(proposal(index), network(lab)) for index in range(300)], told=0)
    with ThreadPoolExecutor(4) as pool:
        writes = pool.map(lambda index: study.found_latency(index, LATENCY), range(300))
        seen = sum(1 for _ in study.candidates())
        assert len(list(writes)) == 300
    assert seen == 300
    assert all(candidate.latency == LATENCY for candidate in study.candidates())


def test_a_database_holds_several_studies(tmp_path):
    url = sqlite_url(tmp_path / "shared.db")
    first, second = (Study(url, name, config=name) for name in ("a", "b"))
    first.propose([(proposal(0), None)], told=0)
    second.propose([(proposal(0), None), (proposal(1), None)], told=0)
    assert (first.counts(), second.counts()) == ((1, 0), (2, 0))
    assert Study(url, "a").config == "a"
    with pytest.raises(InputError, match="'c' is not in the database"):
        Study(url, "c")


def test_a_study_that_exists_is_made_again_only_when_that_is_fine(tmp_path):
    Study.in_folder(tmp_path, config="first").propose([(proposal(0), None)], told=0)
    with pytest.raises(InputError, match="exists: resume it, or choose another name"):
        Study.in_folder(tmp_path, config="second")
    again = Study.in_folder(tmp_path, config="second", exist_ok=True)
    assert again.config == "first"
    assert again.counts() == (1, 0)


def test_a_folder_without_a_study_is_no_run(tmp_path):
    with pytest.raises(InputError, match=r"is no run: it has no study.db"):
        Study.in_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_trial_that_is_not_there_is_named(lab):
    with pytest.raises(InputError, match="has no trial 7; it has 0, numbered from 0"):
        lab.study().candidate(7)


def test_knows_what_made_it(lab):
    study = lab.study()
    assert study.config == "[a search]"
    assert study.created.endswith("+00:00")
    assert {"python", "pocketnas"} <= set(study.versions)


def test_it_can_be_used_after_it_was_closed(lab):
    study = lab.study()
    study.close()
    study.propose([(proposal(0), None)], told=0)
    study.close()
    assert study.counts() == (1, 0)


def test_migrations_make_the_schema_of_the_code(tmp_path):
    Study.in_folder(tmp_path, config="")
    with create_engine(sqlite_url(tmp_path / "study.db")).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SCHEMA) == []


def test_a_study_of_the_first_schema_is_read_and_gone_on_with(tmp_path):
    study = Study.in_folder(tmp_path, config="")
    study.propose([(proposal(0), None), (proposal(1), None)], told=0)
    study.found_latency(0, LATENCY)
    study.found_training(0, TRAINING)
    study.close()
    connection = sqlite3.connect(tmp_path / "study.db")
    for table, column in (
        ("latency", "labels"),
        ("final_latency", "labels"),
        ("training", "looks"),
        ("training", "stopped"),
        ("outcome", "expected"),
        ("outcome", "deviation"),
        ("outcome", "objectives"),
    ):
        connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    connection.execute("UPDATE alembic_version SET version_num = 'study_1'")
    connection.commit()
    connection.close()
    study = Study.in_folder(tmp_path)
    study.found_latency(1, LATENCY)
    first, second = study.candidates()
    assert first.latency == replace(LATENCY, labels=())
    assert second.latency == LATENCY
    assert first.training == TRAINING


def test_a_study_of_before_objectives_tells_the_outcomes_that_it_told(tmp_path):
    """Accuracy, latency, and memory where sessions told it; what is added is kept as told."""
    watched = replace(LATENCY, measurement={"peak_memory_mb": 7.5, "sessions": []})
    study = Study.in_folder(tmp_path, config="")
    study.propose([(proposal(index), None) for index in range(3)], told=0)
    for index, found in enumerate((LATENCY, watched)):
        study.found_latency(index, found)
        study.found_training(index, TRAINING)
        study.tell(evaluated(proposal(index), TRAINING, found, 0.7), told=index)
    before = [candidate.outcome for candidate in study.told()]
    study.close()
    connection = sqlite3.connect(tmp_path / "study.db")
    connection.execute("ALTER TABLE outcome DROP COLUMN objectives")
    connection.execute("UPDATE alembic_version SET version_num = 'study_3'")
    connection.commit()
    connection.close()
    study = Study.in_folder(tmp_path)
    assert [candidate.outcome for candidate in study.told()] == before
    named = [[one.name for one in outcome.objectives] for outcome in before]
    assert named == [["accuracy", "latency_ms"], ["accuracy", "latency_ms", "peak_memory_mb"]]
    study.found_latency(2, LATENCY)
    study.found_training(2, TRAINING)
    names = parse(["params", "accuracy", "latency_ms"])
    told = evaluated(proposal(2), TRAINING, LATENCY, 0.7, names, {"params": 1e6 + 1 / 3})
    study.tell(told, told=2)
    assert study.candidate(2).outcome == told
    assert [one.name for one in told.objectives] == ["params", "accuracy", "latency_ms"]


def test_the_energy_of_an_inference_is_a_sessions_over_its_runs():
    sessions: list[Json] = [
        {"energy_mj": 500.0, "runs": 50},
        {"energy_mj": None, "runs": 50},
        {"energy_mj": 1200.0, "runs": 100},
    ]
    found = replace(LATENCY, measurement={"sessions": sessions})
    assert found.energy_mj == pytest.approx((10 + 12) / 2)
    assert LATENCY.energy_mj is None
    assert replace(LATENCY, measurement=None).energy_mj is None
    told = evaluated(proposal(0), TRAINING, found, 0.7, parse(["accuracy", "energy_mj"]))
    assert [one.name for one in told.objectives] == ["accuracy", "energy_mj", "latency_ms"]


def test_the_schema_is_one_that_postgresql_takes_too():
    dialect = postgresql.dialect()
    for table in SCHEMA.sorted_tables:
        assert table.name in str(CreateTable(table).compile(dialect=dialect))
        assert table.name in str(select(table).compile(dialect=dialect))


def test_reading_a_study_imports_nothing_heavy(tmp_path):
    Study.in_folder(tmp_path, config="").close()
    code = (
        "import sys; from pathlib import Path; from controller.study import Study; "
        "Study.in_folder(Path(sys.argv[1])).counts(); "
        "print({'torch', 'optuna', 'alembic', 'numpy'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "set()"
