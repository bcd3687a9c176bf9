"""The one place that declares models: options with their defaults, the class that is built, the published design.

A recipe's task and the model's name choose the declaration. Nothing here imports torch: the class is named, and
imported when a model is built.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, ClassVar, Literal, get_args

from pydantic import Field, ValidationInfo, field_validator

from mnfn_cli.errors import RecipeError
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
    """What every declaration of a model has.

    Attributes:
        built_by: the functional's class, or where it is, as ``module:class``. It is called with the ``NetworkSpec`` and
            all options by keyword.
        published: the name of the shipped recipe that holds the published design; ``{family}`` in it stands for
            ``relu`` or ``tanh``, as the networks are. Empty where every option has a default.
        closed_form: whether the functional is fitted in one go instead of by gradient steps.
    """

    built_by: ClassVar[str | Callable[..., Any]]
    published: ClassVar[str] = ""
    closed_form: ClassVar[bool] = False

    name: str

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names by which recipes choose this declaration."""
        return get_args(cls.model_fields["name"].annotation)

    @classmethod
    def builder(cls) -> Any:
        """Return the functional's class, imported if need be."""
        if not isinstance(cls.built_by, str):
            return cls.built_by
        module, _, name = cls.built_by.partition(":")
        return getattr(import_module(module), name)

    def options(self) -> dict[str, Any]:
        """Return what to hand to the functional's class by keyword: every option, without the model's name."""
        return self.model_dump(exclude={"name"})

    @property
    def respects(self) -> Group | None:
        """The group that networks must have for this model to make sense; None if it does not matter."""
        return None


class AccuracyModel(Model):
    """Options of every model that predicts generalisation."""

    head: TwoWidths
    dropout: Probability = 0.0
    canonicalize: Flag = False


class Monomial(Model):
    """Equivariant layers, an invariant function, mean pooling, and a head with two hidden layers."""

    built_by = "mnfn_cli.models.monomial:MonomialGeneralization"
    published = "generalization/{family}-monomial"

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


class StatNN(AccuracyModel):
    """A head on statistics of the weights."""

    built_by = "mnfn_cli.models.generalization:StatNN"
    published = "generalization/{family}-statnn"

    name: Literal["statnn"]


class FlatMlp(AccuracyModel):
    """A head on the flat weights."""

    built_by = "mnfn_cli.models.generalization:FlatMlp"
    published = "generalization/{family}-mlp"

    name: Literal["mlp"]


class Gnn(AccuracyModel):
    """Message passing on the network's graph, mean pooling and a head."""

    built_by = "mnfn_cli.models.generalization:Gnn"
    published = "generalization/{family}-gnn"

    name: Literal["gnn"]
    size: Count
    rounds: Count


class Np(AccuracyModel):
    """NP layers on standardised weights, mean pooling and a head."""

    built_by = "mnfn_cli.models.generalization:Np"
    published = "generalization/{family}-np"

    name: Literal["np"]
    channels: Widths


class Hnp(AccuracyModel):
    """HNP layers, mean pooling and a head."""

    built_by = "mnfn_cli.models.generalization:Hnp"
    published = "generalization/{family}-hnp"

    name: Literal["hnp"]
    channels: Widths


class Fourier(Section):
    """Gaussian Fourier features: how many frequencies, and their standard deviation."""

    size: Count
    scale: Positive


class Encoding(Section):
    """Input/output encoding: how many bands, and twice the highest frequency."""

    bands: Count
    max_freq: Real = Field(ge=2)


class Stack(Model):
    """Options of permutation-equivariant layers with what stands in front of them."""

    fourier: Fourier | None = None
    encoding: Encoding | None = None
    base_channels: Widths


class Classifier(Stack):
    """Options of every classifier that ends in permutation-equivariant layers."""

    channel_dropout: Probability = 0.0
    head: TwoWidths
    dropout: Probability = 0.0


class NpClassifier(Classifier):
    """NP layers, mean pooling and a head."""

    built_by = "mnfn_cli.models.permutation:NpClassifier"
    published = "classification/mnist-np"

    name: Literal["np"]


