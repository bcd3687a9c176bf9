"""Which symmetry a network's activation allows, and which functions keep it: plain facts, without torch."""

from collections.abc import Mapping
from typing import Literal

Group = Literal["scale", "sign", "permutation"]
"""What may happen to a hidden neuron, beside changing places with others of its layer, while the function stays."""

GROUP_OF_ACTIVATION: Mapping[str, Group] = {
    "relu": "scale",
    "leaky_relu": "scale",
    "sin": "sign",
    "tanh": "sign",
    "gelu": "permutation",
    "silu": "permutation",
    "sigmoid": "permutation",
}
"""Which numbers may multiply a hidden neuron without changing the function (paper, Prop. 3.4).

For ``scale`` any positive number, since ``phi(d x) = d phi(x)``; for ``sign`` -1, since ``phi(-x) = -phi(x)``.
"""

GROUP_NAMES: Mapping[Group, str] = {"scale": "scalings", "sign": "sign flips", "permutation": "permutations alone"}
"""What a message calls a group."""

LAYER_ACTIVATIONS: Mapping[Group, tuple[str, ...]] = {
    "scale": ("relu",),
    "sign": ("tanh", "sin"),
    "permutation": ("relu", "tanh", "sin"),
}
"""Functions of single entries that may stand between layers equivariant to a group; the published one comes first."""

INVARIANT_STEPS: Mapping[Group, tuple[str, ...]] = {
    "scale": ("normalize",),
    "sign": ("absolute",),
    "permutation": ("normalize", "absolute"),
}
"""Steps that make equivariant features invariant to a group; the published one comes first."""

CLASSIFIER_ACTIVATIONS = ("relu", "leaky_relu", "tanh")
"""Activations that classifiers can be built with here."""
