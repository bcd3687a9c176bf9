"""Find the files of a data set that somebody else made, and follow no link out of its folder."""

from pathlib import Path

from mnfn_cli.errors import DataError
from mnfn_cli.regular_files import check_regular_file


def source_folder(path: Path, files: str) -> Path:
    """Return ``path`` if it is a folder.

    Args:
        path: what the user named.
        files: the files that the folder should hold, in words, for the error.

    Raises:
        DataError: it is no folder.
    """
    if not path.is_dir():
        found = "is a file" if path.exists() else "no such folder"
        raise DataError(path, f"{found}; name the folder that holds {files}")
    return path


def source_file(folder: Path, name: str) -> Path:
    """Return the path of a regular file in a folder. A link is followed only to another file in the folder.

    Args:
        folder: the folder of the data set.
        name: the name of the file in it.

    Raises:
        DataError: the file is missing or no regular file, or a link leads out of the folder.
    """
    file = folder / name
    try:
        inside = file.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a loop of links is a RuntimeError before Python 3.13
        inside = False
    if not inside:
        raise DataError(file, "is a link that leads out of the folder or in a circle; put the file itself there")
    check_regular_file(file)
    return file
