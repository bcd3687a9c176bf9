"""Import the SIREN sets of the nfn library (Zhou et al. 2023, "Permutation Equivariant Neural Functionals").

Each network is the picture of the same number in torchvision's training set followed by its test set. Augmented copies
are further fits of the same pictures, from other initial weights.
"""

import re
from pathlib import Path

from mnfn_cli.errors import DataError
from mnfn_cli.runtime.context import Context
from mnfn_cli.zoo.importers.folder_files import find_files, source_root
from mnfn_cli.zoo.importers.inr_facts import InrOptions
from mnfn_cli.zoo.importers.inr_sets import Inr, InrSet, plan_inrs
from mnfn_cli.zoo.importers.network_files import NetworkFile
from mnfn_cli.zoo.plan import Plan

FORMAT = "nfn-siren"
TRAIN, VAL = 45_000, 50_000
"""Pictures with a number below the first are train, those below the second val, and all others test."""

_FILE = re.compile(r"randinit_smaller(?:_aug(?P<copy>\d{1,4}))?_(?P<label>\d)s/net(?P<index>\d{1,9})\.pth", re.ASCII)
"""Matches ``randinit_smaller_7s/net12.pth`` and, for copies, ``randinit_smaller_aug0_7s/net12.pth``."""


def plan_nfn_siren(
    path: Path,
    *,
    augmented: bool = False,
    inrs: InrOptions = InrOptions(),
    skip_bad: bool = False,
    context: Context | None = None,
) -> Plan:
    """Plan the import of ``siren_mnist_wts``, ``siren_fashion_wts`` or ``siren_cifar_wts``.

    Ids are ``net12`` and, for copies, ``net12-aug0``. ``image_id`` is the number of the picture.

    Args:
        path: the folder with the folders ``randinit_smaller_0s``, ``randinit_smaller_1s`` and so on.
        augmented: import the copies too. A copy has the picture and the split of its source, which ``source_id`` names.
        inrs: what the user says about the pictures.
        skip_bad: leave out networks that cannot be used, instead of raising an error.
        context: where progress is reported and interrupts are noticed.

    Raises:
        DataError: there is no such folder; or networks cannot be used, all of which are named.
    """
    root = source_root(path, "randinit_smaller_0s and so on")
    files, errors = find_files(root, lambda file: _FILE.fullmatch(file.as_posix()) is not None)
    members: dict[tuple[int, int], Inr] = {}
    left_out = 0
    for file in files:
        found = _FILE.fullmatch(file.as_posix())
        assert found is not None
        if found["copy"] is not None and not augmented:
            left_out += 1
            continue
        member = _member(root, file, found, augmented)
        key = (-1 if found["copy"] is None else int(found["copy"]), int(found["index"]))
        if key in members:
            errors.append(DataError(root / file, f"is the same network as {members[key].file.name}"))
        else:
            members[key] = member
    for key, member in list(members.items()):
        source = members.get((-1, key[1]))
        if source is not None and source.label != member.label:
            errors.append(
                DataError(root / member.file.name, f"has class {member.label}, {source.id} has {source.label}")
            )
            del members[key]
    if not files and not errors:
        raise DataError(path, "holds no randinit_smaller_DIGITs/netNUMBER.pth")
    note = f"{left_out} augmented copies are left out; --augmented imports them"
    found_set = InrSet(
        FORMAT,
        pixel_range=(-1.0, 1.0),
        output_offset=0.0,
        members=[members[key] for key in sorted(members)],
        errors=errors,
        split_protocol=f"by the number of the picture, train below {TRAIN}, val below {VAL}, copies with their source",
        notes=[note] if left_out else [],
    )
    return plan_inrs(path, found_set, options=inrs, skip_bad=skip_bad, context=context)


def _member(root: Path, file: Path, found: re.Match[str], augmented: bool) -> Inr:
    index = int(found["index"])
    own = f"net{index}" if found["copy"] is None else f"net{index}-aug{int(found['copy'])}"
    split = "train" if index < TRAIN else "val" if index < VAL else "test"
    source = f"net{index}" if augmented else None
    return Inr(NetworkFile(root / file, file.as_posix()), own, str(index), split, found["label"], source)
