"""Single networks in files of their own: ``.safetensors`` with one network each."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.storage.folders import check_output, new_folder
from mnfn_cli.storage.tensors import all_finite, read_tensors, save_tensors
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.naming import natural_key
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.store import Zoo, open_zoo

SUFFIX = ".safetensors"
_SAFE_NAME = re.compile(r"[\w.+-][\w .+-]*", re.ASCII)


@dataclass(frozen=True)
class Checkpoints:
    """Networks that a run can read, wherever they came from.

    Args:
        names: of the networks: file names without suffix, or ids.
        features: raw weights, one network a name.
        accuracies: measured test accuracies, None where not known.
        skipped: bad networks that were left out, with what is wrong.
    """

    names: list[str]
    features: WeightSpaceFeatures
    accuracies: list[float | None]
    skipped: list[DataError]


def is_zoo(path: Path) -> bool:
    """Return whether a folder looks like a zoo, complete or not."""
    return (path / "zoo.json").exists()


def load_checkpoints(path: Path, spec: NetworkSpec, *, split: str | None = None, skip_bad: bool = False) -> Checkpoints:
    """Read one file, a folder of single files, or a zoo.

    Args:
        path: what to read.
        spec: the weight space that every network must have.
        split: of a zoo: train, val or test; all networks by default.
        skip_bad: leave bad networks out instead of failing.

    Raises:
        DataError: something cannot be read; all bad networks are named, or, with ``skip_bad``, none is good.
        UsageError: a split asked of files.
    """
    if is_zoo(path):
        loaded = _from_zoo(open_zoo(path), spec, split, skip_bad)
    else:
        if split is not None:
            raise UsageError("--split", f"{path} is no zoo; only a zoo has splits")
        loaded = _from_files(_files(path), spec, skip_bad)
    if not loaded.names:
        raise DataError.together([*loaded.skipped, DataError(path, "holds no network that can be read")])
    return loaded


def _from_zoo(zoo: Zoo, spec: NetworkSpec, split: str | None, skip_bad: bool) -> Checkpoints:
    if zoo.spec != spec:
        raise DataError(zoo.path, f"holds networks {zoo.spec}; the run reads {spec}")
    rows = zoo.rows(split)
    ids = zoo.ids
    bad = {row: DataError(f"{zoo.path}:{ids[row]}", problem) for row, problem in zoo.bad_networks(rows)}
    if bad and not skip_bad:
        raise DataError.together(bad.values())
    good = [row for row in rows if row not in bad]
    features = zoo.read() if len(good) == len(zoo) else zoo.read(good)
    known = zoo.table["test_accuracy"].to_list() if "test_accuracy" in zoo.table.columns else [None] * len(zoo)
    return Checkpoints([ids[row] for row in good], features, [known[row] for row in good], list(bad.values()))


def _files(path: Path) -> list[Path]:
    if not path.exists() and not path.is_symlink():
        raise DataError(path, "no such file or folder")
    if not path.is_dir():
        return [path]
    files = [p for p in path.iterdir() if p.suffix == SUFFIX and not p.name.startswith(".")]
    if not files:
        raise DataError(path, f"holds no {SUFFIX} file and no zoo.json")
    return sorted(files, key=lambda p: natural_key(p.name))


def _from_files(files: Sequence[Path], spec: NetworkSpec, skip_bad: bool) -> Checkpoints:
    names, parts, accuracies, errors = [], [], [], []
    for file in files:
        try:
            tensors, metadata = read_tensors(file)
            features = WeightSpaceFeatures.from_state_dicts([tensors], spec, names=[str(file)])
            for name, tensor in tensors.items():
                if not all_finite(tensor):
                    raise DataError(f"{file}:{name}", "is not finite (NaN or infinity)")
            accuracies.append(_accuracy(file, metadata.get("test_accuracy")))
        except DataError as error:
            errors.append(error)
            continue
        names.append(file.stem)
        parts.append(features)
    if errors and not skip_bad:
        raise DataError.together(errors)
    features = _joined(parts) if parts else WeightSpaceFeatures.zeros(spec, 0)
    return Checkpoints(names, features, accuracies, errors)


def _joined(parts: list[WeightSpaceFeatures]) -> WeightSpaceFeatures:
    """Join networks of one dtype as they are, and of several in the one that holds them all exactly: float64."""
    if len({tensor.dtype for part in parts for tensor in part.tensors()}) > 1:
        parts = [part.map(lambda tensor: tensor.double()) for part in parts]
    return WeightSpaceFeatures.cat(parts)


def _accuracy(file: Path, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{file}:test_accuracy", f"'{text}' in the metadata is no number") from None


def export_zoo(
    zoo: Zoo,
    output: Path,
    *,
    split: str | None = None,
    ids: Sequence[str] = (),
    limit: int | None = None,
    force: bool = False,
) -> int:
    """Write networks of a zoo as single files, with id, spec and labels in their metadata.

    Args:
        zoo: the source.
        output: the folder to make.
        split: only this split.
        ids: only these networks.
        limit: at most so many.
        force: replace an existing folder.

    Returns:
        How many files were written.

    Raises:
        UsageError: an id that the zoo does not have, or nothing to export.
        DataError: an id that cannot be a file name.
        OutputError: the folder exists.
    """
    check_output(output, force, inputs=(zoo.path,))
    every = zoo.ids
    unknown = sorted(set(ids) - set(every), key=natural_key)
    if unknown:
        raise UsageError("--ids", f"{zoo.path} has no network {', '.join(unknown)}")
    rows = [row for row in zoo.rows(split) if not ids or every[row] in ids][:limit]
    if not rows:
        raise UsageError(zoo.path, "no network fits --split, --ids and --limit")
    unfit = [every[row] for row in rows if not _SAFE_NAME.fullmatch(every[row]) or len(every[row]) > 200]
    if unfit:
        raise DataError.together([DataError(f"{zoo.path}:{name}", "this id cannot be a file name") for name in unfit])
    with new_folder(output, force=force) as folder:
        for row in rows:
            record = {key: str(value) for key, value in zoo.table.row(row, named=True).items() if value is not None}
            metadata = record | {"spec": str(zoo.spec)}
            save_tensors(folder / f"{every[row]}{SUFFIX}", zoo.read([row]).to_state_dicts()[0], metadata)
    return len(rows)
