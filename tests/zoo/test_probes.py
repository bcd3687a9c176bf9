"""Inputs of a shape that networks read."""

import pytest
import torch

from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.probes import (
    PROBES,
    REAL,
    TOLERANCE,
    compare_outputs,
    input_shape,
    network_outputs,
    output_difference,
    proof_inputs,
    random_inputs,
    some_pixels,
)
from mnfn_cli.zoo.proof import SourceFunctions

FLAT = {"flatten": True, "stride": [(2, 1), 1], "kernel": [(3, 2), (4, 5)]}


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        (NetworkSpec.mlp([3, 4, 2], "relu"), (3,)),
        (NetworkSpec.mlp([12, 4, 2], "relu", input_size=(3, 2, 2)), (12,)),
        (NetworkSpec.cnn([3, 4], kernel=5, outputs=2), (3, 10, 10)),
        (NetworkSpec.cnn([3, 4], kernel=5, outputs=2, input_size=(7, 9)), (3, 7, 9)),
        (NetworkSpec.cnn([1, 4, 4], kernel=(1, 3), pool=["max2", "none"], outputs=2), (1, 4, 16)),
        (NetworkSpec.cnn([1, 4, 6], outputs=2, **FLAT), (1, 9, 6)),
    ],
    ids=str,
)
def test_a_shape_that_networks_read(spec, shape):
    assert input_shape(spec) == shape
    x = WeightSpaceFeatures.randn(spec, 2, dtype=torch.float64)
    inputs = random_inputs(shape)
    assert run_networks(spec, x, inputs).shape == (2, PROBES, 2)
    assert torch.equal(inputs, random_inputs(shape)) and not torch.equal(inputs, random_inputs(shape, 1))


def test_no_shape_at_all():
    """With this padding the map before the dense layer is never as small as its kernel."""
    assert input_shape(NetworkSpec.cnn([1, 4, 6], kernel=[1, 1], padding=[3, 0], flatten=True, outputs=2)) is None
    assert input_shape(NetworkSpec.cnn([1, 4], kernel=1500, outputs=2)) is None


def test_pixels_and_outputs_that_are_not_finite():
    assert some_pixels((2, 3)).shape == (6, 2) and some_pixels((100, 100)).shape == (PROBES, 2)
    spec = NetworkSpec.mlp([2, 3, 1], "relu")
    x = WeightSpaceFeatures.randn(spec, 1, dtype=torch.float64)
    huge = x.map(lambda t: torch.full_like(t, 1e300))
    found = compare_outputs(spec, huge, huge, [torch.ones(4, 2)])
    assert found.absolute.isinf().all() and found.relative.isinf().all()


PROVEN = {
    "relu": NetworkSpec.cnn([1, 8, 8], stride=2, outputs=5, input_size=(12, 12)),
    "tanh, padded": NetworkSpec.cnn([2, 6, 8], stride=2, padding=1, outputs=5, activation="tanh", input_size=(9, 9)),
    "pooled": NetworkSpec.cnn(
        [1, 6, 6], padding=1, pool=["max2", "avg2:before"], hidden=[9], outputs=5, input_size=(8, 8)
    ),
    "oblong": NetworkSpec.cnn([1, 6, 6], kernel=[(3, 2), (1, 3)], stride=[(2, 1), 1], outputs=5, input_size=(9, 8)),
    "dense": NetworkSpec.mlp([36, 16, 16, 5], "relu"),
    "siren": NetworkSpec.mlp([2, 12, 12, 1], "sin", omega=15.0),
}
TRIALS = 168


