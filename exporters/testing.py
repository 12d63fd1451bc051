"""The contract of an exporter, for yours too, and networks that would show a wrong file.

Freshly built networks hide mistakes: their batch norms do nothing, and their outputs hardly depend
on the input. ``randomize`` gives them weights and statistics like a trained network's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from exporters.artifact import Artifact, ModelFormat
from exporters.exporter import Exporter, ExportError, NamedInput
from exporters.litert_runtime import LiteRtModel
from exporters.verify import Parity, channels_last, parity
from workspace.files import sha256_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch.utils.hooks import RemovableHandle


class ExporterContract:
    """The laws of ``Exporter``; subclass it and give the fixture ``exporter``."""

    @pytest.fixture
    def exporter(self) -> Exporter:
        """The exporter under test."""
        raise NotImplementedError

    @pytest.fixture
    def inexpressible(self) -> nn.Module:
        """A module on `[1, 3, 16, 20]` that the format has no operators for."""
        return _Inexpressible()

    def run(
        self, artifact: Artifact, feeds: Mapping[str, NDArray[Any]]
    ) -> Mapping[str, NDArray[Any]]:
        """Outputs of the file by name; for other formats than TFLite, yours."""
        assert artifact.format is ModelFormat.TFLITE, "override run for this format"
        return LiteRtModel(artifact.path).run(feeds)

    def test_the_file_computes_what_the_module_does(
        self, exporter: Exporter, tmp_path: Path
    ) -> None:
        """In eval mode, batch norms with statistics of their own."""
        module, inputs = SmallNetwork(), random_inputs((1, 3, 16, 20))
        randomize(module, inputs)
        assert sensitivity(module, inputs) > 0.1
        artifact = exporter.export(module, inputs, tmp_path)
        fed = feeds(artifact, inputs)
        outputs = self.run(artifact, fed)
        assert parity(outputs, expected(module, artifact, inputs)).passed

    def test_inputs_and_outputs_keep_names_and_order(
        self, exporter: Exporter, tmp_path: Path
    ) -> None:
        """Of any rank; neither is sorted."""
        inputs = random_inputs((1, 3, 16, 20), (1, 5), names=("scene", "camera"))
        artifact = exporter.export(_TwoInputs(), inputs, tmp_path)
        assert [spec.name for spec in artifact.inputs] == ["scene", "camera"]
        assert [math.prod(spec.shape) for spec in artifact.inputs] == [960, 5]
        assert [math.prod(spec.shape) for spec in artifact.outputs] == [5, 960]
        outputs = self.run(artifact, feeds(artifact, inputs))
        assert parity(outputs, expected(_TwoInputs(), artifact, inputs)).passed

    def test_exporting_twice_gives_identical_bytes(
        self, exporter: Exporter, tmp_path: Path
    ) -> None:
        """Of equal modules, in different folders."""
        written = []
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            module, inputs = SmallNetwork(), random_inputs((1, 3, 16, 20))
            randomize(module, inputs)
            artifact = exporter.export(module, inputs, tmp_path / name)
            written.append(artifact.path.read_bytes())
        assert written[0] == written[1]

    def test_the_artifact_is_the_one_file_written(
        self, exporter: Exporter, tmp_path: Path
    ) -> None:
        """With its digest, and the tool that wrote it."""
        inputs = random_inputs((1, 3, 16, 20))
        artifact = exporter.export(SmallNetwork(), inputs, tmp_path)
        assert list(tmp_path.iterdir()) == [artifact.path]
        assert artifact.sha256 == sha256_of(artifact.path)
        assert artifact.tool

    def test_the_module_is_not_modified(self, exporter: Exporter, tmp_path: Path) -> None:
        """Neither its weights nor which of its parts are in training mode."""
        module, inputs = SmallNetwork(), random_inputs((1, 3, 16, 20))
        randomize(module, inputs)
        module.train()
        module.frozen.eval()
        before = {name: value.clone() for name, value in module.state_dict().items()}
        modes = [part.training for part in module.modules()]
        given = inputs[0].value.clone()
        exporter.export(module, inputs, tmp_path)
        after = module.state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)
        assert [part.training for part in module.modules()] == modes
        assert torch.equal(inputs[0].value, given)

    def test_no_file_is_left_when_it_fails(
        self, exporter: Exporter, inexpressible: nn.Module, tmp_path: Path
    ) -> None:
        """And the module is in the mode it was in."""
        inexpressible.train()
        with pytest.raises(ExportError):
            exporter.export(inexpressible, random_inputs((1, 3, 16, 20)), tmp_path)
        assert not list(tmp_path.iterdir())
        assert inexpressible.training


class SmallNetwork(nn.Module):
    """`[N, 3, H, W]` to `[N, 7]`: what mobile networks are made of, in small."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8, eps=1e-3), nn.ReLU6()
        )
        self.depthwise = nn.Sequential(
            nn.Conv2d(8, 8, 5, 1, 2, groups=8, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
        )
        self.frozen = nn.Conv2d(8, 8, 1)
        self.gate = nn.Sequential(nn.Conv2d(8, 4, 1), nn.ReLU(), nn.Conv2d(4, 8, 1), nn.Sigmoid())
        self.project = nn.Sequential(nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8))
        self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Linear(8, 7)

    def forward(self, image: Tensor) -> Tensor:
        """See the class."""
        image = self.stem(image)
        inner = self.frozen(self.depthwise(image))
        inner = inner * self.gate(inner.mean((2, 3), keepdim=True))
        features = (self.project(inner) + image).mean((2, 3))
        scores: Tensor = self.classifier(self.dropout(features))
        return scores


