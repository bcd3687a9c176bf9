"""From a command down to each matrix product, the call stack enters no file of the project twice.

A reader who follows ``mnfn train`` or ``mnfn predict`` to the arithmetic reads each file once, from top to bottom.
"""

import sys
from dataclasses import replace
from functools import cache
from itertools import groupby
from pathlib import Path

import polars as pl
import pytest
from torch.overrides import TorchFunctionMode

import mnfn_cli
from mnfn_cli.cli.app import main
from mnfn_cli.zoo.record import spaces_of
from mnfn_cli.zoo.store import open_zoo
from mnfn_cli.zoo.writer import save_zoo

SOURCE = Path(mnfn_cli.__file__).parent
FIRST = Path(__file__).parent / "formats" / "first"
PRODUCTS = {"baddbmm", "bmm", "conv2d", "einsum", "embedding_bag", "linear", "matmul", "mm"}
SEVERAL = Path("two-weight-spaces")
TWO_STEPS = ["-o", "new", "training.epochs=null", "training.steps=2", "training.batch_size=2"]
COMMANDS = {
    f"train {recipe}": ["train", "--recipe", recipe, "--zoo", zoo if zoo is SEVERAL else FIRST / zoo, *TWO_STEPS]
    for recipe, zoo in {
        "generalization/relu-monomial": "classifiers",
        "generalization/relu-gnn": "classifiers",
        "generalization/mixed-monomial": SEVERAL,
        "classification/digits-monomial": "inrs",
        "editing/digits-dilate-monomial-strict": "inrs",
        "editing/digits-dilate-graded": "inrs",
    }.items()
} | {
    "predict": ["predict", FIRST / "generalization", FIRST / "classifiers"],
    "classify": ["classify", FIRST / "classification", FIRST / "inrs"],
    "edit": ["edit", FIRST / "editing", FIRST / "inrs", "-o", "new"],
}


class Paths(TorchFunctionMode):
    """Records the files of the project on the call stack of every product, from the command to the product."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[str, ...]] = set()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if getattr(func, "__name__", "") in PRODUCTS:
            self.seen.add(tuple(_files_on_stack()))
        return func(*args, **(kwargs or {}))


@cache
def _file_of_project(filename: str) -> str | None:
    path = Path(filename)
    return str(path.relative_to(SOURCE)) if SOURCE in path.parents else None


def _files_on_stack() -> list[str]:
    frame, files = sys._getframe(2), []
    while frame is not None:
        if name := _file_of_project(frame.f_code.co_filename):
            files.append(name)
        frame = frame.f_back
    return [name for name, _ in groupby(reversed(files))]


def write_zoo_of_two_weight_spaces(path):
    zoo = open_zoo(FIRST / "classifiers")
    spaces = spaces_of([(zoo.spec, None), (replace(zoo.spec, activation="tanh"), None)])
    tables = [zoo.table.with_columns(id=space.name + pl.col("id"), weight_space=pl.lit(space.name)) for space in spaces]
    save_zoo(path, spaces, [zoo.read(), zoo.read()], pl.concat(tables))


@pytest.mark.parametrize("name", COMMANDS)
def test_no_file_is_entered_twice_on_the_way_to_a_product(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_zoo_of_two_weight_spaces(SEVERAL)
    monkeypatch.setattr(sys, "argv", ["mnfn", *map(str, COMMANDS[name])])
    with Paths() as paths, pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code, capsys.readouterr().err
    assert paths.seen
    assert all(path[0] == "cli/app.py" for path in paths.seen)
    twice = [path for path in paths.seen if len(set(path)) < len(path)]
    assert not twice
    assert max(map(len, paths.seen)) <= 10
    if name.startswith("train"):  # the loop itself was seen, not just the evaluation after it
        assert any("training/loop.py" in path for path in paths.seen)
