"""Train recipes over several seeds and tabulate the results. A sweep can be resumed; finished runs are kept."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from mnfn_cli.errors import MnfnError, UsageError
from mnfn_cli.recipe import Recipe, load_recipe
from mnfn_cli.recipe.overrides import override_key
from mnfn_cli.regular_files import read_regular
from mnfn_cli.runtime.context import Context
from mnfn_cli.runtime.processes import Processes
from mnfn_cli.storage.atomic import file_system_errors, remove_temporaries, write_json, write_text
from mnfn_cli.storage.kinds import Kind
from mnfn_cli.storage.locks import locked
from mnfn_cli.storage.outputs import Output, check_outputs
from mnfn_cli.tasks.data import open_zoos, with_absolute_zoos
from mnfn_cli.tasks.result import read_result
from mnfn_cli.tasks.sweep_results import folder_of
from mnfn_cli.tasks.training import Illustrate, require_same_recipe, train_or_resume
from mnfn_cli.training.run_folder import RUN, RunFolder, clear_finished
from mnfn_cli.zoo.contents import ZOO


def _own_files(folder: Path) -> frozenset[str] | None:
    held = {path.name: path for path in folder.iterdir() if not path.name.startswith(".")}
    if "results.json" in held:
        return frozenset({"results.json", "results.md"}) if _is_table(held["results.json"]) else None
    if held and ("results.md" in held or not any(RUN.files(path) is not None for path in held.values())):
        return None
    return frozenset()


def _is_table(file: Path) -> bool:
    if file.is_symlink():
        return False
    try:
        rows = json.loads(read_regular(file))
        return isinstance(rows, list) and all({"recipe", "variant", "seed"} <= row.keys() for row in rows)
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


SWEEP = Kind("sweep", _own_files)
"""The kind of folder that holds a sweep: its runs and its tables. An empty folder counts as one."""


@dataclass(frozen=True)
class Trial:
    """One run of a sweep.

    Args:
        recipe: the recipe's name or file.
        variant: the overrides of the recipe and of this variant, such as ``model.channels=[5]``; empty for the recipe
            as it is.
        seed: the seed of the run.
        resolved: the recipe with all overrides, the seed and the zoos.
    """

    recipe: str
    variant: tuple[str, ...]
    seed: int
    resolved: Recipe

    @property
    def folder(self) -> str:
        """The name of the run's folder inside the folder of the sweep."""
        return folder_of(self.recipe, self.variant, self.seed)


def plan_sweep(
    recipes: Sequence[str],
    seeds: Sequence[int],
    *,
    variants: Sequence[Sequence[str]] = ((),),
    overrides: Sequence[str] = (),
    zoos: Sequence[Path] = (),
) -> list[Trial]:
    """Return a trial for every combination of recipe, variant and seed.

    Args:
        recipes: names of shipped recipes, or recipe files. Overrides of one recipe only follow it after semicolons, as
            in ``classification/mnist-np;data.zoo=[zoos/mnist]``.
        seeds: the seeds of training.
        variants: a list of overrides for each variant; one empty list for the recipes as they are.
        overrides: overrides of every trial, such as ``training.epochs=25``.
        zoos: zoos that replace those of the recipes; by default the recipes' are kept.

    Raises:
        RecipeError: a recipe or an override is wrong.
        UsageError: two combinations have the same recipe, variant and seed; or zoos are given both as ``zoos`` and by
            an override.
    """
    trials = []
    for text, variant in product(recipes, variants):
        recipe, *own = text.split(";")
        changed = (*own, *variant)
        if zoos and "data.zoo" in map(override_key, (*overrides, *changed)):
            raise UsageError("--zoo", "goes to all recipes, and an override names other zoos; leave one of them out")
        resolved = with_absolute_zoos(load_recipe(recipe, [*overrides, *changed]), zoos)
        for seed in seeds:
            training = resolved.training.model_copy(update={"seed": seed})
            trials.append(Trial(recipe, changed, seed, resolved.model_copy(update={"training": training})))
    names = [trial.folder for trial in trials]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UsageError("mnfn sweep", f"'{twice}' would be run twice; give each recipe, variant and seed once")
    return trials


def run_sweep(
    trials: Sequence[Trial],
    output: Path,
    *,
    context: Context | None = None,
    illustrate: Illustrate = lambda path: None,
) -> list[dict[str, Any]]:
    """Train the trials that have no run yet, resume interrupted runs, and tabulate.

    Several processes take the next run whenever they have finished one. Every run is a folder inside ``output``.
    ``results.json`` and ``results.md`` there are written again after each run.

    Args:
        trials: the runs of the sweep.
        output: the folder of the sweep, which is created if it does not exist.
        context: the device, and where progress is reported and interrupts are noticed.
        illustrate: a function that draws the figures of a run, given its folder.

    Returns:
        the rows of ``summarise``.

    Raises:
        UsageError: a run in ``output`` was trained with another recipe. All such runs are named, and nothing is
            trained.
        OutputError: ``output`` holds something other than a sweep, or is equal to, inside or around a zoo.
        RecipeError, DataError: a zoo does not fit a recipe or cannot be read; nothing is trained.
        InterruptedRun: the user interrupted the sweep; the same call continues it.
        NumericError, StorageError: ``train_run`` raised it.
    """
    context = context or Context()
    processes = context.processes
    _require_fitting_zoos(trials)
    with processes.entered_by_first(lambda: _opened(trials, output)):
        _train(trials, output, context, illustrate)
    return summarise(results_of(trials, output))


