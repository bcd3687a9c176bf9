"""Inputs that a functional shows to the networks it reads: smooth random pictures, which may be learned."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mnfn_cli.errors import UsageError
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.shared_inputs import run_on_shared_inputs
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.weightspace.spec_checks import check_input_size

CONTRAST = 0.35
"""The deviation of pixels within an input before learning, and its mean: pixels are thought of as values in [0, 1]."""

CUTOFF, USUAL_SIDE = 3.0, 16
"""The frequency at which a coefficient counts half, in half-cycles of a picture with sides of ``USUAL_SIDE`` pixels."""

TRIED = 4
"""The number of inputs on which it is tried whether a network can be run."""


class SmoothProbes(nn.Module):
    """A set of inputs ``x_k = m_k + 0.35 D^T (c_k * S) D``, with coefficients ``c_k`` and a mean ``m_k`` for each.

    ``D`` is the orthonormal discrete cosine transform of each channel, and ``S(u, v) = 1 / (1 + (u^2 + v^2) / 9)``,
    scaled to a mean square of 1, damps high frequencies, which are counted as in a picture of 16x16 pixels. The
    coefficients start standard normal. For networks that read vectors and not pictures, ``x_k = m_k + 0.35 c_k``.

    Args:
        spec: the weight space of the networks.
        count: the number of inputs.
        input_size: (height, width) of pictures where the specification does not know it.
        learned: whether coefficients and means are parameters; else they are buffers.

    Shapes:
        There is no input; the output is pictures ``(count, channels, height, width)``, or vectors ``(count, n_0)``.

    Raises:
        UsageError: networks with convolutions do not know the size of their pictures, or cannot read this one.

    Source:
        mnfn's own.

    >>> import torch
    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import SmoothProbes
    >>> spec = NetworkSpec.cnn([1, 4, 4], kernel=3, stride=2, outputs=10, activation="relu")
    >>> probes = SmoothProbes(spec, count=4, input_size=(16, 16))
    >>> probes(torch.float32).shape
    torch.Size([4, 1, 16, 16])
    """

    coefficients: Tensor
    means: Tensor

    def __init__(
        self, spec: NetworkSpec, count: int, input_size: Sequence[int] | None = None, learned: bool = True
    ) -> None:
        super().__init__()
        self.dense = not spec.kernels
        self.shape = picture_shape(spec, input_size)
        coefficients = nn.init.normal_(torch.empty(count, *self.shape))
        means = torch.full((count, *[1] * len(self.shape)), CONTRAST)
        for name, tensor in (("coefficients", coefficients), ("means", means)):
            if learned:
                self.register_parameter(name, nn.Parameter(tensor))
            else:
                self.register_buffer(name, tensor)

    def forward(self, dtype: torch.dtype, chosen: Tensor | None = None, noise: float = 0.0) -> Tensor:
        """Return inputs, ``(inputs, n_0)`` or for networks with convolutions ``(inputs, n_0, height, width)``.

        Args:
            dtype: the dtype in which they are computed.
            chosen: the numbers of the inputs to return; all by default.
            noise: the deviation of normal noise that is added to the coefficients.
        """
        coefficients, means = self.coefficients.to(dtype), self.means.to(dtype)
        inputs = self._smooth(coefficients, means, chosen, noise)
        return inputs.flatten(1) if self.dense else inputs

    def pictures(self, dtype: torch.dtype) -> Tensor:
        """Return all inputs in the shape of pictures, also where networks read them as vectors, if it is known."""
        return self._smooth(self.coefficients.to(dtype), self.means.to(dtype), None, 0.0)

    def _smooth(self, coefficients: Tensor, means: Tensor, chosen: Tensor | None, noise: float) -> Tensor:
        if chosen is not None:
            coefficients, means = coefficients[chosen], means[chosen]
        if noise:
            coefficients = coefficients + noise * torch.randn_like(coefficients)
        if len(self.shape) == 3:
            height, width = self.shape[1:]
            down, across = _cosines(height).to(coefficients), _cosines(width).to(coefficients)
            smooth = _low_pass(height, width).to(coefficients)
            coefficients = down.T @ (coefficients * smooth) @ across
        return means + CONTRAST * coefficients


def runs_on(spec: NetworkSpec, features: WeightSpaceFeatures, inputs: SmoothProbes) -> Tensor:
    """Return whether the squares of each network's outputs on some inputs are finite, ``(batch,)``.

    Args:
        spec: the weight space.
        features: raw weights, ``(batch, 1, ...)``.
        inputs: the inputs, of which the first ``TRIED`` are tried, in their own dtype.
    """
    dtype = inputs.means.dtype
    tried = inputs(dtype)[:TRIED]
    outputs = run_on_shared_inputs(spec, features.to(dtype=dtype), tried).outputs
    return outputs.square().flatten(1).sum(dim=1).isfinite()


def picture_shape(spec: NetworkSpec, input_size: Sequence[int] | None = None) -> tuple[int, ...]:
    """Return the shape of an input, (channels, height, width) of pictures or (n_0,) of vectors.

    Args:
        spec: the weight space of the networks.
        input_size: (height, width) of pictures where the specification does not know it.

    Raises:
        UsageError: networks with convolutions do not know the size of their pictures, or cannot read this one; or the
            size contradicts the specification.
    """
    known = spec.input_size
    given = None if input_size is None else (int(input_size[0]), int(input_size[1]))
    if known is not None and given is not None and known[-2:] != given:
        raise UsageError("model.input_size", f"{list(given)}, but networks {spec} read {list(known[-2:])}")
    if spec.kernels:
        size = known or given
        if size is None:
            raise UsageError(
                "model",
                f"runs the networks, and the size of the pictures of networks {spec} is unknown; give "
                "model.input_size=[height,width], or --input-size at import",
            )
        check_input_size(spec, (size[0], size[1]))
        return (spec.widths[0], *size)
    if known is not None:
        return known
    if given is None:
        return (spec.widths[0],)
    channels, rest = divmod(spec.widths[0], given[0] * given[1])
    if rest or not channels:
        raise UsageError("model.input_size", f"{list(given)}: {spec.widths[0]} inputs are no such pictures")
    return (channels, *given)


def _cosines(side: int) -> Tensor:
    """Return the matrix of the orthonormal discrete cosine transform, ``(frequencies, pixels)``, in float64."""
    places = torch.arange(side, dtype=torch.float64)
    matrix = torch.cos(torch.pi / side * places[:, None] * (places + 0.5)) * (2 / side) ** 0.5
    matrix[0] /= 2**0.5
    return matrix


def _low_pass(height: int, width: int) -> Tensor:
    u, v = (torch.arange(side, dtype=torch.float64) * USUAL_SIDE / side for side in (height, width))
    smooth = 1 / (1 + (u[:, None] ** 2 + v**2) / CUTOFF**2)
    return smooth / smooth.square().mean().sqrt()
