"""Values come out of a block of bytes as they went in, and tensors are views of it."""

import pickle

import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnfn_cli.runtime.parcels import ALIGNMENT, packed, unpacked
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.bool, torch.complex64)


@settings(max_examples=60, deadline=None)
@given(shapes=st.lists(st.lists(st.integers(0, 4), max_size=3), max_size=5), dtype=st.sampled_from(DTYPES))
def test_tensors_of_every_shape_and_dtype(shapes, dtype):
    torch.manual_seed(0)
    tensors = [torch.randn(shape).mul(9).to(dtype) for shape in shapes]
    value = {"tensors": tensors, "more": ("text", None, 1.5, [tensors])}
    found = unpacked(packed(value))
    assert found["more"][:3] == value["more"][:3]
    for ours, theirs in zip(found["tensors"] + found["more"][3][0], tensors * 2, strict=True):
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape and torch.equal(ours, theirs)


def test_views_are_packed_without_what_they_are_views_of():
    whole = torch.randn(1000, 1000)
    block = packed([whole[3:5], whole[:, 7], whole.T[:2]])
    assert block.nbytes < 21_000
    for ours, theirs in zip(unpacked(block), (whole[3:5], whole[:, 7], whole.T[:2]), strict=True):
        assert torch.equal(ours, theirs)


def test_features_tables_and_errors():
    features = WeightSpaceFeatures.randn(NetworkSpec.mlp([2, 5, 4, 3], activation="tanh"), 7)
    table = pl.DataFrame({"id": ["a", "b"], "x": [1.0, None]})
    ours, frame, error = unpacked(packed((features, table, ValueError("why"))))
    assert torch.equal(ours.flatten(), features.flatten()) and frame.equals(table) and str(error) == "why"
    assert all(tensor.data_ptr() % ALIGNMENT == 0 or tensor.data_ptr() % 16 == 0 for tensor in ours.tensors())


def test_tensors_that_come_out_are_views_that_may_be_written():
    block = packed(torch.zeros(100))
    before = block.clone()
    unpacked(block).fill_(1.0)
    assert not torch.equal(block, before)


def test_a_tensor_that_needs_gradients_arrives_without():
    assert torch.equal(unpacked(packed(torch.ones(3, requires_grad=True))), torch.ones(3))


@pytest.mark.parametrize("value", [lambda: None, (one for one in ())])
def test_what_cannot_be_packed_is_an_error(value):
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        packed(value)
