"""Write docs/reproduce.md: the commands from the paper's data sets to its tables, its figures, and the expected hours.

python scripts/reproduce.py

Commands and numbers of steps come from ``reproduce_plan`` and from the recipes, published figures from
``mnfn_cli.report.published``, and times of steps from the files in docs/results/reproduce, one for each device, that
``benchmarks/paper_step.py`` measured or ``benchmarks/paper_operations.py`` estimated.
"""

import json
import re
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from mnfn_cli.report.published import MINUTES_ON_A100, TABLES, TRAINING_NETWORKS
from mnfn_cli.tasks.sweep import Trial
from reproduce_plan import EXPERIMENTS, RANGES, Experiment
from tables import LABELS, table

DOCS = Path(__file__).resolve().parents[1] / "docs"
RESULTS = DOCS / "results" / "reproduce"
WIDTH = 115

INTRODUCTION = """\
# Reproducing the paper

<!-- written by scripts/reproduce.py from docs/results/reproduce; change nothing here by hand -->
<!-- blocks run in tests/test_reproduce.py -->

The commands from the downloaded archives to the paper's tables of results and to Figure 1. They have not been run on
the archives, which are no part of this repository; a test runs every command of this page on small data sets in the
same layouts. Published figures stand below the commands, and the hours to expect below them.

## Data

The commands run in a folder that holds `data`, with what these archives unpack to:

| in `data` | what it is | where it is |
|---|---|---|
| `cifar10` | Small CNN Zoo: `weights.npy`, `metrics.csv.gz`, `layout.csv` | [archive][zoo] of Unterthiner et al. 2020 |
| `cifar10_split.csv` | the order in which published code splits that zoo | [code][split] of Zhou et al. 2023 |
| `siren_mnist_wts`, `siren_fashion_wts`, `siren_cifar_wts` | SIRENs of three data sets | [folder][inr] of the same |

[zoo]: https://storage.cloud.google.com/gresearch/smallcnnzoo-dataset/cifar10.tar.xz
[split]: https://github.com/AllanYangZhou/nfn/tree/main/experiments/predict_gen_data_splits
[inr]: https://drive.google.com/drive/folders/15CdOTPWHqDcS4SwbIdm100rXkTYZPcC5

CNNs are split by the protocol `monomial`: one activation is kept, then the second half in the order of the file is
test, and of the first half 80 % are train and 20 % val. `--stray-row keep` reads the first line of the file as row 0,
as the published code does. INRs are split by the number of their picture, train below 45,000, val below 50,000 and
test from there on, and the augmented copies are left out. Augmented zoos of CNNs hold every network of each split and
one copy that was acted on, as in the published code.

An interrupted `mnfn sweep` goes on when it is given again. `mnfn evaluate` ends in a table of means and standard
deviations over seeds. In it, `original` are the test networks as they are in the zoo of the models; the other rows are
these networks once more permuted, and scaled or flipped, and the last column is the largest change by that."""
DIFFERENCES = """\
## What differs from the paper

* Editing: the targets of the paper are made from the original pictures. The archives hold weights only, so mnfn makes
  targets from the pictures that the unedited networks render, and mean squared errors compare with that in mind.
* Classification: the published code goes back to the best weights so far at every validation, each 3,000 steps. mnfn
  trains on, and takes the best weights at the end.
* The GNN: neither its sizes nor its code are published. The recipe has a third of its parameters.
* Augmentation: factors, signs and permutations are drawn anew, from the same distributions.
* NP standardises weights with one mean and one standard deviation a tensor, the published code with one an entry.
* The seeds of the paper's five runs are unknown; here they are 0 to 4.
* The paper's table of hyperparameters names the layers after the Fourier features of its classifiers in an order that
  cannot give its numbers of parameters. The recipes follow the numbers.
* Missing figures: STATNN's and NP's in Table 2 and all of Figure 1 are not kept here. HNP's in Table 2 are the monomial
  model's less the gaps that the text states. Of the monomial editor the text says that it is on par with the best."""
