"""Commands of several processes write the bytes that one process writes."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))

from many_processes import Job

FIRST = Path(__file__).parents[1] / "formats" / "first"
RUNS = {name: FIRST / name for name in ("generalization", "classification", "editing")}
SCALES = ["--copies", "3", "--seed", "1", "--keep-original"]
COMMANDS = {
    "augment": ["augment", FIRST / "classifiers", *SCALES],
    "predict": ["predict", RUNS["generalization"], FIRST / "classifiers"],
}
MORE = {
    "augment without proof": ["augment", FIRST / "classifiers", *SCALES, "--no-verify"],
    "classify": ["classify", RUNS["classification"], FIRST / "inrs"],
    "edit": ["edit", RUNS["editing"], FIRST / "inrs"],
    "evaluate": ["evaluate", RUNS["generalization"], "--zoo", FIRST / "classifiers"],
    "build siren": ["zoo", "build", "siren", "--images", "digits", "--count", "300", "--steps", "5", "--width", "6"],
    "build cnn": ["zoo", "build", "cnn", "--images", "digits", "--count", "40", "--epochs", "1"],
    "import": ["zoo", "import", "folder", FIRST / "checkpoints", "--activation", "relu"],
}
SMALL_BLOCKS = """
import os, sys, time
import mnfn_cli.tasks.functional as functional, mnfn_cli.zoo.augment as augment, mnfn_cli.zoo.plan as plan
import mnfn_cli.zoo.build.classifiers as classifiers, mnfn_cli.zoo.build.siren as siren
functional.BLOCK = 3
augment.BLOCK = 7
augment.SHARD_BYTES = 2**16
if os.environ["RANK"] == "1":  # it comes late, when rank 0 has written shards
    writer = augment.ShardWriter
    augment.ShardWriter = lambda *given, **more: (time.sleep(2), writer(*given, **more))[1]
plan.BLOCK_BYTES = 1
classifiers.networks_at_once = lambda *_: 12
siren.networks_at_once = lambda *_: 70
from mnfn_cli.cli.app import main
main()
"""


def contents(path):
    """Return the bytes of a file, or of all files of a folder by name, without what names the command or the time."""
    if path.is_file():
        return path.read_bytes()
    files = {file.relative_to(path): file for file in path.rglob("*") if file.is_file()}
    named = {"zoo.json", "evaluation.json", "README.md", "report.md", "index.html"}
    return {name: file.read_bytes() for name, file in files.items() if name.name not in named}


@pytest.mark.parametrize("name", [*COMMANDS, *(pytest.param(name, marks=pytest.mark.crash) for name in MORE)])
def test_bytes_of_two_processes(tmp_path, name):
    found = {}
    for count in (1, 2):
        out = tmp_path / (f"{count}.csv" if name in ("predict", "classify") else str(count))
        with Job(count, ["-c", SMALL_BLOCKS, *(COMMANDS | MORE)[name], "-o", out]) as job:
            codes, stdout, stderr = job.wait(120)
        assert codes == [0] * count, stderr
        found[count] = contents(out), stdout.replace(str(out), "OUT")
    assert found[1][0] and found[2] == found[1]
    assert {path.name for path in tmp_path.iterdir()} == {out.name, out.name.replace("2", "1", 1)}
