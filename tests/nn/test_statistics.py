"""Statistics and embedding: against numpy and their formulas."""

import numpy as np
import pytest
import torch

from mnfn_cli.nn.encodings import InputOutputEmbedding
from mnfn_cli.nn.statistics import TensorStatistics
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec

CNN = NetworkSpec.cnn([2, 3, 4], kernel=2, outputs=1, activation="tanh")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_statistics_as_numpy_has_them(dtype):
    x = WeightSpaceFeatures.randn(CNN, 5, dtype=dtype)
    layer = TensorStatistics(CNN)
    found = layer(x)
    assert found.shape == (5, layer.numbers) == (5, 42) and found.dtype == dtype
    for row in range(5):
        expected = []
        for tensor in x.tensors():
            numbers = tensor[row].flatten().double().numpy()
            variance = numbers.var(ddof=1) if len(numbers) > 1 else 0.0
            expected += [numbers.mean(), variance, *np.quantile(numbers, [0, 0.25, 0.5, 0.75, 1])]
        np.testing.assert_allclose(
            found[row].double().numpy(), expected, rtol=1e-5 if dtype == torch.float32 else 1e-12
        )


def test_statistics_of_huge_weights_stay_numbers():
    x = WeightSpaceFeatures.randn(CNN, 2).map(lambda tensor: tensor * 1e30)
    assert torch.isfinite(TensorStatistics(CNN)(x)).all()


def test_embedding_marks_inputs_and_outputs():
    spec = NetworkSpec.cnn([2, 3], kernel=(2, 1), outputs=4)
    torch.manual_seed(0)
    layer = InputOutputEmbedding(spec, 5)
    assert sum(parameter.numel() for parameter in layer.parameters()) == 5 * 2 * 2 + 5 * 4 + 5 * 4
    zero = layer(WeightSpaceFeatures.zeros(spec, 2, 5))
    first, last = zero.weights
    assert all(torch.equal(first[:, :, 0], first[:, :, j]) for j in range(3))  # the same for all its neurons
    assert not torch.equal(first[:, :, :, 0], first[:, :, :, 1])
    assert all(torch.equal(last[..., 0], last[..., k]) for k in range(3))
    assert not torch.equal(last[:, :, 0], last[:, :, 1])
    assert not zero.biases[0].any() and zero.biases[1].all()