HOURS = """\
A run of a sweep takes as long as a step was measured to take, times the steps of its recipe. Reading, validation and
evaluation come on top. A step is forward, backward and Adam on random networks of the published sizes, and the median
over several steps, with the recipes of a task in turns. On a CPU it is the time that one thread of the processor
works. Runs do not depend on each other: other `--seeds` with another `-o` can run beside."""


def imports() -> list[str]:
    """Return the commands that make the zoos."""
    cnn = "mnfn zoo import small-cnn-zoo data/cifar10 --protocol monomial --where config.activation={0} "
    cnn += "--split-file data/cifar10_split.csv --stray-row keep -o zoos/{0}"
    siren = "mnfn zoo import nfn-siren data/siren_{}_wts -o zoos/{}"
    return [
        *(cnn.format(activation) for activation in ("relu", "tanh")),
        *(f"mnfn augment zoos/relu -o zoos/relu-{x} --scale 1 {x} --keep-original" for x in RANGES),
        "mnfn augment zoos/tanh -o zoos/tanh-flipped --keep-original",
        *(siren.format(data, zoo) for data, zoo in (("mnist", "mnist"), ("fashion", "fashion"), ("cifar", "cifar10"))),
    ]


def block(commands: list[str]) -> list[str]:
    """Return commands as a block of code, with long ones on several lines."""
    lines = []
    for command in commands:
        words = re.split(r" (?=-)", command)
        line = words[0]
        for word in words[1:]:
            if len(line) + len(word) > WIDTH:
                lines.append(f"{line} \\")
                line = f"    {word}"
            else:
                line += f" {word}"
        lines.append(line)
    return ["```sh", *lines, "```", ""]


def published(title: str) -> list[str]:
    """Return the paper's table of this title, if there is one with figures."""
    if title not in TABLES:
        return []
    found = TABLES[title]
    digits = 1 if found.figure == "accuracy" else 3
    rows = [
        [LABELS[model], *("" if figure is None else f"{figure:.{digits}f}" for figure in figures)]
        for model, figures in found.rows.items()
    ]
    unit = ", %" if found.figure == "accuracy" else ""
    return [*table([f"published {found.figure}{unit}", *found.columns], rows), ""]


def stored() -> list[Mapping[str, Any]]:
    """Return the kept documents of step times."""
    return [json.loads(file.read_text()) for file in RESULTS.glob("step-*.json")]


def devices() -> list[Mapping[str, Any]]:
    """Return the documents of step times, the CPU's first: the measured ones, and estimates until a GPU is measured."""
    found = stored()
    on_gpu = any(document["kind"] == "cuda" for document in found)
    kept = [document for document in found if document["kind"] != "estimate" or not on_gpu]
    return sorted(kept, key=lambda document: (document["kind"] != "cpu", document["device"]))


def in_words(device: Mapping[str, Any]) -> str:
    """Return the heading of a device."""
    if device["kind"] == "estimate":
        return f"{device['device']} (estimate)"
    return "one CPU thread" if device["kind"] == "cpu" else str(device["device"])


def zoo_of(trial: Trial) -> str:
    """Return the name of the zoo of a run."""
    return Path(trial.resolved.data.zoo[0]).name


