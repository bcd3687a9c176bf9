"""Edit INRs that come as files or as a zoo, and write them back as they came."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mnfn_cli.errors import DataError, NumericError
from mnfn_cli.storage.folders import check_output, new_folder
from mnfn_cli.storage.tensors import map_tensors, read_tensors, save_tensors
from mnfn_cli.tasks.editing import EXAMPLES, spread, target_origin, target_pictures
from mnfn_cli.tasks.edits import edit_pictures
from mnfn_cli.tasks.run import Run, load_run, predict_change
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.naming import pair_layers
from mnfn_cli.weightspace.rendering import render
from mnfn_cli.zoo.checkpoints import SUFFIX, Checkpoints, Wanted, load_checkpoints
from mnfn_cli.zoo.inr import START_FILE, inr_facts
from mnfn_cli.zoo.writer import save_zoo


@dataclass(frozen=True)
class Edited:
    """What an edit did, in the order of the checkpoints.

    Args:
        networks: names.
        edit: dilate or contrast.
        targets_from: what the targets were made from: original pictures, or renderings before the edit.
        before, after: mean squared error of each network's picture against its target, on [-1, 1].
        pictures: before, after and target of some networks, for a look.
        skipped: bad networks that were left out, with what is wrong.
        unknown_start: networks that do not say which start they were fitted from, where the run knows one only.
    """

    networks: list[str]
    edit: str
    targets_from: str
    before: list[float]
    after: list[float]
    pictures: dict[str, Tensor]
    skipped: list[DataError]
    unknown_start: int

    def to_json(self) -> dict[str, Any]:
        """Return all but the pictures."""
        return {
            "edit": self.edit,
            "targets_from": self.targets_from,
            "network": self.networks,
            "mse_before": self.before,
            "mse_after": self.after,
            "skipped": list(map(str, self.skipped)),
        }


def edit_checkpoints(
    run: Path,
    checkpoints: Path,
    output: Path,
    *,
    split: str | None = None,
    skip_bad: bool = False,
    force: bool = False,
    command: str = "edit_checkpoints",
    device: torch.device | str = "cpu",
) -> Edited:
    """Read INRs, change their weights, and write them with the same names, shapes and dtypes.

    A zoo becomes a zoo, a folder of files a folder of files; one file becomes one file if the output has its suffix,
    else a folder with that file.

    Args:
        run: a finished editing run.
        checkpoints: one file, a folder of single files, or a zoo.
        output: what to make.
        split: of a zoo.
        skip_bad: leave out networks that cannot be used.
        force: replace an existing output.
        command: how it was called, for zoo.json.
        device: where to compute.

    Raises:
        DataError: the run or a network cannot be read, or comes from another start; all bad networks are named.
        NumericError: edited weights are not finite; all such networks are named, and nothing is written.
        OutputError: the output exists, or collides with the input.
    """
    check_output(output, force, inputs=(checkpoints, run))
    loaded = load_run(run, "editing").to(device=device)
    networks = load_checkpoints(checkpoints, Wanted(loaded.spec, start=loaded.start), split=split, skip_bad=skip_bad)
    change = predict_change(loaded.model, networks.features)
    edited = networks.features.zip_map(lambda old, delta: (old.double() + delta.double()).to(old.dtype), change)
    _require_finite(edited, networks, checkpoints)
    if networks.zoo is not None:
        _write_zoo(networks, edited, loaded, output, command, force)
    else:
        _write_files(networks, edited, output, force)
    return _report(networks, edited, loaded)


def _require_finite(edited: WeightSpaceFeatures, networks: Checkpoints, checkpoints: Path) -> None:
    finite = edited.flatten().isfinite().all(dim=1).tolist()
    wrong = [name for name, fine in zip(networks.names, finite, strict=True) if not fine]
    if wrong:
        raise NumericError.together(
            NumericError(f"{checkpoints}:{name}", "the edited weights are not finite; nothing was written")
            for name in wrong
        )


def _write_zoo(
    networks: Checkpoints, edited: WeightSpaceFeatures, run: Run, output: Path, command: str, force: bool
) -> None:
    zoo = networks.zoo
    assert zoo is not None
    # The columns that measured the fit are no longer true, and the networks no longer hold the zoo's pictures.
    stale = [name for name in ("psnr", "mse") if name in zoo.table.columns]
    rows = [place for place in networks.places if isinstance(place, int)]
    made = {
        "command": command,
        "source_zoo": zoo.document["made"] | {"path": str(zoo.path), "fingerprint": zoo.fingerprint},
        "edited_by": {"run": str(run.folder.path), "edit": run.folder.description["facts"]["edit"]},
        **inr_facts(zoo),
    }
    start = zoo.path / START_FILE
    save_zoo(
        output,
        zoo.spec,
        edited,
        zoo.table[rows].drop(stale),
        made=made,
        images=zoo.document["images"],
        start=map_tensors(start) if start.exists() else None,
        force=force,
    )


def _write_files(networks: Checkpoints, edited: WeightSpaceFeatures, output: Path, force: bool) -> None:
    files = [place for place in networks.places if isinstance(place, Path)]
    if len(files) == 1 and output.suffix == SUFFIX:
        _write_like(files[0], edited, 0, output)
        return
    with new_folder(output, force=force) as folder:
        for row, file in enumerate(files):
            _write_like(file, edited, row, folder / file.name)


def _write_like(source: Path, edited: WeightSpaceFeatures, row: int, target: Path) -> None:
    """Write one network under the names, in the dtypes and with the metadata of the file that it came from."""
    old, metadata = read_tensors(source)
    names = [name for pair in pair_layers(old, str(source)) for name in pair]
    new = edited.select([row]).to_state_dicts(names)[0]
    save_tensors(target, {name: new[name].to(tensor.dtype) for name, tensor in old.items()}, metadata)


def _report(networks: Checkpoints, edited: WeightSpaceFeatures, run: Run) -> Edited:
    edit, (height, width) = run.folder.description["facts"]["edit"], run.folder.description["inr"]["size"]
    size = (int(height), int(width))
    drawn = {
        "before": render(run.spec, networks.features.to(dtype=torch.float64), size),
        "after": render(run.spec, edited.to(dtype=torch.float64), size),
    }
    if networks.zoo is None:
        origin, target = "renderings before the edit", edit_pictures(edit, drawn["before"])
    else:
        rows = [place for place in networks.places if isinstance(place, int)]
        origin, target = target_origin(networks.zoo), target_pictures(networks.zoo, rows, edit, size)
    errors = {name: (drawing - target).square().flatten(1).mean(dim=1).tolist() for name, drawing in drawn.items()}
    shown = spread(len(networks.names), EXAMPLES)
    pictures = {name: drawing[shown].float() for name, drawing in (drawn | {"target": target}).items()}
    return Edited(
        networks.names,
        edit,
        origin,
        errors["before"],
        errors["after"],
        pictures,
        networks.skipped,
        networks.unknown_start,
    )
