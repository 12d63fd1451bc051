import subprocess
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

import latency
from devices.device import Delegate, DeviceTransientError
from exporters.artifact import Precision
from latency.source import LatencySource, SourceSettings, create
from latency.testing import FakeDevice
from workspace.errors import InputError

OWN = """
class Mine:
    name, lanes, on_this_computer = "mine", 1, False

    def __init__(self, settings=None):
        self.settings = settings

    def estimate(self, requests):
        return iter(())

    def close(self):
        pass

OBJECT = Mine()

def make(settings):
    return Mine(settings)

TEXT = "no source"
"""


@dataclass(frozen=True)
class Found:
    id: str
    problem: str = ""


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def attached(monkeypatch):
    """Makes these phones be there, instead of whatever really is."""

    def attach(*phones):
        pool = ModuleType("devices.pool")
        opened = []

        def open_device(name, _=None):
            device = FakeDevice(
                name.removeprefix("adb:"), model="Fake 2" if "Z" in name else "Fake 1"
            )
            opened.append(device)
            if "unreachable" in name:
                device.gone = DeviceTransientError(name, "no route to host")
            return device

        contents = {
            "discover": lambda: (Found("host"), *phones),
            "open_device": open_device,
            "lease": lambda _, *, wait_s: nullcontext(wait_s),
        }
        for name, value in contents.items():
            monkeypatch.setattr(pool, name, value, raising=False)
        monkeypatch.setitem(sys.modules, "devices.pool", pool)
        return opened

    return attach


@pytest.mark.parametrize("text", ["phone", "", "host:1", "adb", "adb:", "table", "table:", "Host"])
def test_an_unknown_source_is_refused_with_the_forms_there_are(text):
    with pytest.raises(InputError, match="unknown source") as refused:
        create(text, SourceSettings())
    assert repr(text) in str(refused.value)
    for form in ("host", "adb:SERIAL", "adb:any", "table:", "package.module:NAME"):
        assert form in str(refused.value)


def test_a_table_is_a_source():
    source = create("table:pixel1", SourceSettings())
    assert (source.name, source.lanes, source.on_this_computer) == ("table:pixel1", 1, False)


def test_a_table_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="no table 'nowhere'"):
        create("table:nowhere", SourceSettings())


def test_a_phone_is_opened_by_its_serial(attached):
    opened = attached(Found("adb:A1"), Found("adb:B2"))
    source = create("adb:B2", SourceSettings())
    assert [device.id for device in opened] == ["adb:B2"]
    assert (source.name, source.lanes) == ("adb:B2", 1)


def test_any_phone_is_all_that_are_ready(attached):
    opened = attached(Found("adb:A1"), Found("adb:B2", "unauthorized"), Found("adb:C3"))
    source = create("adb:any", SourceSettings())
    assert [device.id for device in opened] == ["adb:A1", "adb:C3"]
    assert (source.name, source.lanes) == ("adb:any", 2)


@pytest.mark.parametrize(
    ("text", "phones", "message"),
    [
        ("adb:X9", (), "no phone 'adb:X9'; no phone is attached"),
        (
            "adb:X9",
            (Found("adb:A1"), Found("adb:B2", "unauthorized")),
            r"no phone 'adb:X9'; there is adb:A1, adb:B2 \(unauthorized\)",
        ),
        ("adb:any", (), "'adb:any' needs a phone that is ready; no phone is attached"),
        ("adb:any", (Found("adb:B2", "unauthorized"),), r"ready; there is adb:B2 \(unauthor"),
    ],
)
def test_a_phone_that_is_not_there_is_refused_with_those_that_are(attached, text, phones, message):
    attached(*phones)
    with pytest.raises(InputError, match=message):
        create(text, SourceSettings())


def test_a_phone_on_the_network_need_not_be_attached(attached):
    opened = attached()
    assert create("adb:10.0.0.7:5555", SourceSettings()).name == "adb:10.0.0.7:5555"
    assert len(opened) == 1


def test_a_phone_on_the_network_that_does_not_answer_is_refused_with_why(attached):
    opened = attached(Found("adb:A1"))
    message = r"no phone 'adb:unreachable:5555' \(no route to host\); there is adb:A1"
    with pytest.raises(InputError, match=message):
        create("adb:unreachable:5555", SourceSettings())
    assert opened[0].closed == 1


def test_phones_that_are_not_alike_are_given_back(attached):
    opened = attached(Found("adb:A1"), Found("adb:Z1"))
    with pytest.raises(InputError, match="would mix times of devices that differ"):
        create("adb:any", SourceSettings())
    assert [device.closed for device in opened] == [1, 1]


def test_an_exporter_that_is_not_there_is_refused_before_a_device_is_opened(attached):
    opened = attached(Found("adb:A1"))
    with pytest.raises(InputError, match="coreml"):
        create("adb:A1", SourceSettings(exporter="coreml"))
    assert opened == []


@pytest.mark.parametrize("name", ["OBJECT", "make", "Mine"])
def test_a_source_of_ones_own_is_an_object_or_makes_one(tmp_path, monkeypatch, name):
    (tmp_path / "my_source.py").write_text(OWN)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    settings = SourceSettings(threads=2)
    source: LatencySource = create(f"my_source:{name}", settings)
    assert source.name == "mine"
    assert getattr(source, "settings", ...) is (None if name == "OBJECT" else settings)
    del sys.modules["my_source"]


def test_what_is_no_source_is_refused_with_what_it_lacks(tmp_path, monkeypatch):
    (tmp_path / "my_source.py").write_text(OWN)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(InputError, match="'my_source:TEXT' is no latency source: it lacks name"):
        create("my_source:TEXT", SourceSettings())
    del sys.modules["my_source"]


def test_a_module_called_like_a_source_of_ours_does_not_hide_it(tmp_path, monkeypatch):
    (tmp_path / "table.py").write_text("pixel1 = None\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert create("table:pixel1", SourceSettings()).name == "table:pixel1"


def test_settings_say_where_a_session_runs():
    settings = SourceSettings(threads=2, cores=(4, 5), delegate=Delegate.GPU, timeout_s=9)
    placement = settings.placement
    assert (placement.threads, placement.cores) == (2, (4, 5))
    assert (placement.delegate, placement.timeout_s) == (Delegate.GPU, 9)
    assert settings.precision is Precision.FP32


def test_sources_are_named_without_importing_what_they_need():
    code = (
        "import sys, latency.source\n"
        "heavy = {'torch', 'sqlalchemy', 'alembic', 'numpy', 'yaml', 'adb_shell'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    here = Path(latency.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=here, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
