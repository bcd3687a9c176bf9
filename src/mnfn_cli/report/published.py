"""The paper's results for predicting accuracy. They are shown in a table apart from measured results."""

from collections.abc import Mapping

from mnfn_cli.tasks.condition import Condition

DATA_SET = "Small CNN Zoo, CIFAR-10"

_SCALES = (10.0, 100.0, 1000.0, 10_000.0)

# By (model, trained on networks changed by group elements): tau on the original test networks, then under U[1, x].
_RELU: Mapping[tuple[str, bool], tuple[float, ...]] = {
    ("monomial", True): (0.922, 0.920, 0.919, 0.920, 0.920),
    ("gnn", True): (0.897, 0.892, 0.885, 0.858, 0.851),
    ("monomial", False): (0.922, 0.920, 0.919, 0.920, 0.920),
    ("gnn", False): (0.897, 0.794, 0.679, 0.586, 0.562),
}
# Tau on the original test networks, and after sign flips.
_TANH: Mapping[tuple[str, bool], tuple[float, float]] = {
    ("monomial", True): (0.939, 0.943),
    ("gnn", True): (0.893, 0.902),
    ("monomial", False): (0.939, 0.940),
    ("gnn", False): (0.893, 0.883),
}


def published_tau(model: str, augmented: bool, condition: Condition) -> float:
    """Return the Kendall's tau that the paper gives for ``DATA_SET``; NaN where it gives none.

    Args:
        model: the name of the model in recipes.
        augmented: whether the model was trained on networks changed by group elements.
        condition: the version of the test networks.
    """
    scale = condition.scale
    if condition.group not in ("scale", "sign"):
        return float("nan")
    if condition.group == "sign":
        figures = _TANH.get((model, augmented))
        return float("nan") if figures is None else figures[condition.acted]
    row = _RELU.get((model, augmented))
    if row is None or (scale is not None and (scale[0] != 1 or scale[1] not in _SCALES)):
        return float("nan")
    return row[0] if scale is None else row[1 + _SCALES.index(scale[1])]
