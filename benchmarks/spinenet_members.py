"""Are all members of the scale-permuted spaces networks, and known by one key each?

Of each space random members (of ``spinenet_scaling``, which has 432, all): their backbone is built
and run at filter scale 0.25 on 128 pixels, and built and run at full size on torch's meta tensors,
which have shapes and no numbers. ``five_outputs`` counts those whose P3 to P7 have the right sizes
and equal channels, both times (and are finite where they have numbers); ``json`` those that
survive their document; ``coded`` those that come back from their decisions, and their decisions
from them.

``same_key`` counts pairs of one graph, built in two orders with parents swapped, that have one
key, and ``told_apart`` pairs of different graphs that have two. Whether two graphs are the same is
judged here by matching block to block from the outputs on, without the code of keys: each member
is compared with itself in another order, with a mutant in one decision, and all whose outputs
are made of equal parts with each other.

Needs the extra ``train``. Run: ``python benchmarks/spinenet_members.py [--quick] [--space NAME]
[--codes]``; one JSON object comes last on stdout. All of it takes some 40 minutes of one core;
with ``--codes``, which builds and runs nothing, two or three.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from search_space.architecture import from_json
from search_space.permuted_blocks import STEM, Block
from search_space.space import create
from search_space.spinenet import OUTPUT_LEVELS, ScalePermutedArchitecture
from search_space.spinenet_scaling import SpineNetScalingSpace
from search_space.spinenet_space import SpineNetSpace

SMALL = {"size": "128", "filter_scale": "0.25", "endpoint_filters": "16"}
SMALL_SCALING = {"size": "160", "width": "0.25"}
"""Its smaller size is four fifths of the larger."""

SPACES = {
    "spinenet": ("spinenet", {}),
    "spinenet-public": ("spinenet", {"definition": "public"}),
    "spinenet_v2": ("spinenet_v2", {}),
    "spinenet_mbconv": ("spinenet_mbconv", {}),
    "spinenet_scaling": ("spinenet_scaling", {}),
}
"""By the name that ``--space`` has, with options."""

MEMBERS, QUICK_MEMBERS = 2000, 12

Space = SpineNetSpace | SpineNetScalingSpace


def same_graph(first: Sequence[Block], second: Sequence[Block]) -> bool:
    """Whether blocks that lead to outputs can be matched one to one, with all that they read.

    Outputs are matched by level, then what matched blocks read, in any way that fits.
    """
    ends = [
        {block.level: place + STEM for place, block in enumerate(blocks) if block.is_output}
        for blocks in (first, second)
    ]
    if ends[0].keys() != ends[1].keys():
        return False
    pairs = [(place, ends[1][level]) for level, place in ends[0].items()]
    return _matched(first, second, pairs, {}, {})


def _matched(
    first: Sequence[Block],
    second: Sequence[Block],
    pairs: list[tuple[int, int]],
    there: dict[int, int],
    back: dict[int, int],
) -> bool:
    """Whether features of ``pairs`` can be the same, those that are matched already given."""
    if not pairs:
        return True
    (one, other), left = pairs[0], pairs[1:]
    if one in there or other in back:
        known = there.get(one) == other and back.get(other) == one
        return known and _matched(first, second, left, there, back)
    there, back = {**there, one: other}, {**back, other: one}
    if one < STEM or other < STEM:
        return one == other and _matched(first, second, left, there, back)
    mine, its = first[one - STEM], second[other - STEM]
    facts = [(b.level, b.kind, b.is_output, len(b.adds)) for b in (mine, its)]
    if facts[0] != facts[1]:
        return False
    return any(
        _matched(
            first,
            second,
            [*zip(mine.parents, parents, strict=True), *zip(mine.adds, adds, strict=True), *left],
            there,
            back,
        )
        for parents in itertools.permutations(its.parents)
        for adds in itertools.permutations(its.adds)
    )


def reordered(network: ScalePermutedArchitecture, rng: random.Random) -> ScalePermutedArchitecture:
    """The same graph built in a random other order, with parents swapped."""
    left = list(enumerate(network.blocks, start=STEM))
    number = {feature: feature for feature in range(STEM)}
    made: list[Block] = []
    while left:
        ready = [one for one in left if all(each in number for each in one[1].reads)]
        feature, block = rng.choice(ready)
        left.remove((feature, block))
        moved = block.renumbered(number)
        made.append(replace(moved, parents=(moved.parents[1], moved.parents[0])))
        number[feature] = len(made) - 1 + STEM
    return replace(network, blocks=tuple(made))


def parts_of(network: ScalePermutedArchitecture) -> object:
    """What outputs are made of, blocks that are made of the same counted as one.

    Different for different graphs but for few; equal for equal ones.
    """
    found: list[object] = list(range(STEM))
    numbers: dict[object, int] = {}
    for block in network.blocks:
        parents = tuple(sorted(str(found[each]) for each in block.parents))
        adds = tuple(sorted(str(found[each]) for each in block.adds))
        whole = (block.level, block.kind, block.is_output, parents, adds)
        found.append(hash_of(whole))
        numbers[block.level, block.is_output] = len(found) - 1
    return tuple(found[numbers[level, True]] for level in OUTPUT_LEVELS)


def hash_of(value: object) -> str:
    """Of a value, the same in every process."""
    import hashlib

    return hashlib.sha256(repr(value).encode()).hexdigest()[:24]


def members(space: Space, count: int) -> Iterator[ScalePermutedArchitecture]:
    """Random ones; all in turn of a space that has no more."""
    if space.count <= count:
        for point in itertools.product(*map(range, space.points.option_counts)):
            yield space.decode(point)
        return
    rng = random.Random(0)
    for _ in range(count):
        yield space.decode(space.points.sample(rng))


def has_five_outputs(network: ScalePermutedArchitecture, *, meta: bool) -> bool:
    """Whether the backbone runs and gives five features of the right sizes and equal channels."""
    import torch

    from search_space.spinenet_network import PermutedBackbone

    with torch.device("meta" if meta else "cpu"), torch.no_grad():
        shape = network.inputs[0].shape
        levels = PermutedBackbone(network).eval()(torch.zeros(1, *shape))
    sides = [-(-network.size // network.stride_at(level)) for level in OUTPUT_LEVELS]
    right = [(1, network.endpoint_filters, side, side) for side in sides]
    finite = meta or all(bool(torch.isfinite(level).all()) for level in levels)
    return finite and [tuple(level.shape) for level in levels] == right


def is_coded(space: Space, network: ScalePermutedArchitecture) -> bool:
    """Whether it comes back from its decisions, and they from it."""
    point = space.encode(network)
    again = space.decode(point)
    return again == network and again.key == network.key and space.encode(again) == point


def survives_json(network: ScalePermutedArchitecture) -> bool:
    """Whether it comes back from its document."""
    again = from_json(json.loads(json.dumps(network.to_json())))
    return again == network and again.key == network.key


def checked(name: str, count: int, *, runs: bool = True) -> dict[str, object]:
    """What was found of one space.

    Args:
        name: Of ``SPACES``.
        count: How many members.
        runs: Whether they are built and run, too.
    """
    kind, options = SPACES[name]
    space = create(kind, options)
    small = create(kind, {**options, **(SMALL_SCALING if kind == "spinenet_scaling" else SMALL)})
    assert isinstance(space, Space)
    assert isinstance(small, Space)
    rng, found, keys, graphs = (
        random.Random(1),
        Counter[str](),
        set[str](),
        list[ScalePermutedArchitecture](),
    )
    start = time.process_time()
    for number, network in enumerate(members(space, count), start=1):
        found["members"] += 1
        keys.add(network.key)
        if runs:
            little = small.decode(space.encode(network))
            right = has_five_outputs(little, meta=False)
            found["five_outputs"] += right and has_five_outputs(network, meta=True)
        found["json"] += survives_json(network)
        found["coded"] += is_coded(space, network)
        if isinstance(space, SpineNetSpace):
            graphs.append(network)
            graphs.append(space.decode(space.points.mutate(space.encode(network), rng)))
        if number % 50 == 0:
            seconds = time.process_time() - start
            sys.stderr.write(f"{name}: {number} members, {seconds:.0f} s of CPU time\n")
    return {
        **found,
        "keys": len(keys),
        **compared(graphs, rng),
        "cpu_s": round(time.process_time() - start, 1),
    }


def compared(graphs: Sequence[ScalePermutedArchitecture], rng: random.Random) -> dict[str, int]:
    """Pairs of graphs whose keys are equal exactly where they are, and those that are not."""
    pairs = [(one, reordered(one, rng)) for one in graphs]
    pairs += itertools.pairwise(graphs)
    alike: dict[object, list[ScalePermutedArchitecture]] = {}
    for one in graphs:
        alike.setdefault(parts_of(one), []).append(one)
    for group in alike.values():
        pairs += itertools.pairwise(group)
    by_key: dict[str, ScalePermutedArchitecture] = {}
    for one in graphs:
        pairs.append((one, by_key.setdefault(one.key, one)))
    found = Counter(same_key=0, told_apart=0, wrong=0)
    for one, other in pairs:
        same = same_graph(one.blocks, other.blocks)
        right = same == (one.key == other.key)
        found["wrong" if not right else "same_key" if same else "told_apart"] += 1
    return dict(found)


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a dozen members of each space")
    parser.add_argument("--space", choices=SPACES, help="only this one")
    parser.add_argument("--codes", action="store_true", help="build and run nothing")
    arguments = parser.parse_args()
    if not arguments.codes:
        import torch

        torch.set_num_threads(1)
    count = QUICK_MEMBERS if arguments.quick else MEMBERS
    names = [arguments.space] if arguments.space else list(SPACES)
    form = "quick" if arguments.quick else "whole"
    found = {name: checked(name, count, runs=not arguments.codes) for name in names}
    print(json.dumps({"spaces": found, "form": form}))


if __name__ == "__main__":
    main()
