"""Draw what carried a prediction: the layers of the network, and the inputs that the functional has learned."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mnfn_cli.report.figures import ACCENT, COLOUR, new_axes, plot_of
from mnfn_cli.tasks.explanation import NOISE, Explanation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mnfn_cli.report.plot import Plot

SHOWN = 24
"""The number of learned inputs that are drawn, those with the largest weights."""
COLUMNS = 8


def plot_explanation(explanation: Explanation) -> "Plot":
    """Draw a bar for each layer and, below them, the learned inputs with the largest weights.

    Above each input stand the answer that the functional expects with its probability, and the probability that the
    network gives it; the frame goes from red, no agreement, to blue, full agreement.

    Args:
        explanation: what ``tasks.explanation.explain`` returned.
    """
    chosen = explanation.heaviest()[:SHOWN]
    rows = -(-len(chosen) // COLUMNS)
    axes = new_axes(9.0, 2.8 + 1.6 * rows)
    grid = axes.figure.add_gridspec(1 + rows, COLUMNS, height_ratios=[1.7, *[1.0] * rows])
    axes.set_subplotspec(grid[0, :])
    _draw_layers(explanation, axes)
    shown = [] if explanation.learned is None else _levels(explanation.learned.inputs[chosen])
    for place, (number, pixels) in enumerate(zip(chosen, shown, strict=True)):
        tile = axes.figure.add_subplot(grid[1 + place // COLUMNS, place % COLUMNS])
        _draw_input(explanation, number, pixels, tile)
    return plot_of(axes)


def _draw_layers(explanation: Explanation, axes: "Axes") -> None:
    places = np.arange(len(explanation.layers))
    axes.bar(places - 0.2, [moves.weights for moves in explanation.layers], 0.4, color=COLOUR, label="weights")
    axes.bar(places + 0.2, [moves.biases for moves in explanation.layers], 0.4, color=ACCENT, label="biases")
    axes.set_xticks(places, [f"layer {moves.layer}" for moves in explanation.layers])
    axes.set_ylabel(f"prediction moves by\n({NOISE:.0%} of noise on the layer)", fontsize=8)
    axes.legend(fontsize=8, frameon=False)
    interval = explanation.interval
    around = "" if interval is None else f" [{interval[0]:.3f}, {interval[1]:.3f}]"
    unlike = ", unlike the training zoo" if explanation.unlike is not None and explanation.unlike > 1 else ""
    name = explanation.network if len(explanation.network) <= 40 else f"...{explanation.network[-37:]}"
    axes.set_title(f"{name}: predicted {explanation.prediction:.3f}{around}{unlike}".replace("$", r"\$"), fontsize=10)


def _draw_input(explanation: Explanation, number: int, pixels: NDArray[np.float64], tile: "Axes") -> None:
    assert explanation.learned is not None
    answer, response = explanation.learned.answers[number], explanation.learned.responses[0, number]
    agreement = float(explanation.learned.agreements[0, number])
    expected = int(answer.argmax())
    tile.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    tile.set_xticks([])
    tile.set_yticks([])
    for spine in tile.spines.values():
        spine.set(visible=True, linewidth=3, color=_shade(agreement))
    title = f"class {expected}: {answer[expected]:.2f}\nnetwork: {response[expected]:.2f}"
    tile.set_title(title, fontsize=7)
    tile.set_xlabel(f"weight {float(explanation.learned.weights[number]):.3f}", fontsize=6)


def _shade(agreement: float) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    low, high = np.array(to_rgb(ACCENT)), np.array(to_rgb(COLOUR))
    red, green, blue = low + min(max(agreement, 0.0), 1.0) * (high - low)
    return float(red), float(green), float(blue)


def _levels(inputs: Tensor) -> list[NDArray[np.float64]]:
    """Return inputs as pictures of grey levels or colours on [0, 1], all on one scale; vectors become strips."""
    pictures = inputs if inputs.dim() == 4 else inputs[:, None, None, :]
    if pictures.shape[1] not in (1, 3):
        pictures = pictures.mean(dim=1, keepdim=True)
    low, high = (float(end) for end in np.quantile(pictures.numpy(), [0.01, 0.99]))
    scaled = ((pictures - low) / max(high - low, 1e-9)).clamp(0, 1).movedim(1, 3).numpy()
    return [picture[..., 0] if picture.shape[-1] == 1 else picture for picture in scaled]
