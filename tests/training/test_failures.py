"""A rank that raises, dies or hangs ends the job with one line, and leaves no process and a state to resume from."""

import json
from pathlib import Path

import pytest
import torch
from many_processes import Job, errors_in

from mnfn_cli.errors import UsageError
from mnfn_cli.recipe import load_recipe
from mnfn_cli.storage.tensors import read_tensors
from mnfn_cli.tasks.training import train_or_resume, train_run

FIRST = Path(__file__).parents[1] / "formats" / "first"
FAULTS = Path(__file__).with_name("faults.py")
SMALL = ["training.steps=9", "training.epochs=null", "training.batch_size=4", "training.validate_every=2"]
SMALL += ["model.channels=[2]", "model.head=[4,4]"]


WORK_OF_ONE = """
import time
import torch
from mnfn_cli.runtime.meeting import connect, join, part
from mnfn_cli.runtime.place import place
processes = join(place(), print)
connect(processes, torch.device("cpu"))
backend = torch.distributed.group.WORLD._get_backend(torch.device("cpu"))
assert backend.options._timeout.days > 1, "waiting for a rank that works would fail without the watch"
processes.watch._timeout = 4.0  # now that all have started, which may take longer
processes.meet()
stop = time.monotonic() + 12
while processes.rank == 2 and time.monotonic() < stop:
    processes.watch.live()
    time.sleep(0.1)
processes.meet()
part(processes)
"""


def train(out, *more):
    given = ["--recipe", "generalization/relu-monomial", "--zoo", FIRST / "classifiers", "-o", out, *SMALL]
    return ["-m", "mnfn_cli", "train", "--plugin", FAULTS, *given, *more]


def fail(out, fault, **environment):
    """Return what ``Job.wait`` returns for a job with a fault at step 5."""
    with Job(2, train(out), {"FAULT": fault, **environment}) as job:
        return job.wait(60)


@pytest.mark.parametrize(
    ("fault", "code", "line"),
    [
        ("1:raise:5", 3, "mnfn: error: rank 1: zoo: this rank cannot go on"),
        ("1:kill:5", 7, "mnfn: error: rank 1: process "),
        ("1:sleep:5", 7, "mnfn: error: rank 1: hangs: the others have waited for 2 s (MNFN_TIMEOUT sets how long)"),
        *(
            pytest.param(*values, marks=pytest.mark.crash)
            for values in (
                ("0:raise:5", 3, "mnfn: error: rank 0: zoo: this rank cannot go on"),
                ("0:raise:5,1:raise:5", 3, "mnfn: error: zoo: this rank cannot go on"),
                ("1:bug:5", 1, "mnfn: error: rank 1: a bug in mnfn: ZeroDivisionError: a bug; MNFN_DEBUG=1 shows the "),
                ("0:kill:5", 7, "mnfn: error: rank 0: process "),
                ("0:stop:5", 7, "mnfn: error: rank 0: hangs: the others have waited for 2 s (MNFN_TIMEOUT sets "),
                ("1:stop:5", 7, "mnfn: error: rank 1: hangs: the others have waited for 2 s (MNFN_TIMEOUT sets "),
            )
        ),
    ],
)
@pytest.mark.fault("M3", "M4", "M5")
def test_one_rank_ends_the_job(tmp_path, fault, code, line):
    hangs = {"MNFN_TIMEOUT": "2"} if "sleep" in fault or "stop" in fault else {}
    codes, stdout, stderr = fail(tmp_path / "run", fault, **hangs)
    said = errors_in(stderr)
    assert len(said) == 1 and said[0].startswith(line), stderr
    assert all(found in (code, -9) for found in codes) and not stdout
    assert json.loads((tmp_path / "run" / "run.json").read_text())["state"] == "running"
    assert [path.name for path in (tmp_path / "run" / "checkpoints").glob("step-*")]


def test_two_ranks_wait_for_a_third_that_works_for_longer_than_the_timeout():
    with Job(3, ["-c", WORK_OF_ONE]) as job:
        codes, stdout, stderr = job.wait(100)
    assert codes == [0, 0, 0] and not stdout, stdout + stderr


def test_a_usage_error_is_said_once(tmp_path):
    with Job(2, ["-m", "mnfn_cli", "train", "--recipe", "generalization/nothing", "-o", tmp_path / "run"]) as job:
        codes, stdout, stderr = job.wait(60)
    assert codes == [2, 2] and not stdout and len(errors_in(stderr)) == 1, stderr


def test_the_same_command_resumes_after_sigterm_to_one_rank(tmp_path):
    command = train(tmp_path / "run", "--resume-or-start", "training.precision=fp64", "augment.scale=[1,10]")
    with Job(2, command, {"FAULT": "1:term:5"}, slurm=True) as job:
        codes, _, stderr = job.wait(60)
    assert codes == [143, 143] and len(stderr.splitlines()) == 4, stderr
    assert "interrupted; continue with: mnfn train --resume" in stderr
    assert (tmp_path / "run" / "checkpoints" / "step-00000006-00000004.safetensors").exists()
    with Job(1, command) as job:  # another number of processes
        codes, stdout, stderr = job.wait(60)
    assert codes == [0] and "not bit for bit" in stderr, stderr
    assert json.loads((tmp_path / "run" / "result.json").read_text())["bit_for_bit"] is False
    recipe = load_recipe(str(tmp_path / "run" / "recipe.yaml"))
    train_run(recipe, tmp_path / "whole")
    one, other = (read_tensors(tmp_path / name / "model.safetensors")[0] for name in ("run", "whole"))
    assert all(torch.allclose(one[key], other[key], rtol=1e-12, atol=1e-12) for key in other)
    done = train_or_resume(recipe, tmp_path / "run")
    assert done.to_json() == json.loads((tmp_path / "run" / "result.json").read_text())
    with pytest.raises(UsageError, match="another recipe"):
        train_or_resume(load_recipe(str(tmp_path / "run" / "recipe.yaml"), ["training.seed=5"]), tmp_path / "run")
