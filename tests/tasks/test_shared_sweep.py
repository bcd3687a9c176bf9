"""Several processes take whole runs of a sweep, and the tables are those of one process."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))

from many_processes import Job

FIRST = Path(__file__).parents[1] / "formats" / "first"


def sweep(out):
    overrides = ["training.epochs=1", "training.batch_size=7", "model.channels=[2]", "model.head=[4,4]"]
    given = ["--recipe", "generalization/relu-monomial", "--zoo", FIRST / "classifiers", "--seeds", "0,1,2"]
    return ["-m", "mnfn_cli", "sweep", *given, "-o", out, "--json", *overrides]


def test_runs_of_two_processes(tmp_path):
    tables = {}
    for count in (1, 2):
        with Job(count, sweep(tmp_path / str(count))) as job:
            codes, stdout, stderr = job.wait(120)
        assert codes == [0] * count, stderr
        rows = json.loads((tmp_path / str(count) / "results.json").read_text())
        for row in rows:
            del row["seconds"], row["command"]
        (shown,) = json.loads(stdout)
        tables[count] = rows, {name: value for name, value in shown.items() if name != "seconds"}
    assert len(tables[1][0]) == 3
    assert tables[2] == tables[1]
