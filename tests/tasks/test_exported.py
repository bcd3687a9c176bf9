"""Exported functionals: the run's answers from plain torch, without mnfn, and files that hold no pickle and no path."""

import copy
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mnfn_cli import load_run
from mnfn_cli.errors import NumericError, UsageError
from mnfn_cli.models.functional import place_of
from mnfn_cli.recipe import load_recipe
from mnfn_cli.tasks import exported
from mnfn_cli.tasks.exported import METADATA, TOLERANCE, export_functional
from mnfn_cli.tasks.training import train_run
from mnfn_cli.zoo.shards import tensor_names

WITHOUT_MNFN = """
import json
import sys
sys.modules["mnfn_cli"] = None  # its import fails
import torch
from safetensors.torch import load_file, save_file
program, networks = torch.export.load(sys.argv[1], extra_files=(told := {"mnfn.json": ""})), load_file(sys.argv[2])
told = json.loads(told["mnfn.json"])
with torch.no_grad():
    found = program.module()(*(networks[tensor["name"]] for tensor in told["inputs"]))
save_file({tensor["name"]: answer for tensor, answer in zip(told["outputs"], found, strict=True)}, sys.argv[3])
"""
SMALL = [
    "training.epochs=null",
    "training.steps=2",
    "training.validate_every=2",
    "optimizer.warmup_steps=0",
    "training.batch_size=8",
]
GENERALIZATION = {
    "relu-np": ["model.channels=[3,2]", "model.head=[4,4]"],
    "relu-hnp": ["model.channels=[3,2]", "model.head=[4,4]"],
    "relu-statnn": ["model.head=[4,4]"],
    "relu-gnn": ["model.size=4", "model.rounds=2", "model.head=[4,4]"],
    "relu-mlp": ["model.head=[4,4]"],
    "relu-canonical-statistics": ["model.head=[4,4]"],
    "relu-learned-test-set": ["model.questions=8", "model.asked=4"],
}
INRS = {
    "classification/digits-graded": ["model.head=[8,8]"],
    "classification/digits-hnp": ["model.base_channels=[4,4]", "model.head=[8,8]"],
    "classification/digits-probe": [],
    "editing/digits-dilate-graded": [],
    "editing/digits-dilate-monomial": ["model.base_channels=[4,4]"],
    "editing/digits-dilate-hnp": ["model.base_channels=[4,4]"],
}


def difference(program, run, features):
    """Return the largest difference of a loaded program's answers from a run's, relative above 1."""
    dtype = place_of(run.model)[1]
    raw = features.to(dtype=dtype)
    with torch.no_grad():
        found = program.module()(*named(raw).values())
    own = run.predict(raw)
    pairs = zip(found, [own] if isinstance(own, Tensor) else named(own).values(), strict=True)
    return max(float(((a - b).abs() / b.abs().clamp_min(1)).max()) for a, b in pairs)


def named(features):
    names = [f"layers.{i}.{kind}" for i in range(len(features)) for kind in ("weight", "bias")]
    return {name: tensor[:, 0].contiguous() for name, tensor in zip(names, features.tensors(), strict=True)}


def check(path, zoo, tmp_path):
    """Export a run and compare what the file computes of trained networks, one and many, with the run's answers."""
    written = export_functional(path, tmp_path / "model.pt2")
    assert written.difference <= TOLERANCE and written.bytes == (tmp_path / "model.pt2").stat().st_size
    told = {METADATA: ""}
    program, run = torch.export.load(tmp_path / "model.pt2", extra_files=told), load_run(path)
    assert json.loads(told[METADATA]) == written.metadata
    for rows in ([0], list(range(len(zoo.ids)))):
        assert difference(program, run, zoo.read(rows)) <= 1e-6
    return written


@pytest.mark.docs  # long: torch takes seconds to trace each
@pytest.mark.parametrize("recipe", GENERALIZATION)
def test_predictors(digits_zoo, tmp_path, recipe):
    given = [*SMALL, *GENERALIZATION[recipe], f"data.zoo=['{digits_zoo.path}']"]
    train_run(load_recipe(f"generalization/{recipe}", given), tmp_path / "run")
    written = check(tmp_path / "run", digits_zoo, tmp_path)
    assert "the predicted number" in written.metadata["returns"]


