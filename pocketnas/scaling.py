"""What ``pocketnas scale`` does: a network by a rule, and the rule that a text names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from controller.network_figures import Figure, figures_of, macs_of
from controller.scaling_target import Limit, to_target
from exporters.artifact import Precision
from latency.measurement import Verdict
from latency.presets import preset
from latency.source import (
    LatencyEstimate,
    LatencyRequest,
    LatencySource,
    NetworkSubject,
    SourceSettings,
)
from latency.source import create as create_source
from pocketnas.latency_text import require_estimate, tell_what_goes_on
from pocketnas.networks import Found
from search_space.architecture import Architecture, Head
from search_space.document import Fields
from search_space.efficientnet import COEFFICIENTS, keeps_ends
from search_space.efficientnet_v2 import ROUNDING, VARIANTS
from search_space.memory import require_memory
from search_space.scaling import (
    CompoundRule,
    Factors,
    Rounding,
    RuleName,
    ScalingRule,
    ShareRule,
    rule,
    scaled,
)
from workspace.errors import InputError

RESULT = "scaling.json"
"""The file of a search for constants that a rule is read from."""

_FAST = "fast@"


@dataclass(frozen=True, slots=True, kw_only=True)
class HowToScale:
    """How factors become a network.

    Attributes:
        rounding: Of layers, channels and pixels.
        fixed_ends: See ``search_space.scaling.scaled``.
    """

    rounding: Rounding = Rounding.EFFICIENTNET
    fixed_ends: bool = False

    @classmethod
    def of_family(cls, base: Found) -> Self:
        """As the published code of a catalog network's family does; of others as EfficientNet's.

        What is named by a run, a training or a file is of no family that is known.
        """
        if base.name in VARIANTS:
            return cls(rounding=ROUNDING)
        return cls(fixed_ends=base.name in COEFFICIENTS and keeps_ends(base.name))

    def __str__(self) -> str:
        return f"{self.rounding}, fixed ends" if self.fixed_ends else self.rounding

    def network(self, base: Found, factors: Factors) -> Architecture:
        """A network made deeper, wider and finer, which this computer's memory can hold.

        Raises:
            InputError: If there is none, or it needs more memory than there is.
        """
        made = scaled(base.architecture, factors, self.rounding, fixed_ends=self.fixed_ends)
        require_memory(made, base.head, factors, "coefficient")
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """A network and what it was scaled from.

    Attributes:
        base: That.
        network: The network.
        head: What both end in.
        factors: By what.
        phi: The compound coefficient.
        how: To whole numbers.
        limit: What kept it from being larger; None where nobody asked for a target.
        estimate: What it takes; None where nobody asked.
    """

    base: Architecture
    network: Architecture
    head: Head
    factors: Factors
    phi: float
    how: HowToScale
    limit: Limit | None = None
    estimate: LatencyEstimate | None = None

    @property
    def costs(self) -> dict[str, tuple[int, int]]:
        """Parameters and multiply-adds of the base and the network."""
        base, network = (
            figures_of(one, self.head, Precision.FP32, (Figure.PARAMS, Figure.MACS))
            for one in (self.base, self.network)
        )
        return {name: (int(base[name]), int(network[name])) for name in base}


def rule_named(text: str) -> ScalingRule:
    """The rule that ``text`` names.

    Args:
        text: One of ``RuleName``, ``fast@ALPHA``, or what ``pocketnas scale --search`` made: its
            folder or the file in it.

    Raises:
        InputError: If it is none of these.
    """
    if text.startswith(_FAST):
        try:
            return ShareRule.fast(float(text.removeprefix(_FAST)))
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            msg = f"fast@ALPHA takes a number from 0 to 1, got {text!r}"
            raise InputError(msg) from error
    if text in set(RuleName):
        return rule(RuleName(text))
    path = Path(text)
    path = path / RESULT if path.is_dir() else path
    if path.is_file():
        return _rule_of(path)
    msg = (
        f"unknown rule {text!r}; there are {', '.join(RuleName)}, fast@ALPHA, and the folder of a "
        "'pocketnas scale --search'"
    )
    raise InputError(msg)


def by_coefficient(base: Found, rule: ScalingRule, how: HowToScale, phi: float) -> Grown:
    """The network of a compound coefficient.

    Raises:
        InputError: If there is none, or this computer's memory cannot hold it.
    """
    factors = rule.factors(phi)
    return Grown(
        base=base.architecture,
        network=how.network(base, factors),
        head=base.head,
        factors=factors,
        phi=phi,
        how=how,
    )


def to_ms(base: Found, rule: ScalingRule, how: HowToScale, target_ms: float, on: Asked) -> Grown:
    """The largest network of a rule that takes no more than ``target_ms``.

    Args:
        base: What is scaled.
        rule: By what.
        how: To whole numbers.
        target_ms: What it may take.
        on: What tells.

    Raises:
        InputError: If there is no such source, or no network of the rule takes so little.
        OperationError: If a device does not answer.
    """
    known: dict[str, LatencyEstimate] = {}
    with timing(on, base.head) as source:

        def cost(network: Architecture) -> float:
            known[network.key] = source.one(network)
            return known[network.key].latency_ms

        found = to_target(rule, lambda factors: how.network(base, factors), cost, target_ms)
    return Grown(
        base=base.architecture,
        network=found.network,
        head=base.head,
        factors=rule.factors(found.phi),
        phi=found.phi,
        how=how,
        limit=found.limit,
        estimate=known[found.network.key],
    )


def to_macs(base: Found, rule: ScalingRule, how: HowToScale, target: float) -> Grown:
    """The largest network of a rule with no more than ``target`` multiply-adds.

    Raises:
        InputError: If no network of the rule has so few.
    """
    head = base.head
    found = to_target(
        rule,
        lambda factors: how.network(base, factors),
        lambda network: float(macs_of(network, head)),
        target,
    )
    return Grown(
        base=base.architecture,
        network=found.network,
        head=head,
        factors=rule.factors(found.phi),
        phi=found.phi,
        how=how,
        limit=found.limit,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who is asked for latencies, and how hard it tries.

    Attributes:
        source: As text.
        preset: ``quick``, ``search`` or ``final``.
        tell: Is told what goes on where a device takes its time; None for nobody.
    """

    source: str
    preset: str = "search"
    tell: Callable[[str], None] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        preset(self.preset)


