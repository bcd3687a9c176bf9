"""The declarations of models: their options with defaults, the class that is built, and the published recipe.

A recipe's task and the name of its model choose the declaration. Classes are named by text and imported when a model is
built, so that nothing here imports torch.
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
from mnfn_cli.symmetry import GROUP_OF_ACTIVATION, INVARIANT_STEPS, Group, Sharing


class Model(Section):
    """The base class of declarations. The fields of a subclass are the model's options in the section ``model``.

    Attributes:
        built_by: the class of the functional, or its place as the text ``module:class``. It is called with the
            ``NetworkSpec`` and with all options as keyword arguments.
        published: the name of the shipped recipe with the published options. ``{family}`` in it stands for ``relu`` or
            ``tanh``, according to the networks. Empty if every option has a default.
        closed_form: whether the functional is fitted in closed form instead of by gradient steps.
        shares: which parameters the functional has in common for several weight spaces of a zoo; by default it reads
            one. See ``symmetry.Sharing``.
        name: the name by which recipes choose the model.
    """

    built_by: ClassVar[str | Callable[..., Any]]
    published: ClassVar[str] = ""
    closed_form: ClassVar[bool] = False
    shares: ClassVar[Sharing] = "none"

    name: str

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names by which recipes choose this model."""
        return get_args(cls.model_fields["name"].annotation)

    @classmethod
    def builder(cls) -> Any:
        """Return the class of the functional, after importing it if necessary."""
        if not isinstance(cls.built_by, str):
            return cls.built_by
        module, _, name = cls.built_by.partition(":")
        return getattr(import_module(module), name)

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of the functional's class: all options, without the model's name."""
        return self.model_dump(exclude={"name"})

    @property
    def respects(self) -> Group | None:
        """The symmetry group that the networks must have; None if the model reads networks of any group."""
        return None


class AccuracyModel(Model):
    """Options of all models that predict accuracy (``models.accuracy.AccuracyPredictor``)."""

    head: TwoWidths
    dropout: Probability = 0.0
    canonicalize: Flag = False


class Monomial(Model):
    """Monomial layers, an invariant step, mean pooling, and an MLP with two hidden layers."""

    built_by = "mnfn_cli.models.monomial:MonomialGeneralization"
    published = "generalization/{family}-monomial"
    shares = "group"

    name: Literal["monomial"]
    channels: Widths
    head: TwoWidths
    activation: Literal["relu", "tanh", "sin", "auto"] = "relu"
    invariant: Literal["normalize", "absolute", "auto"] = Field("normalize", validate_default=True)
    sign_terms: Flag = False
    hnp_channels: tuple[Count, ...] = ()
    dropout: Probability = 0.0
    canonicalize: Flag = False

    @field_validator("invariant")
    @classmethod
    def _invariant_fits(cls, invariant: str, info: ValidationInfo) -> str:
        activation = info.data.get("activation")
        if activation is None:
            return invariant
        fitting = ("auto",) if activation == "auto" else INVARIANT_STEPS[GROUP_OF_ACTIVATION[activation]]
        if invariant not in fitting:
            raise ValueError(f"'{fitting[0]}' is needed beside activation '{activation}', not '{invariant}'")
        return invariant

    @property
    def respects(self) -> Group | None:
        """The group of the layers' activation; None for ``auto``, which takes the networks' group."""
        return GROUP_OF_ACTIVATION.get(self.activation)


class StatNN(AccuracyModel):
    """An MLP on statistics of the weights."""

    built_by = "mnfn_cli.models.generalization:StatNN"
    published = "generalization/{family}-statnn"
    shares = "all"

    name: Literal["statnn"]


class FlatMlp(AccuracyModel):
    """An MLP on the flattened weights."""

    built_by = "mnfn_cli.models.generalization:FlatMlp"
    published = "generalization/{family}-mlp"

    name: Literal["mlp"]


class Gnn(AccuracyModel):
    """Message passing on the network's graph, mean pooling and an MLP."""

    built_by = "mnfn_cli.models.generalization:Gnn"
    published = "generalization/{family}-gnn"
    shares = "fitting"

    name: Literal["gnn"]
    size: Count
    rounds: Count


class Np(AccuracyModel):
    """NP layers on standardised weights, mean pooling and an MLP."""

    built_by = "mnfn_cli.models.generalization:Np"
    published = "generalization/{family}-np"
    shares = "all"

    name: Literal["np"]
    channels: Widths


