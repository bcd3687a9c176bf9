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
from mnfn_cli.zoo.build.sines import write_sine_and_cosine

BUFFER_NUMBERS = {"cpu": 2**18, "cuda": 2**26}
"""The number of activations in one layer of the networks that one thread fits together, by type of device. It is large
enough that the time of the matrix products dominates that of calling them, and small enough for a core's cache."""
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
    parameters = [
        torch.cat([weight[:, 0], bias[:, 0, :, None]], dim=2)
        for weight, bias in zip(start.weights, start.biases, strict=True)
    ]
    # Adam updates every number independently, so one optimizer of all networks equals one for each of them.
    optimizer = torch.optim.Adam(parameters, lr=learning_rate, fused=True)
    loss = _LossGradient(spec, pictures)
    for _ in range(steps):
        check()
        for parameter, gradient in zip(parameters, loss.compute(parameters), strict=True):
            parameter.grad = gradient
        optimizer.step()
    return WeightSpaceFeatures(
        [parameter[:, None, :, :-1].contiguous() for parameter in parameters],
        [parameter[:, None, :, -1].contiguous() for parameter in parameters],
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
        self._omega = spec.omega
        self._targets = pictures.flatten(2).contiguous()
        grid = pixel_grid((height, width), dtype=pictures.dtype, device=pictures.device)
        self._places = torch.cat([grid, grid.new_ones(pixels, 1)], dim=1).T.contiguous()
        # For each layer but the first its inputs, with the row of ones, and their derivatives, the cosines.
        self._inputs = [pictures.new_ones(networks, n + 1, pixels) for n in spec.hidden_widths]
        self._cosines = [pictures.new_empty(networks, n, pixels) for n in spec.hidden_widths]
        self._outputs = [pictures.new_empty(networks, n, pixels) for n in spec.widths[1:]]
        self._gradients = [
            pictures.new_empty(networks, n_out, n_in + 1)
            for n_in, n_out in zip(spec.widths[:-1], spec.widths[1:], strict=True)
        ]

    def compute(self, parameters: list[Tensor]) -> list[Tensor]:
        """Return the gradient of ``mean((network - picture)^2)``, over pixels and channels, of every network.

        A hidden layer computes ``y = W x + b`` and ``x' = sin(omega y)``, and the next one ``y' = W' x' + b'``. If
        ``g'`` is the gradient of the loss by ``y'``, then the one by ``y`` is ``g = omega cos(omega y) * (W'^T g')``,
        and the one by ``W`` is ``g x^T``.

        Args:
            parameters: for each layer, its weights and, as the last column, its bias, ``(networks, out, in + 1)``.

        Returns:
            gradients of the same shapes. The next call overwrites them.
        """
        last = len(parameters) - 1
        # All networks have the same pixel positions as inputs, so their first layers are one matrix product.
        first = self._outputs[0].flatten(0, 1)
        torch.addmm(first, parameters[0].flatten(0, 1), self._places, beta=0, alpha=self._omega, out=first)
        for i in range(last):
            write_sine_and_cosine(self._outputs[i], self._inputs[i][:, :-1], self._cosines[i])
            scale = self._omega if i + 1 < last else 1.0
            _product(parameters[i + 1], self._inputs[i], self._outputs[i + 1], scale)

        gradient = self._outputs[last].sub_(self._targets).mul_(2 / self._targets[0].numel())
        for i in range(last, 0, -1):
            torch.bmm(gradient, self._inputs[i - 1].transpose(1, 2), out=self._gradients[i])
            weights = parameters[i][:, :, :-1].transpose(1, 2)
            gradient = _product(weights, gradient, self._outputs[i - 1], self._omega).mul_(self._cosines[i - 1])
        torch.mm(gradient.flatten(0, 1), self._places.T, out=self._gradients[0].flatten(0, 1))
        return self._gradients


def _product(a: Tensor, b: Tensor, out: Tensor, scale: float) -> Tensor:
    """Write ``scale * a @ b`` to ``out``. As ``beta`` is 0, the old values of ``out`` have no effect, not even NaN."""
    return torch.baddbmm(out, a, b, beta=0, alpha=scale, out=out)
