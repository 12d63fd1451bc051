"""What Android 12 to 14 prints of a phone's state, made from the model.

Only Python's own library is used: the file is also copied onto the phone. Where Android prints
more (listeners, history, constants), the lines that tell the phone's state are here.
"""

from __future__ import annotations

from devices.loopback.android_settings import AndroidSettings
from devices.loopback.phone_model import PhoneModel
from devices.loopback.scenario import Scenario

_HAL_TYPES = {"cpu": 0, "gpu": 1, "battery": 2, "skin": 3}
_CAPACITY_UAH = 45_000
"""Charge of one percent of the battery."""


def fingerprint(scenario: Scenario) -> str:
    """As ``ro.build.fingerprint`` says, and it says that it is simulated."""
    told = scenario.identity.fingerprint or (
        f"{scenario.identity.manufacturer}/phone/phone:{scenario.identity.release}/PNAS/1:user"
        "/release-keys"
    )
    return f"{told.replace(' ', '_')}/simulated:{scenario.label}"


def properties(scenario: Scenario, machine_abi: str) -> dict[str, str]:
    """What ``getprop`` tells."""
    who = scenario.identity
    return {
        "ro.board.platform": who.soc.lower().replace(" ", "_"),
        "ro.boot.hardware": "pocketnas",
        "ro.build.fingerprint": fingerprint(scenario),
        "ro.build.type": "user",
        "ro.build.version.release": who.release,
        "ro.build.version.sdk": str(who.sdk),
        "ro.debuggable": "0",
        "ro.hardware": "pocketnas",
        "ro.product.cpu.abi": who.abi or machine_abi,
        "ro.product.cpu.abilist": who.abi or machine_abi,
        "ro.product.manufacturer": who.manufacturer,
        "ro.product.model": who.model,
        "ro.soc.manufacturer": who.manufacturer,
        "ro.soc.model": who.soc,
        "sys.boot_completed": "1",
        "dev.bootcomplete": "1",
    }


def battery(model: PhoneModel, settings: AndroidSettings) -> str:
    """``dumpsys battery``."""
    set_by_hand = settings.battery_override
    powered = bool(set_by_hand.get("usb", model.charging))
    level = set_by_hand.get("level", round(model.battery_percent))
    status = 3 if not powered else 5 if level >= 100 else 2
    lines = [
        "Current Battery Service state:",
        *(["  (UPDATES STOPPED -- use 'reset' to restart)"] if set_by_hand else []),
        f"  AC powered: {_word(bool(set_by_hand.get('ac', 0)))}",
        f"  USB powered: {_word(powered)}",
        "  Wireless powered: false",
        "  Dock powered: false",
        f"  Max charging current: {500000 if powered else 0}",
        f"  Max charging voltage: {5000000 if powered else 0}",
        f"  Charge counter: {_CAPACITY_UAH * level}",
        f"  status: {set_by_hand.get('status', status)}",
        "  health: 2",
        "  present: true",
        f"  level: {level}",
        "  scale: 100",
        f"  voltage: {3500 + 8 * level}",
        f"  temperature: {set_by_hand.get('temp', round(10 * model.battery_c))}",
        "  technology: Li-ion",
    ]
    return "\n".join(lines) + "\n"


def thermal_service(model: PhoneModel) -> str:
    """``dumpsys thermalservice``."""
    status = model.thermal_status
    temperatures = [
        f"\tTemperature{{mValue={value:.1f}, mType={_HAL_TYPES[name.split('-')[0]]}, "
        f"mName={name}, mStatus={status if name == 'skin' else 0}}}"
        for name, value in (
            ("cpu-0", model.chip_c),
            ("battery", model.battery_c),
            ("skin", model.skin_c),
        )
    ]
    listeners = ["\tcallbacks: 2", "\tkilled: false", "\tbroadcasts count: -1"]
    reduced = round(100 * (1 - model.clock_factor))
    return "\n".join(
        (
            f"IsStatusOverride: {_word(model.override is not None)}",
            *("ThermalEventListeners:", *listeners),
            *("ThermalStatusListeners:", *listeners),
            f"Thermal Status: {status}",
            *("Cached temperatures:", *temperatures),
            "HAL Ready: true",
            *("HAL connection:", "\tThermalHAL 2.0 connected: yes"),
            *("Current temperatures from HAL:", *temperatures),
            "Current cooling devices from HAL:",
            f"\tCoolingDevice{{mValue={reduced}, mType=2, mName=thermal-cpufreq-0}}",
            "Temperature static thresholds from HAL:",
            "",
        )
    )


