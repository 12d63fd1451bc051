import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from multiprocessing import get_context
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

import latency.store
from devices.device import (
    DeviceState,
    ModelFile,
    RawRuns,
    RunRecord,
    RunSummary,
)
from exporters.artifact import Precision
from latency.measurement import Statistic, Verdict
from latency.presets import FINAL, QUICK, SEARCH
from latency.protocol import Bench, measure
from latency.schema import REVISIONS, SCHEMA
from latency.store import MeasurementStore, StoreError
from latency.testing import FakeDevice
from workspace.database import sqlite_url
from workspace.errors import InputError

SHA = "a1" * 32
MIGRATIONS = Path(latency.store.__file__).parent / "migrations"


@pytest.fixture
def store(tmp_path):
    return MeasurementStore(sqlite_url(tmp_path / "m.db"))


def made(protocol=SEARCH, sha=SHA, **device):
    model = ModelFile(path=Path("model.tflite"), sha256=sha)
    return measure(Bench(device=FakeDevice(**device)), model, Precision.FP32, protocol)


AWKWARD = [
    RunRecord(
        samples=RawRuns(runs_ms=(0.1 + 0.2, 1e-9, 1 / 3)),
        first_ms=None,
        init_ms=12.5,
        peak_memory_mb=3.25,
        before=DeviceState(),
        after=DeviceState(
            battery_percent=93,
            charging=True,
            temperature_c=31.7,
            thermal_status=0,
            load=0.25,
            core_khz=(300_000, 2_800_000),
        ),
        started_at=datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=5.5))),
    ),
    RunRecord(
        samples=RunSummary(count=50, mean_ms=1.5, min_ms=1.25, max_ms=2.0),
        first_ms=3.0,
        init_ms=None,
        peak_memory_mb=None,
        before=DeviceState(charging=False),
        after=DeviceState(core_khz=()),
        started_at=datetime(2026, 3, 1, tzinfo=UTC),
    ),
    RunRecord(
        samples=RunSummary(
            count=1, mean_ms=1.5, min_ms=1.5, max_ms=1.5, std_ms=0.0, median_ms=1.5, p95_ms=1.5
        ),
        first_ms=3.0,
        init_ms=None,
        peak_memory_mb=None,
        before=DeviceState(),
        after=DeviceState(),
        started_at=datetime(2026, 3, 1, tzinfo=UTC),
    ),
]


@pytest.mark.parametrize(
    "measurement",
    [
        made(),
        made(single_runs=False),
        made(spread=0.2),
        replace(made(), verdict=Verdict.REJECTED, reason="it was hot: 45 °C"),
    ],
    ids=["stable", "summaries", "unstable", "rejected"],
)
def test_a_measurement_comes_back_as_it_was_to_the_last_bit(store, measurement):
    assert store.get(store.add(measurement)) == measurement


@pytest.mark.parametrize("record", AWKWARD, ids=["raw", "summary", "full summary"])
def test_a_session_comes_back_as_it_was_to_the_last_bit(store, record):
    measurement = made()
    statistic = Statistic.MEDIAN if record.samples.median_ms is not None else Statistic.MEAN
    measurement = replace(
        measurement,
        sessions=(record,),
        conditions=replace(measurement.conditions, statistic=statistic),
    )
    found = store.get(store.add(measurement))
    assert found == measurement
    assert found.sessions[0].started_at.utcoffset() == record.started_at.utcoffset()


def test_adding_twice_is_adding_once(store, tmp_path):
    measurement = made()
    assert store.add(measurement) == store.add(replace(measurement))
    connection = sqlite3.connect(tmp_path / "m.db")
    counts = [
        connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
        for name in ("measurement", "measurement_session")
    ]
    connection.close()
    assert counts == [1, len(measurement.sessions)]


def test_it_is_found_again_by_file_and_conditions(store):
    measurement = made()
    store.add(made(sha="b2" * 32))
    store.add(measurement)
    assert store.find(SHA, measurement.conditions, "search") == measurement


@pytest.mark.parametrize("asked", ["quick", "search", "final"])
@pytest.mark.parametrize("there", [QUICK, SEARCH, FINAL])
def test_a_better_preset_answers_for_a_lesser_one_and_never_the_other_way(store, there, asked):
    measurement = made(there)
    store.add(measurement)
    order = ["quick", "search", "final"]
    good_enough = order.index(there.preset) >= order.index(asked)
    found = store.find(SHA, measurement.conditions, asked)
    assert found == (measurement if good_enough else None)


