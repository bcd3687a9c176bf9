"""The symmetry group of each activation, and the functions that are compatible with a group. No torch is imported."""

from collections.abc import Mapping
from typing import Literal

Group = Literal["scale", "sign", "permutation"]
"""What may be done to hidden neurons besides permuting them: scaling, flipping signs, or nothing."""

GROUP_OF_ACTIVATION: Mapping[str, Group] = {
    "relu": "scale",
    "leaky_relu": "scale",
    "sin": "sign",
    "tanh": "sign",
    "gelu": "permutation",
    "silu": "permutation",
    "sigmoid": "permutation",
}
"""The symmetry group of each activation ``phi`` (paper, Prop. 3.4).

In the group ``scale`` hidden neurons may be multiplied by any positive number, since ``phi(d x) = d phi(x)``; in the
group ``sign`` by -1, since ``phi(-x) = -phi(x)``.
"""

GROUP_NAMES: Mapping[Group, str] = {"scale": "scalings", "sign": "sign flips", "permutation": "permutations alone"}
"""The name of each group in messages."""

LAYER_ACTIVATIONS: Mapping[Group, tuple[str, ...]] = {
    "scale": ("relu",),
    "sign": ("tanh", "sin"),
    "permutation": ("relu", "tanh", "sin"),
}
"""By group, the activations that may follow an equivariant layer; the published one comes first."""

INVARIANT_STEPS: Mapping[Group, tuple[str, ...]] = {
    "scale": ("normalize",),
    "sign": ("absolute",),
    "permutation": ("normalize", "absolute"),
}
"""Steps that make equivariant features invariant to a group; the published one comes first."""

Sharing = Literal["none", "group", "all", "fitting"]
"""Which parameters a model has in common for several weight spaces of a zoo.

``none``: it reads one weight space. ``group``: one set of parameters for all weight spaces of one group, which must
agree in everything but the hidden widths. ``all``: one set for all weight spaces, which must agree likewise, whatever
their groups are. ``fitting``: one set for all weight spaces, of any depth and size; parameters whose shapes depend on
the weight space are its own.
"""

Access = Literal["weights alone", "runs the network"]
"""What a functional reads of a network: its weights alone, or also what the network computes on inputs of its own."""

CLASSIFIER_ACTIVATIONS = ("relu", "leaky_relu", "tanh")
"""Activations that classifiers can be built with here."""
