"""The kernel's nodes of a loopback phone: clocks, thermal zones, a power meter.

As in a real one, cpufreq has a folder ``policyN`` for each cluster, to which each core's
``cpufreq`` leads. Only Python's own library is used: the file is also copied onto the phone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from devices.loopback.android_text import energy_rails
from devices.loopback.phone_model import GOVERNORS, PhoneModel
from devices.loopback.scenario import Cluster

WRITABLE = ("scaling_min_freq", "scaling_max_freq", "scaling_governor")
"""What root may write; kept open by neither side, read after each write."""


class Nodes:
    """The files, kept as the model says.

    Args:
        model: What they show.
        cpu: The folder that holds ``cpu0`` and so on.
        thermal: The folder that holds ``thermal_zone0`` and so on.
        meter: The folder of the power meter.
        owner: Who owns what root may write; None leaves it as made.
    """

    def __init__(
        self, model: PhoneModel, *, cpu: str, thermal: str, meter: str, owner: int | None = None
    ) -> None:
        self._model = model
        self._files: dict[str, tuple[int, str]] = {}
        self._cpu, self._thermal, self._meter = cpu, thermal, meter
        self._owner = owner
        hides = model.scenario.hides
        self._has_clocks = not hides("cpufreq")
        self._has_times = self._has_clocks and not hides("time_in_state")
        self._has_zones = not hides("thermal_zones")
        self._has_meter = model.scenario.rails is not None and not hides("power_rails")

    def create(self) -> None:
        """Make all of them; their folders may be there."""
        if self._has_clocks:
            for index, cluster in enumerate(self._model.scenario.clusters):
                self._create_policy(index, cluster)
        if self._has_zones:
            for number, zone in enumerate(self._model.scenario.thermal.zones):
                self._once(f"{self._thermal}/thermal_zone{number}/type", zone.type)
                self._once(f"{self._thermal}/thermal_zone{number}/mode", "enabled")
        if self._has_meter:
            self._once(f"{self._meter}/name", "simulated-power-meter")
            self._once(f"{self._meter}/enabled_rails", "CH0[VSYS_SIMULATED]:Simulated")
        self.show()

    def policy(self, cluster: int) -> str:
        """The folder of a cluster's clock."""
        return f"{self._cpu}/cpufreq/policy{self._model.scenario.clusters[cluster].cores[0]}"

    def writable(self) -> list[str]:
        """The files that root may write."""
        clusters = range(len(self._model.scenario.clusters) if self._has_clocks else 0)
        return [f"{self.policy(index)}/{name}" for index in clusters for name in WRITABLE]

    def show(self) -> None:
        """Write what has changed since the last time."""
        for path, text in self._live():
            if self._files.get(path, (0, ""))[1] != text:
                self._write(path, text)

    def limits_written(self) -> bool:
        """Take over what root wrote, and write back what the kernel makes of it.

        Returns:
            Whether anything was another than before.
        """
        changed = False
        for index in range(len(self._model.scenario.clusters) if self._has_clocks else 0):
            low, high, governor = (self._read(f"{self.policy(index)}/{name}") for name in WRITABLE)
            if not (low.isdecimal() and high.isdecimal() and governor):
                continue  # just being written
            limits = self._model.limits[index]
            told = (str(limits.min_khz), str(limits.max_khz), limits.governor)
            if (low, high, governor) != told:
                self._model.limit(index, int(low), int(high), governor)
                self.show_limits(index)
                changed = True
        return changed

    def show_limits(self, cluster: int) -> None:
        """Write a cluster's limits as they are."""
        limits = self._model.limits[cluster]
        values = (limits.min_khz, limits.max_khz, limits.governor)
        for name, value in zip(WRITABLE, values, strict=True):
            path = f"{self.policy(cluster)}/{name}"
            if self._read(path) != str(value):
                with open(path, "w") as file:
                    file.write(f"{value}\n")

    # --- files ----------------------------------------------------------------------------------

    def _create_policy(self, index: int, cluster: Cluster) -> None:
        policy = self.policy(index)
        cores = " ".join(map(str, cluster.cores))
        frequencies = " ".join(map(str, cluster.frequencies_khz))
        for name, value in (
            ("cpuinfo_max_freq", str(cluster.max_khz)),
            ("cpuinfo_min_freq", str(cluster.min_khz)),
            ("scaling_available_frequencies", f"{frequencies} "),
            ("scaling_available_governors", " ".join(GOVERNORS)),
            ("scaling_driver", "pocketnas-simulated"),
            ("affected_cpus", cores),
            ("related_cpus", cores),
            *((name, "") for name in WRITABLE),
        ):
            self._once(f"{policy}/{name}", value)
        self.show_limits(index)
        if self._owner is not None:
            for name in WRITABLE:
                os.chown(f"{policy}/{name}", self._owner, self._owner)
        for core in cluster.cores:
            folder = f"{self._cpu}/cpu{core}"
            os.makedirs(folder, exist_ok=True)
            os.symlink(f"../cpufreq/policy{cluster.cores[0]}", f"{folder}/cpufreq")

    def _live(self) -> Iterator[tuple[str, str]]:
        model = self._model
        if self._has_clocks:
            for index in range(len(model.scenario.clusters)):
                policy = self.policy(index)
                yield f"{policy}/scaling_cur_freq", f"{model.cluster_khz(index)}\n"
                if self._has_times:
                    times = "".join(f"{khz} {t}\n" for khz, t in model.time_in_state(index))
                    yield f"{policy}/stats/time_in_state", times
        if self._has_zones:
            for number, zone in enumerate(model.scenario.thermal.zones):
                path = f"{self._thermal}/thermal_zone{number}/temp"
                yield path, f"{round(zone.per_degree * model.zone_c(zone))}\n"
        if self._has_meter:
            yield f"{self._meter}/energy_value", energy_rails(model)

    def _once(self, path: str, text: str) -> None:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(f"{text}\n")

    def _write(self, path: str, text: str) -> None:
        """In place and at once: a node keeps its inode, and no reader sees it empty."""
        if path not in self._files:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            handle, before = os.open(path, os.O_RDWR | os.O_CREAT, 0o444), ""
        else:
            handle, before = self._files[path]
        os.pwrite(handle, text.encode(), 0)
        if len(text) < len(before):
            os.ftruncate(handle, len(text))
        self._files[path] = (handle, text)

    def _read(self, path: str) -> str:
        with open(path) as file:
            return file.read().strip()
