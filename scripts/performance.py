"""Write docs/performance.md: the table of ``make bench``, how it was measured, and the roofline.

python scripts/performance.py

Figures come from docs/results/performance, into which ``benchmarks/table.py`` and ``benchmarks/roofline.py`` wrote.
"""

import json
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from tables import table

DOCS = Path(__file__).resolve().parents[1] / "docs"
RESULTS = DOCS / "results" / "performance"
ROOFLINE = DOCS / "pictures" / "roofline.png"
INTRODUCTION = """\
# Performance

<!-- written by scripts/performance.py from docs/results/performance; change nothing here by hand -->

Every figure is a ratio of two medians, or of two peaks of memory, taken in one run in which both sides take turns: the
machine is shared, and its absolute times are noise. One thread, unless a row says otherwise. *Published* is the code of
MathematicalAI-NUS/Monomial-NFN, in a clone that the benchmark is pointed at.

    make bench REFERENCE=CLONE
    python benchmarks/table.py --reference CLONE -o docs/results/performance/table.json
    python benchmarks/roofline.py -o docs/results/performance/roofline.json
    python scripts/performance.py
"""
TRIED = """\
## What was tried, and did not pay
"""


def load(name: str) -> Any:
    """Return the contents of a kept file."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def measured(benchmarks: Mapping[str, Any]) -> list[str]:
    """Return the table of ratios, and on what they were measured."""
    rows = []
    for row in chain.from_iterable(benchmark["rows"] for benchmark in benchmarks.values()):
        lower = row["better"] == "lower"
        met = row["ratio"] <= row["target"] if lower else row["ratio"] >= row["target"]
        words = f"{row['ratio']:.2f}" if lower else f"{row['ratio']:.1f} times as fast"
        target = f"at most {row['target']:g}" if lower else f"at least {row['target']:g}"
        rows.append([row["work"], row["against"], words, target, "yes" if met else "**no**", row["note"]])
    machines = dict.fromkeys(f"{each['device']}, torch {each['torch']}" for each in benchmarks.values())
    heading = ["work", "against", "ratio", "to reach", "reached", ""]
    return ["## Ratios", "", f"Measured on {'; '.join(machines)}.", "", *table(heading, rows), ""]


def roofline(document: Mapping[str, Any]) -> list[str]:
    """Return the section on what bounds training steps."""
    speed, bandwidth = document["flops_per_second"], document["bytes_per_second"]
    rows = [
        [
            step["step"],
            f"{1e3 * step['seconds']:.1f}",
            f"{step['flops'] / 1e9:.2f}",
            f"{step['flops'] / step['bytes']:.1f}",
            f"{step['flops'] / step['seconds'] / 1e9:.1f}",
            f"{step['of_roof']:.0%}",
        ]
        for step in document["steps"]
    ]
    heading = ["training step", "ms", "GFLOP", "FLOP a byte", "GFLOP/s", "of the roof"]
    gigaflops, gigabytes, ridge = f"{speed / 1e9:.0f}", f"{bandwidth / 1e9:.1f}", f"{speed / bandwidth:.0f}"
    text = f"""\
## Roofline

One core of this machine ({document["device"]}) computes {gigaflops} GFLOP/s in a product of two
matrices of 1,024 x 1,024, and copies {gigabytes} GB/s. A step with less than {ridge} FLOP a byte is bound by
memory, unless its tensors stay in the cache from one operation to the next. Bytes are those of every tensor of every
operation, read or written once; the roof is the longer of the time of a step's arithmetic and that of its bytes at
these speeds.
"""
    return [text, *table(heading, rows), "", "![Roofline](pictures/roofline.png)", ""]


def draw(document: Mapping[str, Any]) -> None:
    """Draw the steps under the roof of the machine."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    speed, bandwidth = document["flops_per_second"], document["bytes_per_second"]
    figure, axes = pyplot.subplots(figsize=(8, 4.6), layout="constrained")
    intensities = [0.25, speed / bandwidth, 64]
    axes.plot(intensities, [min(speed, bandwidth * x) / 1e9 for x in intensities], color="black", label="one core")
    for step in document["steps"]:
        axes.plot(step["flops"] / step["bytes"], step["flops"] / step["seconds"] / 1e9, "o", label=step["step"])
    axes.set(xscale="log", yscale="log", xlabel="FLOP a byte", ylabel="GFLOP/s")
    figure.legend(fontsize=7, loc="outside right upper")
    figure.savefig(ROOFLINE, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def page() -> str:
    """Return the whole page."""
    return "\n".join([INTRODUCTION, *measured(load("table")), *roofline(load("roofline")), TRIED])


if __name__ == "__main__":
    draw(load("roofline"))
    (DOCS / "performance.md").write_text(page())