@contextmanager
def timing(on: Asked, head: Head) -> Iterator[Timing]:
    """A latency source while it is needed.

    Raises:
        InputError: If there is no such source.
        OperationError: If a device does not answer.
    """
    source = create_source(on.source, SourceSettings())
    if on.tell is not None:
        tell_what_goes_on(source, on.tell)
    try:
        yield Timing(source, head, on.preset)
    finally:
        source.close()


class Timing:
    """Asks a source what networks take."""

    def __init__(self, source: LatencySource, head: Head, preset: str) -> None:
        self._source = source
        self._head = head
        self._preset = preset

    def one(self, network: Architecture) -> LatencyEstimate:
        """What a network takes.

        Raises:
            InputError: If the source can never answer for it.
            OperationError: If it failed.
        """
        (answer,) = self._source.estimate([self._request(0, network)])
        return require_estimate(answer)

    def all_ms(self, networks: Sequence[Architecture]) -> list[float | None]:
        """What networks take, in milliseconds, timed in turns; None for those that failed.

        Raises:
            InputError: If the source can never answer for one of them.
        """
        requests = [self._request(place, network) for place, network in enumerate(networks)]
        found: list[float | None] = [None for _ in networks]
        for answer in self._source.estimate(requests):
            if isinstance(answer, LatencyEstimate) and answer.verdict is not Verdict.REJECTED:
                found[int(answer.request_id)] = answer.latency_ms
        return found

    def _request(self, place: int, network: Architecture) -> LatencyRequest:
        subject = NetworkSubject(architecture=network, head=self._head)
        return LatencyRequest(id=str(place), subject=subject, preset=self._preset)


def _rule_of(path: Path) -> CompoundRule:
    """The constants that a search found."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{str(path)!r} is no result of a search for scaling constants: {error}"
        raise InputError(msg) from error
    best = document.get("best") if isinstance(document, dict) else None
    if not isinstance(best, dict):
        msg = f"{str(path)!r} is no result of a search for scaling constants: it has no 'best'"
        raise InputError(msg)
    names = ("alpha", "beta", "gamma")
    fields = Fields({name: best[name] for name in names if name in best}, f"the best of {path}")
    alpha, beta, gamma = (fields.number(name) for name in names)
    return CompoundRule(alpha=alpha, beta=beta, gamma=gamma)