def test_a_preset_of_ones_own_answers_for_itself_alone(store):
    measurement = made(replace(SEARCH, preset="mine"))
    store.add(measurement)
    assert store.find(SHA, measurement.conditions, "mine") == measurement
    assert store.find(SHA, measurement.conditions, "quick") is None


def test_no_other_condition_will_do(store):
    measurement = made()
    store.add(measurement)
    other = replace(measurement.conditions, statistic=Statistic.MEAN)
    assert store.find(SHA, other, "quick") is None
    another_unit = made(serial="FAKE2").conditions
    assert store.find(SHA, another_unit, "quick") is None


def test_a_rejected_one_is_never_an_answer(store):
    measurement = replace(made(), verdict=Verdict.REJECTED, reason="hot")
    store.add(measurement)
    assert store.find(SHA, measurement.conditions, "quick") is None


def test_stable_comes_before_unstable_then_the_better_preset_then_the_newer(store):
    unstable, older = made(FINAL, spread=0.2), made(SEARCH, seed=1)
    newer, quick = made(SEARCH, seed=2), made(QUICK)
    for measurement in (newer, unstable, quick, older):
        store.add(measurement)
    assert unstable.verdict is Verdict.UNSTABLE
    assert store.find(SHA, newer.conditions, "quick") == newer
    assert store.find(SHA, newer.conditions, "final") == unstable


def test_an_id_that_is_not_there_is_an_error(store):
    with pytest.raises(StoreError, match="no measurement 'nowhere'"):
        store.get("nowhere")


def test_a_row_that_was_tampered_with_is_an_error_not_a_number(store, tmp_path):
    identity = store.add(made())
    connection = sqlite3.connect(tmp_path / "m.db")
    connection.execute('UPDATE measurement_session SET record = \'{"runs_ms": ["fast"]}\'')
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="holds what it should not"):
        store.get(identity)


def test_a_full_or_broken_database_is_a_store_error(store, tmp_path):
    connection = sqlite3.connect(tmp_path / "m.db")
    connection.execute("DROP TABLE measurement_session")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="refuses"):
        store.add(made())
    with pytest.raises(StoreError, match="refuses"):
        store.get("any")


def test_threads_may_add_the_same_and_others_at_once(store):
    measurements = [made(seed=seed % 5) for seed in range(5)]
    with ThreadPoolExecutor(8) as pool:
        identities = set(pool.map(store.add, measurements * 6))
    assert len(identities) == 5
    assert {store.get(identity).median_ms for identity in identities} == {
        m.median_ms for m in measurements
    }


def _add_all(url, measurements):
    store = MeasurementStore(url)
    return [store.add(measurement) for measurement in measurements]


def test_processes_may_add_to_a_new_store_at_once(tmp_path):
    url = sqlite_url(tmp_path / "new.db")
    measurements = [made(seed=seed) for seed in range(10)]
    with get_context("spawn").Pool(3) as pool:
        batches = pool.starmap(_add_all, [(url, measurements)] * 3)
    assert batches[0] == batches[1] == batches[2]
    store = MeasurementStore(url)
    assert [store.get(identity) for identity in batches[0]] == measurements


def test_the_shared_one_lies_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "new" / "home"))
    measurement = made()
    identity = MeasurementStore.shared().add(measurement)
    assert (tmp_path / "new" / "home" / "measurements.db").is_file()
    assert MeasurementStore.shared().get(identity) == measurement


def test_a_home_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(InputError, match=r"POCKETNAS_HOME .*home' cannot be written to"):
        MeasurementStore.shared()


@pytest.mark.usefixtures("store")
def test_a_newer_store_is_refused(tmp_path):
    connection = sqlite3.connect(tmp_path / "m.db")
    connection.execute("UPDATE alembic_version SET version_num = 'measurements_99'")
    connection.commit()
    connection.close()
    with pytest.raises(InputError, match=r"newer version \(schema measurements_99\)"):
        MeasurementStore(sqlite_url(tmp_path / "m.db"))


def test_the_last_revision_is_the_head_of_the_migrations():
    script = ScriptDirectory(str(MIGRATIONS))
    assert script.get_heads() == [REVISIONS[-1]]
    known = [revision.revision for revision in script.walk_revisions()]
    assert tuple(reversed(known)) == REVISIONS


@pytest.mark.usefixtures("store")
def test_the_migrations_make_the_schema_that_the_code_uses(tmp_path):
    engine = create_engine(sqlite_url(tmp_path / "m.db"))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), SCHEMA) == []
    engine.dispose()
