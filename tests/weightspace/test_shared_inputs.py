"""Many networks on shared inputs: the outputs and gradients of ``run_networks``, and the layers in between."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnfn_cli.errors import UsageError
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.weightspace.shared_inputs import NUMBERS_AT_ONCE, networks_at_once, run_on_shared_inputs
from mnfn_cli.weightspace.spec import NetworkSpec

SPECS = {
    "stride": NetworkSpec.cnn([1, 4, 5, 3], stride=2, outputs=4, activation="tanh"),
    "pool": NetworkSpec.cnn([3, 4, 2], padding=1, pool=["max2", "avg3/2:before"], outputs=4, hidden=[6]),
    "flatten": NetworkSpec.cnn(
        [2, 4, 5], kernel=[3, 6], pool=["max2:before", "none"], flatten=True, outputs=3, input_size=(15, 15)
    ),
    "uneven": NetworkSpec.cnn([2, 3], kernel=(2, 3), stride=(1, 2), padding=(2, 0), outputs=2, input_mean=(0.3, 0.1)),
    "dense": NetworkSpec.mlp([12, 5, 6, 3], "relu", input_size=(3, 2, 2), input_mean=(0.1, 0.2, 0.3), input_std=(2.0,)),
    "sine": NetworkSpec.mlp([2, 5, 3], "sin", omega=9.0, output_offset=0.5),
}


def inputs_of(spec, count=3, dtype=torch.float64):
    shape = (spec.widths[0], 15, 15) if spec.kernels else (spec.widths[0],)
    return torch.randn(count, *shape, dtype=dtype)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_outputs_and_gradients_of_the_usual_forward_pass(spec):
    torch.manual_seed(0)
    features = WeightSpaceFeatures.randn(spec, 4, dtype=torch.float64)
    ours, usual = (inputs_of(spec).requires_grad_() for _ in range(2))
    usual.data.copy_(ours.data)
    outputs, expected = run_on_shared_inputs(spec, features, ours).outputs, run_networks(spec, features, usual)
    torch.testing.assert_close(outputs, expected, rtol=1e-11, atol=1e-11)
    for found in (outputs, expected):
        found.sin().sum().backward()
    torch.testing.assert_close(ours.grad, usual.grad, rtol=1e-9, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_convolution(data):
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    spec = NetworkSpec.cnn(
        [data.draw(st.integers(1, 3)), 3, 2],
        kernel=[data.draw(pair), data.draw(pair)],
        stride=[data.draw(pair), data.draw(pair)],
        padding=[data.draw(pair), data.draw(pair)],
        outputs=3,
    )
    features = WeightSpaceFeatures.randn(spec, 2, dtype=torch.float64)
    inputs = inputs_of(spec)
    expected = run_networks(spec, features, inputs)
    torch.testing.assert_close(run_on_shared_inputs(spec, features, inputs).outputs, expected, rtol=1e-11, atol=1e-11)


def test_hidden_layers_are_those_of_the_network():
    spec = SPECS["pool"]
    features = WeightSpaceFeatures.randn(spec, 2, dtype=torch.float64)
    responses = run_on_shared_inputs(spec, features, inputs_of(spec, 5))
    maps = spec.feature_map_sizes((15, 15))
    shapes = [(2, 4, 5, maps[0][0] * maps[0][1]), (2, 2, 5, maps[1][0] * maps[1][1]), (2, 6, 5, 1)]
    assert [tuple(layer.shape) for layer in responses.hidden] == shapes
    last = responses.hidden[-1][..., 0].transpose(1, 2)
    outputs = last @ features.weights[-1][:, 0].transpose(1, 2) + features.biases[-1]
    torch.testing.assert_close(outputs, responses.outputs)


def test_what_does_not_fit():
    spec = SPECS["stride"]
    features = WeightSpaceFeatures.randn(spec, 2)
    with pytest.raises(UsageError, match="does not fit a network of 1 inputs"):
        run_on_shared_inputs(spec, features, torch.zeros(3, 2, 15, 15))
    with pytest.raises(UsageError, match="too small"):
        run_on_shared_inputs(spec, features, torch.zeros(3, 1, 4, 4))


def test_memory_is_bounded():
    inputs = torch.zeros(384, 1, 16, 16)
    spec = NetworkSpec.cnn([1, 16, 16, 16], stride=2, outputs=10)
    assert networks_at_once(spec, inputs) * 384 * 9 * 144 <= NUMBERS_AT_ONCE
    assert networks_at_once(NetworkSpec.cnn([1, 2000, 2000], outputs=2), inputs) == 1
