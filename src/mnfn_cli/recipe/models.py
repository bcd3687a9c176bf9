"""What a recipe may say about its model: one schema a model, chosen by the recipe's task and the model's name."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from mnfn_cli.recipe.sections import (
    Count,
    Flag,
    Positive,
    Probability,
    Real,
    Section,
    TwoWidths,
    Widths,
)
from mnfn_cli.symmetry import GROUP_OF_ACTIVATION, INVARIANT_STEPS, Group


class Model(Section):
    """What every model's schema has."""

    name: str

    def options(self) -> dict[str, Any]:
        """Return what to hand to the model's builder: every option, without the name."""
        return self.model_dump(exclude={"name"})

    @property
    def respects(self) -> Group | None:
        """The group that networks must have for this model to make sense; None if it does not matter."""
        return None


class Monomial(Model):
    """Equivariant layers, an invariant function, mean pooling, and a head with two hidden layers."""

    name: Literal["monomial"]
    channels: Widths
    head: TwoWidths
    activation: Literal["relu", "tanh", "sin"] = "relu"
    invariant: Literal["normalize", "absolute"] = Field("normalize", validate_default=True)
    sign_terms: Flag = False
    hnp_channels: tuple[Count, ...] = ()
    dropout: Probability = 0.0
    canonicalize: Flag = False

    @field_validator("invariant")
    @classmethod
    def _invariant_fits(cls, invariant: str, info: ValidationInfo) -> str:
        activation = info.data.get("activation")
        if activation and invariant not in (fitting := INVARIANT_STEPS[GROUP_OF_ACTIVATION[activation]]):
            raise ValueError(f"'{fitting[0]}' is needed beside activation '{activation}', not '{invariant}'")
        return invariant

    @property
    def respects(self) -> Group:
        """The group that the layers' activation keeps."""
        return GROUP_OF_ACTIVATION[self.activation]


class StatisticsOrFlat(Model):
    """A head on statistics of the weights, or on the flat weights."""

    name: Literal["statnn", "mlp"]
    head: TwoWidths
    dropout: Probability = 0.0
    canonicalize: Flag = False


class GraphNetwork(Model):
    """Message passing on the network's graph, mean pooling and a head."""

    name: Literal["gnn"]
    size: Count
    rounds: Count
    head: TwoWidths
    dropout: Probability = 0.0
    canonicalize: Flag = False


class PermutationGeneralization(Model):
    """NP or HNP layers, mean pooling and a head."""

    name: Literal["np", "hnp"]
    channels: Widths
    head: TwoWidths
    dropout: Probability = 0.0
    canonicalize: Flag = False


class Fourier(Section):
    """Gaussian Fourier features: how many frequencies, and their standard deviation."""

    size: Count
    scale: Positive


class Encoding(Section):
    """Input/output encoding: how many bands, and twice the highest frequency."""

    bands: Count
    max_freq: Real = Field(ge=2)


class _Stack(Model):
    """Permutation-equivariant layers with what stands in front of them."""

    fourier: Fourier | None = None
    encoding: Encoding | None = None
    base_channels: Widths


class PermutationClassifier(_Stack):
    """NP or HNP layers, mean pooling and a head."""

    name: Literal["np", "hnp"]
    channel_dropout: Probability = 0.0
    head: TwoWidths
    dropout: Probability = 0.0


class AbsoluteClassifier(_Stack):
    """The absolute value of every weight in front of NP or HNP layers."""

    name: Literal["absolute"]
    base: Literal["np", "hnp"] = "hnp"
    channel_dropout: Probability = 0.0
    head: TwoWidths
    dropout: Probability = 0.0

    @property
    def respects(self) -> Group:
        """Sign flips."""
        return "sign"


class MonomialClassifier(AbsoluteClassifier):
    """Sign-equivariant layers and the absolute value in front of NP or HNP layers."""

    name: Literal["monomial"]  # type: ignore[assignment]
    channels: Widths
    activation: Literal["sin", "tanh"] = "sin"
    sign_terms: Flag = True
    messages: Flag = False
    keep_input: Flag = False
    unit_scale: Flag = False


class Mlp(Model):
    """A multilayer perceptron on the flat weights."""

    name: Literal["mlp"]
    hidden: Widths


class MlpClassifier(Mlp):
    """The same with dropout of hidden units."""

    dropout: Probability = 0.0


class PermutationEditor(_Stack):
    """NP or HNP layers, one more to one channel, and learned scales."""

    name: Literal["np", "hnp"]


class MonomialEditor(_Stack):
    """Sign-equivariant layers with nothing between them, in front of the NP editor, as published."""

    name: Literal["monomial"]
    channels: Widths = (16, 1)
    sign_terms: Flag = True

    @property
    def respects(self) -> Group:
        """Sign flips."""
        return "sign"


class StrictEditor(_Stack):
    """Odd features times gates: commutes with permutations and sign flips."""

    name: Literal["monomial-strict"]
    channels: Widths
    activation: Literal["sin", "tanh"] = "sin"
    sign_terms: Flag = True
    messages: Flag = True
    unit_scale: Flag = True
    sharpness: Positive = 10.0

    @property
    def respects(self) -> Group:
        """Sign flips."""
        return "sign"


MODELS: Mapping[str, Mapping[str, type[Model]]] = {
    "generalization": {
        "monomial": Monomial,
        "statnn": StatisticsOrFlat,
        "np": PermutationGeneralization,
        "hnp": PermutationGeneralization,
        "gnn": GraphNetwork,
        "mlp": StatisticsOrFlat,
    },
    "classification": {
        "monomial": MonomialClassifier,
        "absolute": AbsoluteClassifier,
        "hnp": PermutationClassifier,
        "np": PermutationClassifier,
        "mlp": MlpClassifier,
    },
    "editing": {
        "monomial-strict": StrictEditor,
        "monomial": MonomialEditor,
        "hnp": PermutationEditor,
        "np": PermutationEditor,
        "mlp": Mlp,
    },
}
"""By task, then by name."""
