"""Write docs/scale.md: how time and memory grow, and what 100 million networks would take.

python scripts/scale.py

Figures come from docs/results/performance, into which ``benchmarks/growth.py`` and ``benchmarks/roofline.py`` wrote.
"""

from collections.abc import Mapping, Sequence
from math import log
from pathlib import Path
from typing import Any

import numpy as np

from mnfn_cli import NetworkSpec, build_model
from performance import DOCS, load
from tables import table

GROWTH = DOCS / "pictures" / "growth-of-cost.png"
MANY = 100_000_000
BATCH = 256
STEP = f"generalization/relu-monomial, batch {BATCH}"
PROCESSES = (1, 64, 1024)
NETWORK = 1.25e9
"""The bytes a second of a network of 10 Gbit/s, which the estimate assumes."""
WORDS = {
    "width": ("neurons a hidden layer, [1, n, n]", "batch 1, 16 channels"),
    "depth": ("convolutions of 16 neurons", "batch 8, 16 channels"),
    "channels": ("channels of the functional", "batch 8, networks [1, 16, 16, 16]"),
}
INTRODUCTION = """\
# Scale

<!-- written by scripts/scale.py from docs/results/performance; change nothing here by hand -->
<!-- none run: they made the figures, in minutes to days -->

    python benchmarks/growth.py -o docs/results/performance/growth.json
    python benchmarks/roofline.py -o docs/results/performance/roofline.json
    python scripts/scale.py

## Growth

Times are seconds of a processor. Memory is anonymous memory above that of the process after its imports; pages of the
zoo's files, which the kernel can drop at any time, do not count. Exponents are slopes between the last two points: 1 is
linear. Commands read random CNNs of 238 numbers, `augment` proves every network, `predict` also flags unlike ones where
it can; a training step is that of the monomial functional, forward, backward and Adam, on one thread.
"""

Points = Sequence[Mapping[str, float]]


def exponent(points: Points, figure: str) -> str:
    """Return the slope between the last two points on logarithmic axes."""
    first, last = points[-2:]
    return f"{log(last[figure] / first[figure]) / log(last['size'] / first['size']):.2f}"


def rows_of(name: str, points: Points) -> list[str]:
    """Return the row of a series: seconds and megabytes at every size, and both exponents."""
    cells = [f"{point['processor']:.3g} s, {point['bytes'] / 1e6:.0f} MB" for point in points]
    return [name, *cells, exponent(points, "processor"), exponent(points, "bytes")]


def growth(document: Mapping[str, Any]) -> list[str]:
    """Return the tables of growth."""
    series = document["networks"]
    sizes = [f"{point['size']:,}" for point in next(iter(series.values()))]
    exponents = ["exponent of time", "of memory"]
    lines = table(["networks", *sizes, *exponents], [rows_of(f"`{name}`", points) for name, points in series.items()])
    for name, (what, how) in WORDS.items():
        points = document[name]
        heading = [what, *(f"{point['size']:,}" for point in points), *exponents]
        lines += ["", *table(heading, [rows_of(f"a training step, {how}", points)])]
    return [*lines, "", "![Growth](pictures/growth-of-cost.png)", "", REASONS]


REASONS = """\
A network [1, n, n] has about 9 n² weights, so the exponent 2 in the width is linear in the numbers of a network. A
layer of the functional multiplies c channels by a matrix of 9 c x 9 c for each pair of neurons, which tends to the
exponent 2 in c; small c spend their time elsewhere. Time and memory of commands are linear in the number of networks at
most: what grows in memory is the table and the identifiers, not the weights.
"""


BEFORE = """\
## What 100 million networks would take

Computed, not measured: from the costs of one network on one core of this machine, and a network of 10 Gbit/s. The
networks are CNNs of the Small CNN Zoo's size, {numbers} numbers, so the weights take {weights}. A training step of the
monomial functional costs {cost} a network at batch {batch}; its gradients are {message}, of which every process
sends and receives about twice as much a step. Each process keeps {batch} networks a step.
"""
AFTER = """
* **Arithmetic** is the bottleneck: one core would take {one_core} an epoch. With {most} processes an epoch has {steps}
  steps of {large} networks; that so large batches learn as well was not measured.
* **Gradients** take little time while a process has {batch} networks a step. With smaller shares they take over: for 8
  networks a process computes {computes} and talks {talks}.
* **Reading**: every network is read once an epoch. {reads} a process are little for a local disk, and {all_read} for
  {most} processes are much for a shared file system: copy some shards to every machine, and let its processes draw
  from these. mnfn's order of batches mixes neighbouring blocks only, but does not keep blocks to machines yet.
* **The table** is what breaks first: a network takes {held} of memory in `zoo info`, so 100 million take {table}, and
  every process reads the whole table. It would have to be split beside the shards.
* **Prediction** needs no messages. The whole command was measured to take {predict} of a processor for a network of 238
  numbers.
"""


