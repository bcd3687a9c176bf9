"""Networks in chunks: the same numbers, whatever the size of the batch."""

import pytest
import torch

from mnfn_cli.models import accuracy
from mnfn_cli.models.accuracy import in_chunks
from mnfn_cli.tasks.functional import build_model
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec

SPEC = NetworkSpec.cnn([1, 4, 3], kernel=2, outputs=2, activation="relu")
TOGETHER = 5


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(accuracy, "NUMBERS_TOGETHER", TOGETHER * SPEC.num_parameters)


@pytest.mark.parametrize("model", ["monomial", "statnn", "mlp", "np", "hnp", "gnn"])
def test_the_features_of_a_model_do_not_depend_on_the_chunks(model):
    torch.manual_seed(0)
    functional = build_model(f"generalization/{model}", SPEC).double()
    features = WeightSpaceFeatures.randn(SPEC, 2 * TOGETHER + 3, dtype=torch.float64)
    parameters = list(functional.features.parameters())
    found, expected = in_chunks(functional.features, features), functional.features(features)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    if not parameters:
        return
    direction = torch.randn_like(found)
    gradients = [torch.autograd.grad((output * direction).sum(), parameters) for output in (found, expected)]
    for ours, slow in zip(*gradients, strict=True):
        assert float((ours - slow).abs().max()) <= 1e-12 * float(slow.abs().max() + 1e-300) * 100


def test_how_many_networks_are_read_together():
    seen = []

    def read(features):
        seen.append(features.batch)
        return features.biases[0].flatten(1)

    features = WeightSpaceFeatures.randn(SPEC, 2 * TOGETHER + 3)
    assert torch.equal(in_chunks(read, features), features.biases[0].flatten(1))
    assert seen == [TOGETHER, TOGETHER, 3]
    seen.clear()
    in_chunks(read, features.select(slice(0, TOGETHER)))
    in_chunks(read, features.to(device="meta"))
    assert seen == [TOGETHER, features.batch]
