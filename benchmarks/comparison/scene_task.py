"""The generated scenes with the anchors that short trainings on them get furthest with."""

from __future__ import annotations

from training.fashion_scenes import FashionScenes


class WideAnchors(FashionScenes):
    """``generated-fashion-scenes``, whose smallest square anchor is one and a half cells."""

    name = "generated-fashion-scenes"
    anchor = 1.5


WIDE_ANCHORS = f"{__name__}:{WideAnchors.__name__}"
"""As a data set is named."""
