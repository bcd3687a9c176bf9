"""Fit many SIRENs at once, each to its own picture, with gradients that are written out by hand.

Pixels are the last axis, so that a layer of all networks is one batched matrix product,
``(networks, out, in + 1) @ (networks, in + 1, pixels)``. The last column of the left factor is the bias, and the last
row of the right one consists of ones. Allocating memory for every intermediate result would take as long as the
products, so the backward pass reuses its buffers.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.rendering import pixel_grid
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.build.optimizers import Adam
from mnfn_cli.zoo.build.sines import write_sine_and_cosine

BUFFER_NUMBERS = {"cpu": 2**18, "cuda": 2**26}
"""The number of activations in one layer of the networks that one thread fits together, by type of device. It is large
enough that the time of the matrix products dominates that of calling them; with a quarter of it, whose activations all
stay in a core's second cache, a fit of 28x28 pixels takes longer."""
SHARES = 8
"""The number of groups of networks that ``fit_networks`` should be given in one call; each thread takes the next one
whenever it has finished one."""


def draw_siren(spec: NetworkSpec, streams: list[torch.Generator]) -> WeightSpaceFeatures:
    """Draw the initial weights and biases of one SIREN from each random stream.

    Weights are drawn uniformly, those of the first layer from ``+-1 / n_0`` and those of the others from
    ``+-sqrt(6 / n_in) / omega`` (Sitzmann et al. 2020, section 3.2). Biases are drawn as torch draws them for
    ``Linear``, uniformly from ``+-1 / sqrt(n_in)``, as in the authors' code.

    Returns:
        weights ``(len(streams), 1, out, in)`` and biases ``(len(streams), 1, out)``.
    """
    start = WeightSpaceFeatures.zeros(spec, len(streams))
    for layer, (weight, bias) in enumerate(zip(start.weights, start.biases, strict=True)):
        n_in = spec.widths[layer]
        bound = math.sqrt(6 / n_in) / spec.omega if layer else 1 / n_in
        for row, stream in enumerate(streams):
            weight[row].uniform_(-bound, bound, generator=stream)
            bias[row].uniform_(-1 / math.sqrt(n_in), 1 / math.sqrt(n_in), generator=stream)
    return start


def networks_at_once(spec: NetworkSpec, num_pixels: int, device: torch.device | str) -> int:
    """Return how many networks ``fit_networks`` should be given in one call."""
    return SHARES * _share(spec, num_pixels, torch.device(device))


