"""The one list of models: ``task/name`` to a builder and the paper's options."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import nn

from mnfn_cli.errors import UsageError
from mnfn_cli.models.flat_mlp import FlatMlp
from mnfn_cli.models.gnn import Gnn
from mnfn_cli.models.hnp import Hnp
from mnfn_cli.models.mlp import MlpClassifier, MlpEditor
from mnfn_cli.models.monomial import MonomialGeneralization
from mnfn_cli.models.monomial_inr import MonomialClassifier, MonomialEditor
from mnfn_cli.models.np import Np
from mnfn_cli.models.permutation import PermutationClassifier, PermutationEditor
from mnfn_cli.models.statnn import StatNN
from mnfn_cli.models.strict_editor import StrictEditor
from mnfn_cli.symmetry import INVARIANT_STEPS, LAYER_ACTIVATIONS
from mnfn_cli.weightspace.spec import NetworkSpec

MODELS: Mapping[str, Callable[..., nn.Module]] = {
    "generalization/monomial": MonomialGeneralization,
    "generalization/statnn": StatNN,
    "generalization/np": Np,
    "generalization/hnp": Hnp,
    "generalization/gnn": Gnn,
    "generalization/mlp": FlatMlp,
    "classification/monomial": MonomialClassifier,
    "classification/absolute": MonomialClassifier,
    "classification/hnp": partial(PermutationClassifier, base="hnp"),
    "classification/np": partial(PermutationClassifier, base="np"),
    "classification/mlp": MlpClassifier,
    "editing/monomial-strict": StrictEditor,
    "editing/monomial": MonomialEditor,
    "editing/hnp": partial(PermutationEditor, base="hnp"),
    "editing/np": partial(PermutationEditor, base="np"),
    "editing/mlp": MlpEditor,
}

_FOURIER = {"size": 128, "scale": 3.0}
_CLASSIFIER = {"fourier": _FOURIER, "base_channels": [256] * 3, "head": [1000, 1000], "dropout": 0.1}
_EDITOR = {"fourier": _FOURIER, "base_channels": [128] * 3}
_BANDS = {"bands": 3, "max_freq": 3.0}

PUBLISHED: Mapping[str, Mapping[str, Any]] = {
    "generalization/statnn": {"head": [1000, 1000]},
    "generalization/np": {"channels": [16, 16, 5], "head": [1000, 1000]},
    "generalization/hnp": {"channels": [16, 16, 5], "head": [1000, 1000]},
    "generalization/gnn": {"size": 64, "rounds": 4, "head": [1000, 1000]},
    "generalization/mlp": {"head": [1000, 1000]},
    "classification/monomial": {"channels": [64, 64, 1], "base": "hnp", "channel_dropout": 0.1, **_CLASSIFIER},
    "classification/absolute": {"base": "hnp", "channel_dropout": 0.1, **_CLASSIFIER},
    "classification/hnp": {"channel_dropout": 0.1, **_CLASSIFIER},
    "classification/np": {"channel_dropout": 0.1, "encoding": {"bands": 6, "max_freq": 10.0}, **_CLASSIFIER},
    "classification/mlp": {"hidden": [1000, 1000]},
    "editing/monomial-strict": {"channels": [16, 4], "encoding": _BANDS, **_EDITOR},
    "editing/monomial": {"channels": [16, 1], "encoding": _BANDS, **_EDITOR},
    "editing/hnp": _EDITOR,
    "editing/np": {"encoding": _BANDS, **_EDITOR},
    "editing/mlp": {"hidden": [1000, 1000, 1000]},
}
"""The options of the published models: the MNIST design for classification. Those of ``absolute`` and
``monomial-strict``, which nobody published, are sized like their neighbours; ``gnn`` is smaller than the paper's."""


def published_options(name: str, spec: NetworkSpec) -> Mapping[str, Any]:
    """Return the options of the published model for a weight space (paper, Appendix)."""
    if name != "generalization/monomial":
        return PUBLISHED[name]
    fitting = {"activation": LAYER_ACTIVATIONS[spec.group][0], "invariant": INVARIANT_STEPS[spec.group][0]}
    if spec.group == "sign":
        return {
            "channels": [16, 16, 5],
            "head": [1000, 1000],
            **fitting,
            "sign_terms": False,
        }
    return {"channels": [16, 16, 5], "head": [200, 200], **fitting}


def build_model(name: str, spec: NetworkSpec, **options: Any) -> nn.Module:
    """Build a complete functional.

    Args:
        name: ``task/model``, a key of ``MODELS``.
        spec: the weight space it reads.
        options: in place of the published ones; an option that is not named stays as published.

    Raises:
        UsageError: an unknown name, or options that do not fit the weight space.

    >>> spec = NetworkSpec.cnn([1, 16, 16, 16], stride=2, outputs=10, activation="relu")
    >>> sum(parameter.numel() for parameter in build_model("generalization/monomial", spec).parameters())
    254609
    """
    if name not in MODELS:
        raise UsageError("build_model", f"unknown model '{name}'; known: {', '.join(MODELS)}")
    return MODELS[name](spec, **{**published_options(name, spec), **options})
