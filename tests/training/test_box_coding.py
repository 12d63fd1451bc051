import torch
from torchvision.models.detection._utils import BoxCoder

from training.box_coding import decoded, encoded


def boxes(count, seed):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 100
    return torch.cat((corner, corner + 5 + torch.rand(count, 2, generator=generator) * 90), dim=1)


def test_codes_are_torchvisions():
    things, anchors = boxes(50, 0), boxes(50, 1)
    coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
    codes = encoded(things, anchors)
    assert torch.allclose(codes, coder.encode_single(things, anchors), atol=1e-5)
    wild = codes * 30
    theirs = coder.decode_single(wild, anchors)
    assert torch.allclose(decoded(wild, anchors), theirs, rtol=1e-4, atol=1e-3)


def test_what_is_encoded_is_decoded_again():
    things, anchors = boxes(50, 2), boxes(50, 3)
    assert torch.allclose(decoded(encoded(things, anchors), anchors), things, atol=1e-3)
    assert decoded(torch.full((50, 4), 1e4), anchors).isfinite().all()
