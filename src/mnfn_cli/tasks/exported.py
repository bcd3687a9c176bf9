"""Export a trained functional as a program of torch operations, which runs where mnfn is not installed."""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from mnfn_cli.errors import NumericError, UsageError
from mnfn_cli.models.functional import Functional, place_of
from mnfn_cli.pretrained import find_run
from mnfn_cli.runtime.context import Context
from mnfn_cli.runtime.seeds import generator
from mnfn_cli.storage.outputs import Output, check_outputs
from mnfn_cli.storage.torch_files import save_program
from mnfn_cli.tasks.finished_run import Run, load_run
from mnfn_cli.tasks.task import Task
from mnfn_cli.training.run_folder import RUN
from mnfn_cli.version import __version__
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.zoo.contents import ZOO
from mnfn_cli.zoo.shards import tensor_names
from mnfn_cli.zoo.single_files import CHECKPOINTS

METADATA = "mnfn.json"
"""The name of the extra file that describes the program."""

TOLERANCE = 1e-6
"""The largest difference of a number that the program computes from the run's own answer, relative if it is above 1."""

_TRACED, _CHECKED = 3, 5  # numbers of networks
_STANDARDISATION = "inside the program: the inputs are raw weights and biases, as a checkpoint holds them"


@dataclass(frozen=True)
class ExportedFunctional:
    """A functional that ``export_functional`` wrote as a program.

    Args:
        metadata: the description of the program, which its file holds too.
        difference: the largest difference, in the sense of ``TOLERANCE``, between the program and the run's answers on
            networks of other numbers than those that the program was traced with.
        bytes: the size of the file.
        remarks: sentences about the run that the user should read.

    >>> ExportedFunctional({"returns": "a tuple of tensors"}, 1e-8, 2048, ()).difference < TOLERANCE
    True
    """

    metadata: Mapping[str, Any]
    difference: float
    bytes: int
    remarks: tuple[str, ...]


