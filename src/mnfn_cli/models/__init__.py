"""Complete neural functionals: modules that read networks' weights. ``recipe.models`` lists them with their options."""

from typing import TYPE_CHECKING

from mnfn_cli.lazy_names import lazy_names

if TYPE_CHECKING:
    from mnfn_cli.models.accuracy import AccuracyPredictor as AccuracyPredictor
    from mnfn_cli.models.functional import ClosedFormFunctional as ClosedFormFunctional
    from mnfn_cli.models.functional import Functional as Functional
    from mnfn_cli.models.functional import LearnedInputs as LearnedInputs
    from mnfn_cli.models.functional import count_parameters as count_parameters
    from mnfn_cli.models.generalization import FlatMlp as FlatMlp
    from mnfn_cli.models.generalization import GNNGeneralization as GNNGeneralization
    from mnfn_cli.models.generalization import HNPGeneralization as HNPGeneralization
    from mnfn_cli.models.generalization import NPGeneralization as NPGeneralization
    from mnfn_cli.models.generalization import StatisticsMlp as StatisticsMlp
    from mnfn_cli.models.generalization import StatNN as StatNN
    from mnfn_cli.models.graded import GradedClassifier as GradedClassifier
    from mnfn_cli.models.graded_editor import GradedEditor as GradedEditor
    from mnfn_cli.models.learned_test_set import LearnedTestSet as LearnedTestSet
    from mnfn_cli.models.mlp import MlpClassifier as MlpClassifier
    from mnfn_cli.models.mlp import MlpEditor as MlpEditor
    from mnfn_cli.models.monomial import MonomialGeneralization as MonomialGeneralization
    from mnfn_cli.models.monomial_inr import AbsoluteClassifier as AbsoluteClassifier
    from mnfn_cli.models.monomial_inr import MonomialClassifier as MonomialClassifier
    from mnfn_cli.models.monomial_inr import MonomialEditor as MonomialEditor
    from mnfn_cli.models.odd import OddFeatures as OddFeatures
    from mnfn_cli.models.permutation import HNPClassifier as HNPClassifier
    from mnfn_cli.models.permutation import HNPEditor as HNPEditor
    from mnfn_cli.models.permutation import NPClassifier as NPClassifier
    from mnfn_cli.models.permutation import NPEditor as NPEditor
    from mnfn_cli.models.permutation import PermutationStack as PermutationStack
    from mnfn_cli.models.probe import ProbeClassifier as ProbeClassifier
    from mnfn_cli.models.shared import SharedFunctional as SharedFunctional
    from mnfn_cli.models.strict_editor import StrictEditor as StrictEditor
    from mnfn_cli.models.trees import Trees as Trees
    from mnfn_cli.models.trees import TreesOnTestSet as TreesOnTestSet

__all__ = [
    "AbsoluteClassifier",
    "AccuracyPredictor",
    "ClosedFormFunctional",
    "FlatMlp",
    "Functional",
    "GNNGeneralization",
    "GradedClassifier",
    "GradedEditor",
    "HNPClassifier",
    "HNPEditor",
    "HNPGeneralization",
    "LearnedInputs",
    "LearnedTestSet",
    "MlpClassifier",
    "MlpEditor",
    "MonomialClassifier",
    "MonomialEditor",
    "MonomialGeneralization",
    "NPClassifier",
    "NPEditor",
    "NPGeneralization",
    "OddFeatures",
    "PermutationStack",
    "ProbeClassifier",
    "SharedFunctional",
    "StatNN",
    "StatisticsMlp",
    "StrictEditor",
    "Trees",
    "TreesOnTestSet",
    "count_parameters",
]

__getattr__ = lazy_names(
    __name__,
    {
        "mnfn_cli.models.accuracy": "AccuracyPredictor",
        "mnfn_cli.models.functional": "ClosedFormFunctional Functional LearnedInputs count_parameters",
        "mnfn_cli.models.generalization": "FlatMlp GNNGeneralization HNPGeneralization NPGeneralization StatNN "
        "StatisticsMlp",
        "mnfn_cli.models.graded": "GradedClassifier",
        "mnfn_cli.models.graded_editor": "GradedEditor",
        "mnfn_cli.models.learned_test_set": "LearnedTestSet",
        "mnfn_cli.models.mlp": "MlpClassifier MlpEditor",
        "mnfn_cli.models.monomial": "MonomialGeneralization",
        "mnfn_cli.models.monomial_inr": "AbsoluteClassifier MonomialClassifier MonomialEditor",
        "mnfn_cli.models.odd": "OddFeatures",
        "mnfn_cli.models.permutation": "HNPClassifier HNPEditor NPClassifier NPEditor PermutationStack",
        "mnfn_cli.models.probe": "ProbeClassifier",
        "mnfn_cli.models.shared": "SharedFunctional",
        "mnfn_cli.models.strict_editor": "StrictEditor",
        "mnfn_cli.models.trees": "Trees TreesOnTestSet",
    },
)