def _share(spec: NetworkSpec, num_pixels: int, device: torch.device) -> int:
    """Return how many networks one thread fits in one computation."""
    return max(BUFFER_NUMBERS[device.type] // (max(spec.widths) * num_pixels), 1)


@torch.no_grad()
def fit_networks(
    spec: NetworkSpec,
    start: WeightSpaceFeatures,
    pictures: Tensor,
    *,
    steps: int,
    learning_rate: float,
    check: Callable[[], None] = lambda: None,
) -> WeightSpaceFeatures:
    """Minimise every network's mean squared error on all pixels of its picture, with Adam, in batched computations.

    Networks do not influence each other: each one ends, to rounding, with the weights that a plain loop gives. A
    network that diverges is returned with weights that are not finite. On a CPU every thread fits some of the networks,
    which is faster than dividing each matrix product among the threads; the result does not depend on their number.

    Args:
        spec: the architecture of all SIRENs, ``2 -> ... -> channels``.
        start: the initial raw weights ``(networks, 1, ...)``; the computation has their dtype and device.
        pictures: the pictures to fit, ``(networks, channels, height, width)``, in the pixel range of the zoo.
        steps: the number of steps of Adam, each on all pixels.
        learning_rate: the constant step size of Adam.
        check: is called before every step; an exception that it raises ends the fit.

    Returns:
        raw weights ``(networks, 1, ...)``, on the device of ``start``.
    """
    pictures = pictures.to(start.device, start.dtype)
    share = _share(spec, pictures.shape[2] * pictures.shape[3], start.device)
    shares = [slice(first, first + share) for first in range(0, start.batch, share)]

    def fit(rows: slice) -> WeightSpaceFeatures:
        with torch.no_grad():  # it holds in one thread only
            return _fit_share(spec, start.select(rows), pictures[rows], steps, learning_rate, check)

    threads = torch.get_num_threads()
    if start.device.type != "cpu" or min(threads, len(shares)) == 1:
        return WeightSpaceFeatures.cat([fit(rows) for rows in shares])
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            return WeightSpaceFeatures.cat(list(pool.map(fit, shares)))
        finally:
            # Setting it in a thread also changed it for all others, in the library of matrix products that they share.
            torch.set_num_threads(threads)


def _fit_share(
    spec: NetworkSpec,
    start: WeightSpaceFeatures,
    pictures: Tensor,
    steps: int,
    learning_rate: float,
    check: Callable[[], None],
) -> WeightSpaceFeatures:
    # Adam updates every number independently, so one row of all numbers equals one row for each network.
    numbers = torch.cat([layer.flatten() for layer in _pack(start)])
    optimizer = Adam(numbers[None], numbers.new_tensor([learning_rate]), numbers.new_zeros(1))
    loss = _LossGradient(spec, pictures)
    for _ in range(steps):
        check()
        optimizer.step(loss.compute(numbers)[None])
    return _unpack(spec, _layers(spec, len(pictures), numbers))


def _pack(features: WeightSpaceFeatures) -> list[Tensor]:
    """Return the weights of each layer, with its bias as the last input, in the order that its products are fast in.

    Returns:
        for the first layer ``(in + 1, networks * out)``, for the last one ``(networks, out, in + 1)``, and for those
        between ``(networks, in + 1, out)``.
    """
    first, *middle, last = [
        torch.cat([weight[:, 0], bias[:, 0, :, None]], dim=2)
        for weight, bias in zip(features.weights, features.biases, strict=True)
    ]
    return [first.movedim(2, 0).flatten(1), *(layer.transpose(1, 2) for layer in middle), last]


def _layers(spec: NetworkSpec, networks: int, numbers: Tensor) -> list[Tensor]:
    """View all numbers of the networks, one layer after another, as layers shaped as ``_pack`` returns them."""
    sizes = [(n_in + 1, n_out) for n_in, n_out in zip(spec.widths[:-1], spec.widths[1:], strict=True)]
    first, *middle, last = numbers.split([networks * n_in * n_out for n_in, n_out in sizes])
    between = [layer.view(networks, *size) for layer, size in zip(middle, sizes[1:-1], strict=True)]
    return [first.view(sizes[0][0], -1), *between, last.view(networks, *reversed(sizes[-1]))]


def _unpack(spec: NetworkSpec, layers: list[Tensor]) -> WeightSpaceFeatures:
    """Return packed layers as raw weights; the inverse of ``_pack``."""
    first, *middle, last = layers
    rows = [first.unflatten(1, (-1, spec.widths[1])).movedim(0, 2), *(layer.transpose(1, 2) for layer in middle), last]
    return WeightSpaceFeatures(
        [layer[:, None, :, :-1].contiguous() for layer in rows], [layer[:, None, :, -1].contiguous() for layer in rows]
    )


class _LossGradient:
    """Computes the gradients of the mean squared errors of many networks, each with its own picture.

    Args:
        spec: the architecture of all networks.
        pictures: ``(networks, channels, height, width)``; the computation has their dtype and device.
    """

    def __init__(self, spec: NetworkSpec, pictures: Tensor) -> None:
        networks, height, width = pictures.shape[0], *pictures.shape[2:]
        pixels = height * width
        self._spec = spec
        self._targets = pictures.flatten(2).contiguous()
        grid = pixel_grid((height, width), dtype=pictures.dtype, device=pictures.device)
        self._places = torch.cat([grid, grid.new_ones(pixels, 1)], dim=1).T.contiguous()
        # For each layer but the first its inputs, with the row of ones, and their derivatives, the cosines.
        self._inputs = [pictures.new_ones(networks, n + 1, pixels) for n in spec.hidden_widths]
        self._cosines = [pictures.new_empty(networks, n, pixels) for n in spec.hidden_widths]
        # Only two neighbouring layers' outputs, or the gradients by them, are needed at a time.
        pair = [pictures.new_empty(networks * max(spec.widths[1:]) * pixels) for _ in range(2)]
        self._outputs = [
            pair[i % 2][: networks * n * pixels].view(networks, n, pixels) for i, n in enumerate(spec.widths[1:])
        ]
        self._ones = pictures.new_ones(networks * max(spec.hidden_widths) * pixels)
        self._gradient = pictures.new_empty(networks * spec.num_parameters)
        self._gradients = _layers(spec, networks, self._gradient)

    def compute(self, numbers: Tensor) -> Tensor:
        """Return the gradient of ``mean((network - picture)^2)``, over pixels and channels, of every network.

        A hidden layer computes ``y = W x + b`` and ``x' = sin(omega y)``, and the next one ``y' = W' x' + b'``. If
        ``g'`` is the gradient of the loss by ``y'``, then the one by ``y`` is ``g = omega cos(omega y) * (W'^T g')``,
        and the one by ``W`` is ``g x^T``.

        Args:
            numbers: the layers of ``_pack``, flat and one after another, ``(networks * numbers of a network,)``.

        Returns:
            the gradient in the same order. The next call overwrites it.
        """
        omega, (networks, _, _) = self._spec.omega, self._targets.shape
        layers = _layers(self._spec, networks, numbers)
        last = len(layers) - 1
        # All networks have the same pixel positions as inputs, so their first layers are one matrix product.
        first = self._outputs[0].flatten(0, 1)
        torch.addmm(first, layers[0].T, self._places, beta=0, alpha=omega, out=first)
        for i in range(last):
            angles, cosines = self._outputs[i], self._cosines[i]
            write_sine_and_cosine(angles, self._inputs[i][:, :-1], cosines, self._ones[: angles.numel()])
            if i + 1 < last:
                _product(layers[i + 1].transpose(1, 2), self._inputs[i], self._outputs[i + 1], omega)
        torch.bmm(layers[last], self._inputs[-1], out=self._outputs[last])

        gradient = self._outputs[last].sub_(self._targets).mul_(2 / self._targets[0].numel())
        torch.bmm(gradient, self._inputs[-1].transpose(1, 2), out=self._gradients[last])
        by_input = layers[last][:, :, :-1].transpose(1, 2)
        for i in range(last - 1, -1, -1):
            gradient = _product(by_input, gradient, self._outputs[i], omega).mul_(self._cosines[i])
            if i > 0:
                torch.bmm(self._inputs[i - 1], gradient.transpose(1, 2), out=self._gradients[i])
                by_input = layers[i][:, :-1]
        torch.mm(self._places, gradient.flatten(0, 1).T, out=self._gradients[0])
        return self._gradient


def _product(a: Tensor, b: Tensor, out: Tensor, scale: float) -> Tensor:
    """Write ``scale * a @ b`` to ``out``. As ``beta`` is 0, the old values of ``out`` have no effect, not even NaN."""
    return torch.baddbmm(out, a, b, beta=0, alpha=scale, out=out)
