"""Import the model zoos of Schürholt et al. (2022, "Model Zoos: A Dataset of Diverse Populations of Neural Networks").

A run of Ray Tune has a folder with a state dict for each checkpoint, and ``result.json`` with a line for each epoch.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mnfn_cli.errors import DataError
from mnfn_cli.runtime.context import Context
from mnfn_cli.weightspace.layout import Layout, Reading, find_layout
from mnfn_cli.weightspace.naming import Shape, find_modules
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.importers.architecture import Architecture
from mnfn_cli.zoo.importers.bad_files import require_usable
from mnfn_cli.zoo.importers.columns import check_accuracies
from mnfn_cli.zoo.importers.folder_files import find_files, network_ids, source_root
from mnfn_cli.zoo.importers.module_list import pools_of
from mnfn_cli.zoo.importers.network_files import Describe, NetworkReader
from mnfn_cli.zoo.importers.network_plan import plan_of
from mnfn_cli.zoo.importers.network_splits import draw_by_group
from mnfn_cli.zoo.importers.tune_runs import Chosen, Stage, find_stages, is_of_a_run
from mnfn_cli.zoo.plan import Plan

FORMAT = "model-zoos"
SIZES = {1: (28, 28), 3: (32, 32)}
"""The (height, width) of the pictures of the published zoos, by their channels, unless the user says another."""


def plan_model_zoos(
    path: Path,
    *,
    epoch: Chosen = "last",
    architecture: Architecture = Architecture(),
    fractions: Mapping[str, float] | None = None,
    seed: int = 0,
    skip_bad: bool = False,
    context: Context | None = None,
) -> Plan:
    """Plan the import of a model zoo: folders ``NN_tune_trainable_*/checkpoint_000050/checkpoints``.

    The column ``test_accuracy`` is ``test_acc`` of the row in ``result.json`` whose ``training_iteration`` is the
    checkpoint's epoch, and columns ``config.*`` are the hyperparameters. All checkpoints of one run share a split.

    Args:
        path: the folder that holds the folders of the runs.
        epoch: which checkpoint of each run to import: that of an epoch, the last one, or all.
        architecture: pooling and inputs, where they are not as in the published zoos.
        fractions: the fraction of each split; 70, 10 and 20 % by default.
        seed: the seed of the draw of splits.
        skip_bad: leave out networks that cannot be used, instead of raising an error.
        context: where progress is reported and interrupts are noticed.

    Raises:
        DataError: there is no such folder; or networks cannot be used, all of which are named.
    """
    root = source_root(path, "NN_tune_trainable_* and so on")
    found, errors = find_files(root, is_of_a_run)
    if not found and not errors:
        raise DataError(path, "holds no NN_tune_trainable_*/checkpoint_*/checkpoints")
    every, missing = find_stages(root, found, epoch)
    wrong = check_accuracies(
        [stage.epoch.accuracy for stage in every], [stage.epoch.place for stage in every], "test_acc", required=True
    )
    stages = [stage for row, stage in enumerate(every) if row not in wrong]
    reader = NetworkReader(_describe(architecture))
    files, bad = reader.check_all([stage.file for stage in stages], context or Context(), path)
    errors += [*missing, *(wrong[row] for row in sorted(wrong)), *bad]
    require_usable(errors, skip_bad, len(files), path)
    by_name = {stage.file.name: stage for stage in stages}
    chosen = [by_name[checked.file.name] for checked in files]
    said = architecture.to_json()
    splits, protocol = draw_by_group([stage.run for stage in chosen], seed, fractions, "checkpoints of a run")
    return plan_of(
        FORMAT,
        path,
        reader,
        files,
        {"id": _ids(chosen), "split": splits, **_columns(chosen)},
        made={"split_protocol": protocol, "epoch": epoch, **({"architecture": said} if said else {})},
        skipped=errors,
        notes=_notes(reader, architecture),
    )


def _describe(architecture: Architecture) -> Describe:
    def describe(
        shapes: Mapping[str, Shape], metadata: Mapping[str, str], hint: Hashable, where: str
    ) -> tuple[NetworkSpec, Layout]:
        layers = tuple(module.name for module in find_modules(shapes, where))
        layout = find_layout(shapes, where, reading=Reading(layers))
        said = replace(architecture, activation=str(hint), pools=architecture.pools or pools_of(layout, where))
        usual = SIZES.get(layout.layers[0].shape[1])
        if said.input_size is None and usual is not None:
            try:
                return replace(said, input_size=usual).spec(layout, where), layout
            except DataError:
                return said.spec(layout, where), layout
        return said.spec(layout, where), layout

    return describe


def _columns(stages: Sequence[Stage]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {
        "run": [stage.run for stage in stages],
        "epoch": [stage.number for stage in stages],
    }
    for name in stages[0].epoch.measured:
        columns[name] = [stage.epoch.measured[name] for stage in stages]
    for name in dict.fromkeys(name for stage in stages for name in stage.epoch.config):
        values = [stage.epoch.config.get(name) for stage in stages]
        kinds = {type(value) for value in values if value is not None}
        if kinds == {int, float}:
            values = [None if value is None else float(value) for value in values]
        elif len(kinds) > 1:
            values = [None if value is None else str(value) for value in values]
        columns[f"config.{name}"] = values
    return columns | {"file": [stage.file.name for stage in stages]}


def _ids(stages: Sequence[Stage]) -> list[str]:
    """Return ids: the name of the run's folder, and the epoch."""
    runs = list(dict.fromkeys(stage.run for stage in stages))
    names = [run.rpartition("/")[2] for run in runs]
    ids = network_ids(names if len(set(names)) == len(names) else runs)
    id_of = dict(zip(runs, ids, strict=True))
    return [f"{id_of[stage.run]}-e{stage.number}" for stage in stages]


def _notes(reader: NetworkReader, architecture: Architecture) -> list[str]:
    """Return what is assumed about the pictures that the networks read."""
    notes = []
    sizes = {space.spec.input_size for space in reader.spaces if space.spec.kernels}
    if architecture.input_size is None:
        known = sorted(f"{size[0]}x{size[1]}" for size in sizes if size is not None)
        if known:
            notes.append(f"networks are taken to read pictures of {' or '.join(known)} pixels, as their shapes allow")
        if None in sizes:
            notes.append("the size of the pictures is not known, since the usual ones do not fit; say --input-size")
    if not architecture.input_mean and not architecture.input_std:
        notes.append("no file tells how pictures were normalised; say --input-mean and --input-std to run networks")
    return notes
