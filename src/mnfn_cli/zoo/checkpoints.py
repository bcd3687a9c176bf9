"""Load the networks to which a run is applied: from a file, a folder of files, or a zoo."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mnfn_cli.errors import DataError, MnfnError, UsageError, unicode_text
from mnfn_cli.storage.tensors import stack_tensors
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.layout import Layout, Reading
from mnfn_cli.weightspace.mixed import Networks, Piece, join_networks
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.mixed import place_of_spec, read_networks
from mnfn_cli.zoo.numbers import NumberColumn
from mnfn_cli.zoo.single_files import SingleFile, kind_of, layout_of, list_files, not_finite, read_state_dict, unpack
from mnfn_cli.zoo.store import Zoo, open_zoo


@dataclass(frozen=True)
class Checkpoints:
    """Networks to which a run can be applied, with their names and true values.

    Args:
        names: the ids of the networks in their zoo, or their file names without suffix.
        features: raw weights of the networks, ``(networks, 1, ...)``, in the order of the names; ``MixedFeatures`` if
            several weight spaces are wanted.
        labels: the true value of each network; None where it is unknown.
        skipped: an error for each network that was left out because it cannot be used.
        zoo: the zoo of the networks; None if they come from files.
        rows: their rows in the zoo's table; None if they come from files.
        files: descriptions of their files; None if they come from a zoo.
        unknown_start: the number of INRs whose initial weights are not recorded, if the run requires certain ones.
    """

    names: list[str]
    features: Any
    labels: list[Any]
    skipped: Sequence[MnfnError]
    zoo: Zoo | None = None
    rows: Sequence[int] | None = None
    files: list[SingleFile] | None = None
    unknown_start: int = 0

    def keep(self, positions: Sequence[int], faults: Sequence[MnfnError]) -> "Checkpoints":
        """Return the networks at some positions, in this order; the others are skipped for the reasons ``faults``."""
        return replace(
            self,
            names=[self.names[position] for position in positions],
            features=self.features.select(positions),
            labels=[self.labels[position] for position in positions],
            skipped=[*self.skipped, *faults],
            rows=self.rows and [self.rows[position] for position in positions],
            files=self.files and [self.files[position] for position in positions],
        )


@dataclass(frozen=True)
class Wanted:
    """What networks must be for a run to read them, and which true value is read with them.

    Args:
        specs: the weight spaces of which every network must have one.
        label: the column of a zoo's table, or the key in a file's metadata, that holds the true value; None for none.
        parse: a function that parses the true value in a file's metadata, and raises ValueError, with a reason, if it
            cannot.
        start: the fingerprint of the initial weights from which INRs must have been fitted; None for any.
        reading: what the user says about files that their tensors do not tell.
        layouts: how the files held the networks that the run was trained on, if they were imported from files.
        numbers: what the cells of the column ``label`` of a zoo must be, where it holds numbers.
        in_float32: whether all numbers must be finite in float32, in which the run's functional computes.
    """

    specs: tuple[NetworkSpec, ...]
    label: str | None = None
    parse: Callable[[str], Any] = str
    start: str | None = None
    reading: Reading = field(default_factory=Reading)
    layouts: tuple[Layout, ...] = ()
    numbers: NumberColumn | None = None
    in_float32: bool = False

    @property
    def known(self) -> str:
        """The weight spaces in words, for errors, each on a line so that none is cut off."""
        return "\n".join(f"{spec};" for spec in self.specs).removesuffix(";")

    def check_start(self, where: object, init: str | None, start: str | None) -> None:
        """Check that an INR was fitted from the required initial weights. INRs that do not record theirs pass.

        Args:
            where: the file or zoo that an error names.
            init, start: what the file or zoo records, as in ``Fit``.

        Raises:
            DataError: the INR was fitted from other initial weights.
        """
        if self.start is None or init is None or start == self.start:
            return
        found = "a start of its own" if start is None else f"start {start}"
        raise DataError(
            where,
            f"was fitted from {found}, the run's networks from start {self.start}; "
            "fit its picture with mnfn zoo build siren --like RUN",
        )


def load_checkpoints(
    path: Path | Zoo | WeightSpaceFeatures, wanted: Wanted, *, split: str | None = None, skip_bad: bool = False
) -> Checkpoints:
    """Load networks from a file, a folder of files, or a zoo, or take networks from memory.

    Args:
        path: the file, in safetensors' or PyTorch's format, the folder of such files, or the zoo; or an open zoo, or
            some networks of one, or raw weights ``(networks, 1, ...)`` of the first wanted weight space.
        wanted: what the networks must be, and the true value to read.
        split: the split of the zoo to read, ``train``, ``val`` or ``test``; all networks by default.
        skip_bad: leave out networks that cannot be used, instead of raising an error.

    Raises:
        DataError: networks cannot be used, all of which are named; or with ``skip_bad``, none can be used.
        UsageError: a split is given, and ``path`` is not a zoo; or weights are given for several weight spaces.
    """
    if isinstance(path, Path) and (path / "zoo.json").exists():
        path = open_zoo(path)
    if isinstance(path, Zoo):
        loaded = _from_zoo(path, wanted, split, skip_bad)
    elif split is not None:
        raise UsageError("--split", f"{path} is no zoo; only a zoo has splits")
    elif isinstance(path, Path):
        loaded = _from_files(path, wanted, skip_bad)
    else:
        loaded = _from_memory(path, wanted, skip_bad)
    if not loaded.names:
        raise DataError.together([*loaded.skipped, DataError(path, "holds no network that can be read")])
    return loaded


def _from_memory(features: WeightSpaceFeatures, wanted: Wanted, skip_bad: bool) -> Checkpoints:
    if len(wanted.specs) > 1:
        raise UsageError("features", f"the run reads {len(wanted.specs)} weight spaces; put the networks into a zoo")
    spec = wanted.specs[0]
    expected = [shape for pair in zip(spec.weight_shapes, spec.bias_shapes, strict=True) for shape in pair]
    if features.channels != 1 or [tuple(tensor.shape[2:]) for tensor in features.tensors()] != expected:
        raise DataError("features", f"{features}: the run reads {wanted.known}")
    finite = features.to(dtype=torch.float32) if wanted.in_float32 else features
    bad = (~finite.flatten().isfinite().all(dim=1)).nonzero().flatten().tolist()
    errors = [DataError(f"features:{row}", "is not finite") for row in bad]
    if errors and not skip_bad:
        raise DataError.together(errors)
    good = sorted(set(range(features.batch)) - set(bad))
    unknown = len(good) if wanted.start is not None else 0
    names, labels = list(map(str, good)), [None] * len(good)
    return Checkpoints(names, features.select(good) if bad else features, labels, errors, unknown_start=unknown)


def _from_zoo(view: Zoo, wanted: Wanted, split: str | None, skip_bad: bool) -> Checkpoints:
    zoo = view.whole
    misfits = [part for part in zoo.parts if place_of_spec(part.spec, wanted.specs) is None]
    if len(misfits) == len(zoo.spaces):
        found = "; ".join(str(space.spec) for space in zoo.spaces)
        raise DataError(zoo.path, f"holds networks {found};\nthe run reads {wanted.known}")
    fit = zoo.record.fit
    wanted.check_start(zoo.path, fit.get("init"), fit.get("start"))
    chosen = view.numbers if split is None else view.numbers[view.rows(split)]
    rows: Sequence[int] = range(len(zoo)) if len(chosen) == len(zoo) else chosen.tolist()
    label = wanted.label if wanted.label in zoo.table.columns else None
    bad = zoo.faults(rows, in_float32=wanted.in_float32)
    if label is not None and wanted.numbers is not None:
        bad = wanted.numbers.read(zoo, rows, empty=True)[1] | bad
    foreign: list[DataError] = []
    for part in misfits:
        others = set(map(int, part.numbers)) & set(rows)
        rows = [row for row in rows if row not in others]
        problem = f"{len(others)} networks are {part.spec};\nthe run reads {wanted.known}"
        foreign += [DataError(f"{zoo.path}:weight space {part.spaces[0].name}", problem)] if others else []
    kept = bad.keys() & set(rows) if bad else set()
    errors = [*foreign, *(error for row, error in bad.items() if row in kept)]
    if errors and not skip_bad:
        raise DataError.together(errors)
    good = [row for row in rows if row not in bad] if bad else rows
    features = read_networks([zoo], [good], wanted.specs)
    labels = [None] * len(good) if label is None else zoo.table[label][good].to_list()
    unknown = len(good) if wanted.start is not None and fit.get("init") is None else 0
    return Checkpoints(zoo.table["id"][good].to_list(), features, labels, errors, zoo, good, unknown_start=unknown)


@dataclass
class _Alike:
    """Files whose tensors have the same names, shapes and dtypes, and that state the same weight space, or none."""

    number: int
    layout: Layout
    dtypes: Mapping[str, torch.dtype]
    positions: list[int]
    tensors: list[Mapping[str, Tensor]]


def _from_files(path: Path, wanted: Wanted, skip_bad: bool) -> Checkpoints:
    files = list_files(path)
    found: dict[int, SingleFile] = {}
    errors: dict[int, DataError] = {}
    groups: dict[Hashable, _Alike] = {}
    for position, file in enumerate(files):
        try:
            tensors, metadata = read_state_dict(file)
            key = (metadata.get("spec"), kind_of(tensors))
            group = groups.get(key)
            if group is None:
                dtypes = {name: tensor.dtype for name, tensor in tensors.items()}
                group = _Alike(*_place(file, tensors, metadata, wanted), dtypes, [], [])
            wanted.check_start(file, metadata.get("init"), metadata.get("start"))
        except DataError as error:
            errors[position] = error
            continue
        groups[key] = group
        group.positions.append(position)
        group.tensors.append(tensors)
        found[position] = SingleFile(file, group.layout, group.dtypes, metadata)
    parts = []
    for group in groups.values():
        features, problems = unpack(
            group.layout, stack_tensors(group.tensors), wanted.specs[group.number], in_float32=wanted.in_float32
        )
        beyond = wanted.in_float32 and torch.float64 in group.dtypes.values()
        errors |= {
            group.positions[row]: not_finite(files[group.positions[row]], name, in_float32=beyond)
            for row, name in problems.items()
        }
        parts.append((group, features))
    labels: dict[int, Any] = {}
    for position in sorted(found.keys() - errors.keys()):
        try:
            labels[position] = _label(found[position], wanted)
        except DataError as error:
            errors[position] = error
    in_order = [errors[position] for position in sorted(errors)]
    if in_order and not skip_bad:
        raise DataError.together(in_order)
    places = {position: place for place, position in enumerate(labels)}
    pieces: list[Piece] = []
    for group, features in parts:
        rows = [row for row, position in enumerate(group.positions) if position in places]
        good = features if len(rows) == features.batch else features.select(rows)
        pieces.append((group.number, [places[group.positions[row]] for row in rows], good))
    singles = [found[position] for position in labels]
    unknown = sum(wanted.start is not None and "init" not in single.metadata for single in singles)
    names = [unicode_text(single.path.stem) for single in singles]
    networks = _joined(pieces, wanted.specs)
    return Checkpoints(names, networks, list(labels.values()), in_order, files=singles, unknown_start=unknown)


def _place(
    file: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str], wanted: Wanted
) -> tuple[int, Layout]:
    """Find the number of a network's weight space among those that are wanted, and how the file holds it.

    Raises:
        DataError: the network fits none of the weight spaces, or several.
    """
    found, errors = [], []
    for number, spec in enumerate(wanted.specs):
        try:
            found.append((number, layout_of(file, tensors, metadata, spec, wanted.reading, wanted.layouts)))
        except DataError as error:
            errors.append(error)
    if len(found) == 1:
        return found[0]
    if found:
        fitting = "\n".join(f"{wanted.specs[number]};" for number, _ in found)
        problem = f"its tensors fit several weight spaces of the run, and the file does not say which:\n{fitting}"
        raise DataError(file, f"{problem}\nmnfn zoo export writes files that do, or put the networks into a zoo")
    if len({error.problem for error in errors}) == 1:
        raise errors[0]
    raise DataError(file, f"holds a network of no weight space that the run reads:\n{wanted.known}")


def _joined(pieces: list[Piece], specs: Sequence[NetworkSpec]) -> Networks:
    """Put networks into one batch; if their dtypes differ, in float64, which holds all of them exactly."""
    pieces = [piece for piece in pieces if piece[1]]
    if len({tensor.dtype for _, _, part in pieces for tensor in part.tensors()}) > 1:
        pieces = [(number, places, part.map(lambda tensor: tensor.double())) for number, places, part in pieces]
    return join_networks(pieces, specs)


def _label(single: SingleFile, wanted: Wanted) -> Any:
    text = None if wanted.label is None else single.metadata.get(wanted.label)
    if text is None:
        return None
    try:
        return wanted.parse(text)
    except ValueError as error:
        raise DataError(f"{single.path}:{wanted.label}", f"'{text}' in the metadata {error}") from None
