"""Weight spaces: their specification, features, the monomial group, the canonical form, and forward passes."""

from typing import TYPE_CHECKING

from mnfn_cli.lazy_names import lazy_names

if TYPE_CHECKING:
    from mnfn_cli.weightspace.alignment import Alignment as Alignment
    from mnfn_cli.weightspace.alignment import align as align
    from mnfn_cli.weightspace.canonical import canonicalize as canonicalize
    from mnfn_cli.weightspace.distortion import distort as distort
    from mnfn_cli.weightspace.features import WeightSpaceFeatures as WeightSpaceFeatures
    from mnfn_cli.weightspace.forward_pass import run_networks as run_networks
    from mnfn_cli.weightspace.group import MonomialElement as MonomialElement
    from mnfn_cli.weightspace.layout import Reading as Reading
    from mnfn_cli.weightspace.mixed import MixedFeatures as MixedFeatures
    from mnfn_cli.weightspace.mixed import join_networks as join_networks
    from mnfn_cli.weightspace.pooling import Pooling as Pooling
    from mnfn_cli.weightspace.rendering import pixel_grid as pixel_grid
    from mnfn_cli.weightspace.rendering import render as render
    from mnfn_cli.weightspace.shared_inputs import Responses as Responses
    from mnfn_cli.weightspace.shared_inputs import run_on_shared_inputs as run_on_shared_inputs
    from mnfn_cli.weightspace.spec import NetworkSpec as NetworkSpec

__all__ = [
    "Alignment",
    "MixedFeatures",
    "MonomialElement",
    "NetworkSpec",
    "Pooling",
    "Reading",
    "Responses",
    "WeightSpaceFeatures",
    "align",
    "canonicalize",
    "distort",
    "join_networks",
    "pixel_grid",
    "render",
    "run_networks",
    "run_on_shared_inputs",
]

__getattr__ = lazy_names(
    __name__,
    {
        "mnfn_cli.weightspace.alignment": "Alignment align",
        "mnfn_cli.weightspace.canonical": "canonicalize",
        "mnfn_cli.weightspace.distortion": "distort",
        "mnfn_cli.weightspace.features": "WeightSpaceFeatures",
        "mnfn_cli.weightspace.forward_pass": "run_networks",
        "mnfn_cli.weightspace.group": "MonomialElement",
        "mnfn_cli.weightspace.layout": "Reading",
        "mnfn_cli.weightspace.mixed": "MixedFeatures join_networks",
        "mnfn_cli.weightspace.pooling": "Pooling",
        "mnfn_cli.weightspace.rendering": "pixel_grid render",
        "mnfn_cli.weightspace.shared_inputs": "Responses run_on_shared_inputs",
        "mnfn_cli.weightspace.spec": "NetworkSpec",
    },
)
