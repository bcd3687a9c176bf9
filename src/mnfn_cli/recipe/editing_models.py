"""The declarations of models that edit the picture in an INR."""

from typing import Literal

from mnfn_cli.recipe.declaration import Model
from mnfn_cli.recipe.sections import Count, Flag, Positive, Widths
from mnfn_cli.recipe.stack import Fourier, OddLayers, Stack
from mnfn_cli.symmetry import Group


class MlpEditor(Model):
    """An editor that is an MLP on the flattened weights."""

    built_by = "mnfn_cli.models.mlp:MlpEditor"
    published = "editing/mnist-dilate-mlp"

    name: Literal["mlp"]
    hidden: Widths


class NPEditor(Stack):
    """An editor with NP layers, the last with one output channel, and learned scales."""

    built_by = "mnfn_cli.models.permutation:NPEditor"
    published = "editing/mnist-dilate-np"

    name: Literal["np"]


class HNPEditor(Stack):
    """An editor with HNP layers, the last with one output channel, and learned scales."""

    built_by = "mnfn_cli.models.permutation:HNPEditor"
    published = "editing/mnist-dilate-hnp"

    name: Literal["hnp"]


class MonomialEditor(Stack):
    """The published editor: sign-equivariant layers without activations, followed by the editor with NP layers."""

    built_by = "mnfn_cli.models.monomial_inr:MonomialEditor"
    published = "editing/mnist-dilate-monomial"

    name: Literal["monomial"]
    channels: Widths = (16, 1)
    sign_terms: Flag = True

    @property
    def respects(self) -> Group:
        """The sign group."""
        return "sign"


class StrictEditor(OddLayers, Stack):
    """An editor that is equivariant to permutations and sign flips: sign-equivariant features times gates."""

    built_by = "mnfn_cli.models.strict_editor:StrictEditor"
    published = "editing/mnist-dilate-monomial-strict"

    name: Literal["monomial-strict"]
    layer: Literal["linear", "messages"] = "messages"
    unit_scale: Flag = True
    sharpness: Positive = 10.0


class GradedEditor(Model):
    """An editor that is equivariant to permutations, flips and phase shifts: graded messages along the edges."""

    built_by = "mnfn_cli.models.graded_editor:GradedEditor"
    published = "editing/digits-dilate-graded"

    name: Literal["graded"]
    nodes: Count
    edges: Count
    rounds: Count
    fourier: Fourier

    @property
    def respects(self) -> Group:
        """The sign group."""
        return "sign"