@contextmanager
def _opened(trials: Sequence[Trial], output: Path) -> Iterator[None]:
    """Hold the lock of a sweep's folder; make it if it does not exist, and remove what a killed process left."""
    zoos = dict.fromkeys(zoo for trial in trials for zoo in trial.resolved.data.zoo)
    check_outputs([Output(output, SWEEP, in_place=True)], zoos, kinds=(ZOO, RUN))
    with locked(output):
        check_outputs([Output(output / trial.folder, RUN, in_place=True) for trial in trials], zoos)
        with file_system_errors(output):
            output.mkdir(exist_ok=True)
            remove_temporaries(output)
        _require_same_recipes(trials, output)
        yield


def _train(trials: Sequence[Trial], output: Path, context: Context, illustrate: Illustrate) -> None:
    processes = context.processes
    own = replace(context, processes=Processes())

    def train(number: int) -> None:
        trial = trials[number]
        path = output / trial.folder
        if _is_done(path):
            clear_finished(path)
        else:
            context.progress.note(f"run {number + 1} of {len(trials)}: {trial.folder}")
            train_or_resume(trial.resolved, path, context=own, illustrate=illustrate)
        if processes.first:
            _tabulate(trials, output)

    processes.each(train, range(len(trials)))
    if processes.first:
        _tabulate(trials, output)


def results_of(trials: Sequence[Trial], output: Path) -> list[dict[str, Any]]:
    """Return a dict with the settings and figures of each finished run, for results.json."""
    found = []
    for trial in trials:
        folder = RunFolder(output / trial.folder)
        read = read_result(folder.path)
        result = read.to_json()
        more: dict[str, Any] = {
            name: result[name] for name in ("intervals", "unlike", "by_weight_space") if name in result
        }
        found.append(
            {
                "recipe": trial.recipe,
                "variant": list(trial.variant),
                "seed": trial.seed,
                **{name: result[name] for name in ("model", "parameters", "steps", "test", "validation")},
                "reads": read.reads,
                **more,
                "networks": result["data"]["networks"],
                "zoos": [zoo["fingerprint"] for zoo in result["data"]["zoos"]],
                "split_protocol": result["data"]["split_protocol"],
                "seconds": result["seconds"],
                "versions": result["versions"],
                "command": folder.record.command,
            }
        )
    return found


def summarise(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each recipe and variant: the mean and the standard deviation of every test figure over seeds.

    The standard deviation over one seed is NaN.
    """
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for result in results:
        groups.setdefault((result["recipe"], *result["variant"]), []).append(result)
    rows = []
    for (recipe, *variant), group in groups.items():
        row: dict[str, Any] = {
            "recipe": recipe,
            "variant": " ".join(variant),
            "parameters": group[0]["parameters"],
            "seeds": len(group),
        }
        for name in group[0]["test"]:
            # An undefined figure, such as tau of a constant output, is null in result.json.
            values = [float("nan") if r["test"][name]["value"] is None else r["test"][name]["value"] for r in group]
            row[name] = float(np.mean(values))
            row[f"{name}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
        rows.append(row | {"seconds": float(np.mean([result["seconds"]["in_all"] for result in group]))})
    return rows


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows of ``summarise`` as a Markdown table."""
    figures = list(dict.fromkeys(name.removesuffix("_sd") for row in rows for name in row if name.endswith("_sd")))
    heading = ["recipe", "variant", "parameters", "seeds", *figures, "seconds a run"]
    lines = ["| " + " | ".join(heading) + " |", "|" + "---|" * len(heading)]
    for row in rows:
        cells = [row["recipe"], row["variant"] or "-", f"{row['parameters']:,}", str(row["seeds"])]
        for name in figures:
            spread = row.get(f"{name}_sd", float("nan"))
            value = row.get(name, float("nan"))
            shown = "-" if name not in row else f"{value:.4f}" if value == value else "undefined"
            cells.append(shown + (f" ± {spread:.4f}" if spread == spread else ""))
        lines.append("| " + " | ".join([*cells, f"{row['seconds']:.0f}"]) + " |")
    return "\n".join(lines) + "\n"


def _tabulate(trials: Sequence[Trial], output: Path) -> None:
    """Write the tables of the runs that are done."""
    results = results_of([trial for trial in trials if _is_done(output / trial.folder)], output)
    write_json(output / "results.json", results)
    write_text(output / "results.md", markdown(summarise(results)))


def _is_done(path: Path) -> bool:
    return path.exists() and RunFolder(path).done


def _require_same_recipes(trials: Sequence[Trial], output: Path) -> None:
    wrong = []
    for trial in trials:
        path = output / trial.folder
        if path.exists():
            try:
                require_same_recipe(path, trial.resolved)
            except UsageError as error:
                wrong.append(error)
    if wrong:
        raise UsageError.together(wrong)


def _require_fitting_zoos(trials: Sequence[Trial]) -> None:
    """Open the zoos of every recipe before any training, so that a zoo that does not fit fails at once."""
    misfits = {}
    for trial in trials:
        try:
            open_zoos(trial.resolved)
        except MnfnError as misfit:
            misfits[str(misfit)] = misfit
    if misfits:
        raise type(next(iter(misfits.values()))).together(misfits.values())
