"""All that is known of one proposal, from being asked for to the end of the search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from controller.algorithm import (
    Evaluated,
    Failed,
    FailureKind,
    Goal,
    Objective,
    Outcome,
    Proposal,
    Skipped,
    Stopped,
)
from controller.found_latency import FoundLatency
from controller.learning_curves import Expected
from controller.objectives import DEFAULT, Names, ObjectiveName, in_order
from search_space.architecture import Architecture, Json, from_json
from training.executor import TrainingResult


class OutcomeKind(StrEnum):
    """What can become of a proposal."""

    EVALUATED = "evaluated"
    STOPPED = "stopped"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One trial of a study.

    Attributes:
        proposal: As the algorithm made it.
        asked_after: How many outcomes had been told when it was asked for.
        key: Of the architecture; empty where the point has none.
        document: The architecture as JSON; None where the point has none.
        latency: None until it is found.
        training: None until it is done, and where it was not needed.
        final: Measured again at the end; None for all but the front.
        told: Position of its outcome among all told; None until then.
        kind: What became of it; None until told.
        failure: Where it failed; None if it did not.
        reward: Of what was evaluated, the bound of what was skipped, by what was expected of what
            was stopped; else None.
        expected: Of a training that was stopped; else None.
        text: Why it failed; else empty.
        same_as: Index of the earlier proposal for the same network that was evaluated for it.
        objectives: Of what was evaluated or stopped, as told; empty in studies that did not keep
            them, whose outcomes had accuracy, latency, and the memory of sessions.
    """

    proposal: Proposal
    asked_after: int
    key: str
    document: dict[str, Json] | None
    latency: FoundLatency | None
    training: TrainingResult | None
    final: FoundLatency | None
    told: int | None
    kind: OutcomeKind | None
    failure: FailureKind | None
    reward: float | None
    expected: Expected | None
    text: str
    same_as: int | None
    objectives: tuple[Objective, ...] = ()

    @property
    def index(self) -> int:
        """Of its proposal."""
        return self.proposal.index

    @property
    def architecture(self) -> Architecture:
        """The network.

        Raises:
            ValueError: If the point had none.
        """
        if self.document is None:
            msg = f"proposal {self.index} has no architecture"
            raise ValueError(msg)
        return from_json(self.document)

    @property
    def outcome(self) -> Outcome | None:
        """What the algorithm was told; None until then."""
        match self.kind:
            case OutcomeKind.EVALUATED if (
                self.training and self.latency and self.reward is not None
            ):
                made = evaluated(self.proposal, self.training, self.latency, self.reward)
                return replace(made, objectives=self.objectives) if self.objectives else made
            case OutcomeKind.STOPPED if self.expected and self.latency and self.reward is not None:
                cut = stopped(
                    self.proposal, self.training, self.expected, self.latency, self.reward
                )
                return replace(cut, objectives=self.objectives) if self.objectives else cut
            case OutcomeKind.SKIPPED if self.latency and self.reward is not None:
                return Skipped(
                    proposal=self.proposal, latency_ms=self.latency.latency_ms, bound=self.reward
                )
            case OutcomeKind.FAILED if self.failure:
                return Failed(proposal=self.proposal, kind=self.failure, text=self.text)
        return None


def objective_of(device: str) -> str:
    """Name of the latency on one device of a fleet, in milliseconds, among the objectives."""
    return f"latency_ms@{device}"


def evaluated(
    proposal: Proposal,
    training: TrainingResult,
    latency: FoundLatency,
    reward: float,
    names: Names = DEFAULT,
    figures: Mapping[str, float] = MappingProxyType({}),
) -> Evaluated:
    """The outcome of a candidate that was trained and timed.

    Its ``latency_ms`` is a load where it was timed on a fleet; each device's own follows, last.

    Args:
        proposal: The candidate.
        training: Tells its accuracy.
        latency: Tells its latency, and what else its sessions saw.
        reward: Of both.
        names: Objectives, which come first in this order.
        figures: What its network tells (``controller.network_figures``).

    Raises:
        ValueError: If one of ``names`` was not told.
    """
    return Evaluated(
        proposal=proposal,
        objectives=objectives_of(training.accuracy, latency, names, figures),
        reward=reward,
        feedback=training.feedback,
    )


def stopped(
    proposal: Proposal,
    training: TrainingResult | None,
    expected: Expected,
    latency: FoundLatency,
    reward: float,
    names: Names = DEFAULT,
    figures: Mapping[str, float] = MappingProxyType({}),
) -> Stopped:
    """The outcome of a candidate that was timed, and whose training was stopped early.

    See ``evaluated``; ``expected`` tells the accuracy, and of the training, if that is known, its
    feedback counts.
    """
    return Stopped(
        proposal=proposal,
        objectives=objectives_of(expected.accuracy, latency, names, figures),
        reward=reward,
        deviation=expected.deviation,
        feedback={} if training is None else training.feedback,
    )


def objectives_of(
    accuracy: float, latency: FoundLatency, names: Names, figures: Mapping[str, float]
) -> tuple[Objective, ...]:
    """Those named, then what else was told; see ``evaluated``.

    Raises:
        ValueError: If one of ``names`` was not told.
    """
    told: dict[str, float | None]
    told = {ObjectiveName.ACCURACY: accuracy, **latency.told, **figures}
    if ObjectiveName.ENERGY_MJ not in names:  # told before it was an objective, and not weighed
        del told[ObjectiveName.ENERGY_MJ]
    on_devices = (
        Objective(name=objective_of(one.name), value=one.found.latency_ms, goal=Goal.MINIMIZE)
        for one in latency.devices
    )
    return (*in_order(names, told), *on_devices)


def same_for(proposal: Proposal, outcome: Outcome) -> Outcome:
    """The same outcome, of another proposal for the same network."""
    return replace(outcome, proposal=proposal)