class HnpClassifier(Classifier):
    """HNP layers, mean pooling and a head."""

    built_by = "mnfn_cli.models.permutation:HnpClassifier"
    published = "classification/mnist-hnp"

    name: Literal["hnp"]


class AbsoluteClassifier(Classifier):
    """The absolute value of every weight in front of NP or HNP layers."""

    built_by = "mnfn_cli.models.monomial_inr:AbsoluteClassifier"
    published = "classification/mnist-absolute"

    name: Literal["absolute"]
    base: Literal["np", "hnp"] = "hnp"

    @property
    def respects(self) -> Group:
        """Sign flips."""
        return "sign"


class MonomialClassifier(AbsoluteClassifier):
    """Sign-equivariant layers and the absolute value in front of NP or HNP layers."""

    built_by = "mnfn_cli.models.monomial_inr:MonomialClassifier"
    published = "classification/mnist-monomial"

    name: Literal["monomial"]  # type: ignore[assignment]
    channels: Widths
    activation: Literal["sin", "tanh"] = "sin"
    sign_terms: Flag = True
    messages: Flag = False
    keep_input: Flag = False
    unit_scale: Flag = False


class MlpClassifier(Model):
    """A multilayer perceptron on the flat weights, with dropout of hidden units."""

    built_by = "mnfn_cli.models.mlp:MlpClassifier"
    published = "classification/mnist-mlp"

    name: Literal["mlp"]
    hidden: Widths
    dropout: Probability = 0.0


class MlpEditor(Model):
    """A multilayer perceptron on the flat weights."""

    built_by = "mnfn_cli.models.mlp:MlpEditor"
    published = "editing/mnist-dilate-mlp"

    name: Literal["mlp"]
    hidden: Widths


class NpEditor(Stack):
    """NP layers, one more to one channel, and learned scales."""

    built_by = "mnfn_cli.models.permutation:NpEditor"
    published = "editing/mnist-dilate-np"

    name: Literal["np"]


class HnpEditor(Stack):
    """HNP layers, one more to one channel, and learned scales."""

    built_by = "mnfn_cli.models.permutation:HnpEditor"
    published = "editing/mnist-dilate-hnp"

    name: Literal["hnp"]


class MonomialEditor(Stack):
    """Sign-equivariant layers with nothing between them, in front of the NP editor, as published."""

    built_by = "mnfn_cli.models.monomial_inr:MonomialEditor"
    published = "editing/mnist-dilate-monomial"

    name: Literal["monomial"]
    channels: Widths = (16, 1)
    sign_terms: Flag = True

    @property
    def respects(self) -> Group:
        """Sign flips."""
        return "sign"


class StrictEditor(Stack):
    """Odd features times gates: commutes with permutations and sign flips."""

    built_by = "mnfn_cli.models.strict_editor:StrictEditor"
    published = "editing/mnist-dilate-monomial-strict"

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


def _by_name(*models: type[Model]) -> dict[str, type[Model]]:
    return {name: model for model in models for name in model.names()}


MODELS: Mapping[str, dict[str, type[Model]]] = {
    "generalization": _by_name(Monomial, StatNN, Np, Hnp, Gnn, FlatMlp),
    "classification": _by_name(MonomialClassifier, AbsoluteClassifier, HnpClassifier, NpClassifier, MlpClassifier),
    "editing": _by_name(StrictEditor, MonomialEditor, HnpEditor, NpEditor, MlpEditor),
}
"""By task, then by name."""


def declare_model(task: str, model: type[Model]) -> type[Model]:
    """Make a model known, so that recipes of ``task`` may choose it by its name.

    Args:
        task: a key of ``MODELS``.
        model: its declaration.

    Returns:
        ``model``.

    Raises:
        RecipeError: there is no such task, or it has another model of that name.
    """
    if task not in MODELS:
        raise RecipeError(task, f"no such task; known: {', '.join(MODELS)}")
    known = MODELS[task]
    for name in model.names():
        if name in known and known[name] is not model:
            raise RecipeError(f"{task}/{name}", "a model of that name is there already; choose another name")
        known[name] = model
    return model
