"""The declarations of models that predict a number about each network, such as its test accuracy."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from mnfn_cli.recipe.declaration import Model
from mnfn_cli.recipe.sections import Count, Flag, Positive, Probability, Real, Section, TwoWidths, Widths, some
from mnfn_cli.symmetry import GROUP_OF_ACTIVATION, INVARIANT_STEPS, Access, Group

Statistics = tuple[Literal["canonical", "mean-field"], ...]
"""Statistics of the weights that no group element changes: keys of ``nn.invariant_statistics.STATISTICS``."""


class AccuracyModel(Model):
    """Options of all models that predict accuracy (``models.accuracy.AccuracyPredictor``)."""

    unbounded = True

    head: TwoWidths
    dropout: Probability = 0.0
    canonicalize: Flag = False
    statistics: Statistics = ()


class Monomial(Model):
    """Monomial layers, an invariant step, mean pooling, and an MLP with two hidden layers."""

    built_by = "mnfn_cli.models.monomial:MonomialGeneralization"
    published = "generalization/{family}-monomial"
    shares = "group"
    unbounded = True

    name: Literal["monomial"]
    channels: Widths
    head: TwoWidths
    activation: Literal["relu", "tanh", "sin", "auto"] = "relu"
    invariant: Literal["normalize", "absolute", "auto"] = Field("normalize", validate_default=True)
    sign_terms: Flag = False
    layer: Literal["linear", "messages"] = "linear"
    hnp_channels: tuple[Count, ...] = ()
    dropout: Probability = 0.0
    canonicalize: Flag = False
    statistics: Statistics = ()

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


class StatisticsMlp(Model):
    """MLPs on invariant statistics of the weights, which learn apart and answer together."""

    built_by = "mnfn_cli.models.generalization:StatisticsMlp"
    published = "generalization/{family}-canonical-statistics"
    shares = "all"
    unbounded = True

    name: Literal["statistics-mlp"]
    statistics: Annotated[Statistics, AfterValidator(some)] = ("canonical", "mean-field")
    members: Count = 1
    head: TwoWidths
    dropout: Probability = 0.0


class FlatMlp(AccuracyModel):
    """An MLP on the flattened weights."""

    built_by = "mnfn_cli.models.generalization:FlatMlp"
    published = "generalization/{family}-mlp"

    name: Literal["mlp"]


class Gnn(AccuracyModel):
    """Message passing on the network's graph, mean pooling and an MLP."""

    built_by = "mnfn_cli.models.generalization:GNNGeneralization"
    published = "generalization/{family}-gnn"
    shares = "fitting"

    name: Literal["gnn"]
    size: Count
    rounds: Count


class Np(AccuracyModel):
    """NP layers on standardised weights, mean pooling and an MLP."""

    built_by = "mnfn_cli.models.generalization:NPGeneralization"
    published = "generalization/{family}-np"
    shares = "all"

    name: Literal["np"]
    channels: Widths


class Hnp(AccuracyModel):
    """HNP layers, mean pooling and an MLP."""

    built_by = "mnfn_cli.models.generalization:HNPGeneralization"
    published = "generalization/{family}-hnp"
    shares = "all"

    name: Literal["hnp"]
    channels: Widths


class OnLearnedInputs(Model):
    """Options of the models that learn a test set (``models.learned_test_set.LearnedTestSet``)."""

    unbounded = True

    members: Count = 3
    questions: Count = 128
    asked: Count = 32
    noise: Annotated[Real, Field(ge=0)] = 0.5
    input_size: TwoWidths | None = None


class LearnedTestSet(OnLearnedInputs):
    """Learned inputs with learned answers, with which an accurate network agrees."""

    built_by = "mnfn_cli.models.learned_test_set:LearnedTestSet"
    published = "generalization/{family}-learned-test-set"

    name: Literal["learned-test-set"]

    @property
    def reads(self) -> Access:
        """It runs the network on its inputs."""
        return "runs the network"


class ForestSizes(Section):
    """Options of the trees (``models.forest.ForestOptions``)."""

    trees: Count = 300
    tree_leaf: Count = 2
    tree_features: Annotated[Positive, Field(le=1)] = 1 / 3
    rounds: Count = 200
    round_rate: Positive = 0.05
    round_leaves: Annotated[Count, Field(ge=2)] = 12
    round_leaf: Count = 15
    round_penalty: Annotated[Real, Field(ge=0)] = 1.0


class Trees(OnLearnedInputs):
    """Trees on features ``Y`` of a learned test set, ``S`` of canonical weights, ``P`` of responses to fixed inputs."""

    built_by = "mnfn_cli.models.trees:build_trees"
    published = "generalization/{family}-trees"

    name: Literal["trees"]
    features: tuple[Literal["Y", "S", "P"], ...]
    probes: Count = 48
    forest: ForestSizes = ForestSizes()

    @field_validator("features")
    @classmethod
    def _some_each_once(cls, features: tuple[str, ...]) -> tuple[str, ...]:
        if not features or len({*features}) < len(features):
            raise ValueError("one or more of Y, S and P are needed, each once")
        return features

    @property
    def fits_at_once(self) -> bool:
        """It has gradient steps if it learns a test set."""
        return "Y" not in self.features

    @property
    def reads(self) -> Access:
        """It runs the network unless it has the feature set ``S`` alone."""
        return "weights alone" if self.features == ("S",) else "runs the network"
