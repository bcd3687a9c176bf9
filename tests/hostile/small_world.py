"""A small world of zoos, runs and files in which commands meet faults, and its comparison before and after.

The zoos and runs are those of ``tests/formats/first``: ``z`` classifiers, ``inr`` SIRENs, runs ``r`` (generalization),
``c`` (classification) and ``e`` (editing), ``files`` single checkpoints.
"""

import os
import shutil
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from mnfn_cli.cli.app import main
from mnfn_cli.zoo.export import export_zoo
from mnfn_cli.zoo.store import open_zoo

FIRST = Path(__file__).parent.parent / "formats" / "first"
RECIPE = """
version: 1
task: generalization
model: {name: statnn, head: [4, 4]}
optimizer: {name: adam, lr: 1e-3}
training: {epochs: 1, batch_size: 4}
"""


def make_world(root):
    """Write the world into a new folder; return it."""
    root.mkdir()
    names = {"classifiers": "z", "inrs": "inr", "generalization": "r", "classification": "c", "editing": "e"}
    for name, short in names.items():
        shutil.copytree(FIRST / name, root / short)
    shutil.copytree(FIRST / "classifiers", root / "classifiers")  # where the first run found its zoo
    shutil.copytree(FIRST / "checkpoints", root / "files")
    pixels = np.random.default_rng(0).random((40, 8, 8))
    np.savez(root / "pictures.npz", images=pixels, labels=np.arange(40) % 2)
    shutil.copy(min((FIRST / "checkpoints").glob("*.safetensors")), root / "one.safetensors")
    (root / "mine.yaml").write_text(RECIPE)
    (root / "plugin.py").write_text("note = 'years of work'")
    export_zoo(open_zoo(root / "inr"), root / "inr-files", limit=2)
    for name, path in zip(("one", "two"), sorted((root / "inr-files").glob("*.safetensors")), strict=True):
        path.rename(path.with_stem(name))
    (root / "inr-files" / ".mnfn-files.json").unlink()  # the user's own checkpoints
    names = [path.stem for path in (root / "inr-files").glob("*.safetensors")]
    (root / "labels.csv").write_text("id,digit\n" + "".join(f"{name},1\n" for name in names))
    (root / "thesis").mkdir()
    (root / "thesis" / "chapter-1.tex").write_text("years of work")
    return root


def stand_in_copy(prepared, tmp_path, monkeypatch):
    """Copy the world, stand in the copy, and return its path from there."""
    shutil.copytree(prepared, tmp_path / "world", symlinks=True)
    monkeypatch.chdir(tmp_path / "world")
    monkeypatch.setattr("mnfn_cli.runtime.plugins._loaded", {})
    return Path()


def run(monkeypatch, *arguments):
    """Run a command in this process; return its exit code."""
    monkeypatch.setattr(sys, "argv", ["mnfn", *map(str, arguments)])
    with pytest.raises(SystemExit) as done:
        main()
    return done.value.code


def tree(root):
    """Return everything below a folder: type and mode, and bytes or link target."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = Path(folder, name)
            status = path.lstat()
            content = None
            if stat.S_ISLNK(status.st_mode):
                content = str(path.readlink())
            elif stat.S_ISREG(status.st_mode):
                content = path.read_bytes()
            found[str(path.relative_to(root))] = (stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode), content)
    return found
