import pytest
import torch

from delivery.tensors import safetensors
from exporters.exporter import ExportError


def tensors():
    return {
        "b.weight": torch.randn(3, 4).t(),
        "a.count": torch.tensor(7),
        "empty": torch.empty(0),
        "half": torch.randn(5).half(),
    }


def test_the_safetensors_package_reads_what_is_written():
    package = pytest.importorskip("safetensors.torch")
    written = tensors()
    found = package.load(safetensors(written))
    assert found.keys() == written.keys()
    assert all(torch.equal(found[name], written[name]) for name in written)


def test_equal_tensors_give_equal_bytes():
    first = tensors()
    assert safetensors(first) == safetensors(dict(reversed(first.items())))


def test_a_type_that_weights_do_not_have_is_refused():
    with pytest.raises(ExportError, match=r"'angle' is torch\.complex64"):
        safetensors({"angle": torch.zeros(1, dtype=torch.complex64)})
