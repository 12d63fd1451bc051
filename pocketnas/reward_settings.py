"""What a search's settings need for its reward: a target of latency, of multiply-adds, or none."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from controller.objectives import DEFAULT, Names, ObjectiveName
from controller.reward import RewardName
from pocketnas import fleet
from workspace.errors import InputError

_OBJECTIVES: Mapping[str, Names] = MappingProxyType(
    {
        RewardName.SOFT: DEFAULT,
        RewardName.HARD: DEFAULT,
        RewardName.MACS: (ObjectiveName.ACCURACY, ObjectiveName.MACS),
        RewardName.TRAINING_AWARE: (
            ObjectiveName.ACCURACY,
            ObjectiveName.TRAIN_STEP_MS,
            ObjectiveName.PARAMS,
        ),
    }
)

_OF_LATENCY = ("target_ms", "fleet", "fleet_rule", "skip_above")


def objectives_of_reward(reward: str) -> Names:
    """What a reward is of, and the front of a search that names no objectives.

    >>> [name.value for name in objectives_of_reward("macs")]
    ['accuracy', 'macs']
    """
    return _OBJECTIVES[reward]


def checked(settings: Mapping[str, object]) -> dict[str, object]:
    """A search's settings with what its reward leaves to it: objectives, names of devices.

    Raises:
        InputError: If a target is missing, or there is one that the reward does not weigh; or see
            ``fleet.checked``.
    """
    reward = settings.get("reward", RewardName.SOFT)
    if reward not in (RewardName.MACS, RewardName.TRAINING_AWARE):
        if settings.get("target_macs") is not None:
            msg = f"'target_macs' is for reward macs, and the reward is {reward}: leave it out"
            raise InputError(msg)
        return fleet.checked(settings)
    made = dict(settings)
    for name in _OF_LATENCY:
        if made.get(name):
            msg = (
                f"reward {reward} weighs no latency, so that {name!r} would be without effect: "
                "leave it out, or take reward soft or hard"
            )
            raise InputError(msg)
    _require_target(str(reward), made)
    made.setdefault("objectives", [name.value for name in objectives_of_reward(str(reward))])
    return made


def _require_target(reward: str, settings: Mapping[str, object]) -> None:
    given = settings.get("target_macs") is not None
    if reward == RewardName.MACS and not given:
        msg = (
            "no target: reward macs needs --target-macs, the multiply-adds that are aimed at "
            "(EfficientNet-B0's were 4e8)"
        )
        raise InputError(msg)
    if reward != RewardName.MACS and given:
        msg = f"'target_macs' is for reward macs, and the reward is {reward}: leave it out"
        raise InputError(msg)
