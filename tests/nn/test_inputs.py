"""Inputs that functionals show to networks: their shapes, and how smooth they are."""

import pytest
import torch

from mnfn_cli.errors import UsageError
from mnfn_cli.nn.inputs import SmoothProbes, picture_shape
from mnfn_cli.weightspace.spec import NetworkSpec

CNN = NetworkSpec.cnn([3, 4, 5], outputs=3)


def test_shapes():
    sized = NetworkSpec.cnn([3, 4, 5], outputs=3, input_size=(9, 8))
    assert picture_shape(sized) == picture_shape(CNN, [9, 8]) == picture_shape(sized, [9, 8]) == (3, 9, 8)
    assert picture_shape(NetworkSpec.mlp([48, 5, 3], "relu")) == (48,)
    assert picture_shape(NetworkSpec.mlp([48, 5, 3], "relu"), [4, 4]) == (3, 4, 4)
    assert picture_shape(NetworkSpec.mlp([48, 5, 3], "relu", input_size=(3, 4, 4))) == (3, 4, 4)
    for spec, size in ((CNN, [9, 8]), (NetworkSpec.mlp([48, 5, 3], "relu"), [4, 4])):
        inputs = SmoothProbes(spec, 7, size)
        assert inputs(torch.float64).shape == ((7, 3, 9, 8) if spec.kernels else (7, 48))
        assert inputs(torch.float32, torch.tensor([2, 5])).shape[0] == 2


def test_sizes_that_are_unknown_or_wrong():
    with pytest.raises(UsageError, match=r"is unknown; give model.input_size=\[height,width\], or --input-size at"):
        picture_shape(CNN)
    with pytest.raises(UsageError, match="too small"):
        picture_shape(CNN, [2, 2])
    with pytest.raises(UsageError, match=r"model.input_size: \[7, 7\], but networks .* read \[9, 8\]"):
        picture_shape(NetworkSpec.cnn([3, 4, 5], outputs=3, input_size=(9, 8)), [7, 7])
    with pytest.raises(UsageError, match="48 inputs are no such pictures"):
        picture_shape(NetworkSpec.mlp([48, 5, 3], "relu"), [5, 5])


def test_pictures_are_smooth_and_vectors_are_not():
    """At any size a pixel has mean and deviation 0.35; neighbours agree in pictures and not in vectors."""
    torch.manual_seed(0)
    for side in (16, 28):
        spec = NetworkSpec.cnn([1, 4, 5], outputs=3, input_size=(side, side))
        x = SmoothProbes(spec, 400)(torch.float64)
        assert abs(x.mean() - 0.35) < 0.02 and abs(x.std() - 0.35) < 0.02
        neighbours = torch.corrcoef(torch.stack([x[..., 1:].flatten(), x[..., :-1].flatten()]))[0, 1]
        assert neighbours > 0.7
    vectors = SmoothProbes(NetworkSpec.mlp([256, 4, 3], "relu"), 400)(torch.float64)
    assert abs(vectors.std() - 0.35) < 0.02
    assert torch.corrcoef(torch.stack([vectors[:, 1:].flatten(), vectors[:, :-1].flatten()]))[0, 1].abs() < 0.05


def test_the_sum_of_cosines_written_out():
    spec = NetworkSpec.cnn([1, 2, 2], kernel=1, outputs=2, input_size=(3, 5))
    inputs = SmoothProbes(spec, 1).double()
    c, x = inputs.coefficients[0, 0], inputs(torch.float64)[0, 0]
    damped = torch.tensor([[1 / (1 + ((u * 16 / 3) ** 2 + (v * 16 / 5) ** 2) / 9) for v in range(5)] for u in range(3)])
    damped = damped.double() / damped.double().square().mean().sqrt()

    def cosine(frequency, pixel, side):
        scale = (1 if frequency else 0.5) * 2 / side
        return scale**0.5 * torch.cos(torch.tensor(torch.pi * frequency * (pixel + 0.5) / side, dtype=torch.float64))

    for i in range(3):
        for j in range(5):
            terms = [c[u, v] * damped[u, v] * cosine(u, i, 3) * cosine(v, j, 5) for u in range(3) for v in range(5)]
            torch.testing.assert_close(x[i, j], 0.35 + 0.35 * sum(terms), rtol=1e-6, atol=1e-6)
