"""What a run took from the battery, by the power rails that some phones measure themselves.

Google's phones from the Pixel 6 on have meters in their power management chips (ODPM); Linux shows
their counters at ``/sys/bus/iio/devices/iio:device*/energy_value`` in microwatt seconds. Many
builds let only root read them. Where there are none, nothing is estimated from the battery, whose
gauge is too coarse for a session of seconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from devices.transport import Transport

NODES = "/sys/bus/iio/devices/iio:device*/energy_value"
"""One of each metering chip."""

_SCRIPT = f"""
for node in {NODES}; do
  [ -e "$node" ] || continue
  echo "node $node"
  cat "$node" || echo refused
done
"""
_NODE = re.compile(r"node \S*/(iio:device\d+)/energy_value")
_CHANNEL = re.compile(r"CH\d+\(T=(?P<ms>\d+)\)\[(?P<rail>[^\]]+)\],\s*(?P<uws>\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rails:
    """The counters at one moment.

    Attributes:
        uws: Rail and counter in microwatt seconds, since the phone's start; empty where there are
            none to read.
        reason: Why there are none.
    """

    uws: tuple[tuple[str, int], ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """What was taken between two moments.

    Attributes:
        total_mj: Of all rails together, the screen's and the radio's among them; None where it is
            not available. A rail that feeds another counts what that one takes as well.
        rails_mj: Of each, largest first.
        reason: Why it is not available.
    """

    total_mj: float | None
    rails_mj: tuple[tuple[str, float], ...] = ()
    reason: str = ""

    def __str__(self) -> str:
        if self.total_mj is None:
            return f"not available: {self.reason}"
        return f"{self.total_mj:.1f} mJ of {len(self.rails_mj)} power rails"


def read_rails(transport: Transport, timeout_s: float) -> Rails:
    """The counters now.

    Raises:
        DeviceError: If the phone does not answer.
    """
    result = transport.script(_SCRIPT, timeout_s)
    chip = ""
    rails: dict[str, int] = {}
    refused = result.stderr.strip().splitlines()
    for line in result.stdout.splitlines():
        node, channel = _NODE.fullmatch(line.strip()), _CHANNEL.fullmatch(line.strip())
        if node:
            chip = node[1]
        elif channel:
            rails[f"{chip}/{channel['rail']}"] = int(channel["uws"])
    if refused:
        return Rails(reason=f"its power rails cannot be read: {refused[0][:200]}")
    if not chip:
        return Rails(reason="this phone has no power rails that it shows")
    if not rails:
        return Rails(reason="what its power rails show is of an unknown form")
    return Rails(uws=tuple(sorted(rails.items())))


def spent(before: Rails, after: Rails) -> Energy:
    """What was taken from ``before`` to ``after``."""
    for rails in (before, after):
        if not rails.uws:
            return Energy(total_mj=None, reason=rails.reason)
    start, end = dict(before.uws), dict(after.uws)
    if start.keys() != end.keys():
        return Energy(total_mj=None, reason="the phone changed which power rails it measures")
    taken = {rail: (end[rail] - start[rail]) / 1e3 for rail in start}
    if min(taken.values()) < 0:
        return Energy(total_mj=None, reason="the counters of the power rails started anew")
    if not any(taken.values()):
        return Energy(total_mj=None, reason="the counters of the power rails stood still")
    largest = sorted(taken.items(), key=lambda each: (-each[1], each[0]))
    return Energy(total_mj=sum(taken.values()), rails_mj=tuple(largest))
