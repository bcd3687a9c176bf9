"""The architectures of the classifiers that are built here: CNNs, and dense networks on flattened pictures."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from mnfn_cli.errors import UsageError
from mnfn_cli.symmetry import CLASSIFIER_ACTIVATIONS
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.images import ImageSet

CNN_CHANNELS = (16, 16, 16)
CNN_KERNEL = 3
CNN_STRIDE = 2
MLP_HIDDEN = (32,)


def cnn_spec(
    images: ImageSet,
    activation: str,
    *,
    channels: Sequence[int] = CNN_CHANNELS,
    kernel: int | Sequence[int] = CNN_KERNEL,
    hidden: Sequence[int] = (),
) -> NetworkSpec:
    """Return the architecture of a CNN that classifies these pictures; by default that of the Small CNN Zoo.

    Square convolutions with stride 2, global average pooling, hidden dense layers if there are any, and one dense layer
    with an output for each class. The convolutions have no padding where the pictures are large enough for that, and
    padding 1 where they are not.

    Args:
        images: pictures ``(count, channels, height, width)`` with labels.
        activation: one of ``symmetry.CLASSIFIER_ACTIVATIONS``; it follows every layer but the last.
        channels: output channels of each convolution.
        kernel: pixels along the side of all kernels, or a list with one number for each convolution.
        hidden: widths of the hidden dense layers after the pooling.

    Raises:
        UsageError: the pictures have no labels or only one class, the activation is another one, a
            number is not positive, there are not as many kernels as convolutions, or the pictures are too small even
            with padding 1.
    """
    _require_classes(images)
    _require_activation(activation)
    kernels = [kernel] * len(channels) if isinstance(kernel, int) else list(kernel)
    if len(kernels) == 1:
        kernels *= len(channels)
    if len(kernels) != len(channels):
        raise UsageError(
            "--kernel", f"{len(kernels)} kernels for {len(channels)} convolutions; give one for all or each"
        )
    height, width = images.pixels.shape[2:]
    for padding in (0, 1):
        spec = NetworkSpec.cnn(
            [images.pixels.shape[1], *channels],
            kernel=list(kernels),
            stride=CNN_STRIDE,
            padding=padding,
            hidden=hidden,
            outputs=len(images.classes),
            activation=activation,
        )
        if min(map(min, spec.feature_map_sizes((height, width)))) > 0:
            return replace(spec, input_size=(height, width))
    raise UsageError(
        images.source,
        f"{height}x{width} pictures are too small for kernels {', '.join(map(str, kernels))} with stride {CNN_STRIDE}, "
        "even with padding 1; give a larger --size, a smaller --kernel or fewer --channels",
    )


def mlp_spec(images: ImageSet, activation: str, *, hidden: Sequence[int] = MLP_HIDDEN) -> NetworkSpec:
    """Return the architecture of a dense network that classifies these pictures, flattened.

    Its widths are ``channels * height * width``, the hidden ones, and the number of classes.

    Args:
        images: pictures ``(count, channels, height, width)`` with labels.
        activation: one of ``symmetry.CLASSIFIER_ACTIVATIONS``; it follows every layer but the last.
        hidden: widths of the hidden layers, at least one.

    Raises:
        UsageError: the pictures have no labels or only one class, the activation is another one, or a
            width is not positive.
    """
    _require_classes(images)
    _require_activation(activation)
    size = tuple(images.pixels.shape[1:])
    return NetworkSpec.mlp([prod(size), *hidden, len(images.classes)], activation, input_size=size)


def _require_classes(images: ImageSet) -> None:
    if images.labels is None:
        raise UsageError(images.source, "pictures without labels; classifiers need one subfolder a class, or labels")
    if len(images.classes) < 2:
        raise UsageError(images.source, f"{len(images.classes)} class; classifiers need at least 2")


def _require_activation(activation: str) -> None:
    if activation not in CLASSIFIER_ACTIVATIONS:
        raise UsageError("--activation", f"'{activation}'; choose one of {', '.join(CLASSIFIER_ACTIVATIONS)}")
