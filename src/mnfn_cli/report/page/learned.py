"""The inputs that a functional has learned to show to networks, drawn without any network."""

from collections.abc import Iterator
from math import ceil

import torch
from torch import Tensor, nn

from mnfn_cli.errors import UsageError
from mnfn_cli.models.probe import ProbeClassifier
from mnfn_cli.report.page.charts import points
from mnfn_cli.report.page.images import tiles
from mnfn_cli.report.page.markup import Content, element
from mnfn_cli.report.page.section import block, figure, figures
from mnfn_cli.tasks.explanation import learned_inputs as shown_to
from mnfn_cli.tasks.finished_run import Run, load_run
from mnfn_cli.tasks.result import Result
from mnfn_cli.training.run_folder import RunFolder
from mnfn_cli.weightspace.features import WeightSpaceFeatures

SHOWN = 24
"""The largest number of learned inputs that are shown, those with the largest weights."""


def learned_inputs(run: RunFolder, result: Result, name: str) -> Iterator[Content]:
    """Yield the inputs that a finished run has learned; nothing for functionals that read weights alone.

    Args:
        run: the run, whose model is loaded.
        result: its result.
        name: what the names of charts begin with.

    Raises:
        DataError: the model cannot be read.
    """
    if result.reads == "weights alone":
        return
    try:
        loaded = load_run(run.path)
    except UsageError as error:
        if not run.record.plugins:
            raise
        yield block("Learned inputs", element("p", f"Not drawn: {error.problem}.", class_="note"))
        return
    for space, spec in enumerate(loaded.specs):
        where = "" if len(loaded.specs) == 1 else f" for networks {spec}"
        yield from _of_space(loaded, space, f"Learned inputs{where}")
    probes = [module for module in loaded.model.modules() if isinstance(module, ProbeClassifier)]
    yield from (_probe(probe, f"{name}-points-{number}") for number, probe in enumerate(probes, 1))


def _of_space(run: Run, space: int, title: str) -> Iterator[Content]:
    """Yield the learned inputs for one weight space. A network without any numbers stands in for those to explain."""
    found = shown_to(run, WeightSpaceFeatures.zeros(run.specs[space], 1, dtype=torch.float64), space)
    if found is None:
        return
    order = found.weights.argsort(descending=True, stable=True)[:SHOWN].tolist()
    answers = found.answers[order]
    classes, sure = answers.argmax(dim=1).tolist(), answers.amax(dim=1).tolist()
    triples = list(zip(order, classes, sure, strict=True))
    described = [f"learned input {number}, expected answer {answer}" for number, answer, _ in triples]
    captions = [
        (element("b", str(answer)), f" {share:.0%}", element("small", f"weight {float(found.weights[number]):.3f}"))
        for number, answer, share in triples
    ]
    said = (
        f"The {len(order)} of {len(found.weights)} learned inputs with the largest weights, each with the class that "
        "the functional expects as answer, and its probability. They were learned, so they need not look like anything."
    )
    yield block(
        title, tiles(list(_levels(found.inputs[order])), described, captions), element("p", said, class_="note")
    )


def _probe(probe: ProbeClassifier, name: str) -> Content:
    coordinates = probe.points().detach().double().cpu()
    if coordinates.shape[1] != 2:
        return None
    said = "The points of the picture at which the functional reads each network; it has learned where they lie."
    return figures(figure("Learned points", points(name, coordinates.numpy()), said))


def _levels(inputs: Tensor) -> Tensor:
    """Return inputs as pictures on [-1, 1], all on one scale; vectors become squares, filled up with zeros."""
    pictures = inputs.double().cpu()
    if pictures.dim() == 2:
        side = ceil(pictures.shape[1] ** 0.5)
        pictures = nn.functional.pad(pictures, (0, side * side - pictures.shape[1])).unflatten(1, (1, side, side))
    if pictures.shape[1] not in (1, 3):
        pictures = pictures.mean(dim=1, keepdim=True)
    low, high = (
        float(end) for end in torch.quantile(pictures.flatten()[:1_000_000], pictures.new_tensor([0.01, 0.99]))
    )
    return ((pictures - low) / max(high - low, 1e-9)).clamp(0, 1) * 2 - 1
