"""The declarations of models that predict the class of the picture in an INR."""

from typing import Annotated, Literal

from pydantic import Field

from mnfn_cli.recipe.declaration import Model
from mnfn_cli.recipe.sections import Count, Flag, Probability, Real, TwoWidths, Widths
from mnfn_cli.recipe.stack import OddLayers, Stack
from mnfn_cli.symmetry import Access, Group


class Classifier(Stack):
    """Options of ``models.permutation.PermutationClassifier``."""

    channel_dropout: Probability = 0.0
    head: TwoWidths
    dropout: Probability = 0.0


class NPClassifier(Classifier):
    """A classifier with NP layers, mean pooling and an MLP."""

    built_by = "mnfn_cli.models.permutation:NPClassifier"
    published = "classification/mnist-np"
    shares = "all"

    name: Literal["np"]


class HNPClassifier(Classifier):
    """A classifier with HNP layers, mean pooling and an MLP."""

    built_by = "mnfn_cli.models.permutation:HNPClassifier"
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


class MonomialClassifier(OddLayers, AbsoluteClassifier):
    """A classifier with sign-equivariant layers and the absolute value, followed by NP or HNP layers."""

    built_by = "mnfn_cli.models.monomial_inr:MonomialClassifier"
    published = "classification/mnist-monomial"

    name: Literal["monomial"]  # type: ignore[assignment]
    keep_input: Flag = False


class GradedClassifier(Model):
    """Graded features of neurons and messages along weights: invariant to the full symmetry group of sine."""

    built_by = "mnfn_cli.models.graded:GradedClassifier"
    published = "classification/digits-graded"

    name: Literal["graded"]
    size: Count
    rounds: Count
    directions: Count
    head: TwoWidths
    dropout: Probability = 0.0
    pictures: Annotated[Real, Field(ge=0)] = 0.0
    distortion: Annotated[Real, Field(ge=0)] = 0.0

    @property
    def respects(self) -> Group:
        """The sign group, which sine extends by shifts."""
        return "sign"


class MlpClassifier(Model):
    """A classifier that is an MLP on the flattened weights."""

    built_by = "mnfn_cli.models.mlp:MlpClassifier"
    published = "classification/mnist-mlp"

    name: Literal["mlp"]
    hidden: Widths
    dropout: Probability = 0.0


class ProbeClassifier(Model):
    """A classifier that runs the INR on learned points, and an MLP on the outputs."""

    built_by = "mnfn_cli.models.probe:ProbeClassifier"
    published = "classification/mnist-probe"
    shares = "fitting"

    name: Literal["probe"]
    points: Count
    hidden: Widths
    dropout: Probability = 0.0
    distortion: Annotated[Real, Field(ge=0)] = 0.0

    @property
    def reads(self) -> Access:
        """It runs the network on its points."""
        return "runs the network"
