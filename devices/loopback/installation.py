"""What a phone that follows a scenario is given: its Android, and the scenario itself."""

from __future__ import annotations

import shutil
from pathlib import Path

from devices.loopback.scenario import Scenario

_HERE = Path(__file__).parent
LIBRARY = (
    *("__init__", "android_commands", "android_daemon", "android_load", "android_mounts"),
    *(
        "android_nodes",
        "android_settings",
        "android_su",
        "android_text",
        "android_watch",
        "phone_model",
    ),
    *("scenario", "scenario_parser", "scenario_table"),
)
"""The modules that run on the phone; they import each other and Python's own library."""
PROGRAMS = ("am", "cmd", "dumpsys", "input", "pm", "reboot", "settings", "svc", "taskset")
"""The commands of ``android_client.py``."""


def install(folder: Path, scenario: Scenario) -> None:
    """Fill a new folder, which the phone sees as ``/run/android``."""
    library = folder / "lib/devices/loopback"
    library.mkdir(parents=True)
    (library.parent / "__init__.py").touch()
    for name in LIBRARY:
        shutil.copyfile(_HERE / f"{name}.py", library / f"{name}.py")
    (folder / "scenario").mkdir()
    (folder / f"scenario/{scenario.name}.toml").write_text(scenario.text)
    programs = folder / "bin"
    programs.mkdir()
    _program(_HERE / "android_client.py", folder / "client.py")
    shutil.copyfile(_HERE / "pace.py", folder / "pace.py")
    (folder / "runner-dialect").write_text(scenario.runner_dialect)
    for name in (*PROGRAMS, *(["su"] if scenario.root else [])):
        if not scenario.hides(name):
            (programs / name).symlink_to("../client.py")
    if not scenario.hides("getprop"):
        _program(_HERE / "getprop.sh", programs / "getprop")


def _program(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    target.chmod(0o755)