class Hnp(AccuracyModel):
    """HNP layers, mean pooling and an MLP."""

    built_by = "mnfn_cli.models.generalization:Hnp"
    published = "generalization/{family}-hnp"
    shares = "all"

    name: Literal["hnp"]
    channels: Widths


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


class Classifier(Stack):
    """Options of ``models.permutation.PermutationClassifier``."""

    channel_dropout: Probability = 0.0
    head: TwoWidths
    dropout: Probability = 0.0


class NpClassifier(Classifier):
    """A classifier with NP layers, mean pooling and an MLP."""

    built_by = "mnfn_cli.models.permutation:NpClassifier"
    published = "classification/mnist-np"
    shares = "all"

    name: Literal["np"]


class HnpClassifier(Classifier):
    """A classifier with HNP layers, mean pooling and an MLP."""

    built_by = "mnfn_cli.models.permutation:HnpClassifier"
    published = "classification/mnist-hnp"
    shares = "all"

    name: Literal["hnp"]


class AbsoluteClassifier(Classifier):
    """A classifier that applies NP or HNP layers to the absolute values of the weights."""

    built_by = "mnfn_cli.models.monomial_inr:AbsoluteClassifier"
    published = "classification/mnist-absolute"
    shares = "all"

    name: Literal["absolute"]
    base: Literal["np", "hnp"] = "hnp"

    @property
    def respects(self) -> Group:
        """The sign group."""
        return "sign"


class MonomialClassifier(AbsoluteClassifier):
    """A classifier with sign-equivariant layers and the absolute value, followed by NP or HNP layers."""

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
    """A classifier that is an MLP on the flattened weights."""

    built_by = "mnfn_cli.models.mlp:MlpClassifier"
    published = "classification/mnist-mlp"

    name: Literal["mlp"]
    hidden: Widths
    dropout: Probability = 0.0


class MlpEditor(Model):
    """An editor that is an MLP on the flattened weights."""

    built_by = "mnfn_cli.models.mlp:MlpEditor"
    published = "editing/mnist-dilate-mlp"

    name: Literal["mlp"]
    hidden: Widths


class NpEditor(Stack):
    """An editor with NP layers, the last with one output channel, and learned scales."""

    built_by = "mnfn_cli.models.permutation:NpEditor"
    published = "editing/mnist-dilate-np"

    name: Literal["np"]


class HnpEditor(Stack):
    """An editor with HNP layers, the last with one output channel, and learned scales."""

    built_by = "mnfn_cli.models.permutation:HnpEditor"
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


class StrictEditor(Stack):
    """An editor that is equivariant to permutations and sign flips: sign-equivariant features times gates."""

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
        """The sign group."""
        return "sign"


def _by_name(*models: type[Model]) -> dict[str, type[Model]]:
    return {name: model for model in models for name in model.names()}


MODELS: Mapping[str, dict[str, type[Model]]] = {
    "generalization": _by_name(Monomial, StatNN, Np, Hnp, Gnn, FlatMlp),
    "classification": _by_name(MonomialClassifier, AbsoluteClassifier, HnpClassifier, NpClassifier, MlpClassifier),
    "editing": _by_name(StrictEditor, MonomialEditor, HnpEditor, NpEditor, MlpEditor),
}
"""All declarations, by the name of the task and then by the name of the model."""


def declare_model(task: str, model: type[Model]) -> type[Model]:
    """Add a declaration to ``MODELS``, so that recipes of ``task`` can choose the model by its name.

    Args:
        task: the task of the model, a key of ``MODELS``.
        model: the declaration of the model.

    Returns:
        ``model``.

    Raises:
        RecipeError: there is no such task, or it already has another model of this name; or the model is fitted in
            closed form and shares parameters, although such a functional reads one weight space.
    """
    if task not in MODELS:
        raise RecipeError(task, f"no such task; known: {', '.join(MODELS)}")
    if model.closed_form and model.shares != "none":
        raise RecipeError(f"{task}/{model.names()[0]}", "is fitted in closed form, so it shares no parameters")
    known = MODELS[task]
    for name in model.names():
        if name in known and known[name] is not model:
            raise RecipeError(f"{task}/{name}", "a model of that name is there already; choose another name")
        known[name] = model
    return model
