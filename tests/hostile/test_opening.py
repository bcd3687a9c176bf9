"""A file that comes from elsewhere is opened in one place, which looks first whether it is a regular file."""

import ast
import os
import stat
from pathlib import Path

import pytest

import mnfn_cli
from mnfn_cli.regular_files import IrregularFileError, open_regular

SOURCE = Path(mnfn_cli.__file__).parent
OF_OURS = {"pretrained.py", "recipe/catalogue.py", "report/page/document.py"}  # files that come with mnfn
LOOKS_FIRST = {"storage/locks.py", "storage/marks.py", "regular_files.py"}
CHECKS = {"open_regular", "read_regular", "check_regular_file", "read_header", "read_content"}
BY_PATH = {"Image.open", "safe_open", "np.memmap", "np.load", "pl.read_csv", "torch.load"}


def name_of(node):
    if isinstance(node, ast.Attribute):
        owner = name_of(node.value)
        return f"{owner}.{node.attr}" if owner else node.attr
    return node.id if isinstance(node, ast.Name) else ""


def reads(call, name):
    """Whether a call opens a path to read it, without a look at what it is."""
    if name.split(".")[-1] in ("read_text", "read_bytes") and isinstance(call.func, ast.Attribute):
        return True
    if name.split(".")[-1] != "open" or name.split(".")[0] in ("os", "Image", "gzip", "archive"):
        return False
    modes = [arg.value for arg in call.args[0 if "." in name else 1 :] if isinstance(arg, ast.Constant)]
    return not modes or "r" in modes[0]


def openings(path):
    """Yield (line, name) of each call of a file that opens a path unseen."""
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for function in functions:
        calls = [(node, name_of(node.func)) for node in ast.walk(function) if isinstance(node, ast.Call)]
        checked = any(name in CHECKS for _, name in calls)
        for call, name in calls:
            if reads(call, name) or (name in BY_PATH and not checked):
                yield call.lineno, name


def test_every_foreign_file_is_looked_at_first():
    found = {
        str(path.relative_to(SOURCE)): list(openings(path))
        for path in SOURCE.rglob("*.py")
        if str(path.relative_to(SOURCE)) not in OF_OURS | LOOKS_FIRST
    }
    assert {name: calls for name, calls in found.items() if calls} == {}


@pytest.mark.parametrize(
    "line", ["path.open()", "path.read_bytes()", "open(path)", "np.load(path)", "open(path, 'rb')"]
)
def test_an_opening_unseen_is_found(tmp_path, line):
    (tmp_path / "x.py").write_text(f"def read(path):\n    return {line}\n")
    assert list(openings(tmp_path / "x.py"))


@pytest.mark.fault("H11")
@pytest.mark.parametrize("kind", ["FIFO", "folder", "device", "broken link"])
def test_what_is_no_regular_file_is_never_waited_for(tmp_path, kind):
    path = tmp_path / "x"
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "device" else "nowhere")
    with pytest.raises(FileNotFoundError if kind == "broken link" else IrregularFileError):
        open_regular(path)
    assert stat.S_ISFIFO(path.lstat().st_mode) == (kind == "FIFO")
