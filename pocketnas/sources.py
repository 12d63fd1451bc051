"""The latency sources of a search, from its configuration."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from controller.reward import Reward, SearchReward
from devices.device import ClockTier, Delegate
from devices.recovery import RECONNECT
from exporters.artifact import Precision
from exporters.exporter import ExporterName
from latency import source as latency_source
from latency.source import LatencySource, SourceSettings
from pocketnas.config import SearchConfig
from pocketnas.fleet import fleet_source
from workspace import plugin
from workspace.errors import InputError


def sources_of(config: SearchConfig, reward: SearchReward) -> tuple[LatencySource, LatencySource]:
    """What times candidates, and what times the front at the end; may be the same.

    Args:
        config: Of the search.
        reward: Of the search, by which a fleet's rule ``each`` works.

    Raises:
        InputError: If there is no such source, or the exporter's files are not for it.
        OperationError: If a device does not answer.
    """
    with ExitStack() as opened:

        def opening(text: str) -> LatencySource:
            made = source_of(config, text)
            opened.callback(made.close)
            return made

        if not (config.fleet and isinstance(reward, Reward)):
            source = opening(config.latency)
            final = opening(config.final_on) if config.final_on else source
        else:
            source, final = _fleets(config, reward, opening)
        opened.pop_all()
    return source, final


def _fleets(
    config: SearchConfig, reward: Reward, opening: Callable[[str], LatencySource]
) -> tuple[LatencySource, LatencySource]:
    entries, rule = config.fleet, config.fleet_rule
    known = {entry.name: opening(entry.latency) for entry in entries}
    source = fleet_source(entries, rule, reward.exponents, lambda entry: known[entry.name])
    if not any(entry.final_on for entry in entries):
        return source, source
    last = {e.name: opening(e.final_on) if e.final_on else known[e.name] for e in entries}
    final = fleet_source(entries, rule, reward.exponents, lambda entry: last[entry.name])
    return source, final


def source_of(config: SearchConfig, text: str) -> LatencySource:
    """What ``text`` names, as a search uses it.

    Raises:
        InputError: If there is no such source, or the exporter's files are not for it.
        OperationError: If a device does not answer.
    """
    from exporters.exporter import create as create_exporter

    _require_timed(config, text)
    if plugin.is_reference(config.exporter) or config.exporter != "tflite":
        create_exporter(config.exporter, Precision(config.precision))
    settings = SourceSettings(
        threads=config.threads,
        delegate=Delegate(config.delegate),
        clock_tier=ClockTier(config.clock_tier),
        precision=Precision(config.precision),
        exporter=config.exporter,
        recovery=replace(
            RECONNECT,
            reboot="reboot" in config.phone_recovery,
            power_cycle="power-cycle" in config.phone_recovery,
        ),
    )
    return latency_source.create(text, settings)


def _require_timed(config: SearchConfig, text: str) -> None:
    """Do nothing if devices time what the exporter writes; a table needs no files.

    Raises:
        InputError: If it writes something else than TFLite.
    """
    device = text.rpartition(",")[2] if text.startswith("hybrid:") else text
    on_devices = device == "host" or device.startswith("adb:")
    if on_devices and config.exporter in (ExporterName.ONNX, ExporterName.SAVED_MODEL):
        known = f"{ExporterName.TFLITE}, {ExporterName.LITERT} and {ExporterName.TENSORFLOW}"
        msg = (
            f"exporter {config.exporter!r} writes no TFLite files, as {text!r} times; "
            f"{known} do; 'pocketnas export RUN:best --format {config.exporter}' makes others"
        )
        raise InputError(msg)
