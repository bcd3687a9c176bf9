"""A rank that raises, dies or hangs ends the job with one line, and leaves no process and a state to resume from."""

import json
import time
from pathlib import Path

import pytest
from many_processes import Job, errors_in

FIRST = Path(__file__).parents[1] / "formats" / "first"
FAULTS = Path(__file__).with_name("faults.py")
SMALL = ["training.steps=9", "training.epochs=null", "training.batch_size=4", "training.validate_every=2"]
SMALL += ["model.channels=[2]", "model.head=[4,4]"]


def train(out, *more):
    given = ["--recipe", "generalization/relu-monomial", "--zoo", FIRST / "classifiers", "-o", out, *SMALL]
    return ["-m", "mnfn_cli", "train", "--plugin", FAULTS, *given, *more]


def resume(out):
    return ["-m", "mnfn_cli", "train", "--plugin", FAULTS, "--resume", out]


def fail(out, fault, **environment):
    """Return how long a job lasts after a fault at step 5, and what ``Job.wait`` returns."""
    with Job(3, train(out), {"FAULT": fault, **environment}) as job:
        while not list(out.glob("checkpoints/step-00000004-00000004*")):
            assert all(process.poll() is None for process in job.ranks), job.wait()
            time.sleep(0.02)
        started = time.monotonic()
        found = job.wait(60)
        return time.monotonic() - started, *found


@pytest.mark.parametrize(
    ("fault", "code", "line"),
    [
        ("1:raise:5", 3, "mnfn: error: rank 1: zoo: this rank cannot go on"),
        ("0:raise:5", 3, "mnfn: error: rank 0: zoo: this rank cannot go on"),
        ("0:raise:5,1:raise:5,2:raise:5", 3, "mnfn: error: zoo: this rank cannot go on"),
        ("2:bug:5", 1, "mnfn: error: rank 2: a bug in mnfn: ZeroDivisionError: a bug; MNFN_DEBUG=1 shows the tr"),
        ("2:kill:5", 7, "mnfn: error: rank 2: process "),
        ("0:kill:5", 7, "mnfn: error: rank 0: process "),
        ("1:sleep:5", 7, "mnfn: error: rank 1: hangs: the others have waited for 2 s (MNFN_TIMEOUT sets how long)"),
        ("0:stop:5", 7, "mnfn: error: rank 0: hangs: the others have waited for 2 s (MNFN_TIMEOUT sets how long)"),
    ],
    ids=lambda value: value if isinstance(value, str) and value[0].isdigit() else "",
)
def test_one_rank_ends_the_job(tmp_path, fault, code, line):
    hangs = {"MNFN_TIMEOUT": "2"} if "sleep" in fault or "stop" in fault else {}
    seconds, codes, stdout, stderr = fail(tmp_path / "run", fault, **hangs)
    said = errors_in(stderr)
    assert len(said) == 1 and said[0].startswith(line), stderr
    assert all(found in (code, -9) for found in codes) and not stdout
    assert seconds < 20  # ten and a margin for a busy machine
    assert json.loads((tmp_path / "run" / "run.json").read_text())["state"] == "running"
    assert [path.name for path in (tmp_path / "run" / "checkpoints").glob("step-*")]
