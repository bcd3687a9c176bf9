"""Write docs/performance.md: the table of ``make bench``, how it was measured, and the roofline.

python scripts/performance.py

Figures come from docs/results/performance, which benchmarks write (table, roofline, breakdown).
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
<!-- none run: they made the figures, in minutes to days -->

Every figure is a ratio of two medians, or of two peaks of memory, taken in one run in which both sides take turns: the
machine is shared, and its absolute times are noise. One thread, unless a row says otherwise. *Published* is the code of
MathematicalAI-NUS/Monomial-NFN, in a clone that the benchmark is pointed at.

    make bench REFERENCE=CLONE
    python benchmarks/table.py --reference CLONE -o docs/results/performance/table.json
    python benchmarks/roofline.py -o docs/results/performance/roofline.json
    python benchmarks/breakdown.py -o docs/results/performance/breakdown.json
    python scripts/performance.py
"""
KINDS = {
    "products": "matrix products",
    "sines": "sines and cosines",
    "entries": "entry by entry",
    "copies": "copies",
    "sums": "sums",
    "views": "views",
    "python": "Python",
}
"""How the page names the kinds of operations of ``benchmarks/breakdown.py``."""
MISSED = """\
What bounds the rows that are not reached:

* **Classifiers of 28x28 pixels.** The plain loop's own step is one of large maps, whose time its products dominate; at
  16x16 it is that of starting operations, which the engine shares among 32 networks. The maps of one network and 32
  pictures have 2 MB, as much as a core's second cache, so that taking patches, adding up their gradients, ReLU and
  dropout move each of them through the third. The table above says how little of the time is that of products.
* **SIRENs of 28x28 pixels.** Products and sines take two thirds, and the plain loop computes the same ones.
* **The monomial step.** What is no product is the normalisation, ReLU, the mean over positions, and Adam; at batch 8
  also starting operations.
* **The strict editor.** Its products alone take more of the NP editor's step than NP's do (see the row above), and so
  do its gates and odd features, entry by entry, which NP has not.
* **Published models** are run as their users run them, each code in a process of its own; ours keeps freed memory and
  has huge pages. The notes say what is left with these settings for both: products of the same sizes are computed by
  both codes, most of a step of the classifiers of MNIST, and Adam reads and writes as much.
* **Two processes that train with batches of 32.** Half a batch takes far more than half the time of a whole one, since
  starting operations, small blocks and Adam cost the same; and each step waits for the slower half and for the exchange
  of gradients. With batches of 256 the row is reached.
* **augment --no-verify** waits for the disk: it reaches the row where files stay in memory.
* **An epoch of few networks.** Validation of 200 networks, the log, and a state on the disk do not shrink with the
  175 steps, of which each takes some ten milliseconds.
* **predict with the flag** of unlike networks computes statistics of every network: seven small eigenvalue problems and
  two sorts, which take as long as the functional. Without the flag the row is reached.
"""
TRIED = """\
## What makes it fast

* **Features stay in blocks.** A monomial layer combines the entries of one position only. They are arranged as (batch,
  positions, entries x channels) once, and every layer is one product on them, without views and copies between layers.
* **The mean is fused with the normalisation.** The mean of gain x/|x| + offset is gain times the mean of x/|x|, plus
  offset, so that normalised features are never written. Its gradient is computed by hand, from x alone. Positions are
  rescaled before the first layer, so that lengths are summed up in the dtype of the features, without a divisor.
* **Chunks of 8,192 positions** of a block go through all layers, on a CPU: what a large batch needs for a moment would
  be mapped, cleared and taken back by the system at every layer. Small blocks are not divided, since their time is that
  of starting operations; other models divide batches, into chunks of 32 networks. Where the C library can, commands
  keep freed memory for the same reason.
* **NP and HNP layers pass once over the entries** of a weight, a few networks at a time: the product, the vectors that
  are added along rows and columns, ReLU, dropout, and the sums that the next layer and the pool need; backward, the
  gradients of result and sums are added up where the one product reads them. A step of the classifiers of MNIST takes a
  tenth less time.
* **Huge pages.** Commands ask for them, by a setting of torch: a step of large models, which visits a gigabyte, takes
  an eighth less time. The first step takes up to a second longer, in which the system finds such pages.
* **No step asks its device for a number.** Losses are looked at every 32 steps on a GPU, and before every save Adam's
  moments tell whether all gradients were finite. A test runs the steps of all recipes on the meta device.
* **The proof of `augment`** runs every source once, on 32 chosen inputs, in float32, and again in float64 where the
  error comes within a tenth of the tolerance or an output hardly changes; it refuses what float64 alone refuses. A
  convolution is one product for each network: the first layer computes its pixels in the order in which the kernels
  of the second read them, some of them twice, so that no patch is copied.
* **Builders train many networks at once.** ReLU, its gradient and dropout overwrite their inputs; patches are taken and
  their gradients added up by 32-bit indices; products read contiguous transposes of the weights.
* **A shard is written from the batches as they come**, without a buffer, and hashed piece by piece while it is
  written, by a thread, while the next one fills. Of 50 microseconds a network on one core SHA-256 takes 15, the action
  16 and writing 5; on a disk the `fsync` of the last shard comes on top.
* **The table of a zoo** is read with the types that its first hundred rows tell, and a second time only where a later
  value does not fit them.
* **Single files** are read by headers that are parsed once for all files alike, and checked as one block of bytes.
* **Kendall's tau of resamples**: pairs are counted by matrices of signs within buckets, and by cumulative sums between
  them, for all resamples at once.

`training.precision=bf16` (`mnfn train --precision bf16`) computes the products of a training step in bfloat16;
parameters, losses, and networks that are run stay in float32, and so does the trained model.

## What was tried, and did not pay

* `torch.compile` of the monomial functional, one thread: 45 s of compilation for steps that are 9 % faster at batch 8;
  160 s for steps that are 6 % slower at batch 256.
* A linear map and its ReLU as one function over blocks of rows: slower at batches of 8 and 32, 3 % faster at 256. All
  maps and ReLUs of a block as one function, whose gradient overwrites itself: 0 to 5 % faster at 256.
* Lengths in float64, or after a division by the sum of absolute values: a pass of 1 ms (65,536 vectors of 45 numbers)
  becomes one of 10 ms, since torch has a vectorised one for the 2-norm in float32 alone.
* Chunks of 2,048 or 4,096 positions, which fit into the level-2 cache: 3 to 12 % slower at batch 256, since products
  of fewer rows are slower and operations more; larger chunks than 8,192: as fast or slower.
* Micro-batches whose gradients are added up: as fast as chunks in the forward pass, with more code.
* The norm of all gradients in every step: 4 % of a step, which Adam's moments do not cost.
* In the builder of classifiers: a product for each network by itself in place of a batched one; chunks of a quarter or
  half as many networks, whose maps nearly fit into the second cache; gradients of patches added up by strided slices,
  which takes two to three times the time of summing bags; grouped convolutions with channels last, which save the
  patches but are slow for small groups of networks and on GPUs.
* In the fit of SIRENs: sines of torch in place of OpenCV's, and products with contiguous transposes: as fast.
* Smooth and periodic inputs in the proof of `augment`: they find fewer wrong entries than random ones.
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


def breakdown(document: Mapping[str, Any]) -> list[str]:
    """Return the section on what the time of steps goes into."""
    rows = [[name, *(f"{found[kind]:.0%}" for kind in KINDS)] for name, found in document["shares"].items()]
    text = f"""\
## Where the time goes

The share of each kind of operation in the time of a step, one thread, on {document["device"]}, by torch's profiler
(`benchmarks/breakdown.py`). Views compute nothing; their time is that of starting them. Python is what no operation
accounts for.
"""
    return [text, *table(["work", *KINDS.values()], rows), "", MISSED]


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
    return "\n".join(
        [INTRODUCTION, *measured(load("table")), *roofline(load("roofline")), *breakdown(load("breakdown")), TRIED]
    )


if __name__ == "__main__":
    draw(load("roofline"))
    (DOCS / "performance.md").write_text(page())
