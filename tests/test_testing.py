"""The public checks can fail."""

import pytest
import torch

from mnfn_cli.nn.monomial import MonomialLinear
from mnfn_cli.testing import assert_breaks, assert_equivariant, assert_invariant
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec

SPEC = NetworkSpec.mlp([2, 4, 4, 2], "relu")


def test_not_equivariant():
    with pytest.raises(AssertionError, match="not equivariant"):
        assert_equivariant(lambda x: x.map(lambda tensor: tensor + 1), SPEC)


def test_not_invariant():
    with pytest.raises(AssertionError, match="not invariant"):
        assert_invariant(lambda x: x.weights[0].sum(dim=(1, 2, 3)), SPEC)


def test_a_constant_layer_does_not_pass_the_negative_check():
    wrong = MonomialElement([torch.arange(4).expand(3, 4)] * 2, [torch.full((3, 4), -1.0, dtype=torch.float64)] * 2)
    with pytest.raises(AssertionError, match="changed the output by"):
        assert_breaks(lambda x: x.biases[-1].sum(dim=(1, 2)), SPEC, wrong)


def test_tolerance_follows_the_dtype():
    layer = MonomialLinear(SPEC, 1, 1)
    assert_equivariant(layer, SPEC)
    with pytest.raises(AssertionError):
        assert_equivariant(lambda x: layer.double()(x).map(lambda t: t.float().double()), SPEC)