def power(model: PhoneModel, settings: AndroidSettings) -> str:
    """``dumpsys power``, the lines about the phone's state."""
    stay_on = int(settings.tables["global"].get("stay_on_while_plugged_in", "0") or 0)
    awake = "Awake" if model.screen_on else "Asleep"
    idle = settings.forced_idle
    lines = (
        "POWER MANAGER (dumpsys power)",
        "",
        "Power Manager State:",
        "  mDirty=0x0",
        f"  mWakefulness={awake}",
        "  mWakefulnessChanging=false",
        f"  mIsPowered={_word(model.charging)}",
        f"  mPlugType={2 if model.charging else 0}",
        f"  mBatteryLevel={round(model.battery_percent)}",
        "  mDockState=0",
        f"  mStayOn={_word(bool(stay_on) and model.charging)}",
        "  mBootCompleted=true",
        "  mSystemReady=true",
        f"  mLightDeviceIdleMode={_word(idle == 'light')}",
        f"  mDeviceIdleMode={_word(idle == 'deep')}",
        f"  mStayOnWhilePluggedInSetting={stay_on}",
        "",
        "Battery saver state machine:",
        f"  Enabled={_word(model.power_saver)}",
        f"    full={_word(model.power_saver)}",
        "    adaptive=false",
        f"  mIsPowered={_word(model.charging)}",
        f"  mBatteryLevel={round(model.battery_percent)}",
        f"  mSettingBatterySaverEnabled={_word(model.power_saver)}",
        "",
        f"Display Power: state={'ON' if model.screen_on else 'OFF'}",
        "",
    )
    return "\n".join(lines)


def display(model: PhoneModel) -> str:
    """``dumpsys display``, the lines about whether it is lit."""
    word = "ON" if model.screen_on else "OFF"
    states = f"  mGlobalDisplayState={word}\n  mScreenState={word}\n"
    return f"DISPLAY MANAGER (dumpsys display)\n{states}"


def idle_states(settings: AndroidSettings) -> tuple[str, str]:
    """Doze, light and deep."""
    light = {"light": "IDLE", "deep": "OVERRIDE"}.get(settings.forced_idle, "ACTIVE")
    return light, "IDLE" if settings.forced_idle == "deep" else "ACTIVE"


def device_idle(model: PhoneModel, settings: AndroidSettings) -> str:
    """``dumpsys deviceidle``, the lines about its state."""
    light, deep = idle_states(settings)
    enabled = _word(settings.idle_enabled)
    return (
        f"  mLightEnabled={enabled}  mDeepEnabled={enabled}\n"
        f"  mForceIdle={_word(bool(settings.forced_idle))}\n"
        f"  mScreenOn={_word(model.screen_on)}\n"
        f"  mCharging={_word(model.charging)}\n"
        f"  mState={deep} mLightState={light}\n"
    )


def energy_rails(model: PhoneModel) -> str:
    """The node ``energy_value`` of a power meter: µWs of each rail since its start."""
    milliseconds = int(1000 * model.now_s)
    return (
        f"t={milliseconds}\nCH0(T={milliseconds})[VSYS_SIMULATED], {int(1000 * model.energy_mj)}\n"
    )


def _word(value: bool) -> str:  # noqa: FBT001 - a truth value is all there is
    return "true" if value else "false"
