"""Options that classifiers and editors of INRs have in common: encodings of the weights, and widths of layers."""

from typing import Any, Literal

from pydantic import Field, model_validator

from mnfn_cli.recipe.declaration import Model
from mnfn_cli.recipe.sections import Count, Flag, Positive, Real, Section, Widths
from mnfn_cli.symmetry import Group


class Fourier(Section):
    """Options of Gaussian Fourier features: the number of frequencies and their standard deviation."""

    size: Count
    scale: Positive


class Encoding(Section):
    """Options of the input/output encoding: the number of frequencies, and twice the highest of them."""

    bands: Count
    max_freq: Real = Field(ge=2)


class Stack(Model):
    """Options of ``models.permutation.PermutationStack``: Fourier features, encoding, and channels of the layers."""

    fourier: Fourier | None = None
    encoding: Encoding | None = None
    base_channels: Widths


class OddLayers(Model):
    """Options of ``models.odd.OddFeatures``; older recipes say ``messages: true`` instead of ``layer: messages``."""

    channels: Widths
    activation: Literal["sin", "tanh"] = "sin"
    sign_terms: Flag = True
    layer: Literal["linear", "messages"] = "linear"
    unit_scale: Flag = False

    @model_validator(mode="before")
    @classmethod
    def _messages_are_a_layer(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "layer" in value or not isinstance(value.get("messages"), bool):
            return value
        rest = {key: entry for key, entry in value.items() if key != "messages"}
        return rest | {"layer": "messages" if value["messages"] else "linear"}

    @property
    def respects(self) -> Group:
        """The sign group."""
        return "sign"
