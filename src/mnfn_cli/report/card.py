"""Write the card of a run: README.md in its folder, a model card in the format of the Hugging Face Hub.

It says nothing that run.json and result.json do not hold, so that it is the same whenever it is written.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from mnfn_cli.errors import one_line
from mnfn_cli.report.figures import draw_run
from mnfn_cli.storage.atomic import write_text
from mnfn_cli.symmetry import Access
from mnfn_cli.task_list import TASKS
from mnfn_cli.tasks.metrics import Metric
from mnfn_cli.tasks.result import Result, read_result
from mnfn_cli.tasks.task import task_class
from mnfn_cli.training.record import RunRecord
from mnfn_cli.training.run_folder import RunFolder

CARD_FILE = "README.md"

_READS: Mapping[Access, str] = {
    "weights alone": "It reads the weights alone: no network is run.",
    "runs the network": "It reads the weights and runs the network on inputs of its own; no other data are needed.",
}
_PURPOSE = {
    "generalization": "predicts how accurate neural networks are",
    "classification": "classifies the pictures inside implicit neural representations",
    "editing": "edits the pictures inside implicit neural representations",
}
STEADY = 1e-4
"""Answers that change by less under group elements are said not to change beyond rounding."""


def present_run(folder: Path) -> None:
    """Draw the figures of a run and write its card, into its folder.

    Raises:
        DataError: a file of the run is missing or cannot be read.
        StorageError: a file cannot be written.
    """
    draw_run(folder)
    write_text(folder / CARD_FILE, card(RunFolder(folder).record, read_result(folder)))


def card(record: RunRecord, result: Result) -> str:
    """Return the text of a run's card: a header in YAML, then sections in Markdown.

    Args:
        record: the contents of the run's run.json.
        result: the contents of its result.json.
    """
    header = yaml.safe_dump(_header(record, result), sort_keys=False, allow_unicode=True, width=120)
    title = f"# A functional that {_PURPOSE.get(result.task, result.task)} ({_text(result.model)})"
    sections = [
        title,
        f"A neural functional of mnfn, model `{_text(result.model)}`, with "
        f"{result.parameters:,} learned numbers. {_READS[result.reads]}",
        _networks(record, result),
        "\n".join(["## Figures", "", *_figures(result)]),
        "\n".join(["## Invariance", "", *_invariance(result)]),
        "\n".join(["## Limits", "", *(f"* {line}" for line in _limits(record, result))]),
        _use(record, result),
    ]
    return f"---\n{header}---\n\n" + "\n\n".join(sections) + "\n"


def _header(record: RunRecord, result: Result) -> dict[str, Any]:
    metrics = [
        {"type": name, "name": name, "value": metric.value}
        for name, metric in result.test.items()
        if metric.value is not None
    ]
    if result.intervals is not None:
        metrics.append({"type": "coverage", "name": "coverage of 90 % intervals", "value": result.intervals.coverage})
    names = [_zoo(zoo.path) for zoo in record.zoos]
    found = {
        "task": {"type": result.task, "name": result.task},
        "dataset": {"type": "zoo", "name": ", ".join(names), "split": "test"},
        "metrics": metrics,
    }
    tags = ["weight-space", "neural-functional", result.task, result.model, result.reads.replace(" ", "-")]
    return {
        "library_name": "mnfn",
        "tags": tags,
        "metrics": list(result.test),
        "model-index": [{"name": f"{result.task}/{result.model}", "results": [found]}],
    }


def _networks(record: RunRecord, result: Result) -> str:
    lines = ["## Networks", "", *_table(["weight space", "group"], [[str(s), s.group] for s in record.specs]), ""]
    counts = ", ".join(f"{count} {split}" for split, count in result.data.networks.items())
    lines.append(f"Trained on zoo {', '.join(f'`{_zoo(zoo.path)}`' for zoo in record.zoos)}: {counts} networks.")
    lines.append(f"Split: {_text(result.data.split_protocol)}.")
    if record.skipped:
        lines.append(f"{len(record.skipped)} networks were left out, because they could not be used.")
    return "\n".join(lines)


def _figures(result: Result) -> list[str]:
    count = result.data.networks.get("test", 0)
    lines = [
        f"On {count} test networks, which neither trained nor chose the functional, with 95 % bootstrap intervals:"
    ]
    lines += ["", *_table(["figure", "value", "95 % interval"], [_cells(*pair) for pair in result.test.items()])]
    if result.by_weight_space:
        rows = [
            [str(e.spec), str(e.networks), *_cells(*pair)] for e in result.by_weight_space for pair in e.test.items()
        ]
        lines += ["", *_table(["weight space", "networks", "figure", "value", "95 % interval"], rows)]
    if (known := result.intervals) is not None:
        lines += [
            "",
            f"Intervals around predictions promise to hold the true number of at least {known.level:.0%} of new "
            f"networks like those of the zoo. They were calibrated on {known.calibration} networks that chose nothing. "
            f"They hold {known.coverage:.3f} of the test networks (± {known.two_standard_errors:.3f}, two standard "
            f"errors), and their median width is {known.median_width:.3f}.",
        ]
    if (flag := result.unlike) is not None:
        lines += [
            "",
            f"Networks unlike the training zoo are flagged, and by chance {flag.promised:.0%} of those like it: "
            f"{flag.false_alarms:.1%} of the test networks (± {flag.two_standard_errors:.1%}).",
        ]
    return lines


def _invariance(result: Result) -> list[str]:
    if not result.invariance:
        return ["Not measured."]
    rows = [[entry.condition, f"{entry.largest_change:.1e}"] for entry in result.invariance]
    seen = task_class(result.task).seen
    return [
        f"Largest change of a {seen} when random elements of the symmetry group, which change no network's function, "
        f"act on the weights of {result.invariance[0].networks} test networks:",
        "",
        *_table(["networks after", f"largest change of a {seen}"], rows),
    ]


def _limits(record: RunRecord, result: Result) -> list[str]:
    lines = [
        "It reads networks of the weight spaces above. Of networks trained on other data, or in other ways than those "
        "of its zoo, its answers promise nothing until they are measured."
    ]
    if result.intervals is None and TASKS[result.task].calibration is not None:
        lines.append("It gives no intervals around its predictions.")
    elif result.intervals is not None:
        lines.append(
            "The promise of the intervals is on average over networks like those of the zoo, not for each network, nor "
            "for those of a certain accuracy."
        )
    worst = max((entry.largest_change for entry in result.invariance), default=0.0)
    if worst > STEADY:
        lines.append(
            f"It is not invariant: elements of the symmetry group changed its answers by up to {worst:.1e}, although "
            "they change no network's function."
        )
    lines += [
        f"{_text(remark)[:1].upper()}{_text(remark)[1:]}." for remark in (result.model_extra or {}).get("remarks", ())
    ]
    return [*lines, "No license is set; who publishes this folder chooses one."]


def _use(record: RunRecord, result: Result) -> str:
    lines = ["## Use", "", f"    mnfn {TASKS[result.task].short} RUN CHECKPOINTS", ""]
    lines += ["RUN is this folder; CHECKPOINTS is a file, a folder of files or a zoo.", "", "## Made by", ""]
    lines += [f"    {_text(zoo.command)}" for zoo in record.zoos if zoo.command]
    lines += [f"    {_text(record.command)}"] if record.command else []
    versions = result.versions
    return "\n".join([*lines, "", f"mnfn {versions.mnfn}, torch {versions.torch}, seed {result.seed}."])


def _cells(name: str, metric: Metric) -> list[str]:
    if metric.value is None:
        return [_text(name), "undefined", "-"]
    low, high = metric.interval
    return [_text(name), f"{metric.value:.4f}", "-" if low is None or high is None else f"{low:.4f} to {high:.4f}"]


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (heading, ["---"] * len(heading), *rows)]


def _zoo(path: str) -> str:
    return _text(Path(path).name)


def _text(text: str) -> str:
    """Return text of the user's on one line, without what would end a code span or a cell of a table."""
    return one_line(text).replace("`", "'").replace("|", "/")
