"""All models by task: the shipped ones, and those that plugins declare.

A recipe's task and the name of its model choose the declaration. Classes are named by text and imported when a model is
built, so that nothing here imports torch.
"""

from collections.abc import Mapping

from mnfn_cli.errors import RecipeError
from mnfn_cli.recipe.classification_models import (
    AbsoluteClassifier,
    GradedClassifier,
    HNPClassifier,
    MlpClassifier,
    MonomialClassifier,
    NPClassifier,
    ProbeClassifier,
)
from mnfn_cli.recipe.declaration import Model
from mnfn_cli.recipe.editing_models import GradedEditor, HNPEditor, MlpEditor, MonomialEditor, NPEditor, StrictEditor
from mnfn_cli.recipe.generalization_models import (
    FlatMlp,
    Gnn,
    Hnp,
    LearnedTestSet,
    Monomial,
    Np,
    StatisticsMlp,
    StatNN,
    Trees,
)


def _by_name(*models: type[Model]) -> dict[str, type[Model]]:
    return {name: model for model in models for name in model.names()}


MODELS: Mapping[str, dict[str, type[Model]]] = {
    "generalization": _by_name(Monomial, StatNN, Np, Hnp, Gnn, FlatMlp, StatisticsMlp, LearnedTestSet, Trees),
    "classification": _by_name(
        MonomialClassifier,
        GradedClassifier,
        AbsoluteClassifier,
        HNPClassifier,
        NPClassifier,
        MlpClassifier,
        ProbeClassifier,
    ),
    "editing": _by_name(StrictEditor, GradedEditor, MonomialEditor, HNPEditor, NPEditor, MlpEditor),
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

    >>> from mnfn_cli.recipe import MODELS, declare_model
    >>> declare_model("generalization", MODELS["generalization"]["statnn"]).__name__
    'StatNN'
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
