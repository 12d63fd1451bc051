import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from exporters.exporter import NamedInput, create
from exporters.litert_runtime import LiteRtModel
from exporters.quantize import Quantization, quantize
from exporters.testing import expected, feeds, random_inputs, tflite_parity
from exporters.verify import parity
from search_space.representation_flow import RepresentationFlow


def pattern(rows, columns, shift_down, shift_across, frames):
    """A smooth pattern that moves, `[1, 1, frames, rows, columns]`."""
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    found = []
    for frame in range(frames):
        across, down = x - frame * shift_across, y - frame * shift_down
        found.append(torch.sin(across / 4) + torch.cos(down / 5))
    return torch.stack(found)[None, None].float()


def solved(before, after, iterations):
    """The published iteration with its masks, in float64; `[H, W]` each."""
    theta, weight, tau, tiny = 0.3, 0.15, 0.25, 1e-12

    def shifted(field, axis, step):
        made = np.zeros_like(field)
        inside = [slice(None), slice(None)]
        source = [slice(None), slice(None)]
        inside[axis] = slice(step, None) if step > 0 else slice(None, step)
        source[axis] = slice(None, -step) if step > 0 else slice(-step, None)
        made[tuple(inside)] = field[tuple(source)]
        return made

    def divergence(p, q):
        p, q = shifted(p, 1, 1), shifted(q, 0, 1)
        return shifted(p, 1, -1) - p + shifted(q, 0, -1) - q

    gx = (shifted(after, 1, -1) - shifted(after, 1, 1)) / 2
    gy = (shifted(after, 0, -1) - shifted(after, 0, 1)) / 2
    grad = gx**2 + gy**2 + tiny
    limit = weight * theta
    u = np.zeros_like(before)
    v, p11, p12, p21, p22 = (u.copy() for _ in range(5))
    for _ in range(iterations):
        rho = after - before + gx * u + gy * v + tiny
        low, high = rho < -limit * grad, rho > limit * grad
        factor = np.where(low, limit, np.where(high, -limit, -rho / grad))
        u, v = u + factor * gx, v + factor * gy
        u, v = u + theta * divergence(p11, p12), v + theta * divergence(p21, p22)
        ux, uy = shifted(u, 1, -1) - u, shifted(u, 0, -1) - u
        vx, vy = shifted(v, 1, -1) - v, shifted(v, 0, -1) - v
        step = tau / theta
        of_u = 1 + step * np.sqrt(ux**2 + uy**2 + tiny)
        of_v = 1 + step * np.sqrt(vx**2 + vy**2 + tiny)
        p11, p12 = (p11 + step * ux) / of_u, (p12 + step * uy) / of_u
        p21, p22 = (p21 + step * vx) / of_v, (p22 + step * vy) / of_v
    return np.stack([u, v])


def test_flow_is_what_the_published_iteration_gives():
    clip = torch.rand(1, 1, 3, 12, 14, generator=torch.Generator().manual_seed(0))
    flow = RepresentationFlow(10)(clip)
    grey = clip[0, 0].double()
    grey = 255 * (grey - grey.min()) / (grey.max() - grey.min())
    frames = grey.numpy()
    for frame in range(2):
        wanted = torch.from_numpy(solved(frames[frame], frames[frame + 1], 10)).float()
        torch.testing.assert_close(flow[0, :, frame], wanted, rtol=1e-3, atol=1e-3)
    assert torch.equal(flow[:, :, 2], flow[:, :, 1])


@pytest.mark.parametrize(("down", "across"), [(0, 1), (1, 0), (0, -1), (-1, 1)])
def test_flow_points_where_a_pattern_moves(down, across):
    """In pixels a frame, in the middle, where no edge disturbs; near, as few steps are made."""
    flow = RepresentationFlow(40)(pattern(40, 40, down, across, 2))
    middle = flow[0, :, 0, 10:30, 10:30].mean((1, 2))
    assert middle[0].item() == pytest.approx(across, abs=0.35)
    assert middle[1].item() == pytest.approx(down, abs=0.35)


def test_what_stands_still_has_no_flow():
    still = pattern(16, 16, 0, 0, 4)
    assert RepresentationFlow(5)(still).abs().max() < 1e-6
    assert RepresentationFlow(5)(torch.ones(1, 3, 2, 8, 8)).abs().max() < 1e-6


def test_flow_does_not_depend_on_brightness_and_contrast():
    clip = pattern(16, 16, 1, 1, 3)
    torch.testing.assert_close(
        RepresentationFlow(5)(3 * clip + 2), RepresentationFlow(5)(clip), rtol=1e-3, atol=1e-3
    )


def test_each_clip_has_a_flow_of_its_own():
    clips = torch.cat([pattern(16, 16, 1, 0, 3), 50 * pattern(16, 16, 0, 1, 3)])
    flow = RepresentationFlow(5)
    torch.testing.assert_close(flow(clips)[:1], flow(clips[:1]))


def test_it_is_exported_as_it_is(tmp_path):
    inputs = random_inputs((1, 3, 4, 12, 14), names=("clip",))
    flow = RepresentationFlow(4)
    artifact = create("tflite").export(flow, inputs, tmp_path)
    assert tflite_parity(flow, artifact, inputs).max_error < 1e-5


def flat_clips():
    """Of `[1, 3, 4, 24, 28]`: letterboxed, something that moves before nothing, nothing at all."""
    (letterboxed,) = random_inputs((1, 3, 4, 24, 28))
    square = torch.full((1, 3, 4, 24, 28), 0.3)
    square[:, :, 1:3, 5:9, 5:9] = 1.0
    return [letterboxed.value, square, torch.full((1, 3, 4, 24, 28), 0.3)]


def model_of(artifact):
    if artifact.path.suffix == ".tflite":
        return LiteRtModel(artifact.path)
    from exporters.onnx_runtime import OnnxModel

    return OnnxModel(artifact.path)


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
@pytest.mark.parametrize(("to", "most"), [(Quantization.NONE, 1e-5), (Quantization.FP16, 0.02)])
def test_its_files_are_right_where_a_clip_is_flat(kind, to, most, tmp_path):
    if kind == "onnx":
        pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed")
    elif to is Quantization.FP16:
        pytest.importorskip("ai_edge_quantizer", reason="the extra 'quantize' is not installed")
    flow = RepresentationFlow(10)
    whole = create(kind).export(flow, (NamedInput("clip", flat_clips()[0]),), tmp_path)
    artifact = quantize(whole, to, tmp_path)
    model = model_of(artifact)
    for clip in flat_clips():
        given = (NamedInput("clip", clip),)
        outputs = model.run(feeds(artifact, given))
        assert parity(outputs, expected(flow, artifact, given), most).passed


def test_its_numbers_fit_half_precision():
    for clip in flat_clips():
        flow = RepresentationFlow(10)
        assert (flow(clip.half()).float() - flow(clip)).abs().max() < 0.1


def test_gradients_are_finite_where_a_clip_is_flat():
    for clip in flat_clips():
        clip.requires_grad_()
        RepresentationFlow(10)(clip).square().sum().backward()
        assert clip.grad.isfinite().all()


def test_it_has_nothing_to_train():
    assert list(RepresentationFlow(5).parameters()) == []