class _TwoInputs(nn.Module):
    """Gives the sum and the doubled image, in an order that no sorting gives."""

    def forward(self, image: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        return numbers + numbers, image + image


class _Inexpressible(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        values: Tensor = torch.linalg.svdvals(image)
        return values


def random_inputs(
    *shapes: tuple[int, ...], names: tuple[str, ...] = ("image",), seed: int = 0
) -> tuple[NamedInput, ...]:
    """Normal numbers, one input for each shape; clips are 0 in their upper quarter.

    Videos are flat where they are letterboxed, and what divides by a slope shows its faults there.
    """
    generator = torch.Generator().manual_seed(seed)
    made = [torch.randn(shape, generator=generator) for shape in shapes]
    for value in made:
        if value.ndim == 5:
            value[:, :, :, : value.shape[3] // 4] = 0.0
    return tuple(
        NamedInput(name=name, value=value) for name, value in zip(names, made, strict=True)
    )


def feeds(artifact: Artifact, inputs: tuple[NamedInput, ...]) -> dict[str, NDArray[Any]]:
    """Arrays for each input of the file, in its layout."""
    return {
        spec.name: _laid_out(artifact, given.value)
        for spec, given in zip(artifact.inputs, inputs, strict=True)
    }


def expected(
    module: nn.Module, artifact: Artifact, inputs: tuple[NamedInput, ...]
) -> dict[str, NDArray[Any]]:
    """What the file should give: the module's outputs in eval mode, in its layout.

    The module is left in eval mode.
    """
    outputs = _evaluated(module, inputs)
    return {
        spec.name: _laid_out(artifact, value)
        for spec, value in zip(artifact.outputs, outputs, strict=True)
    }


def tflite_parity(module: nn.Module, artifact: Artifact, inputs: tuple[NamedInput, ...]) -> Parity:
    """Outputs of a TFLite file in the runtime against the module's in eval mode."""
    outputs = LiteRtModel(artifact.path).run(feeds(artifact, inputs))
    return parity(outputs, expected(module, artifact, inputs))


def sensitivity(module: nn.Module, inputs: tuple[NamedInput, ...]) -> float:
    """How much outputs change from these inputs to others, as a share of the largest."""
    others = tuple(NamedInput(given.name, given.value.flip(-1) + 1) for given in inputs)
    pairs = zip(_evaluated(module, inputs), _evaluated(module, others), strict=True)
    return min(float((a - b).abs().max() / a.abs().max()) for a, b in pairs)


BRANCH = 0.3
"""Size of a residual branch whose last batch norm starts at 0, as a share of other signals."""


@torch.no_grad()
def randomize(module: nn.Module, inputs: tuple[NamedInput, ...], seed: int = 0) -> None:
    """Set weights and batch norms so that every one of them matters to the outputs.

    Weights are normal with variance 1 / fan-in, biases normal. A batch norm's mean and variance
    are those of what really reaches it, off by a random amount, and its gamma and beta are random:
    so signals keep their size through any depth, and no fold can be left out unnoticed. One whose
    gamma starts at 0, at the end of a residual branch, gets ``BRANCH`` of that: training leaves
    branches smaller than what they are added to, and at equal size each multiplies rounding.

    Args:
        module: Changed; left in eval mode.
        inputs: Of the shapes it takes; their numbers do not matter.
        seed: Decides everything.
    """
    generator = torch.Generator().manual_seed(seed)
    module.eval()
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d | nn.Linear):
            _draw(layer, generator)
    hooks = [
        _calibrate(layer, generator)
        for layer in module.modules()
        if isinstance(layer, nn.BatchNorm3d | nn.BatchNorm2d | nn.BatchNorm1d)
    ]
    try:
        module(*(_batch(given.value, generator) for given in inputs))
    finally:
        for hook in hooks:
            hook.remove()


def _draw(layer: nn.Conv2d | nn.Conv3d | nn.Linear, generator: torch.Generator) -> None:
    fan_in = math.prod(layer.weight.shape[1:])
    layer.weight.normal_(0, fan_in**-0.5, generator=generator)
    if layer.bias is not None:
        layer.bias.normal_(0, 0.5, generator=generator)


def _calibrate(
    layer: nn.BatchNorm3d | nn.BatchNorm2d | nn.BatchNorm1d, generator: torch.Generator
) -> RemovableHandle:
    """Set statistics from the first batch that arrives."""

    def set_statistics(_: nn.Module, args: tuple[Tensor, ...]) -> None:
        (batch,) = args
        axes = [axis for axis in range(batch.ndim) if axis != 1]
        variance, mean = torch.var_mean(batch, axes, correction=0)
        variance = variance.clamp(min=1e-2)
        assert layer.running_mean is not None
        assert layer.running_var is not None
        noise = torch.randn(4, layer.num_features, generator=generator)
        layer.running_mean.copy_(mean + 0.3 * variance.sqrt() * noise[0])
        layer.running_var.copy_(variance * (0.4 * noise[1]).exp())
        if layer.affine:
            size = 1.0 if layer.weight.any() else BRANCH
            layer.weight.copy_(size * (0.3 * noise[2]).exp())
            layer.bias.copy_(0.3 * noise[3])

    return layer.register_forward_pre_hook(set_statistics)


def _batch(example: Tensor, generator: torch.Generator) -> Tensor:
    """Eight of the example's shape."""
    return torch.randn((8 * example.shape[0], *example.shape[1:]), generator=generator)


@torch.no_grad()
def _evaluated(module: nn.Module, inputs: tuple[NamedInput, ...]) -> tuple[Tensor, ...]:
    outputs = module.eval()(*(given.value.clone() for given in inputs))
    return outputs if isinstance(outputs, tuple) else (outputs,)


def _laid_out(artifact: Artifact, value: Tensor) -> NDArray[Any]:
    """In the layout of the format: as torch has it in ONNX, channels last in others."""
    array: NDArray[Any] = value.numpy()
    return array if artifact.format is ModelFormat.ONNX else channels_last(array)
