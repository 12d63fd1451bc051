import sys
import textwrap

import pytest

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
