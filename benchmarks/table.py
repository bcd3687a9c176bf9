"""Run all benchmarks, and print one table: work, what it is measured against, ratio, target, met or not.

python benchmarks/table.py --reference CLONE -o docs/results/performance/table.json
python benchmarks/table.py --only augment --only predict     runs some of them

Each benchmark runs in a process of its own. With ``--reference``, a clone of MathematicalAI-NUS/Monomial-NFN, the
published code is measured too, in turns with ours.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from paper_step import device_name
from rows import ROWS, Row

HERE = Path(__file__).parent
BENCHMARKS: dict[str, tuple[str, ...]] = {
    "train_step": ("--reference",),
    "inr_step": (),
    "published_step": ("--reference",),
    "epoch": (),
    "distributed": (),
    "augment": ("--reference",),
    "zoo_build": (),
    "siren_build": (),
    "import_files": (),
    "predict": (),
    "bootstrap": (),
    "start_time": (),
    "count_params": (),
    "compare": (),
    "import_small_cnn_zoo": ("--networks", "10000"),
    "memory": ("--networks", "100000"),
}
"""The benchmarks in the order of the table, with their options; ``--reference`` stands only if a clone is given."""


def run(name: str, options: list[str]) -> tuple[list[Row], float]:
    """Run a benchmark. Return its rows and how many seconds it took."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows"
        rows.touch()
        command = [sys.executable, str(HERE / f"{name}.py"), *options]
        done = subprocess.run(command, env={**os.environ, ROWS: str(rows)})
        if done.returncode:
            raise SystemExit(f"{name}: ended with exit code {done.returncode}")
        return [Row(**json.loads(line)) for line in rows.read_text().splitlines()], time.monotonic() - started


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, help="a clone of MathematicalAI-NUS/Monomial-NFN")
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="run this one; can be given several times")
    parser.add_argument("-o", "--out", type=Path, help="keep the rows; those of benchmarks not run stay as they are")
    arguments = parser.parse_args()
    kept: dict[str, Any] = json.loads(arguments.out.read_text()) if arguments.out and arguments.out.exists() else {}
    found: list[Row] = []
    for name in arguments.only or BENCHMARKS:
        options = [option for option in BENCHMARKS[name] if option != "--reference"]
        if "--reference" in BENCHMARKS[name] and arguments.reference:
            options += ["--reference", str(arguments.reference)]
        print(f"-- {name}", flush=True)
        rows, seconds = run(name, options)
        found += rows
        kept[name] = {
            "device": device_name("cpu"),
            "torch": torch.__version__,
            "seconds": round(seconds, 1),
            "rows": [vars(row) for row in rows],
        }
        if arguments.out:
            arguments.out.parent.mkdir(parents=True, exist_ok=True)
            arguments.out.write_text(
                json.dumps({each: kept[each] for each in BENCHMARKS if each in kept}, indent=1, allow_nan=False) + "\n"
            )
    print("\n" + "\n".join(map(str, found)))


if __name__ == "__main__":
    main()
