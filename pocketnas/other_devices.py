"""Where a predictor starts from: its space, and other devices that were measured before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from latency.correction import part_ms
from latency.device_prior import DevicePrior
from latency.evidence import OtherDevice
from latency.predictor_design import CANDIDATES
from latency.predictor_file import load
from latency.signatures import Parts, distinct, parts_of
from latency.source import NetworkSubject
from latency.space_parts import every_signature
from latency.table_file import load as load_table
from latency.table_plan import random_networks
from pocketnas.measured_networks import from_csv
from search_space.architecture import Head
from search_space.space import SearchSpace
from workspace.errors import InputError

_TYPICAL = 200
"""Networks that show what is typical of a space."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A predictor to be made.

    Attributes:
        space: By name.
        options: Of the space.
        head: What its networks end in.
        others: Other devices: ``table:NAME``, ``predictor:NAME`` or the path of a CSV file.
        samples: Networks to measure.
        seed: Of the networks among which is chosen.
    """

    space: str
    options: Mapping[str, str]
    head: Head
    others: tuple[str, ...]
    samples: int
    seed: int


def candidates(space: SearchSpace, head: Head, seed: int) -> tuple[NetworkSubject, ...]:
    """Random networks of a space, among which those to measure are chosen.

    Raises:
        InputError: If the space has too few.
    """
    return random_networks(space, head, min(CANDIDATES, space.count), seed=seed)


def prior_of(
    others: Sequence[str],
    space: SearchSpace,
    head: Head,
    subjects: Sequence[NetworkSubject],
    say: Callable[[str], None],
) -> DevicePrior:
    """What other devices tell of the space's networks.

    Raises:
        InputError: If one tells nothing of them.
    """
    networks = [parts_of(each.architecture, head) for each in subjects[:_TYPICAL]]
    every = every_signature(space, head)
    parts = distinct(networks) if every is None else every
    if not others:
        say("no other device was named: the predictor starts from what networks compute")
    return DevicePrior.of([_other(text, parts, head) for text in others], networks)


def _other(text: str, parts: Parts, head: Head) -> OtherDevice:
    kind, _, rest = text.partition(":")
    match kind:
        case "table" if rest:
            table = load_table(rest)
            known = {
                part.key: max(part_ms(table.correction, table.entries, part), 0.0)
                for part in parts
                if part.key in table.entries
            }
            return OtherDevice.of_table(text, parts, known, table.correction.constant_ms)
        case "predictor" if rest:
            return OtherDevice(name=text, measurements=load(rest).predictor.measurements)
    if text.endswith(".csv"):
        found = from_csv(Path(text), head)
        return OtherDevice(name=text, measurements=tuple(each.measurement for each in found))
    msg = f"another device is table:NAME, predictor:NAME or a .csv file, got {text!r}"
    raise InputError(msg)
