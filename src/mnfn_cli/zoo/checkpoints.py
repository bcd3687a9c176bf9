"""Single networks in files of their own: ``.safetensors`` with one network each."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.storage.folders import check_output, new_folder
from mnfn_cli.storage.tensors import all_finite, read_tensors, save_tensors
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.naming import natural_key
from mnfn_cli.weightspace.spec import NetworkSpec, read_spec
from mnfn_cli.zoo.inr import inr_facts
from mnfn_cli.zoo.store import Zoo, open_zoo

SUFFIX = ".safetensors"
_SAFE_NAME = re.compile(r"[\w.+-][\w .+-]*", re.ASCII)


@dataclass(frozen=True)
class Checkpoints:
    """Networks that a run can read, wherever they came from.

    Args:
        names: of the networks: file names without suffix, or ids.
        features: raw weights, one network a name.
        labels: what is known about each network, None where nothing is.
        skipped: bad networks that were left out, with what is wrong.
        places: the file of each network, or its row in ``zoo``.
        zoo: where they come from, if it is a zoo.
        unknown_start: networks that do not say which start they were fitted from.
    """

    names: list[str]
    features: WeightSpaceFeatures
    labels: list[Any]
    skipped: list[DataError]
    places: list[Path] | list[int]
    zoo: Zoo | None
    unknown_start: int = 0


@dataclass(frozen=True)
class Wanted:
    """What a run reads.

    Args:
        spec: the weight space that every network must have.
        label: the table's column, or the files' metadata, that tells what is known; None for nothing.
        parse: reads a label from the text in a file; raises ValueError.
        start: fingerprint of the shared start that INRs must have been fitted from; None where it does not matter.
    """

    spec: NetworkSpec
    label: str | None = None
    parse: Callable[[str], Any] = str
    start: str | None = None

    def check_start(self, where: object, init: str | None, start: str | None) -> None:
        """Raise ``DataError`` if a network is known to come from another start."""
        if self.start is None or init is None or start == self.start:
            return
        found = "a start of its own" if start is None else f"start {start}"
        raise DataError(
            where,
            f"was fitted from {found}, the run's networks from start {self.start}; "
            "fit its picture with mnfn zoo build siren --like RUN",
        )


def is_zoo(path: Path) -> bool:
    """Return whether a folder looks like a zoo, complete or not."""
    return (path / "zoo.json").exists()


def load_checkpoints(path: Path, wanted: Wanted, *, split: str | None = None, skip_bad: bool = False) -> Checkpoints:
    """Read one file, a folder of single files, or a zoo.

    Args:
        path: what to read.
        wanted: what the networks must be, and what to read about them.
        split: of a zoo: train, val or test; all networks by default.
        skip_bad: leave bad networks out instead of failing.

    Raises:
        DataError: something cannot be read; all bad networks are named, or, with ``skip_bad``, none is good.
        UsageError: a split asked of files.
    """
    if is_zoo(path):
        loaded = _from_zoo(open_zoo(path), wanted, split, skip_bad)
    else:
        if split is not None:
            raise UsageError("--split", f"{path} is no zoo; only a zoo has splits")
        loaded = _from_files(_files(path), wanted, skip_bad)
    if not loaded.names:
        raise DataError.together([*loaded.skipped, DataError(path, "holds no network that can be read")])
    return loaded


def _from_zoo(zoo: Zoo, wanted: Wanted, split: str | None, skip_bad: bool) -> Checkpoints:
    if zoo.spec != wanted.spec:
        raise DataError(zoo.path, f"holds networks {zoo.spec}; the run reads {wanted.spec}")
    origin = inr_facts(zoo)
    wanted.check_start(zoo.path, origin.get("init"), origin.get("start"))
    rows = zoo.rows(split)
    ids = zoo.ids
    bad = {row: DataError(f"{zoo.path}:{ids[row]}", problem) for row, problem in zoo.bad_networks(rows)}
    if bad and not skip_bad:
        raise DataError.together(bad.values())
    good = [row for row in rows if row not in bad]
    features = zoo.read() if len(good) == len(zoo) else zoo.read(good)
    known = zoo.table[wanted.label].to_list() if wanted.label in zoo.table.columns else [None] * len(zoo)
    unknown = len(good) if wanted.start is not None and origin.get("init") is None else 0
    names, labels = [ids[row] for row in good], [known[row] for row in good]
    return Checkpoints(names, features, labels, list(bad.values()), good, zoo, unknown)


def _files(path: Path) -> list[Path]:
    if not path.exists() and not path.is_symlink():
        raise DataError(path, "no such file or folder")
    if not path.is_dir():
        return [path]
    files = [p for p in path.iterdir() if p.suffix == SUFFIX and not p.name.startswith(".")]
    if not files:
        raise DataError(path, f"holds no {SUFFIX} file and no zoo.json")
    return sorted(files, key=lambda p: natural_key(p.name))


def _from_files(files: Sequence[Path], wanted: Wanted, skip_bad: bool) -> Checkpoints:
    good: list[Path] = []
    parts, labels, errors, unknown = [], [], [], 0
    for file in files:
        try:
            tensors, metadata = read_tensors(file)
            features = WeightSpaceFeatures.from_state_dicts([tensors], wanted.spec, names=[str(file)])
            if "spec" in metadata and not wanted.spec.agrees_with(found := read_spec(metadata["spec"])):
                raise DataError(file, f"is a network {found}; the run reads {wanted.spec}")
            wanted.check_start(file, metadata.get("init"), metadata.get("start"))
            for name, tensor in tensors.items():
                if not all_finite(tensor):
                    raise DataError(f"{file}:{name}", "is not finite (NaN or infinity)")
            labels.append(_label(file, metadata, wanted))
        except DataError as error:
            errors.append(error)
            continue
        unknown += wanted.start is not None and "init" not in metadata
        good.append(file)
        parts.append(features)
    if errors and not skip_bad:
        raise DataError.together(errors)
    features = _joined(parts) if parts else WeightSpaceFeatures.zeros(wanted.spec, 0)
    return Checkpoints([file.stem for file in good], features, labels, errors, good, None, unknown)


def _joined(parts: list[WeightSpaceFeatures]) -> WeightSpaceFeatures:
    """Join networks of one dtype as they are, and of several in the one that holds them all exactly: float64."""
    if len({tensor.dtype for part in parts for tensor in part.tensors()}) > 1:
        parts = [part.map(lambda tensor: tensor.double()) for part in parts]
    return WeightSpaceFeatures.cat(parts)


def _label(file: Path, metadata: Mapping[str, str], wanted: Wanted) -> Any:
    text = None if wanted.label is None else metadata.get(wanted.label)
    if text is None:
        return None
    try:
        return wanted.parse(text)
    except ValueError:
        raise DataError(f"{file}:{wanted.label}", f"'{text}' in the metadata is no number") from None


def export_zoo(
    zoo: Zoo,
    output: Path,
    *,
    split: str | None = None,
    ids: Sequence[str] = (),
    limit: int | None = None,
    force: bool = False,
) -> int:
    """Write networks of a zoo as single files, with id, spec and labels in their metadata, and of INRs their origin.

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
    rows = choose_rows(zoo, split=split, ids=ids, limit=limit)
    unfit = [every[row] for row in rows if not _SAFE_NAME.fullmatch(every[row]) or len(every[row]) > 200]
    if unfit:
        raise DataError.together([DataError(f"{zoo.path}:{name}", "this id cannot be a file name") for name in unfit])
    origin = _origin(zoo)
    with new_folder(output, force=force) as folder:
        for row in rows:
            record = {key: str(value) for key, value in zoo.table.row(row, named=True).items() if value is not None}
            metadata = record | {"spec": zoo.spec.to_text()} | origin
            save_tensors(folder / f"{every[row]}{SUFFIX}", zoo.read([row]).to_state_dicts()[0], metadata)
    return len(rows)


def choose_rows(zoo: Zoo, *, split: str | None = None, ids: Sequence[str] = (), limit: int | None = None) -> list[int]:
    """Return the rows of networks that a user asks for.

    Args:
        zoo: the zoo.
        split: only this split.
        ids: only these networks.
        limit: at most so many.

    Raises:
        UsageError: an id that the zoo does not have, or nothing is left.
    """
    every = zoo.ids
    unknown = sorted(set(ids) - set(every), key=natural_key)
    if unknown:
        raise UsageError("--ids", f"{zoo.path} has no network {', '.join(unknown)}")
    rows = [row for row in zoo.rows(split) if not ids or every[row] in ids][:limit]
    if not rows:
        raise UsageError(zoo.path, "no network fits --split, --ids and --limit")
    return rows


def _origin(zoo: Zoo) -> dict[str, str]:
    """Return what a single INR tells about itself: ``init``, ``start`` if it was shared, ``size`` (16x16)."""
    facts = inr_facts(zoo)
    texts = {name: str(facts[name]) for name in ("init", "start") if facts.get(name) is not None}
    return texts | ({"size": "x".join(map(str, facts["size"]))} if "size" in facts else {})
