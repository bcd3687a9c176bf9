"""Networks of several weight spaces: one order, whatever is selected and computed."""

import pytest
import torch

from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.weightspace.lazy import LazyFeatures
from mnfn_cli.weightspace.mixed import MixedFeatures, act_at_random, join_networks
from mnfn_cli.weightspace.spec import NetworkSpec

SPECS = [
    NetworkSpec.mlp([2, 3, 4, 1], "relu"),
    NetworkSpec.mlp([2, 5, 1], "tanh"),
    NetworkSpec.mlp([2, 4, 4, 1], "relu"),
]
PLACES = [2, 0, 2, 2, 0, 1, 0]
"""The weight space of each network."""


def network(position):
    """A network of the weight space at a position of ``PLACES``, all of whose numbers are the position."""
    return WeightSpaceFeatures.zeros(SPECS[PLACES[position]], 1).map(lambda tensor: tensor + position)


def numbers(mixed):
    """The position that made each network, read from its output bias and put in the order of the batch."""
    return mixed.merge([part.biases[-1][:, 0, 0] for part in mixed.parts if part.batch]).tolist()


@pytest.fixture
def mixed():
    order = [3, 0, 5, 1, 6, 2, 4]
    return join_networks([(PLACES[i], [i], network(i)) for i in order], SPECS)


def test_joined_in_the_order_of_positions(mixed):
    assert mixed.spaces.tolist() == PLACES and [part.batch for part in mixed.parts] == [3, 1, 3]
    assert numbers(mixed) == list(range(7)) and mixed.batch == 7


@pytest.mark.parametrize(
    "index", [slice(2, 5), slice(None), [6, 0, 3, 3], torch.tensor([1, 6]), torch.tensor([], dtype=torch.int64)]
)
def test_what_is_selected_keeps_the_order_of_the_index(mixed, index):
    chosen = torch.arange(7)[index].tolist()
    selected = mixed.select(index)
    assert selected.spaces.tolist() == [PLACES[i] for i in chosen]
    assert not chosen or numbers(selected) == chosen
    again = selected.select(slice(1, None))
    assert len(chosen) < 2 or numbers(again) == chosen[1:]


def test_joined_batches_of_one_weight_space_are_features(mixed):
    one = join_networks([(0, [1, 2], mixed.parts[0].select([1, 2])), (0, [0], mixed.parts[0].select([0]))], SPECS[:1])
    assert isinstance(one, WeightSpaceFeatures) and torch.equal(one.flatten(), mixed.parts[0].flatten())


def test_counts_that_disagree_are_refused(mixed):
    with pytest.raises(ValueError, match="parts of"):
        MixedFeatures(mixed.parts, torch.tensor([0, 0, 0, 0, 1, 2, 2]))


def test_devices_and_dtypes(mixed):
    assert mixed.to(dtype=torch.float64).dtype == torch.float64 and mixed.dtype == torch.float32
    far = mixed.to(device="meta")
    assert far.device.type == "meta" and far.select([4, 0, 6]).parts[0].batch == 2


def test_each_network_is_moved_by_its_own_group(mixed):
    """The function of every network stays, neurons of ReLU networks are scaled and those of tanh networks flipped."""
    generator = torch.Generator().manual_seed(0)
    networks = join_networks(
        [(i, [i], WeightSpaceFeatures.randn(spec, 1, generator=generator)) for i, spec in enumerate(SPECS)], SPECS
    ).to(dtype=torch.float64)
    moved = act_at_random(SPECS, networks, (2.0, 3.0), generator=generator)
    inputs = torch.randn(9, 2, dtype=torch.float64)
    for spec, before, after in zip(SPECS, networks.parts, moved.parts, strict=True):
        assert torch.allclose(run_networks(spec, before, inputs), run_networks(spec, after, inputs))
        # A permutation alone keeps the sorted absolute values of the biases, and so does a flip; a scaling does not.
        sizes = [features.biases[0].abs().sort().values for features in (before, after)]
        assert torch.allclose(*sizes) == (spec.activation == "tanh")
        signs = [(features.biases[0] > 0).sum() for features in (before, after)]
        assert spec.activation == "tanh" or torch.equal(*signs)


def test_for_one_weight_space_the_elements_are_those_of_always(mixed):
    part = mixed.parts[2]
    draw = [torch.Generator().manual_seed(5) for _ in range(2)]
    alone = act_at_random([SPECS[2]], part, (1.0, 9.0), generator=draw[0])
    beside = MixedFeatures([part], torch.zeros(3, dtype=torch.int64))
    moved = act_at_random([SPECS[2]], beside, (1.0, 9.0), generator=draw[1])
    assert torch.equal(alone.flatten(), moved.parts[0].flatten()) and not torch.equal(alone.flatten(), part.flatten())


@pytest.mark.parametrize("activation, shifts", [("relu", 0), ("sin", 3)])
def test_networks_that_are_read_later_meet_the_elements_of_always(activation, shifts):
    spec = NetworkSpec.mlp([2, 5, 3, 1], activation, omega=30.0 if shifts else 1.0)
    networks, counts = WeightSpaceFeatures.randn(spec, 9, dtype=torch.float64), []

    def read(rows):
        counts.append(len(rows))
        return networks.select(list(rows))

    draw = [torch.Generator().manual_seed(5) for _ in range(2)]
    lazy = LazyFeatures(read, range(9), torch.float64)
    moved, later = (
        act_at_random([spec], given, (1.0, 9.0), shifts=shifts, generator=generator)
        for given, generator in zip((networks, lazy), draw, strict=True)
    )
    assert not counts
    assert torch.equal(later.select([7, 2]).flatten(), moved.select([7, 2]).flatten()) and counts == [2]
    assert not torch.equal(moved.flatten(), networks.flatten())