class StandAlone(nn.Module):
    """A task's answers as a function of plain tensors: what is exported.

    Args:
        task: the task.
        model: the functional.
    """

    def __init__(self, task: Task, model: nn.Module) -> None:
        super().__init__()
        self._task, self.model = task, model

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return the answers: one tensor ``(batch, ...)``, or edited tensors in the order of the inputs.

        Args:
            tensors: raw weights ``(batch, out, in, *kernel)`` and biases ``(batch, out)``, in the order W(1), b(1),
                W(2), ...
        """
        features = _features(tensors)
        return _plain(self._task.from_output(self.model(features), features))


def export_functional(
    run: str | Path | Run, output: str | Path, *, force: bool = False, context: Context | None = None
) -> ExportedFunctional:
    """Write a run's functional as a program of ``torch.export``: ``mnfn export-functional``.

    The program runs on a CPU where mnfn is not installed: ``torch.export.load(FILE).module()(*tensors)`` takes the raw
    weights ``(networks, out, in, *kernel)`` and biases ``(networks, out)`` of each layer in turn, and returns the
    answers as a tuple of tensors. Tracing takes up to two minutes.

    Args:
        run: a finished run: its folder, the name of one that comes with mnfn, or loaded, on the CPU.
        output: the file to write, by custom with the ending ``.pt2``.
        force: replace an existing file.
        context: where interrupts are noticed.

    Returns:
        what was written: the description of the program, its size, and how far its answers are from those of the run.

    Raises:
        DataError: the run cannot be read.
        UsageError: the functional cannot be exported.
        NumericError: the program's answers differ from those of the run.
        OutputError: the file exists, or lies in the folder of the run.
        StorageError: the file cannot be written.

    >>> from mnfn_cli import export_functional
    >>> export_functional("generalization/digits-relu-hybrid", "hybrid.pt2")
    Traceback (most recent call last):
    mnfn_cli.errors.UsageError: ...digits-relu-hybrid: cannot be exported: ...
    """
    output, context = Path(output), context or Context()
    path = run.folder.path if isinstance(run, Run) else find_run(run)
    check_outputs([Output(output)], [path], force=force, kinds=(ZOO, RUN, CHECKPOINTS))
    if not isinstance(run, Run):
        run = load_run(run)
    program = trace(run)
    context.interruption.check(output, "nothing was written")
    difference = difference_from(program, run)
    if not difference <= TOLERANCE:
        raise NumericError(path, f"the exported program's answers differ by {difference:.1e}; nothing was written")
    metadata = describe(run)
    context.interruption.check(output, "nothing was written")
    save_program(output, program, {METADATA: json.dumps(metadata, indent=2, allow_nan=False)})
    return ExportedFunctional(metadata, difference, output.stat().st_size, run.remarks)


def trace(run: Run) -> ExportedProgram:
    """Return a run's functional as a program of torch's operations.

    Raises:
        UsageError: it cannot be one; the message says why.
    """
    where, model = run.folder.path, run.model
    if len(run.specs) > 1:
        raise UsageError(where, f"cannot be exported: it reads {len(run.specs)} weight spaces, and a program reads one")
    if isinstance(model, Functional) and (reason := model.unexportable):
        raise UsageError(where, f"cannot be exported: {reason}")
    networks = _sample(run, _TRACED, seed=0)
    shapes = {"tensors": tuple({0: Dim.DYNAMIC} for _ in networks)}
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(StandAlone(run.task, model).eval(), networks, dynamic_shapes=shapes)
    except Exception as error:  # torch raises errors of a dozen classes for what it cannot follow
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UsageError(where, f"cannot be exported; torch.export says: {reason}") from error
    # A file holds whole storages, so a tensor that is a part of one gets its own.
    for held in (program.state_dict, program.constants):
        for name, tensor in held.items():
            if isinstance(tensor, Tensor) and tensor.untyped_storage().nbytes() > tensor.nbytes:
                own = tensor.detach().clone()
                held[name] = nn.Parameter(own) if isinstance(tensor, nn.Parameter) else own
    return program


def difference_from(program: ExportedProgram, run: Run) -> float:
    """Return the largest difference between a program's answers and a run's, on random networks."""
    networks = _sample(run, _CHECKED, seed=1)
    with torch.no_grad():
        found = program.module()(*networks)
    expected = _plain(run.predict(_features(networks)))
    return max(_relative(*pair) for pair in zip(found, expected, strict=True))


def describe(run: Run) -> dict[str, Any]:
    """Return the description of a run's program: its inputs, its outputs and where it comes from, for JSON."""
    networks = _sample(run, 2, seed=0)
    with torch.no_grad():
        outputs = StandAlone(run.task, run.model)(*networks)
    names = tensor_names(run.spec)
    output_names = names if len(outputs) == len(names) else ["answers"]
    return {
        "format": 1,
        "versions": {"mnfn": __version__, "torch": torch.__version__},
        "task": run.recipe.task,
        "model": run.recipe.model.name,
        "reads": run.recipe.model.reads,
        "spec": run.spec.to_json(),
        "weight_space": str(run.spec),
        "inputs": [_tensor(*named) for named in zip(names, networks, strict=True)],
        "standardisation": _STANDARDISATION,
        "outputs": [_tensor(*named) for named in zip(output_names, outputs, strict=True)],
        "returns": f"a tuple of tensors: {run.task.returns}",
        "facts": run.task.facts.to_json(),
        "model_sha256": run.folder.record.sha256.get(run.folder.model.name),
    }


def _tensor(name: str, tensor: Tensor) -> dict[str, Any]:
    return {"name": name, "shape": ["batch", *tensor.shape[1:]], "dtype": str(tensor.dtype).removeprefix("torch.")}


def _sample(run: Run, count: int, seed: int) -> tuple[Tensor, ...]:
    """Return random networks of a run's weight space, in the dtype that its functional reads."""
    dtype = place_of(run.model)[1]
    features = WeightSpaceFeatures.randn(run.spec, count, generator=generator(seed, "export"), dtype=dtype)
    # Copies, since the program would expect views where it was traced with views.
    return tuple(tensor.clone() for tensor in _plain(features))


def _plain(answers: Tensor | WeightSpaceFeatures) -> tuple[Tensor, ...]:
    """Return answers as tensors: one, or weights ``(batch, out, in, *kernel)`` and biases ``(batch, out)`` in turn."""
    return (answers,) if isinstance(answers, Tensor) else tuple(tensor[:, 0] for tensor in answers.tensors())


def _features(tensors: Sequence[Tensor]) -> WeightSpaceFeatures:
    """Undo ``_plain``."""
    with_channels = [tensor[:, None] for tensor in tensors]
    return WeightSpaceFeatures(with_channels[0::2], with_channels[1::2])


def _relative(found: Tensor, expected: Tensor) -> float:
    found, expected = found.double(), expected.double()
    return float(((found - expected).abs() / expected.abs().clamp_min(1.0)).max())