def spans(seconds: float) -> str:
    """Return a time in words."""
    for unit, name in ((86400 * 365, "years"), (86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:,.0f} {name}" if seconds >= 10 * unit else f"{seconds / unit:.1f} {name}"
    return f"{seconds:.0f} s"


def hundred_million(document: Mapping[str, Any], steps: Mapping[str, float]) -> list[str]:
    """Return the section on 100 million networks, computed from measured costs of one network."""
    spec = NetworkSpec.cnn([1, 16, 16, 16], kernel=3, outputs=10, activation="relu")
    stored = 4 * spec.num_parameters
    message = 4 * sum(parameter.numel() for parameter in build_model("generalization/monomial", spec).parameters())
    per_network = steps[STEP] / BATCH
    rows = []
    for processes in PROCESSES:
        computing = MANY * per_network / processes
        talking = MANY / (BATCH * processes) * 2 * message * (processes - 1) / processes / NETWORK
        rows.append(
            [
                f"{processes:,}",
                f"{BATCH * processes:,}",
                spans(computing),
                spans(talking) if processes > 1 else "-",
                f"{computing / (computing + talking):.0%}",
                f"{stored / per_network * processes / 1e6:,.0f} MB/s",
            ]
        )
    first, last = document["networks"]["mnfn zoo info"][-2:]
    held = (last["bytes"] - first["bytes"]) / (last["size"] - first["size"])
    predict = document["networks"]["mnfn predict"][-1]
    most = max(PROCESSES)
    found = {
        "numbers": f"{spec.num_parameters:,}",
        "weights": f"{MANY * stored / 1e12:.1f} TB",
        "cost": f"{1e3 * per_network:.2f} ms",
        "message": f"{message / 1e6:.2f} MB",
        "one_core": spans(MANY * per_network),
        "large": f"{BATCH * most:,}",
        "steps": f"{MANY // (BATCH * most):,}",
        "computes": f"{8e3 * per_network:.1f} ms",
        "talks": f"{2e3 * message / NETWORK:.1f} ms",
        "reads": f"{stored / per_network / 1e6:.0f} MB/s",
        "all_read": f"{most * stored / per_network / 1e9:.1f} GB/s",
        "held": f"{held:.0f} bytes",
        "table": f"{MANY * held / 1e9:.0f} GB",
        "predict": f"{1e3 * predict['processor'] / predict['size']:.2f} ms",
        "batch": BATCH,
        "most": f"{most:,}",
    }
    heading = ["processes", "batch", "an epoch computes", "and sends gradients for", "efficiency", "reads"]
    return [BEFORE.format(**found), *table(heading, rows), AFTER.format(**found)]


def draw(document: Mapping[str, Any]) -> None:
    """Draw time and memory against every size."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 4, figsize=(12, 5), layout="constrained")
    columns = [("networks", document["networks"])]
    columns += [(name, {"training step": document[name]}) for name in WORDS]
    for number, (name, series) in enumerate(columns):
        for row, (figure_name, unit) in enumerate((("processor", 1.0), ("bytes", 1e-6))):
            axis = axes[row, number]
            for label, points in series.items():
                sizes = [point["size"] for point in points]
                axis.plot(sizes, np.array([point[figure_name] for point in points]) * unit, "o-", label=label)
            axis.set(xscale="log", yscale="log", xlabel=name, ylabel="processor seconds" if row == 0 else "MB")
            axis.set_xticks(sizes, [f"{size:,.0f}" for size in sizes], fontsize=7)
            axis.minorticks_off()
            axis.legend(fontsize=7)
    figure.savefig(GROWTH, dpi=100, metadata={"Software": None})
    pyplot.close(figure)


def page() -> str:
    """Return the whole page."""
    document, steps = load("growth"), {each["step"]: each["seconds"] for each in load("roofline")["steps"]}
    return "\n".join([INTRODUCTION, *growth(document), *hundred_million(document, steps)])


if __name__ == "__main__":
    draw(load("growth"))
    Path(DOCS / "scale.md").write_text(page())
