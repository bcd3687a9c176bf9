"""Import the INR sets of DWSNets (Navon et al. 2023, "Equivariant Architectures for Learning in Deep Weight Spaces").

There are two layouts. The set of MNIST has a folder a network, which names the class and the picture. The set of
Fashion-MNIST has a file a network, which holds the class. In both, 0.5 is added to the output of a network.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mnfn_cli.errors import DataError
from mnfn_cli.runtime.context import Context
from mnfn_cli.zoo.importers.dws_splits import SplitFile
from mnfn_cli.zoo.importers.folder_files import find_files, source_root
from mnfn_cli.zoo.importers.inr_facts import InrOptions
from mnfn_cli.zoo.importers.inr_sets import Inr, InrSet, plan_inrs
from mnfn_cli.zoo.importers.network_files import NetworkFile
from mnfn_cli.zoo.importers.network_splits import draw_by_group
from mnfn_cli.zoo.plan import Plan

FORMAT = "dws-inr"
VAL_SHARE = 5000 / 60_000
"""The share of training pictures that are val where no file says which they are, as in the published sets."""

SPLIT_FILES = ("mnist_splits.json", "fmnist_splits.json", "splits.json")

_LAYOUTS = {
    "mnist": re.compile(
        r"(?:.*/)?(?P<name>mnist_png_(?P<part>train|test)ing_(?P<label>\d)_(?P<id>\d+)/checkpoints/model_final\.pth)",
        re.ASCII,
    ),
    "fmnist": re.compile(r"(?:.*/)?(?P<name>(?P<part>train|test)/model_(?P<id>\d+)\.pth)", re.ASCII),
}
"""The path of a network, by layout; ``name`` is the part of it by which a split file knows the network."""


def plan_dws_inr(
    path: Path,
    *,
    split_file: Path | None = None,
    seed: int = 0,
    inrs: InrOptions = InrOptions(),
    skip_bad: bool = False,
    context: Context | None = None,
) -> Plan:
    """Plan the import of ``mnist-inrs`` or ``fmnist_inrs``, or of the folder in which one of them lies.

    Ids are ``train-12`` and ``test-12``, those of the pictures too: the two parts are numbered apart.

    Args:
        path: the folder.
        split_file: the file that divides the networks; by default the one of ``SPLIT_FILES`` in the folder. Without
            one, networks of the testing part are test, and ``VAL_SHARE`` of the others, drawn at random, are val.
        seed: the seed of that draw.
        inrs: what the user says about the pictures.
        skip_bad: leave out networks that cannot be used, and entries without a network, instead of raising an error.
        context: where progress is reported and interrupts are noticed.

    Raises:
        DataError: there is no such folder; it holds networks of both layouts, or several split files; or networks, or
            entries of the split file, cannot be used, all of which are named.
    """
    root = source_root(path, "mnist_png_training_5_0 and so on, or train and test")
    files, errors = find_files(root, lambda file: _layout_of(file.as_posix()) is not None)
    layouts = sorted({_layout_of(file.as_posix()) or "" for file in files})
    if len(layouts) > 1:
        raise DataError(path, "holds networks in the layouts of mnist-inrs and of fmnist_inrs; import them apart")
    if not files and not errors:
        raise DataError(path, "holds no mnist_png_*/checkpoints/model_final.pth and no train/model_*.pth")
    pattern = _LAYOUTS[layouts[0] if layouts else "mnist"]
    named, twice = _by_name(root, files, pattern)
    given = _split_file(root, split_file)
    if given is None:
        splits, protocol = _drawn(named, seed)
        labels: Mapping[str, str] = {}
    else:
        listed = SplitFile(given, lambda text: found["name"] if (found := pattern.fullmatch(text)) else None)
        splits, labels, protocol = listed.splits, listed.labels, f"as {given.name} says"
        wrong = _contradictions(root, named, listed)
        named = {name: found for name, found in named.items() if name not in wrong}
        errors += [*listed.errors, *wrong.values()]
    members = [
        Inr(
            NetworkFile(root / found.string, found.string),
            f"{found['part']}-{found['id']}",
            f"{found['part']}-{found['id']}",
            splits[name],
            found.groupdict().get("label") or labels.get(name),
        )
        for name, found in named.items()
    ]
    found_set = InrSet(FORMAT, (0.0, 1.0), 0.5, members, [*errors, *twice], protocol)
    return plan_inrs(path, found_set, options=inrs, skip_bad=skip_bad, context=context)


def _layout_of(path: str) -> str | None:
    return next((layout for layout, pattern in _LAYOUTS.items() if pattern.fullmatch(path)), None)


def _by_name(
    root: Path, files: Sequence[Path], pattern: re.Pattern[str]
) -> tuple[dict[str, re.Match[str]], list[DataError]]:
    """Return the paths of networks by the names that a split file uses, and errors for networks of the same picture."""
    named: dict[str, re.Match[str]] = {}
    pictures: dict[tuple[str, int], str] = {}
    errors = []
    for file in files:
        found = pattern.fullmatch(file.as_posix())
        assert found is not None
        first = pictures.setdefault((found["part"], int(found["id"])), found.string)
        if first == found.string:
            named[found["name"]] = found
        else:
            errors.append(DataError(root / file, f"has the picture of {first}; each picture has one network"))
    return named, errors


def _split_file(root: Path, given: Path | None) -> Path | None:
    if given is not None:
        return given
    found, errors = find_files(root, lambda file: file.name in SPLIT_FILES)
    if errors:
        raise DataError.together(errors)
    if len(found) > 1:
        raise DataError(root, f"holds {' and '.join(map(str, found))}; say which one with --split-file")
    return root / found[0] if found else None


def _drawn(named: Mapping[str, re.Match[str]], seed: int) -> tuple[dict[str, str], str]:
    training = [name for name, found in named.items() if found["part"] == "train"]
    drawn, _ = draw_by_group(training, seed, {"train": 1 - VAL_SHARE, "val": VAL_SHARE, "test": 0.0})
    splits = dict.fromkeys(named, "test") | dict(zip(training, drawn, strict=True))
    return splits, f"the testing part is test; of the training part, 1 in 12 is val, drawn with seed {seed}"


def _contradictions(root: Path, named: Mapping[str, re.Match[str]], listed: SplitFile) -> dict[str, DataError]:
    """Return, by their names, errors for networks in no split or with another class, and entries without a network."""
    errors = {
        name: DataError(f"{listed.path}:{split}", f"there is no network {name}")
        for name, split in listed.splits.items()
        if name not in named
    }
    for name, found in named.items():
        label = found.groupdict().get("label")
        if name not in listed.splits:
            errors[name] = DataError(root / found.string, f"is in no split of {listed.path}")
        elif label is not None and (stated := listed.labels.get(name, label)) != label:
            errors[name] = DataError(root / found.string, f"has class {label}, and {listed.path} says {stated}")
    return errors
