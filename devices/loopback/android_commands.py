"""Android's commands on a loopback phone: what each prints, and what it changes.

They run in the daemon; the shell user's programs (``android_client.py``) only hand over their
arguments. What is not simulated says so and fails, as a command that is not there would. Only
Python's own library is used: the file is also copied onto the phone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from devices.loopback import android_text as text
from devices.loopback.android_settings import NAMESPACES, AndroidSettings
from devices.loopback.phone_model import PhoneModel
from devices.loopback.scenario import HIDEABLE

REBOOT_S = 15.0
"""How long a phone is away that was told to reboot, in the scenario's own clock."""
_SERVICES = ("battery", "thermalservice", "power", "deviceidle", "display")
_PLUGS = {"false": 0, "ac": 1, "usb": 2, "wireless": 4, "dock": 8, "true": 15}
_POWER, _WAKE, _SLEEP = ("26", "POWER"), ("224", "WAKEUP"), ("223", "SLEEP")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command ends with."""

    exit_code: int = 0
    stdout: str = ""
    stderr: str = ""


class Android:
    """The commands over one phone's model and settings."""

    def __init__(self, model: PhoneModel, settings: AndroidSettings) -> None:
        self.model = model
        self.settings = settings
        self.reboot_asked = False

    def rebooted(self) -> None:
        """Set back what a start of the system sets back."""
        self.settings = self.settings.rebooted()
        self.reboot_asked = False
        self.model.power_saver = self.settings.tables["global"].get("low_power") == "1"
        self.settings.screen_on = self.model.screen_on

    def answer(self, words: Sequence[str]) -> Answer:
        """What the command prints and ends with, once it has changed what it changes."""
        name, arguments = words[0], list(words[1:])
        commands: dict[str, Callable[[list[str]], Answer]] = {
            "dumpsys": self._dumpsys,
            "cmd": self._cmd,
            "settings": self._settings,
            "svc": self._svc,
            "input": self._input,
            "pm": self._package,
            "am": self._activity,
            "reboot": self._reboot,
        }
        if self.model.scenario.hides(name):
            return _absent(name)
        if name not in commands:
            return Answer(127, "", f"{name}: not simulated on this stand-in\n")
        answer = commands[name](arguments)
        self._tell_each_other()
        return answer

    def _tell_each_other(self) -> None:
        """Some of it is both a setting and a state."""
        model, settings = self.model, self.settings
        model.fixed_performance = settings.fixed_performance
        model.override = settings.thermal_override
        settings.screen_on = model.screen_on
        settings.tables["global"]["low_power"] = str(int(model.power_saver))

    def happened(self) -> None:
        """An event changed the model: the settings follow."""
        self.settings.thermal_override = self.model.override
        self.settings.screen_on = self.model.screen_on
        self.settings.tables["global"]["low_power"] = str(int(self.model.power_saver))

    # --- dumpsys --------------------------------------------------------------------------------

    def _dumpsys(self, arguments: list[str]) -> Answer:
        if arguments in ([], ["-l"]):
            services = [name for name in _SERVICES if not self._hidden(f"dumpsys {name}")]
            return Answer(0, "Currently running services:\n  " + "\n  ".join(services) + "\n")
        service, *rest = arguments
        if self._hidden(f"dumpsys {service}") or service.startswith("-"):
            return Answer(0, "", f"Can't find service: {service}\n")
        match service:
            case "battery":
                return self._battery(rest)
            case "thermalservice":
                return Answer(0, text.thermal_service(self.model))
            case "power":
                return Answer(0, text.power(self.model, self.settings))
            case "deviceidle":
                return self._device_idle(rest)
            case "display":
                return Answer(0, text.display(self.model))
        return _not_simulated(f"dumpsys {service}")

    def _battery(self, arguments: list[str]) -> Answer:
        match arguments:
            case [] | ["-a"]:
                return Answer(0, text.battery(self.model, self.settings))
            case ["unplug"]:
                self.settings.battery_override.update(usb=0, ac=0)
            case ["reset"]:
                self.settings.battery_override.clear()
            case ["set", ("level" | "status" | "temp" | "usb" | "ac") as key, value] if (
                value.isdecimal()
            ):
                self.settings.battery_override[key] = int(value)
            case _:
                return Answer(255, f"Unknown command: {' '.join(arguments)}\n")
        return Answer()

    def _device_idle(self, arguments: list[str]) -> Answer:
        settings = self.settings
        match arguments:
            case [] | ["-a"]:
                return Answer(0, text.device_idle(self.model, settings))
            case ["force-idle", *which]:
                return self._force_idle((which or ["deep"])[0])
            case ["unforce"]:
                settings.forced_idle = ""
                return Answer(0, "Light state: ACTIVE, deep state: ACTIVE\n")
            case ["get", ("light" | "deep") as which_one]:
                light, deep = text.idle_states(settings)
                return Answer(0, f"{light if which_one == 'light' else deep}\n")
            case ["get", "force"]:
                return Answer(0, f"{str(bool(settings.forced_idle)).lower()}\n")
            case ["get", "screen"]:
                return Answer(0, f"{str(self.model.screen_on).lower()}\n")
            case ["get", "charging"]:
                return Answer(0, f"{str(self.model.charging).lower()}\n")
            case ["enabled", *_]:
                return Answer(0, f"{int(settings.idle_enabled)}\n")
            case [("enable" | "disable") as word, *_]:
                settings.idle_enabled = word == "enable"
                settings.forced_idle = settings.forced_idle if settings.idle_enabled else ""
                return Answer(0, f"Deep idle mode {word}d\nLight idle mode {word}d\n")
        return _not_simulated(f"deviceidle {' '.join(arguments)}")

    def _force_idle(self, which: str) -> Answer:
        if not self.settings.idle_enabled:
            return Answer(0, f"Unable to go {which} idle; not enabled\n")
        self.settings.forced_idle = which
        return Answer(0, f"Now forced in to {which} idle mode\n")

    # --- cmd ------------------------------------------------------------------------------------

    def _cmd(self, arguments: list[str]) -> Answer:
        if not arguments:
            return Answer(20, "", "cmd: No service specified; use -l to list all services\n")
        service, *rest = arguments
        if self._hidden(f"cmd {service}"):
            return Answer(20, "", f"cmd: Can't find service: {service}\n")
        match service:
            case "power":
                return self._power(rest)
            case "deviceidle":
                return self._device_idle(rest)
            case "thermalservice":
                return self._thermal(rest)
            case "battery":
                return self._battery(rest)
            case "package":
                return self._package(rest)
            case "activity":
                return self._activity(rest)
            case "settings":
                return self._settings(rest)
        return _not_simulated(f"cmd {service}")

    def _power(self, arguments: list[str]) -> Answer:
        match arguments:
            case ["set-fixed-performance-mode-enabled", word]:
                if not self.model.scenario.fixed_performance_factor:
                    return Answer(
                        255,
                        "",
                        "Failed to set FIXED_PERFORMANCE mode\nThis is likely because Power HAL "
                        "AIDL is not implemented on this device\n",
                    )
                if self.model.scenario.identity.sdk < 30:
                    return Answer(255, f"Unknown command: {arguments[0]}\n")
                self.settings.fixed_performance = word.lower() == "true"
                return Answer()
            case ["set-mode", ("0" | "1") as mode]:
                self.model.power_saver = mode == "1"
                return Answer()
        return Answer(255, f"Unknown command: {' '.join(arguments)}\n")

    def _thermal(self, arguments: list[str]) -> Answer:
        match arguments:
            case ["override-status", status] if status.isdecimal() and int(status) <= 6:
                self.settings.thermal_override = int(status)
            case ["override-status", status]:
                return Answer(255, "", f"Invalid temperature type or status: {status}\n")
            case ["reset"]:
                self.settings.thermal_override = None
            case _:
                return Answer(255, f"Unknown command: {' '.join(arguments)}\n")
        return Answer()

    # --- the rest -------------------------------------------------------------------------------

    def _settings(self, arguments: list[str]) -> Answer:
        while arguments[:1] == ["--user"]:
            arguments = arguments[2:]
        tables = self.settings.tables
        match arguments:
            case ["list", table] if table in NAMESPACES:
                lines = [f"{key}={value}\n" for key, value in sorted(tables[table].items())]
                return Answer(0, "".join(lines))
            case ["get", table, key] if table in NAMESPACES:
                return Answer(0, f"{tables[table].get(key, 'null')}\n")
            case ["put", table, key, value, *_] if table in NAMESPACES:
                tables[table][key] = value
                if (table, key) == ("global", "low_power"):
                    self.model.power_saver = value == "1"
                return Answer()
            case ["delete", table, key] if table in NAMESPACES:
                count = int(tables[table].pop(key, None) is not None)
                return Answer(0, f"Deleted {count} rows\n")
        return Answer(255, "", f"Invalid command: {' '.join(arguments)}\n")

    def _svc(self, arguments: list[str]) -> Answer:
        match arguments:
            case ["power", "stayon", word] if word in _PLUGS:
                self.settings.tables["global"]["stay_on_while_plugged_in"] = str(_PLUGS[word])
                if word != "false" and self.model.charging:
                    self.model.screen_on = True
                return Answer()
            case ["power", "reboot", *_]:
                return self._reboot([])
        return _not_simulated(f"svc {' '.join(arguments)}")

    def _input(self, arguments: list[str]) -> Answer:
        match arguments:
            case ["keyevent", key]:
                key = key.removeprefix("KEYCODE_")
                if key in _POWER:
                    self.model.screen_on = not self.model.screen_on
                elif key in _WAKE:
                    self.model.screen_on = True
                elif key in _SLEEP:
                    self.model.screen_on = False
                return Answer()
        return _not_simulated(f"input {' '.join(arguments)}")

    def _package(self, arguments: list[str]) -> Answer:
        match arguments:
            case ["bg-dexopt-job", "--cancel"]:
                return Answer(0, "Success\n")
            case ["bg-dexopt-job", ("--disable" | "--enable") as word]:
                self.settings.background_compilation = word == "--enable"
                return Answer(0, "Success\n")
        return _not_simulated(f"package {' '.join(arguments)}")

    def _activity(self, arguments: list[str]) -> Answer:
        if arguments in (["kill-all"], ["get-current-user"]):
            return Answer(0, "0\n" if arguments == ["get-current-user"] else "")
        return _not_simulated(f"activity {' '.join(arguments)}")

    def _reboot(self, _: list[str]) -> Answer:
        self.reboot_asked = True
        return Answer()

    def _hidden(self, what: str) -> bool:
        return what in HIDEABLE and self.model.scenario.hides(what)


def _absent(name: str) -> Answer:
    return Answer(127, "", f"/system/bin/sh: {name}: inaccessible or not found\n")


def _not_simulated(what: str) -> Answer:
    return Answer(1, "", f"{what.strip()}: not simulated on this stand-in\n")
