"""The way by PocketNAS: one latency source, asked for all points at once.

``against_glue.py`` counts the lines of this file and runs it.
"""

from latency.source import LatencyAnswer, LatencyRequest, NetworkSubject, SourceSettings, create
from search_space.architecture import Classifier
from search_space.decisions import Decisions
from search_space.mnasnet import MnasNetSpace

HEAD = Classifier(classes=1000)


def latencies(space: MnasNetSpace, points: list[Decisions], serial: str) -> list[LatencyAnswer]:
    """The answer for each point, in their order: an estimate, or a stated failure."""
    requests = [
        LatencyRequest(
            id=f"{number:06}",
            subject=NetworkSubject(architecture=space.decode(point), head=HEAD),
            preset="search",
        )
        for number, point in enumerate(points)
    ]
    source = create(f"adb:{serial}", SourceSettings(reuse=False))
    try:
        return sorted(source.estimate(requests), key=lambda answer: answer.request_id)
    finally:
        source.close()
