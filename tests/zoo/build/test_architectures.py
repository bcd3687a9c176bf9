"""Architectures of classifiers: the published one by default, widths and depth of one's choice, and what cannot be."""

import pytest

from mnfn_cli.errors import UsageError
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.build.architectures import cnn_spec, mlp_spec
from mnfn_cli.zoo.images import load_images


@pytest.fixture(scope="module")
def digits():
    return load_images("digits")


def test_the_default_cnn_is_the_published_one(digits):
    layers = {"kernel": 3, "stride": 2, "padding": 0, "outputs": 10, "input_size": (16, 16)}
    published = NetworkSpec.cnn([1, 16, 16, 16], activation="tanh", **layers)
    assert cnn_spec(digits, "tanh") == published and published.num_parameters == 4970


def test_channels_kernels_and_dense_layers(digits):
    spec = cnn_spec(digits, "relu", channels=[8, 4], kernel=[5, 3], hidden=[32, 6])
    assert spec.widths == (1, 8, 4, 32, 6, 10)
    assert (spec.kernels, spec.strides, spec.paddings) == (((5, 5), (3, 3)), ((2, 2),) * 2, ((0, 0),) * 2)
    assert cnn_spec(digits, "relu", channels=[8, 4], kernel=[5]).kernels == ((5, 5), (5, 5))
    assert cnn_spec(digits, "relu", channels=[8, 4], kernel=5) == cnn_spec(digits, "relu", channels=[8, 4], kernel=[5])


def test_small_pictures_take_padding_and_smaller_ones_are_refused():
    small = load_images("digits", 8)
    assert cnn_spec(small, "relu").paddings == ((1, 1),) * 3
    with pytest.raises(UsageError, match="8x8 pictures are too small for kernels 11 with stride 2, even with padding"):
        cnn_spec(small, "relu", channels=[8], kernel=11)


def test_a_dense_network_reads_all_pixels_of_all_channels(digits):
    assert mlp_spec(digits, "relu") == NetworkSpec.mlp([256, 32, 10], "relu", input_size=(1, 16, 16))
    colour = load_images("digits", 4).with_channels(3)
    assert mlp_spec(colour, "tanh", hidden=[7, 5]) == NetworkSpec.mlp([48, 7, 5, 10], "tanh", input_size=(3, 4, 4))


@pytest.mark.parametrize("build", [cnn_spec, mlp_spec])
def test_what_cannot_be_meant(build, digits):
    with pytest.raises(UsageError, match="--activation"):
        build(digits, "gelu")
    with pytest.raises(UsageError, match="without labels"):
        build(load_images("photos"), "relu")
    zeros = digits.select([row for row in range(40) if digits.labels[row] == 0])
    with pytest.raises(UsageError, match="at least 2"):
        build(type(zeros)(zeros.source, zeros.pixels, zeros.labels, ("0",), zeros.ids), "relu")
    with pytest.raises(UsageError, match="positive"):
        build(digits, "relu", hidden=[0])


def test_every_convolution_has_one_kernel(digits):
    for kernel in ([3, 3, 3], []):
        with pytest.raises(UsageError, match="--kernel"):
            cnn_spec(digits, "relu", channels=[8, 8], kernel=kernel)
