"""Neural networks' weights as data: zoos, monomial symmetry, neural functionals and their tasks.

The names below are the public API. They are imported on first use, so that ``import mnfn_cli`` does not import torch.
"""

from typing import TYPE_CHECKING

from mnfn_cli.lazy_names import lazy_names
from mnfn_cli.version import __version__

if TYPE_CHECKING:
    from mnfn_cli.jobs import classify as classify
    from mnfn_cli.jobs import compare as compare
    from mnfn_cli.jobs import edit as edit
    from mnfn_cli.jobs import evaluate as evaluate
    from mnfn_cli.jobs import explain as explain
    from mnfn_cli.jobs import predict as predict
    from mnfn_cli.jobs import resume as resume
    from mnfn_cli.jobs import sweep as sweep
    from mnfn_cli.jobs import train as train
    from mnfn_cli.nn.monomial import MonomialLinear as MonomialLinear
    from mnfn_cli.nn.permutation import HNPLinear as HNPLinear
    from mnfn_cli.nn.permutation import NPLinear as NPLinear
    from mnfn_cli.pretrained import PretrainedRun as PretrainedRun
    from mnfn_cli.pretrained import list_pretrained as list_pretrained
    from mnfn_cli.report.page.report import Report as Report
    from mnfn_cli.report.page.report import write_report as write_report
    from mnfn_cli.report.pictures import render_zoo as render_zoo
    from mnfn_cli.report.plot import Plot as Plot
    from mnfn_cli.results import ComparisonResult as ComparisonResult
    from mnfn_cli.results import EditResult as EditResult
    from mnfn_cli.results import EvaluationResult as EvaluationResult
    from mnfn_cli.results import ExplanationResult as ExplanationResult
    from mnfn_cli.results import PredictionResult as PredictionResult
    from mnfn_cli.results import SweepResult as SweepResult
    from mnfn_cli.results import TrainingResult as TrainingResult
    from mnfn_cli.runtime.context import Context as Context
    from mnfn_cli.tasks.evaluation import Row as Row
    from mnfn_cli.tasks.exported import ExportedFunctional as ExportedFunctional
    from mnfn_cli.tasks.exported import export_functional as export_functional
    from mnfn_cli.tasks.finished_run import Run as Run
    from mnfn_cli.tasks.finished_run import design_of as design_of
    from mnfn_cli.tasks.finished_run import load_run as load_run
    from mnfn_cli.tasks.functional import build_model as build_model
    from mnfn_cli.tasks.metrics import Metric as Metric
    from mnfn_cli.weightspace.canonical import canonicalize as canonicalize
    from mnfn_cli.weightspace.features import WeightSpaceFeatures as WeightSpaceFeatures
    from mnfn_cli.weightspace.forward_pass import run_networks as run_networks
    from mnfn_cli.weightspace.group import MonomialElement as MonomialElement
    from mnfn_cli.weightspace.spec import NetworkSpec as NetworkSpec
    from mnfn_cli.zoo.augment import augment_zoo as augment_zoo
    from mnfn_cli.zoo.build.zoos import build_cnn_zoo as build_cnn_zoo
    from mnfn_cli.zoo.build.zoos import build_mlp_zoo as build_mlp_zoo
    from mnfn_cli.zoo.build.zoos import build_siren_zoo as build_siren_zoo
    from mnfn_cli.zoo.export import export_zoo as export_zoo
    from mnfn_cli.zoo.importing import import_zoo as import_zoo
    from mnfn_cli.zoo.store import Zoo as Zoo
    from mnfn_cli.zoo.store import open_zoo as open_zoo
    from mnfn_cli.zoo.verification import verify_zoo as verify_zoo
    from mnfn_cli.zoo.writer import save_zoo as save_zoo

__all__ = [
    "ComparisonResult",
    "Context",
    "EditResult",
    "EvaluationResult",
    "ExplanationResult",
    "ExportedFunctional",
    "HNPLinear",
    "Metric",
    "MonomialElement",
    "MonomialLinear",
    "NPLinear",
    "NetworkSpec",
    "Plot",
    "PredictionResult",
    "PretrainedRun",
    "Report",
    "Row",
    "Run",
    "SweepResult",
    "TrainingResult",
    "WeightSpaceFeatures",
    "Zoo",
    "__version__",
    "augment_zoo",
    "build_cnn_zoo",
    "build_mlp_zoo",
    "build_model",
    "build_siren_zoo",
    "canonicalize",
    "classify",
    "compare",
    "design_of",
    "edit",
    "evaluate",
    "explain",
    "export_functional",
    "export_zoo",
    "import_zoo",
    "list_pretrained",
    "load_run",
    "open_zoo",
    "predict",
    "render_zoo",
    "resume",
    "run_networks",
    "save_zoo",
    "sweep",
    "train",
    "verify_zoo",
    "write_report",
]

__getattr__ = lazy_names(
    __name__,
    {
        "mnfn_cli.jobs": "classify compare edit evaluate explain predict resume sweep train",
        "mnfn_cli.nn.monomial": "MonomialLinear",
        "mnfn_cli.nn.permutation": "HNPLinear NPLinear",
        "mnfn_cli.pretrained": "PretrainedRun list_pretrained",
        "mnfn_cli.report.page.report": "Report write_report",
        "mnfn_cli.report.pictures": "render_zoo",
        "mnfn_cli.report.plot": "Plot",
        "mnfn_cli.results": "ComparisonResult EditResult EvaluationResult ExplanationResult PredictionResult "
        "SweepResult TrainingResult",
        "mnfn_cli.runtime.context": "Context",
        "mnfn_cli.tasks.evaluation": "Row",
        "mnfn_cli.tasks.exported": "ExportedFunctional export_functional",
        "mnfn_cli.tasks.finished_run": "Run design_of load_run",
        "mnfn_cli.tasks.functional": "build_model",
        "mnfn_cli.tasks.metrics": "Metric",
        "mnfn_cli.weightspace.canonical": "canonicalize",
        "mnfn_cli.weightspace.features": "WeightSpaceFeatures",
        "mnfn_cli.weightspace.forward_pass": "run_networks",
        "mnfn_cli.weightspace.group": "MonomialElement",
        "mnfn_cli.weightspace.spec": "NetworkSpec",
        "mnfn_cli.zoo.augment": "augment_zoo",
        "mnfn_cli.zoo.build.zoos": "build_cnn_zoo build_mlp_zoo build_siren_zoo",
        "mnfn_cli.zoo.export": "export_zoo",
        "mnfn_cli.zoo.importing": "import_zoo",
        "mnfn_cli.zoo.store": "Zoo open_zoo",
        "mnfn_cli.zoo.verification": "verify_zoo",
        "mnfn_cli.zoo.writer": "save_zoo",
    },
)
