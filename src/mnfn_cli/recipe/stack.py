"""Options that classifiers and editors of INRs have in common: encodings of the weights, and widths of layers."""

from pydantic import Field

from mnfn_cli.recipe.declaration import Model
from mnfn_cli.recipe.sections import Count, Positive, Real, Section, Widths


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
