import json
from dataclasses import replace

import numpy as np
import pytest

from latency.device_prior import DevicePrior
from latency.made_up import MadeUpDevice
from latency.predictor import Predictor
from latency.predictor_file import PredictorRecord, load, path_of, read, write
from latency.signatures import parts_of
from latency.table import Validation
from latency.table_plan import random_networks
from search_space.architecture import Classifier, Detector
from search_space.proxyless import ProxylessSpace
from workspace.errors import InputError, OperationError

SUBJECTS = random_networks(ProxylessSpace(size=64), Classifier(classes=10), 60, seed=1)
NETWORKS = [parts_of(each.architecture, each.head) for each in SUBJECTS]


@pytest.fixture(scope="module")
def record():
    others = [MadeUpDevice(seed).other(NETWORKS[:40]) for seed in (1, 2)]
    prior = DevicePrior.of(others, NETWORKS[:40])
    return PredictorRecord(
        name="predictor:lab",
        predictor=Predictor.of(prior, MadeUpDevice(9).measured(NETWORKS[:12])),
        space="proxyless size=64",
        classes=10,
        conditions={"device_model": "made-up", "threads": 1, "cores": [6, 7]},
        networks=("a" * 16, "b" * 16),
        labels=("from 2 other devices",),
        validations=(
            Validation(date="2026-11-27", numbers={"mape": 0.02}, additivity_error=0.02),
        ),
    )


@pytest.fixture
def written(record, tmp_path):
    path = tmp_path / "lab.json"
    write(record, path)
    return path


def changed(path, **fields):
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    return path


def test_of_detectors_it_is_of_the_newer_form_and_says_so(record, tmp_path):
    path = tmp_path / "lab.json"
    write(replace(record, head="detector", classes=3), path)
    assert json.loads(path.read_text())["pocketnas_predictor"] == 2
    assert read(path, "lab").head_of() == Detector(classes=3)
    with pytest.raises(InputError, match="classifier, detector, videoclassifier, got 'nose'"):
        read(changed(path, head="nose"), "lab")


def test_a_part_that_another_device_leaves_below_nothing_is_read(record, tmp_path):
    prior, measured = record.predictor.prior, record.predictor.measurements
    weights = prior.weights.copy()
    weights[0, 0] = -0.01
    predictor = Predictor.of(replace(prior, weights=weights), measured)
    write(replace(record, predictor=predictor), tmp_path / "lab.json")
    found = read(tmp_path / "lab.json", "lab").predictor
    np.testing.assert_allclose(found.prior.weights, weights)
    np.testing.assert_allclose(
        found.predict(NETWORKS).latency_ms, predictor.predict(NETWORKS).latency_ms, rtol=1e-9
    )


def test_of_classifiers_it_is_of_the_form_that_knew_no_other_head(record, written):
    document = json.loads(written.read_text())
    assert (document["pocketnas_predictor"], "head" in document) == (1, False)
    assert read(written, "lab").head_of() == Classifier(classes=10) == record.head_of()


def test_a_predictor_that_is_read_says_the_same(record, written):
    found = read(written, "lab")
    mine, theirs = found.predictor.predict(NETWORKS), record.predictor.predict(NETWORKS)
    np.testing.assert_allclose(mine.latency_ms, theirs.latency_ms, rtol=1e-9)
    np.testing.assert_allclose(mine.high_ms, theirs.high_ms, rtol=1e-9)
    for name in ("name", "space", "classes", "conditions", "networks", "labels", "validations"):
        assert getattr(found, name) == getattr(record, name)


def test_the_same_predictor_gives_the_same_text(written, tmp_path):
    again = tmp_path / "again.json"
    write(read(written, "lab"), again)
    assert again.read_bytes() == written.read_bytes()


def test_it_is_found_by_its_name_and_by_its_path(record, tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path))
    write(record, path_of("lab"))
    assert load("lab").name == "predictor:lab"
    assert load(str(path_of("lab"))).classes == 10
    with pytest.raises(InputError, match="no predictor 'other'; there is lab"):
        load("other")
    with pytest.raises(InputError, match="no predictor 'aaa"):
        load(300 * "a")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"pocketnas_predictor": 3}, "newer version .form 3."),
        ({"pocketnas_predictor": None}, "no predictor"),
        ({"measurements": []}, "at least 5 measured networks"),
        ({"typical": [1.0]}, "damaged"),
        ({"devices": {"a": [-1.0]}}, "damaged"),
        ({"spread": {"spanned": 1.0}}, "damaged"),
        ({"parts": 3}, "damaged"),
    ],
)
def test_a_damaged_file_is_refused_with_what_is_wrong(fields, words, written):
    with pytest.raises(InputError, match=words):
        read(changed(written, **fields), "lab")


def test_nan_is_refused(written):
    document = json.loads(written.read_text())
    document["measurements"][0]["latency_ms"] = float("nan")
    written.write_text(json.dumps(document))
    with pytest.raises(InputError, match="NaN is no number"):
        read(written, "lab")


def test_a_negative_variance_is_refused(written):
    document = json.loads(written.read_text())
    document["unsure"][0] = -1.0
    with pytest.raises(InputError, match="must not be negative"):
        read(changed(written, unsure=document["unsure"]), "lab")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_file_that_is_cut_off_is_refused(share, written):
    content = written.read_bytes()
    written.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match="cut off or damaged"):
        read(written, "lab")


def test_a_place_that_cannot_be_written_is_an_error_in_words(record, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OperationError, match="cannot be written"):
        write(replace(record), tmp_path / "file" / "lab.json")
