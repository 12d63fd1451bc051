"""Networks with another activation or stochastic depth than they are known with."""

from __future__ import annotations

from dataclasses import replace

from search_space.architecture import Architecture
from search_space.assemblenet import MultiStreamArchitecture
from search_space.chain import Activation, ChainArchitecture
from search_space.spinenet import ScalePermutedArchitecture
from workspace.errors import InputError


def variant_of(
    architecture: Architecture,
    *,
    activation: Activation | None = None,
    stochastic_depth: float | None = None,
) -> Architecture:
    """The same layers with what is given; the key tells.

    Args:
        architecture: Of the network.
        activation: Everywhere, but in stages of a chain that have their own.
        stochastic_depth: As the family has it.

    Raises:
        InputError: If the family has none, or nothing of this network could be left out.
    """
    if activation is not None:
        if not isinstance(
            architecture, ChainArchitecture | ScalePermutedArchitecture | MultiStreamArchitecture
        ):
            msg = "only networks of our own families have an activation to choose: leave it out"
            raise InputError(msg)
        architecture = replace(architecture, activation=activation)
    if stochastic_depth is not None:
        if not isinstance(architecture, ChainArchitecture | ScalePermutedArchitecture):
            msg = (
                "stochastic depth is for chains of stages and scale-permuted networks, and this "
                f"one is of the family {architecture.family.value!r}: leave it out"
            )
            raise InputError(msg)
        architecture = replace(architecture, stochastic_depth=stochastic_depth)
        if isinstance(architecture, ChainArchitecture):
            _require_drops(architecture)
    return architecture


def _require_drops(chain: ChainArchitecture) -> None:
    if chain.stochastic_depth and not any(chain.drop_rates):
        msg = (
            "stochastic depth leaves out layers that add their input to what they compute, of "
            "which this network has none: leave it out"
        )
        raise InputError(msg)
