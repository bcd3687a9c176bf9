"""Train every functional of accuracy on zoos of new seeds, and keep what docs/results.md shows of them.

python scripts/leading.py FOLDER [--at-once N]

builds the zoos in FOLDER, trains, evaluates, and keeps the results in docs/results/leading; ``scripts/results.py`` then
writes the page. What is there already in FOLDER is not made again, so an interrupted call continues. On two cores it
takes some four hours with ``--at-once 2``.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from mnfn_cli import open_zoo
from mnfn_cli.tasks.application import apply_run
from run_once import run_once

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results" / "leading"
SEEDS = ("0", "1", "2")
ONE_AT_A_TIME = Lock()
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
TRAINED_ON = {"tanh": 1400, "relu-1400": 1400, "relu-8x8": 1400, "relu-250": 250, "relu-700": 700, "relu-5000": 5000}
"""Zoos, and the number of their training networks."""


def sweeps() -> list[tuple[str, list[str]]]:
    """Return the name and the arguments of every sweep, those first that say most.

    Published functionals come last, on other zoos than the main one, and there first with one seed.
    """
    first, late, last = [], [], []
    for zoo, networks in TRAINED_ON.items():
        for kind, names in KINDS.items():
            arguments = ["sweep", *(f"--recipe=generalization/{zoo.partition('-')[0]}-{name}" for name in names)]
            limit, steps = LONGEST.get(kind, (networks, 0))
            length = ["training.epochs=null", f"training.steps={steps}", f"training.validate_every={steps // 25}"]
            arguments += ["--zoo", zoo, *(length if networks > limit else [])]
            name, seeds = f"sweep-{zoo}-{kind}", ",".join(SEEDS)
            if kind != "weights" or zoo == f"relu-{MAIN}":
                first.append((name, [*arguments, "--seeds", seeds]))
            elif zoo == "tanh":
                late.append((name, [*arguments, "--seeds", seeds]))
            else:
                late.append((name, [*arguments, "--seeds", SEEDS[0]]))
                last.append((f"{name}-more", [*arguments, "--seeds", ",".join(SEEDS[1:])]))
    return [*first, *late, *last]


def make(folder: Path, at_once: int) -> None:
    """Build the zoos, train on them, and evaluate."""
    folder.mkdir(parents=True, exist_ok=True)
    digits = load_digits()
    pictures = (255 - digits.images * 255 / 16).round().astype(np.uint8)
    np.savez(folder / "negative.npz", images=pictures.repeat(2, axis=1).repeat(2, axis=2), labels=digits.target)
    with ThreadPoolExecutor(at_once) as pool:
        built = {zoo: pool.submit(_build, folder, zoo, options) for zoo, options in ZOOS.items()}
        for done in [pool.submit(_sweep, folder, built, *sweep) for sweep in sweeps()]:
            done.result()
    for zoo in (f"relu-{MAIN}", "tanh"):
        runs = [str(run.relative_to(folder)) for run in _runs(folder, zoo)]
        run_once(folder, f"moved-{zoo}", ["evaluate", *runs, "--scales", "1e4,log:1e-4:1e4"])
    for run in _runs(folder, f"relu-{MAIN}"):
        for zoo in TRANSFER:
            applied = apply_run(run, folder / zoo)
            document = {"tau": applied.figures["tau"].value, "coverage": applied.facts["coverage"]}
            document |= {"flagged": applied.facts["unlike"]}
            _write(folder / f"transfer-{zoo}-{run.name}.json", document)
    script = Path(__file__).with_name("just_test.py")
    for name in ("relu", "tanh", "relu-8x8"):
        subprocess.run([sys.executable, script, name, "-o", f"just-test-{name}.json"], cwd=folder, check=True)


def _runs(folder: Path, zoo: str) -> list[Path]:
    """Return the runs on a zoo."""
    names = [name for name, _ in sweeps() if name.startswith(f"sweep-{zoo}-")]
    return [run for name in names for run in sorted((folder / name).glob("*-seed*"))]


def _sweep(folder: Path, built: Mapping[str, Future[None]], name: str, arguments: Sequence[str]) -> None:
    """Run a sweep when its zoo is there; of the largest zoo a part is taken."""
    zoo = arguments[arguments.index("--zoo") + 1]
    if zoo not in ZOOS:
        built["relu"].result()
        with ONE_AT_A_TIME:
            _take_part(folder, zoo)
    else:
        built[zoo].result()
    run_once(folder, name, arguments)


def _take_part(folder: Path, zoo: str) -> None:
    """Filter the zoo of ReLU networks: the first of its training networks, and of its validation networks."""
    table = open_zoo(folder / "relu").table
    chosen = ["split = 'test'"]
    for split, count in (("val", VALIDATE), ("train", TRAINED_ON[zoo])):
        last = sorted(table.filter(table["split"] == split)["id"].to_list())[count - 1]
        chosen.append(f"split = '{split}' AND id <= '{last}'")
    run_once(folder, zoo, ["zoo", "filter", "relu", " OR ".join(chosen)])


def _build(folder: Path, zoo: str, options: Sequence[str]) -> None:
    images = [] if "--images" in options else ["--images", "digits"]
    run_once(folder, zoo, ["zoo", "build", "cnn", *images, *options])


def collect(folder: Path) -> None:
    """Keep what the page needs."""
    shutil.rmtree(RESULTS, ignore_errors=True)
    RESULTS.mkdir(parents=True)
    for name, options in ZOOS.items():
        zoo = open_zoo(folder / name)
        made = json.loads((folder / name / "zoo.json").read_text())["made"]
        _keep(f"zoo-{name}", {"command": made["command"], "options": options, "networks": len(zoo.ids)})
    for name, _ in sweeps():
        if (folder / name / "results.json").exists():
            _keep(name, json.loads((folder / name / "results.json").read_text()))
        else:
            print(f"{name}: not there yet")
    for zoo in (f"relu-{MAIN}", "tanh"):
        _keep(f"moved-{zoo}", json.loads((folder / f"moved-{zoo}" / "evaluation.json").read_text()))
    for file in sorted((*folder.glob("transfer-*.json"), *folder.glob("just-test-*.json"))):
        shutil.copyfile(file, RESULTS / file.name)


def _keep(name: str, document: Any) -> None:
    _write(RESULTS / f"{name}.json", document)


def _write(file: Path, document: Any) -> None:
    file.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")


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
