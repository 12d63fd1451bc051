"""What Android's commands change on a loopback phone, kept in one file there.

Only Python's own library is used: the file is also copied onto the phone.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field

SETTINGS_FILE = "/data/pocketnas/settings.json"
"""On the phone; everybody there may read it."""
VERSION = 1
NAMESPACES = ("global", "system", "secure")
USUAL: dict[str, dict[str, str]] = {
    "global": {
        "adb_enabled": "1",
        "airplane_mode_on": "0",
        "animator_duration_scale": "1.0",
        "auto_time": "1",
        "low_power": "0",
        "ota_disable_automatic_update": "0",
        "stay_on_while_plugged_in": "0",
        "transition_animation_scale": "1.0",
        "wifi_on": "1",
        "window_animation_scale": "1.0",
    },
    "system": {
        "accelerometer_rotation": "1",
        "screen_brightness": "102",
        "screen_brightness_mode": "1",
        "screen_off_timeout": "60000",
    },
    "secure": {"doze_always_on": "0", "location_mode": "3"},
}


@dataclass(slots=True)
class AndroidSettings:
    """What outlives a reboot, and what does not (from ``fixed_performance`` on)."""

    tables: dict[str, dict[str, str]] = field(
        default_factory=lambda: {name: dict(table) for name, table in USUAL.items()}
    )
    fixed_performance: bool = False
    forced_idle: str = ""
    idle_enabled: bool = True
    screen_on: bool = False
    thermal_override: int | None = None
    battery_override: dict[str, int] = field(default_factory=dict)
    background_compilation: bool = True
    cpufreq: list[dict[str, str]] = field(default_factory=list)

    def rebooted(self) -> AndroidSettings:
        """What a start of the system leaves of it."""
        return AndroidSettings(tables=self.tables)

    def text(self) -> str:
        """As it stands in the file."""
        content = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps({"version": VERSION, **content}, indent=1, sort_keys=True) + "\n"


def write_if_changed(settings: AndroidSettings, path: str, before: str) -> str:
    """Write the file whole where its text is another one; the text that is in it now."""
    text = settings.text()
    if text != before:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(f"{path}.new", "w") as file:
            file.write(text)
        os.replace(f"{path}.new", path)
    return text
