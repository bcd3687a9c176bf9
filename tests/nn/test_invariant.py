"""Invariant steps: scale or sign goes first, then the order of neurons."""

import pytest
import torch
from torch import nn

from mnfn_cli.errors import UsageError
from mnfn_cli.nn.activation import EquivariantActivation
from mnfn_cli.nn.invariant import AbsoluteValue, MeanPool, NormalizeEntries
from mnfn_cli.testing import assert_breaks, assert_equivariant, assert_invariant, relative_difference
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec


def make_specs(activation):
    return [
        NetworkSpec.mlp([2, 5, 4, 3], activation),
        NetworkSpec.mlp([2, 5, 3], activation),
        NetworkSpec.cnn([1, 4, 3], kernel=[(2, 3), 1], hidden=[4], outputs=2, activation=activation),
    ]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("spec", make_specs("relu"), ids=str)
def test_normalised_and_pooled_is_invariant_to_scaling(spec, dtype):
    layer = nn.Sequential(NormalizeEntries(spec, 3), MeanPool(spec, 3)).to(dtype)
    assert_invariant(layer, spec, channels=3)
    right = MonomialElement.identity(spec, 4)
    # A negative factor is outside of the group: it turns directions round.
    assert_breaks(layer, spec, MonomialElement(right.permutations, [-d for d in right.scales]), channels=3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("spec", make_specs("tanh"), ids=str)
def test_absolute_and_pooled_is_invariant_to_signs(spec, dtype):
    layer = nn.Sequential(AbsoluteValue(), MeanPool(spec, 3)).to(dtype)
    assert_invariant(layer, spec, channels=3)
    features = WeightSpaceFeatures.randn(spec, 4, 3, dtype=dtype)
    right = MonomialElement.identity(spec, 4)
    doubled = MonomialElement(right.permutations, [2 * d for d in right.scales]).act(features)
    assert relative_difference(layer(doubled), layer(features)) > 1e-2


def slow_normalise(layer, features):
    """One entry at a time, as math says."""
    out = features.map(torch.clone)
    for i, weight in enumerate(features.weights):
        for j in range(weight.shape[2]):
            for k in range(weight.shape[3]):
                vector = weight[:, :, j, k]
                length = vector.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, *(1,) * (vector.dim() - 1))
                out.weights[i][:, :, j, k] = layer.weight_gains[i] * vector / length + layer.weight_offsets[i]
    for i, bias in enumerate(features.biases[:-1]):
        for j in range(bias.shape[2]):
            length = bias[:, :, j].norm(dim=1, keepdim=True).clamp_min(1e-12)
            out.biases[i][:, :, j] = layer.bias_gains[i] * bias[:, :, j] / length + layer.bias_offsets[i]
    return out


@pytest.mark.parametrize("spec", make_specs("relu"), ids=str)
def test_normalise_is_the_formula(spec):
    layer = NormalizeEntries(spec, 3).double()
    features = WeightSpaceFeatures.randn(spec, 4, 3, dtype=torch.float64)
    with torch.no_grad():
        assert relative_difference(layer(features), slow_normalise(layer, features)) <= 1e-12
    assert torch.equal(layer(features).biases[-1], features.biases[-1])


def test_zero_vectors_stay_zero_without_gradient_or_nan():
    spec = NetworkSpec.mlp([2, 3, 2], "relu")
    layer = NormalizeEntries(spec, 3)
    features = WeightSpaceFeatures.zeros(spec, 2, 3).map(lambda tensor: tensor.requires_grad_())
    out = layer(features)
    torch.testing.assert_close(out.weights[0][0, :, 0, 0], layer.weight_offsets[0])
    sum(tensor.sum() for tensor in out.tensors()).backward()
    for tensor in list(features.tensors())[:-1]:
        assert (tensor.grad == 0).all()


@pytest.mark.parametrize("size", [1e30, 1e-30])
def test_lengths_beyond_squares(size):
    spec = NetworkSpec.mlp([2, 3, 2], "relu")
    layer = NormalizeEntries(spec, 3)
    features = WeightSpaceFeatures.randn(spec, 2, 3)
    large = features.map(lambda tensor: tensor * size)
    large = WeightSpaceFeatures(large.weights, [*large.biases[:-1], features.biases[-1]])
    with torch.no_grad():
        assert relative_difference(layer(large), layer(features)) <= 1e-5


def test_gradient_is_that_of_the_formula():
    spec = NetworkSpec.mlp([2, 3, 2], "relu")
    layer = NormalizeEntries(spec, 2).double()
    start = WeightSpaceFeatures.randn(spec, 1, 2, dtype=torch.float64)
    shapes = [tensor.shape for tensor in start.tensors()]

    def function(*tensors):
        features = WeightSpaceFeatures(tensors[0::2], tensors[1::2])
        return tuple(layer(features).tensors())

    inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(function, inputs)


def test_pool_keeps_what_the_group_does_not_move():
    spec = NetworkSpec.cnn([1, 16, 16, 16], kernel=3, stride=2, outputs=10)
    assert MeanPool(spec, 5).numbers == 250
    features = WeightSpaceFeatures.randn(spec, 2, 5)
    pooled = MeanPool(spec, 5)(features)
    assert pooled.shape == (2, 250)
    first = features.weights[0].mean(dim=2)  # (2, 5, 1, 3, 3): 45 numbers a network
    torch.testing.assert_close(pooled[:, :45], first.flatten(1))


def test_activations_keep_their_group_or_are_refused():
    relu, tanh = NetworkSpec.mlp([2, 3, 2], "relu"), NetworkSpec.mlp([2, 3, 2], "tanh")
    assert_equivariant(EquivariantActivation(relu, "relu"), relu)
    assert_equivariant(EquivariantActivation(tanh, "tanh"), tanh)
    assert_equivariant(EquivariantActivation(tanh, "sin"), tanh)
    with pytest.raises(UsageError, match="use relu"):
        EquivariantActivation(relu, "tanh")
    with pytest.raises(UsageError, match="use tanh or sin"):
        EquivariantActivation(tanh, "relu")