def one_wrong_number(name, dtype):
    """Return networks, their twins, and twins of which each has one number that is wrong by 1e-3.

    Every tensor has its turn, and every tap of a kernel. In half of the networks a third of the first neurons never
    fires.
    """
    spec = PROVEN[name]
    random = torch.Generator().manual_seed(3)

    def uniform(tensor):
        bound = tensor[0].numel() ** -0.5 * len(tensor[0, 0]) ** 0.5
        return torch.empty_like(tensor).uniform_(-bound, bound, generator=random)

    before = WeightSpaceFeatures.zeros(spec, TRIALS, dtype=dtype).map(uniform)
    before.biases[0][::2, :, : spec.widths[1] // 3] = -100.0
    right = MonomialElement.sample(spec, TRIALS, (1.0, 100.0), generator=random).act(before)
    wrong = right.map(torch.clone)
    tensors = list(wrong.tensors())
    for row in range(TRIALS):
        turn, number = divmod(row, len(tensors))
        entries = tensors[number][row].view(-1)
        taps = 1 if number % 2 else spec.kernel_entries[number // 2]
        pair = int(torch.randint(len(entries) // taps, (), generator=random))
        entries[pair * taps + turn % taps] *= 1 + 1e-3
    return before, right, wrong


def errors_found(name):
    """Return what the proof and what twice as many plain inputs find of one wrong number in each network."""
    spec, random = PROVEN[name], torch.Generator().manual_seed(4)
    before, right, wrong = one_wrong_number(name, torch.float64)
    shape = input_shape(spec)
    real = some_pixels((16, 16)) if name == "siren" else torch.rand(PROBES, *shape, generator=random).double()
    fewer = [proof_inputs(shape, real)]
    assert len(fewer[0]) == PROBES and torch.equal(fewer[0][-REAL:], real[:REAL])
    every = torch.cat([random_inputs(shape), real])
    f, g = (run_networks(spec, networks, every.expand(TRIALS, *every.shape)) for networks in (before, wrong))
    by_all = (f - g).abs().flatten(1).amax(1) / f.abs().flatten(1).amax(1)
    found = compare_outputs(spec, before, wrong, fewer).relative
    assert compare_outputs(spec, before, right, fewer).relative.max() < TOLERANCE[torch.float64]
    return found, by_all


def test_one_wrong_number_is_found_as_often_as_by_twice_the_inputs():
    """An error of 1e-3 in one number, in 1,008 trials, at the tolerances for float64 and float32 and between them."""
    found, by_all = map(torch.cat, zip(*map(errors_found, PROVEN), strict=True))
    for tolerance in (TOLERANCE[torch.float64], 1e-6, TOLERANCE[torch.float32]):
        assert (found > tolerance).sum() >= (by_all > tolerance).sum() > 0
    assert (found > TOLERANCE[torch.float64]).sum() > 0.8 * len(found) > 800


def test_float32_finds_the_same_wrong_numbers_as_float64():
    """The same 1,008 trials with weights in float32: the same networks are refused, and none that is right."""
    refused = []
    for name, spec in PROVEN.items():
        before, right, wrong = one_wrong_number(name, torch.float32)
        inputs = proof_inputs(input_shape(spec))
        exact, tolerance = compare_outputs(spec, before, wrong, [inputs]).relative, TOLERANCE[torch.float32]
        found = SourceFunctions(spec, inputs, again=False).compare(0, before, wrong)[0]
        assert torch.equal(found > tolerance, exact > tolerance)
        again = found > 0.1 * tolerance
        torch.testing.assert_close(found[again], exact[again], rtol=1e-9, atol=0)
        assert SourceFunctions(spec, inputs, again=False).compare(0, before, right)[0].max() < tolerance
        refused.append(found > tolerance)
    assert 0.1 * TRIALS * len(PROVEN) < torch.cat(refused).sum() < TRIALS * len(PROVEN)


def test_a_constant_output_is_decided_in_float64():
    """In float32 the outputs of a saturated network are equal; in float64 they are not."""
    spec = NetworkSpec.mlp([1, 2, 1], "tanh")
    networks = WeightSpaceFeatures.zeros(spec, 3)
    networks.biases[0][:] = 9.0
    networks.weights[0][1] = 1e-2
    networks.weights[0][2] = 1.0
    networks.weights[1][:] = 1.0
    inputs = proof_inputs((1,))
    errors, constant = SourceFunctions(spec, inputs, again=False).compare(0, networks, networks)
    assert constant.tolist() == [True, False, False] and errors.tolist() == [0, 0, 0]
    rounded = network_outputs(spec, networks, [inputs], torch.float32)
    assert output_difference(rounded, rounded).constant.tolist() == [True, True, False]