def steps_of(trial: Trial) -> int:
    """Return the number of optimizer steps of a run."""
    training = trial.resolved.training
    if training.steps:
        return training.steps
    zoo, _, augmented = zoo_of(trial).partition("-")
    networks = TRAINING_NETWORKS[zoo] * (2 if augmented else 1)
    return -(-networks // training.batch_size) * training.epochs


def hours(trial: Trial, device: Mapping[str, Any]) -> float:
    """Return the hours that the steps of a run take."""
    measured = device["steps"][trial.recipe]
    if measured["batch"] != trial.resolved.training.batch_size:
        raise SystemExit(f"{trial.recipe}: times are for batches of {measured['batch']}; measure them again")
    return steps_of(trial) * measured["seconds"] / 3600


def cost(experiment: Experiment) -> list[str]:
    """Return the table of the expected hours of an experiment."""
    heading = ["recipe", "zoos", "batch", "steps a run", "runs"]
    for device in devices():
        heading += [f"ms a step, {in_words(device)}", "hours a run", "hours in all"]
    rows = []
    for (recipe, steps), group in groupby(experiment.trials, key=lambda trial: (trial.recipe, steps_of(trial))):
        trials = list(group)
        zoos = ", ".join(dict.fromkeys(zoo_of(trial) for trial in trials))
        row = [recipe, zoos, str(trials[0].resolved.training.batch_size), f"{steps:,}", str(len(trials))]
        for device in devices():
            one = hours(trials[0], device)
            row += [f"{1e3 * device['steps'][recipe]['seconds']:.1f}", f"{one:.2f}", f"{one * len(trials):,.1f}"]
        rows.append(row)
    minutes = MINUTES_ON_A100[experiment.trials[0].resolved.task]
    paper = f"The paper's monomial model took {minutes} minutes a run on an A100 GPU."
    return [*table(heading, rows), "", paper, ""]


def summary() -> list[str]:
    """Return the table of the hours of all experiments."""
    rows = []
    for experiment in EXPERIMENTS:
        trials = experiment.trials
        totals = [f"{sum(hours(trial, device) for trial in trials):,.0f}" for device in devices()]
        rows.append([experiment.title, str(len(trials)), *totals])
    return table(["", "runs", *(f"hours, {in_words(device)}" for device in devices())], rows)


def times() -> list[str]:
    """Return the section on hours."""
    known = devices()
    parts = ["## Expected hours", "", *summary(), "", HOURS, ""]
    measured = [device for device in known if device["kind"] != "estimate"]
    parts += [f"* {in_words(device)}: {device['device']}, torch {device['torch']}" for device in measured]
    parts += [_estimate(device) for device in known if device["kind"] == "estimate"]
    commands = [
        f"python benchmarks/{script} -o docs/results/reproduce/step-{kind}.json"
        for script, kind in (
            ("paper_step.py", "times-cpu"),
            ("paper_step.py --device cuda", "times-cuda"),
            ("paper_operations.py", "estimates-a100"),
        )
    ]
    return [*parts, "", *(f"    {command}" for command in [*commands, "python scripts/reproduce.py"]), ""]


def _estimate(device: Mapping[str, Any]) -> str:
    start, bandwidth = 1e6 * device["seconds_to_start"], device["bytes_per_second"] / 1e12
    speed = device["float32_operations_per_second"] / 1e12
    counts = [step["operations"] for step in device["steps"].values()]
    return f"""\
* {in_words(device)}: no GPU was at hand, so nothing was measured; the second of the commands
  below would put measured columns in place of these. The operations of a step ({min(counts):,} to {max(counts):,})
  were counted on torch's meta device. Each is taken to last as long as the longest of {start:.0f} microseconds to
  start, its bytes at {bandwidth} TB/s and its float32 arithmetic at {speed} TFLOP/s. It is an order of magnitude."""


def page() -> str:
    """Return the whole page."""
    parts = [INTRODUCTION, "", *block(imports())]
    parts += ["The paper's tables of parameters and of hyperparameters are, for all recipes and for one:", ""]
    parts += block(["mnfn count-params", "mnfn recipe show classification/mnist-monomial"])
    for experiment in EXPERIMENTS:
        parts += [f"## {experiment.title}", "", experiment.text, "", *block(experiment.commands())]
        parts += [*published(experiment.title), *cost(experiment)]
    return "\n".join([*parts, *times(), DIFFERENCES]) + "\n"


if __name__ == "__main__":
    (DOCS / "reproduce.md").write_text(page())
