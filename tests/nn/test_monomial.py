"""The monomial layer: equivariant, complete, and equal to the formulas."""

from math import sqrt

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_monomial import slow_monomial
from spaces import specs

from mnfn_cli.errors import UsageError
from mnfn_cli.nn.monomial import MonomialLinear
from mnfn_cli.testing import assert_breaks, assert_equivariant, relative_difference
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec

SMALL_CNN_ZOO = {"kernel": 3, "stride": 2, "outputs": 10}


def mlp(*widths):
    return lambda activation: NetworkSpec.mlp(widths, activation)


def kernel_in_layer_one(activation):
    return NetworkSpec.cnn([1, 3, 2], kernel=[(1, 2), 1], outputs=2, activation=activation)


@given(
    spec=specs(),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    sign_terms=st.booleans(),
    dtype=st.sampled_from([torch.float64, torch.float32]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=120, deadline=None)
def test_equivariant_and_equal_to_the_formulas(spec, channels, sign_terms, dtype, seed):
    torch.manual_seed(seed)
    layer = MonomialLinear(spec, *channels, sign_terms=sign_terms).to(dtype)
    assert_equivariant(layer, spec, channels=channels[0], batch=2, seed=seed)
    x = WeightSpaceFeatures.randn(spec, 2, channels[0], dtype=dtype)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-4
    assert relative_difference(layer(x).detach(), slow_monomial(layer, spec, x)) <= tolerance


def representation(spec, element):
    """Return the matrix by which one group element acts on all numbers of a weight space."""
    size = spec.num_parameters
    basis = torch.eye(size, dtype=torch.float64)
    shapes = [shape for pair in zip(spec.weight_shapes, spec.bias_shapes, strict=True) for shape in pair]
    pieces = basis.split([torch.Size(shape).numel() for shape in shapes], dim=1)
    tensors = [piece.reshape(size, 1, *shape) for piece, shape in zip(pieces, shapes, strict=True)]
    every = MonomialElement(
        [p.expand(size, -1) for p in element.permutations], [d.expand(size, -1) for d in element.scales]
    )
    return every.act(WeightSpaceFeatures(tensors[0::2], tensors[1::2])).flatten().T.contiguous()


def dimension_of_null_space(matrix):
    values = torch.linalg.svdvals(matrix)
    return matrix.shape[1] - int((values > 1e-8 * values[0]).sum())


@pytest.mark.parametrize(
    ("make", "activation", "linear", "fixed"),
    [
        (mlp(2, 3, 3, 2), "relu", 19, 2),
        (mlp(2, 3, 3, 2), "tanh", 23, 2),
        (mlp(2, 3, 2), "relu", 17, 2),
        (mlp(2, 3, 2), "tanh", 29, 2),
        (kernel_in_layer_one, "relu", 19, 2),
        (kernel_in_layer_one, "tanh", 23, 2),
        (mlp(2, 3, 2, 3, 1), "relu", None, None),
        (mlp(1, 2, 3, 2, 2), "tanh", None, None),
        (mlp(1, 3, 1), "tanh", None, None),
    ],
)
def test_complete(make, activation, linear, fixed):
    """As many coefficients as there are equivariant affine maps, by an oracle that knows none of the formulas.

    A linear map M is equivariant if M rho(g) = rho(g) M, and a constant v if rho(g) v = v. Over enough random g these
    equations have exactly the equivariant maps as solutions; with too few, small groups give false ones.
    """
    spec = make(activation)
    generator = torch.Generator().manual_seed(0)
    size = spec.num_parameters
    identity = torch.eye(size, dtype=torch.float64)
    # (I kron rho - rho^T kron I) vec(M) = 0; the normal equations of all g add up to one matrix.
    normal = torch.zeros(size * size, size * size, dtype=torch.float64)
    constants = []
    for _ in range(32):
        element = MonomialElement.sample(spec, 1, (0.5, 2.0), generator=generator)
        rho = representation(spec, element)
        commutator = torch.kron(rho, identity) - torch.kron(identity, rho.T.contiguous())
        normal += commutator.T @ commutator
        constants.append(rho - identity)
    layer = MonomialLinear(spec, 1, 1)
    of_maps = sum(matrix.numel() for matrix in layer.matrices)
    assert of_maps == dimension_of_null_space(normal)
    assert layer.constant.numel() == dimension_of_null_space(torch.cat(constants))
    if linear is not None:
        assert (of_maps, layer.constant.numel()) == (linear, fixed)


@pytest.mark.parametrize("make", [mlp(2, 3, 3, 2), mlp(2, 3, 2), kernel_in_layer_one])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_coefficients_are_independent(make, activation):
    """Each coefficient moves the layer in a direction of its own, so that their number is a dimension."""
    spec = make(activation)
    layer = MonomialLinear(spec, 1, 1).double()
    x = WeightSpaceFeatures.randn(spec, 40, dtype=torch.float64)
    columns = []
    for parameter in layer.parameters():
        for index in range(parameter.numel()):
            with torch.no_grad():
                for other in layer.parameters():
                    other.zero_()
                parameter.view(-1)[index] = 1.0
                columns.append(layer(x).flatten().flatten())
    matrix = torch.stack(columns, dim=1)
    assert torch.linalg.matrix_rank(matrix) == matrix.shape[1]


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("make", [mlp(2, 3, 3, 2), mlp(2, 3, 2), mlp(2, 3, 2, 3, 2)])
def test_every_coefficient_is_noticed(make, activation):
    """Mutations: a layer that drops a coefficient, or swaps two rows of one, no longer equals the formulas."""
    spec = make(activation)
    layer = MonomialLinear(spec, 2, 2).double()
    x = WeightSpaceFeatures.randn(spec, 3, 2, dtype=torch.float64)
    expected = slow_monomial(layer, spec, x)
    mutations = [*layer.coefficients().items(), (("b(L)", "T"), layer.constant[:, None])]
    for name, coefficient in mutations:
        kept = coefficient.detach().clone()
        for mutate in (torch.zeros_like(kept), kept.flip(0)):
            with torch.no_grad():
                coefficient.copy_(mutate)
                broken = layer(x)
                coefficient.copy_(kept)
            assert relative_difference(broken, expected) > 1e-6, name
    assert relative_difference(layer(x).detach(), expected) <= 1e-12


def test_letters_of_the_formulas():
    sign = MonomialLinear(NetworkSpec.mlp([2, 3, 3, 2], "tanh"), 1, 1).coefficients()
    assert set(sign) == {
        ("W(1)", "W(1)"), ("W(1)", "b(1)"), ("b(1)", "W(1)"), ("b(1)", "b(1)"),
        ("W(2)", "W(2)"), ("W(3)", "W(3)"), ("b(2)", "b(2)"), ("b(3)", "b(3)"),
        ("W(3)", "b(2)"), ("b(2)", "W(3)"),
    }  # fmt: skip
    scale = MonomialLinear(NetworkSpec.mlp([2, 3, 3, 2], "relu"), 1, 1).coefficients()
    assert set(sign) - set(scale) == {("W(3)", "b(2)"), ("b(2)", "W(3)")}
    without = MonomialLinear(NetworkSpec.mlp([2, 3, 3, 2], "tanh"), 1, 1, sign_terms=False).coefficients()
    assert set(without) == set(scale)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("make", [mlp(2, 5, 4, 3), mlp(2, 5, 3)])
def test_wrong_elements_are_noticed(make, activation):
    spec = make(activation)
    layer = MonomialLinear(spec, 2, 3).double()
    right = MonomialElement.identity(spec, 4)
    # relu layers commute with every non-zero factor, so the wrong element is one that is not coupled.
    if activation == "tanh":
        assert_breaks(layer, spec, MonomialElement(right.permutations, [3.0 * d for d in right.scales]), channels=2)
    x = WeightSpaceFeatures.randn(spec, 4, 2, dtype=torch.float64)
    for torn_axis in (2, 3):
        moved = [weight.clone() for weight in x.weights]
        moved[0 if torn_axis == 2 else -1] = moved[0 if torn_axis == 2 else -1].roll(1, dims=torn_axis)
        torn = WeightSpaceFeatures(moved, x.biases)
        assert relative_difference(layer(torn).detach(), layer(x).detach()) > 1e-2


def test_input_axes_are_not_permuted():
    """The group leaves inputs and outputs alone: a permutation of them is a wrong element."""
    spec = NetworkSpec.mlp([3, 4, 4, 3], "relu")
    layer = MonomialLinear(spec, 1, 1).double()
    x = WeightSpaceFeatures.randn(spec, 2, dtype=torch.float64)
    rolled = WeightSpaceFeatures([x.weights[0].roll(1, dims=3), *x.weights[1:]], x.biases)
    after, before = layer(rolled).weights[0].detach(), layer(x).weights[0].detach()
    assert relative_difference(after, before.roll(1, dims=3)) > 1e-2


@pytest.mark.parametrize(
    ("activation", "sign_terms", "expected"),
    [("relu", True, 0), ("tanh", True, 0), ("tanh", False, 0)],
)
def test_parameter_count_is_the_formula_and_independent_of_hidden_widths(activation, sign_terms, expected):
    d, e = 3, 4
    for hidden in (2, 7):
        spec = NetworkSpec.cnn([2, hidden, hidden], kernel=3, outputs=5, activation=activation)
        layer = MonomialLinear(spec, d, e, sign_terms=sign_terms)
        w1, n0, w2, w_last, n_last = 9, 2, 9, 1, 5
        count = e * w1 * n0 * (d * w1 * n0 + d) + e * (d * w1 * n0 + d) + e * d * (w2**2 + 1)
        count += e * d * w_last**2 * n_last**2 + e * d * n_last**2 + e * n_last
        count += 2 * e * d * w_last * n_last if activation == "tanh" and sign_terms else 0
        assert sum(parameter.numel() for parameter in layer.parameters()) == count


def test_starts_as_published():
    """Xavier normal, with the fans of math: read off as empirical standard deviations."""
    d, e = 40, 50
    spec = NetworkSpec.cnn([2, 4, 4], kernel=3, outputs=5, activation="tanh")
    torch.manual_seed(0)
    layer = MonomialLinear(spec, d, e)
    w1, n0, w2, w3, n3 = 9, 2, 9, 1, 5
    expected = {
        ("W(1)", "W(1)"): (d * w1 * n0 + d, 2 * e * w1 * n0),
        ("W(1)", "b(1)"): (d * w1 * n0 + d, 2 * e * w1 * n0),
        ("b(1)", "W(1)"): (d * w1 * n0 + d, 2 * e),
        ("b(1)", "b(1)"): (d * w1 * n0 + d, 2 * e),
        ("W(2)", "W(2)"): (d * w2, e * w2),
        ("b(2)", "b(2)"): (d, e),
        ("W(3)", "W(3)"): (d * w3 * n3, e * w3 * n3),
        ("b(3)", "b(3)"): (d * n3, 2 * e * n3),
        ("W(3)", "b(2)"): (d, e * w3 * n3),
        ("b(2)", "W(3)"): (d * w3 * n3, e),
    }
    found = layer.coefficients()
    assert set(found) == set(expected)
    for key, (fan_in, fan_out) in expected.items():
        assert float(found[key].detach().std()) == pytest.approx(sqrt(2 / (fan_in + fan_out)), rel=0.1), key
    assert float(layer.constant.detach().std()) == pytest.approx(sqrt(2 / (d * n3 + 2 * e * n3)), rel=0.15)


def test_permutation_only_activations_name_the_right_layer():
    with pytest.raises(UsageError, match="HNPLinear"):
        MonomialLinear(NetworkSpec.mlp([2, 3, 1], "gelu"), 1, 1)
