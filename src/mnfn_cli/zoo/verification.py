"""Check that a zoo is what its zoo.json says: checksums, shapes, weights, and the numbers in its table."""

from pathlib import Path

from mnfn_cli.errors import DataError, MnfnError
from mnfn_cli.storage.atomic import sha256
from mnfn_cli.storage.folders import existing_folder
from mnfn_cli.zoo.contents import ZooContents, open_contents, read_zoo_record
from mnfn_cli.zoo.numbers import NumberColumn
from mnfn_cli.zoo.record import ZooRecord


def verify_zoo(path: str | Path | ZooContents) -> list[MnfnError]:
    """Check the checksums, the table, and the shapes and values of the tensors of a zoo, and return all faults.

    ``mnfn zoo verify`` also prints what ``zoo.look_at_magnitudes`` and ``zoo.find_twins`` find.

    The column ``test_accuracy`` is read as a training reads it, except that cells may be empty: networks without a
    label can be predicted.

    Args:
        path: the folder of the zoo, or an open zoo, whose files are read anew.

    Returns:
        an error for each fault; nothing for a sound zoo.

    Raises:
        DataError: there is no zoo, or its zoo.json cannot be read.

    >>> from mnfn_cli.zoo import verify_zoo
    >>> from mnfn_cli.testing import example_zoo
    >>> verify_zoo(example_zoo().path)
    []
    """
    folder = existing_folder(path.path if isinstance(path, ZooContents) else Path(path), "zoo")
    faults: list[MnfnError] = list(changed_files(folder, read_zoo_record(folder)))
    try:
        zoo = open_contents(folder)
        accuracy = NumberColumn()
        if accuracy.name in zoo.table.columns:
            faults += accuracy.read(zoo, empty=True)[1].values()
        faults += zoo.faults().values()
    except DataError as error:
        faults.append(error)
    return faults


def changed_files(folder: Path, record: ZooRecord) -> list[DataError]:
    """Return an error for each file of a zoo whose checksum is not that in zoo.json; missing files are left out."""
    return [
        DataError(folder / name, "checksum differs from zoo.json; the file was changed or damaged")
        for name, entry in record.files.items()
        if (folder / name).is_file() and sha256(folder / name) != entry.sha256
    ]
