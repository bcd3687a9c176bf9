"""Read the file that divides an INR set of DWSNets into train, val and test."""

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from mnfn_cli.errors import DataError
from mnfn_cli.zoo.importers.text_files import parse_json, read_utf8
from mnfn_cli.zoo.table import SPLITS


class SplitFile:
    """The splits of networks, and their classes if the file has those.

    A file holds an object with the keys ``train``, ``val`` and ``test``. Each is a list of paths, or an object with
    lists ``path`` and ``label`` of the same length. The paths are those of the machine on which the file was made; only
    their last parts are used, and nothing is opened by them.

    Args:
        path: the file.
        name_of: a function that returns the part of a path that names the network; None if it names none.

    Attributes:
        path: the file.
        splits: the split of each network by its name.
        labels: the class of each network by its name, as text; empty if the file has no classes.
        errors: an error for each entry that names no network, or one that an earlier entry names.

    Raises:
        DataError: the file cannot be read, or has another form.
    """

    def __init__(self, path: Path, name_of: Callable[[str], str | None]) -> None:
        self.path = path
        self.splits: dict[str, str] = {}
        self.labels: dict[str, str] = {}
        self.errors: list[DataError] = []
        document = parse_json(read_utf8(path), path)
        if not isinstance(document, dict) or not document or set(document) - set(SPLITS):
            raise DataError(path, f"is no object with the keys {', '.join(SPLITS)}")
        for split, entry in document.items():
            paths, labels = _entries(entry, f"{path}:{split}")
            for number, text in enumerate(paths):
                self._add(split, text, labels[number] if labels else None, f"{path}:{split}:{number + 1}", name_of)

    def _add(self, split: str, text: str, label: str | None, where: str, name_of: Callable[[str], str | None]) -> None:
        name = name_of(PurePosixPath(text.replace("\\", "/")).as_posix())
        if name is None:
            self.errors.append(DataError(where, f"'{text}' is no path of a network of this set"))
        elif name in self.splits:
            self.errors.append(DataError(where, f"{name} is in {self.splits[name]} already"))
        else:
            self.splits[name] = split
            if label is not None:
                self.labels[name] = label


def _entries(entry: Any, where: str) -> tuple[list[str], list[str]]:
    """Return the paths of a split, and the classes, which are empty if there are none."""
    paths, labels = (entry.get("path"), entry.get("label")) if isinstance(entry, dict) else (entry, [])
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise DataError(where, "has no list of paths")
    if not isinstance(labels, list) or len(labels) not in (0, len(paths)):
        raise DataError(where, f"has {len(paths)} paths and another number of labels")
    texts = [str(label) for label in labels]
    if bad := [text for text in texts if not (text.isascii() and text.isdigit())]:
        raise DataError(f"{where}:label", f"'{bad[0]}' is no class number")
    return paths, texts