@pytest.mark.docs  # long: torch takes seconds to trace each
@pytest.mark.parametrize("recipe", INRS)
def test_classifiers_and_editors(inr_zoo, tmp_path, recipe):
    given = [*SMALL, *INRS[recipe], f"data.zoo=['{inr_zoo.path}']"]
    train_run(load_recipe(recipe, given), tmp_path / "run")
    check(tmp_path / "run", inr_zoo, tmp_path)


@pytest.mark.parametrize(("run", "zoo"), [("relu_run", "digits_zoo")])
def test_monomial_predictors(run, zoo, request, tmp_path):
    check(request.getfixturevalue(run), request.getfixturevalue(zoo), tmp_path)


@pytest.mark.parametrize("run", ["classes_run", pytest.param("dilate_run", marks=pytest.mark.docs)])
def test_on_a_machine_without_mnfn(run, request, inr_zoo, tmp_path):
    path = request.getfixturevalue(run)
    written = check(path, inr_zoo, tmp_path)
    raw = inr_zoo.read([3, 1, 4]).to(dtype=torch.float32)
    save_file(named(raw), tmp_path / "networks.safetensors")
    files = [tmp_path / name for name in ("model.pt2", "networks.safetensors", "answers.safetensors")]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_MNFN, *map(str, files)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answers = load_file(files[-1])
    assert {tensor["name"] for tensor in written.metadata["outputs"]} == set(answers)
    own = load_run(path).predict(raw)
    expected = {"answers": own} if isinstance(own, Tensor) else named(own)
    for name, answer in answers.items():
        torch.testing.assert_close(answer, expected[name], rtol=1e-6, atol=1e-6)


def test_the_file_describes_itself_without_pickles_and_paths(classes_run, inr_zoo, tmp_path):
    written = export_functional(classes_run, tmp_path / "model.pt2")
    run = load_run(classes_run)
    inputs = {tensor["name"]: tensor["shape"] for tensor in written.metadata["inputs"]}
    assert list(inputs) == tensor_names(run.spec)
    assert tuple(tuple(shape[1:]) for shape in inputs.values())[0::2] == run.spec.weight_shapes
    assert all(shape[0] == "batch" for shape in inputs.values())
    (answers,) = written.metadata["outputs"]
    assert answers == {"name": "answers", "shape": ["batch", 10], "dtype": "float32"}
    assert written.metadata["facts"]["classes"] == [str(number) for number in range(10)]
    assert written.metadata["spec"] == run.spec.to_json() and "raw weights" in written.metadata["standardisation"]
    with zipfile.ZipFile(tmp_path / "model.pt2") as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    assert not [name for name in held if name.endswith(".pkl")]
    assert not [name for name, content in held.items() if content[:1] == b"\x80" or content[:2] == b"PK"]
    configs = [content for name, content in held.items() if name.endswith("_config.json")]
    assert len(configs) == 2 and not any(b'"use_pickle": true' in content for content in configs)
    paths = (str(Path.home()).encode() + b"/", str(Path(exported.__file__).parents[2]).encode(), b"site-packages")
    assert not [name for name, content in held.items() if any(path in content for path in paths)]


def test_what_cannot_be_exported_is_refused_before_a_file_is_written(relu_run, digits_zoo, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="its trees are followed until all end in leaves"):
        export_functional("generalization/digits-relu-hybrid", tmp_path / "model.pt2")
    run = load_run(relu_run)

    class Stubborn(nn.Module):
        """A functional of a user's own that looks at numbers."""

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, features):
            return self.weight * (1.0 if features.biases[0].sum() > 0 else 2.0)

    run.model = Stubborn().eval()
    with pytest.raises(UsageError, match=r"torch\.export says: \S+"):
        exported.trace(run)
    run.task.specs = run.specs = (run.spec, run.spec)
    with pytest.raises(UsageError, match="reads 2 weight spaces"):
        exported.trace(run)
    monkeypatch.setattr(exported, "difference_from", lambda program, run: float("nan"))
    with pytest.raises(NumericError, match="differ by nan"):
        export_functional(relu_run, tmp_path / "model.pt2")
    assert not list(tmp_path.iterdir())


def test_a_wrong_program_is_noticed(relu_run):
    run = load_run(relu_run)
    program = exported.trace(run)
    assert exported.difference_from(program, run) <= TOLERANCE
    run.model = copy.deepcopy(run.model)  # its tensors are those of the program
    with torch.no_grad():
        for parameter in run.model.head.parameters():
            parameter.add_(0.1)
    assert exported.difference_from(program, run) > 1e-3
