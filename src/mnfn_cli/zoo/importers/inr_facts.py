"""What must be known of INRs besides their weights: the size of their pictures, and the values of black and white."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.zoo.plan import Plan
from mnfn_cli.zoo.record import PIXEL_RANGE

_SIZE = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})", re.ASCII)
_RANGE = re.compile(r"(-?\d{1,9}(?:\.\d{1,9})?) (-?\d{1,9}(?:\.\d{1,9})?)", re.ASCII)


@dataclass(frozen=True)
class InrOptions:
    """What the user says about the pictures of INRs.

    Args:
        size: their (height, width) in pixels; None if nobody says it.
        pixel_range: the values of black and white pixels; None if nobody says it.
        coordinates: the order in which the networks read the coordinates of a pixel, ``yx`` or ``xy``. Networks of mnfn
            read (y, x).

    >>> from mnfn_cli.zoo import InrOptions
    >>> InrOptions(size=(28, 28), pixel_range=(0.0, 1.0)).coordinates
    'yx'
    """

    size: tuple[int, int] | None = None
    pixel_range: tuple[float, float] | None = None
    coordinates: str = "yx"


def facts_of_files(metadata: Sequence[Mapping[str, str]], options: InrOptions) -> tuple[dict[str, Any], list[str]]:
    """Return what zoo.json records of INRs, attributes of ``Fit``, from options and from the metadata of their files.

    The weights of a shared start are in no single file, so nothing is recorded of it.

    Args:
        metadata: the texts in each file by key.
        options: what the user says; it goes before the metadata.

    Returns:
        the facts, and sentences on what is assumed or unknown.
    """
    notes = []
    facts: dict[str, Any] = {}
    stated_range, stated_size = _common(metadata, "pixel_range", _RANGE), _common(metadata, "size", _SIZE)
    if options.pixel_range is not None or stated_range:
        facts["pixel_range"] = list(options.pixel_range or map(float, stated_range))
    else:
        facts["pixel_range"] = list(PIXEL_RANGE)
        notes.append("pixels are taken to be on [-1, 1]; say --pixel-range if they are not")
    if options.size is not None or stated_size:
        facts["size"] = list(options.size or map(int, stated_size))
    else:
        notes.append("the size of the pictures is unknown, so that nothing can be drawn or learned; say --size")
    inits = {texts.get("init") for texts in metadata}
    if inits == {"random"}:
        facts["init"] = "random"
    elif "shared" in inits:
        notes.append("some were fitted from shared initial weights, which no file holds; nothing is recorded of them")
    return facts, notes


def _common(metadata: Sequence[Mapping[str, str]], key: str, pattern: re.Pattern[str]) -> tuple[str, ...]:
    """Return the two numbers that all files state under a key; nothing if they differ or a file states none."""
    texts = {texts.get(key, "") for texts in metadata}
    found = pattern.fullmatch(texts.pop()) if len(texts) == 1 else None
    return found.groups() if found else ()


def with_coordinates(plan: Plan, options: InrOptions) -> Plan:
    """Return a plan whose INRs read (y, x). If they read (x, y), the columns of the first weight change places."""
    if options.coordinates == "yx":
        return plan

    def read(space: str, chosen: range) -> WeightSpaceFeatures:
        features = plan.read(space, chosen)
        first, *rest = features.weights
        return WeightSpaceFeatures([first.flip(-1), *rest], features.biases)

    said = {"coordinates": options.coordinates}
    return replace(plan, read=read, made={**plan.made, **said}, identity={**plan.identity, **said})
