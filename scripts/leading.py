"""Train every functional of accuracy on zoos of new seeds, and keep what docs/results.md shows of them.

python scripts/leading.py FOLDER [--at-once N]

builds the zoos in FOLDER, trains, evaluates, and keeps the results in docs/results/leading; ``scripts/results.py`` then
writes the page. What is there already in FOLDER is not made again, so an interrupted call continues. On two cores it
takes some four hours with ``--at-once 2``.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from mnfn_cli import open_zoo

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results" / "leading"
MNFN = Path(sys.executable).with_name("mnfn")
SEEDS = "0,1,2"
SIZES = (250, 700, 1400, 5000)
VALIDATE = 200
MAIN = 1400
KINDS = {
    "inputs": ("trees", "learned-test-set", "hybrid"),
    "statistics": ("canonical-statistics",),
    "canonical": ("monomial-canonical", "gnn-canonical"),
    "weights": ("monomial", "statnn", "np", "hnp", "gnn"),
}
"""Kinds of functional that are trained in one sweep."""

LONGEST = {"statistics": (1400, 1760), "canonical": (1400, 2640), "weights": (700, 4375)}
"""On more training networks than these a kind takes so many steps: those of the recipe's epochs on these networks."""

ZOOS = {
    "relu": ["--activation", "relu", "--count", "7143", "--seed", "4026"],
    "tanh": ["--activation", "tanh", "--count", "2000", "--seed", "4027"],
    "relu-8x8": ["--size", "8", "--channels", "16,16", "--activation", "relu", "--count", "2000", "--seed", "4028"],
    "relu-short": ["--activation", "relu", "--epochs", "3", "--count", "600", "--seed", "4029"],
    "relu-negative": ["--images", "negative.npz", "--activation", "relu", "--count", "600", "--seed", "4030"],
}
TRANSFER = ("relu-short", "relu-negative")
TRAINED_ON = {"relu-1400": 1400, "tanh": 1400, "relu-8x8": 1400, "relu-250": 250, "relu-700": 700, "relu-5000": 5000}
"""Zoos, and how many networks train."""


def sweeps() -> list[tuple[str, list[str]]]:
    """Return the name and the arguments of every sweep; published functionals on fewer or other networks come last."""
    found = []
    for zoo, networks in TRAINED_ON.items():
        for kind, names in KINDS.items():
            arguments = [f"--recipe=generalization/{zoo.partition('-')[0]}-{name}" for name in names]
            arguments += ["--seeds", SEEDS, "--zoo", zoo]
            limit, steps = LONGEST.get(kind, (networks, 0))
            if networks > limit:
                arguments += [
                    "training.epochs=null",
                    f"training.steps={steps}",
                    f"training.validate_every={steps // 25}",
                ]
            found.append((f"sweep-{zoo}-{kind}", ["sweep", *arguments]))
    late = [sweep for sweep in found if sweep[0].endswith("-weights")][2:]
    return [*(sweep for sweep in found if sweep not in late), *late]


def make(folder: Path, at_once: int) -> None:
    """Build the zoos, train on them, and evaluate."""
    folder.mkdir(parents=True, exist_ok=True)
    digits = load_digits()
    pictures = (255 - digits.images * 255 / 16).round().astype(np.uint8)
    np.savez(folder / "negative.npz", images=pictures.repeat(2, axis=1).repeat(2, axis=2), labels=digits.target)
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda zoo: _build(folder, *zoo), ZOOS.items()))
    table = open_zoo(folder / "relu").table
    ids = {split: sorted(table.filter(table["split"] == split)["id"].to_list()) for split in ("train", "val")}
    for size in SIZES:
        last = {"val": ids["val"][VALIDATE - 1], "train": ids["train"][size - 1]}
        chosen = [f"split = '{split}' AND id <= '{name}'" for split, name in last.items()]
        run_once(folder, f"relu-{size}", ["zoo", "filter", "relu", " OR ".join(["split = 'test'", *chosen])])
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda sweep: run_once(folder, *sweep), sweeps()))
    for zoo in (f"relu-{MAIN}", "tanh"):
        runs = [str(run.relative_to(folder)) for run in _runs(folder, zoo)]
        run_once(folder, f"moved-{zoo}", ["evaluate", *runs, "--scales", "1e4,log:1e-4:1e4"])
    for run in _runs(folder, f"relu-{MAIN}"):
        for zoo in TRANSFER:
            run_once(
                folder, f"transfer-{zoo}-{run.name}.json", ["predict", str(run.relative_to(folder)), zoo, "--json"]
            )
    script = Path(__file__).with_name("just_test.py")
    for zoo in ("relu", "tanh", "relu-8x8"):
        subprocess.run([sys.executable, script, zoo, "-o", f"just-test-{zoo}.json"], cwd=folder, check=True)


def _runs(folder: Path, zoo: str) -> list[Path]:
    """Return the runs on a zoo."""
    names = [name for name, _ in sweeps() if name.startswith(f"sweep-{zoo}-")]
    return [run for name in names for run in sorted((folder / name).glob("*-seed*"))]


def _build(folder: Path, zoo: str, options: Sequence[str]) -> None:
    images = [] if "--images" in options else ["--images", "digits"]
    run_once(folder, zoo, ["zoo", "build", "cnn", *images, *options])


def run_once(folder: Path, output: str, arguments: Sequence[str]) -> None:
    """Print a command and run it on one thread; not if its output is there, except a sweep, which continues."""
    if (folder / output).exists() and arguments[0] != "sweep":
        return
    command = [*arguments, "-o", output] if "--json" not in arguments else list(arguments)
    print(f"$ {shlex.join(['mnfn', *command])}", flush=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if "--json" not in arguments:
        subprocess.run([MNFN, *command, "-q"], cwd=folder, check=True, env=environment)
        return
    done = subprocess.run([MNFN, *command], cwd=folder, check=True, env=environment, stdout=subprocess.PIPE, text=True)
    document = {name: value for name, value in json.loads(done.stdout).items() if name != "networks"}
    (folder / output).write_text(json.dumps(document, indent=1) + "\n")


def collect(folder: Path) -> None:
    """Keep what the page needs."""
    shutil.rmtree(RESULTS, ignore_errors=True)
    RESULTS.mkdir(parents=True)
    for name, options in ZOOS.items():
        zoo = open_zoo(folder / name)
        made = json.loads((folder / name / "zoo.json").read_text())["made"]
        _keep(f"zoo-{name}", {"command": made["command"], "options": options, "networks": len(zoo.ids)})
    for name, _ in sweeps():
        _keep(name, json.loads((folder / name / "results.json").read_text()))
    for zoo in (f"relu-{MAIN}", "tanh"):
        _keep(f"moved-{zoo}", json.loads((folder / f"moved-{zoo}" / "evaluation.json").read_text()))
    for file in sorted((*folder.glob("transfer-*.json"), *folder.glob("just-test-*.json"))):
        shutil.copyfile(file, RESULTS / file.name)


def _keep(name: str, document: Any) -> None:
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")


def main() -> None:
    """Make and collect."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--at-once", type=int, default=1, help="the number of sweeps that run at the same time")
    arguments = parser.parse_args()
    make(arguments.folder, arguments.at_once)
    collect(arguments.folder)


if __name__ == "__main__":
    main()
