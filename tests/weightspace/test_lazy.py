"""Lazy networks hold what eager ones do, and nothing is read that was not selected and used."""

import pickle

import pytest
import torch

from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.lazy import LazyFeatures, concatenate
from mnfn_cli.weightspace.spec import NetworkSpec

SPEC = NetworkSpec.mlp([3, 4, 2], activation="relu")
INDICES = [
    slice(None),
    slice(2, 9),
    slice(1, None, 3),
    slice(-4, None),
    [5],
    [7, 7, 0, 11],
    [-1, 3],
    torch.tensor([9, 1]),
    torch.arange(12) % 2 == 0,
    [],
]


def assert_equal(found, expected):
    assert (found.batch, found.dtype, found.device) == (expected.batch, expected.dtype, expected.device)
    for one, other in zip(found.tensors(), expected.tensors(), strict=True):
        assert one.dtype == other.dtype and torch.equal(one, other)


class Source:
    """Networks in memory that count how many of them were read."""

    def __init__(self, count, seed=0, dtype=torch.float32):
        random = torch.Generator().manual_seed(seed)
        self.features, self.read = WeightSpaceFeatures.randn(SPEC, count, generator=random, dtype=dtype), []

    def lazy(self):
        return LazyFeatures(self._read, range(self.features.batch), self.features.dtype)

    def _read(self, rows):
        self.read.append(len(rows))
        return self.features.select(torch.tensor(list(rows), dtype=torch.int64))


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_a_selection_is_that_of_eager_networks_and_all_that_is_read(index):
    source = Source(12)
    eager = source.features.select(index)
    found = source.lazy().select(index)
    assert found.batch == eager.batch and found.channels == 1 and not source.read
    assert_equal(found, eager)
    assert source.read == [eager.batch]
    assert_equal(found.to(dtype=torch.float64), eager.to(dtype=torch.float64))
    assert source.read == [eager.batch], "what was read stays"


@pytest.mark.parametrize("second", INDICES[:4], ids=str)
@pytest.mark.parametrize("first", INDICES[:-1], ids=str)
def test_selections_of_selections(first, second):
    source = Source(12)
    found = source.lazy().select(first).to(dtype=torch.float64).select(second)
    expected = source.features.to(dtype=torch.float64).select(first).select(second)
    assert_equal(found, expected)
    assert source.read == [found.batch]


def test_a_row_that_is_not_there_is_refused():
    with pytest.raises(IndexError):
        Source(12).lazy().select([12])


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_joined_sources_are_read_where_they_are_needed(index):
    sources = [Source(3, 0), Source(5, 1, torch.float64), Source(4, 2)]
    joined = concatenate([source.lazy() for source in sources])
    together = WeightSpaceFeatures.cat([source.features for source in sources])
    assert isinstance(joined, LazyFeatures)
    assert_equal(joined.select(index), together.select(index))
    rows = set(torch.arange(12)[index].tolist())
    for source, own in zip(sources, (range(0, 3), range(3, 8), range(8, 12)), strict=True):
        assert bool(sum(source.read)) == bool(rows & set(own))


def test_eager_batches_are_joined_as_before():
    parts = [Source(2, 0).features, Source(3, 1).features]
    joined = concatenate(parts)
    assert not isinstance(joined, LazyFeatures)
    assert_equal(joined, WeightSpaceFeatures.cat(parts))


@pytest.mark.parametrize("used", [False, True])
def test_pickled_networks_are_those_of_the_batch_alone(used):
    source = Source(1000)
    batch = source.lazy().select(slice(10, 12))
    if used:
        assert batch.weights
    content = pickle.dumps(batch)
    found = pickle.loads(content)
    assert type(found) is WeightSpaceFeatures
    assert_equal(found, source.features.select(slice(10, 12)))
    assert len(content) < len(pickle.dumps(source.features)) / 5


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_a_change_is_made_of_the_networks_that_are_used(index):
    source, factors = Source(12), torch.arange(1.0, 13)

    def change(positions, networks):
        own = factors[positions]
        return networks.map(lambda tensor: tensor * own.view(-1, *[1] * (tensor.dim() - 1)))

    lazy, eager = source.lazy().changed(change), change(slice(None), source.features)
    assert not source.read
    assert_equal(lazy.select(index), eager.select(index))
    assert sum(source.read) == eager.select(index).batch
    assert_equal(lazy, eager)
