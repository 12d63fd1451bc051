import sys
import textwrap

import pytest

from search_space.chain import Activation, ChainArchitecture, Op, Stage, Stem

OWN = '''
    """An exporter from outside the project: ours, with the file renamed."""
    from dataclasses import replace

    from exporters.tflite import TFLiteExporter


    class Renaming:
        def export(self, module, inputs, directory):
            artifact = TFLiteExporter().export(module, inputs, directory)
            path = artifact.path.rename(directory / "own.tflite")
            return replace(artifact, path=path, tool="own-1")


    class NeedsArguments:
        def __init__(self, size): ...


    READY = Renaming()
    NONE = 3
'''


@pytest.fixture
def own_exporters(tmp_path_factory, monkeypatch):
    """The current folder is one outside the project, with exporters in ``own_exporter.py``."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "own_exporter.py").write_text(textwrap.dedent(OWN))
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "own_exporter", raising=False)


EFFICIENT = {
    "efficientnet": (
        Stage(op=Op.MBCONV, kernel=3, stride=1, expansion=1, filters=8, repeats=1, se_ratio=0.25),
        Stage(op=Op.MBCONV, kernel=5, stride=2, expansion=4, filters=12, repeats=2, se_ratio=0.25),
    ),
    "efficientnetv2": (
        Stage(op=Op.FUSED, kernel=3, stride=1, expansion=1, filters=8, repeats=1),
        Stage(op=Op.FUSED, kernel=3, stride=2, expansion=4, filters=12, repeats=2, se_ratio=0.25),
        Stage(
            op=Op.MBCONV, kernel=5, stride=2, expansion=4, filters=16, repeats=1, se_ratio=0.25,
            activation=Activation.RELU,
        ),
    ),
}  # fmt: skip


@pytest.fixture(params=EFFICIENT)
def efficient(request):
    """A small network with swish, squeeze-excitation and stochastic depth, for 32 pixels."""
    return ChainArchitecture(
        size=32,
        stem=Stem(filters=8),
        stages=EFFICIENT[request.param],
        head_filters=32,
        activation=Activation.SWISH,
        stochastic_depth=0.2,
    )
