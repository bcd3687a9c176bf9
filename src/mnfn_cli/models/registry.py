"""The one list of models: ``task/name`` to a builder and the paper's options."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from mnfn_cli.errors import UsageError
from mnfn_cli.models.monomial import MonomialGeneralization
from mnfn_cli.weightspace.spec import NetworkSpec

MODELS: Mapping[str, Callable[..., nn.Module]] = {
    "generalization/monomial": MonomialGeneralization,
}


def published_options(name: str, spec: NetworkSpec) -> dict[str, Any]:
    """Return the options of the published model for a weight space (paper, Appendix)."""
    if name == "generalization/monomial" and spec.group == "sign":
        return {
            "channels": [16, 16, 5],
            "head": [1000, 1000],
            "activation": "tanh",
            "invariant": "absolute",
            "sign_terms": False,
        }
    return {"channels": [16, 16, 5], "head": [200, 200], "activation": "relu", "invariant": "normalize"}


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
    return MODELS[name](spec, **(published_options(name, spec) | options))
