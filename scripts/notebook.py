"""Run docs/tour.ipynb and keep its outputs; with ``--check`` say where outputs that are kept differ from new ones.

Text has to be equal but for its numbers. Numbers and pictures have to be equal on a processor like the one that made
the kept outputs, and near to them on others, whose rounding differs.
"""

import argparse
import base64
import re
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import torch
from nbclient import NotebookClient
from PIL import Image

NOTEBOOK = Path(__file__).parents[1] / "docs" / "tour.ipynb"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
SECONDS = 600
NEAR = 0.25
"""The largest difference of numbers from kept ones, in parts of the larger and of 1, on another processor."""
ALIKE = 20.0
"""The largest mean difference of grey levels, of 255, between pictures made on different processors."""


def load(cells: int | None = None) -> Any:
    """Return the kept notebook; with ``cells``, its first ones alone."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells = notebook.cells[:cells]
    return notebook


def execute(cells: int | None = None) -> Any:
    """Return the notebook, or its first ``cells``, with the outputs of a new run, in a temporary folder."""
    notebook = load(cells)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": folder}}
        )
        client.execute()
    for cell in notebook.cells:
        cell.metadata.clear()
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "mnfn": {"processor": processor()},
    }
    return notebook


def processor() -> str:
    """Return what decides how sums are rounded: the instructions of the processor, and the version of torch."""
    return f"{torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__.partition('+')[0]}"


def differences(kept: Any, new: Any) -> list[str]:
    """Return a sentence for each output of a notebook that is stale."""
    exact = kept.metadata.get("mnfn", {}).get("processor") == new.metadata["mnfn"]["processor"]
    cells = [(number, cell) for number, cell in enumerate(kept.cells) if cell.cell_type == "code"]
    found = []
    for number, cell in cells:
        before, after = (_contents(each) for each in (cell, new.cells[number]))
        if [kind for kind, _ in before] != [kind for kind, _ in after]:
            found.append(f"cell {number}: outputs {[k for k, _ in before]} are now {[k for k, _ in after]}")
            continue
        for (kind, old), (_, now) in zip(before, after, strict=True):
            same = old == now or (not exact and (_near(old, now) if kind == "text" else _alike(old, now)))
            if not same:
                found.append(f"cell {number}: {kind} differs" + (f":\n{old}\n{now}" if kind == "text" else ""))
    return found


def _contents(cell: Any) -> list[tuple[str, str]]:
    contents = []
    for output in cell.outputs:
        if output.output_type == "stream":
            contents.append(("text", output.text))
        elif "image/png" in output.get("data", {}):
            contents.append(("picture", output.data["image/png"].strip()))
        else:
            contents.append(("text", output.get("data", {}).get("text/plain", output.output_type)))
    return contents


def _near(old: str, now: str) -> bool:
    if NUMBER.sub("#", old) != NUMBER.sub("#", now):
        return False
    a, b = (np.array(NUMBER.findall(text), dtype=float) for text in (old, now))
    return bool((np.abs(a - b) <= NEAR * np.maximum(1, np.maximum(np.abs(a), np.abs(b)))).all())


def _alike(old: str, now: str) -> bool:
    a, b = (np.asarray(Image.open(BytesIO(base64.b64decode(text))).convert("L"), dtype=float) for text in (old, now))
    return a.shape == b.shape and float(np.abs(a - b).mean()) <= ALIKE


def main() -> None:
    """Run the notebook; write it, or compare it with the kept one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if an output is stale")
    check = parser.parse_args().check
    started = time.monotonic()
    new = execute()
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
    if not check:
        nbformat.write(new, NOTEBOOK)
        return
    stale = differences(load(), new)
    print("\n".join(stale))
    sys.exit(bool(stale))


if __name__ == "__main__":
    main()
