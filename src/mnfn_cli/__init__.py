"""Neural networks' weights as data: zoos, monomial symmetry, neural functionals and their tasks.

The names below are the public API. They are imported on first use, so that ``import mnfn_cli`` does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mnfn_cli.version import __version__

if TYPE_CHECKING:
    from mnfn_cli.nn.monomial import MonomialLinear as MonomialLinear
    from mnfn_cli.nn.permutation import HNPLinear as HNPLinear
    from mnfn_cli.nn.permutation import NPLinear as NPLinear
    from mnfn_cli.tasks.finished_run import load_run as load_run
    from mnfn_cli.tasks.functional import build_model as build_model
    from mnfn_cli.weightspace.canonical import canonicalize as canonicalize
    from mnfn_cli.weightspace.features import WeightSpaceFeatures as WeightSpaceFeatures
    from mnfn_cli.weightspace.forward_pass import run_networks as run_networks
    from mnfn_cli.weightspace.group import MonomialElement as MonomialElement
    from mnfn_cli.weightspace.spec import NetworkSpec as NetworkSpec
    from mnfn_cli.zoo.store import open_zoo as open_zoo
    from mnfn_cli.zoo.writer import save_zoo as save_zoo

_HOME = {
    "HNPLinear": "mnfn_cli.nn.permutation",
    "MonomialElement": "mnfn_cli.weightspace.group",
    "MonomialLinear": "mnfn_cli.nn.monomial",
    "NPLinear": "mnfn_cli.nn.permutation",
    "NetworkSpec": "mnfn_cli.weightspace.spec",
    "WeightSpaceFeatures": "mnfn_cli.weightspace.features",
    "build_model": "mnfn_cli.tasks.functional",
    "canonicalize": "mnfn_cli.weightspace.canonical",
    "load_run": "mnfn_cli.tasks.finished_run",
    "open_zoo": "mnfn_cli.zoo.store",
    "run_networks": "mnfn_cli.weightspace.forward_pass",
    "save_zoo": "mnfn_cli.zoo.writer",
}

__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mnfn_cli' has no attribute '{name}'")
    return getattr(import_module(_HOME[name]), name)
