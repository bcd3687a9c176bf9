"""Put a finished run into pretrained/, so that it comes with mnfn: python scripts/store_run.py RUN TASK/NAME.

Only what reading the run needs is copied. Paths and names of the machine that trained it are left out: zoos and the run
are called as on the command line that anyone can type, ``zoos/ZOO`` and ``runs/NAME``.
"""

import argparse
import re
import shlex
import shutil
import sys
from pathlib import Path

from mnfn_cli.errors import MnfnError, UsageError
from mnfn_cli.recipe import load_recipe, recipe_to_yaml
from mnfn_cli.report.card import CARD_FILE, card
from mnfn_cli.storage.atomic import write_text
from mnfn_cli.storage.records import write_record
from mnfn_cli.tasks.calibration import CALIBRATION_FILE
from mnfn_cli.tasks.finished_run import load_run
from mnfn_cli.tasks.result import RESULT_FILE, read_result
from mnfn_cli.training.record import ZooReference
from mnfn_cli.training.run_folder import RUN_FILE, open_finished

ROOT = Path(__file__).resolve().parents[1]
MOST_BYTES = 8 * 10**6
COPIED = ("model.safetensors", CALIBRATION_FILE, "start.safetensors", "metrics.jsonl", "predicted-vs-true.png")


def store(run: Path, name: str, root: Path = ROOT / "pretrained") -> Path:
    """Copy a finished run to ``root/TASK/NAME``, without what belongs to the machine that trained it.

    Raises:
        UsageError: the name is not TASK/NAME, something is there already, or the run is too large.
        DataError: the run cannot be read.
    """
    folder = open_finished(run)
    record, result, recipe = folder.record, read_result(run), load_recipe(str(folder.recipe))
    if not re.fullmatch(rf"{record.task}/[a-z0-9-]+", name):
        raise UsageError(name, f"write {record.task}/NAME, with small letters, digits and hyphens")
    target = root / name
    if target.exists():
        raise UsageError(target, "exists already; remove it first")
    zoos = tuple(_portable(zoo) for zoo in record.zoos)
    command = _command(record.command, {zoo.path: new.path for zoo, new in zip(record.zoos, zoos, strict=True)}, name)
    skipped = tuple((f"zoos/{Path(zoo).name}", network) for zoo, network in record.skipped)
    copied = [file for file in COPIED if (run / file).exists()]
    record = record.changed(zoos=zoos, command=command, skipped=skipped, files=(CARD_FILE, *copied[1:]))
    data = result.data.changed(zoos=zoos)
    result = result.changed(data=data, environment={**result.environment, "machine": ""})
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"zoo": tuple(zoo.path for zoo in zoos)})})
    target.mkdir(parents=True)
    for file in copied:
        shutil.copyfile(run / file, target / file)
    write_text(target / "recipe.yaml", recipe_to_yaml(recipe))
    write_record(target / RESULT_FILE, result)
    write_text(target / CARD_FILE, card(record, result))
    write_record(target / RUN_FILE, record)
    load_run(target)
    size = sum(file.stat().st_size for file in target.iterdir())
    if size > MOST_BYTES:
        shutil.rmtree(target)
        raise UsageError(run, f"has {size / 1e6:.1f} MB; at most {MOST_BYTES / 1e6:.0f} MB come with mnfn")
    return target


def _portable(zoo: ZooReference) -> ZooReference:
    path = f"zoos/{Path(zoo.path).name}"
    command = None if zoo.command is None else _replace(zoo.command, None, path)
    return zoo.changed(path=path, command=command)


def _command(command: str, zoos: dict[str, str], name: str) -> str:
    for path, new in zoos.items():
        command = _replace(command, Path(path).name, new)
    return _replace(command, None, f"runs/{name.partition('/')[2]}")


def _replace(command: str, name: str | None, new: str) -> str:
    """Return a command line with ``new`` for every path that ends in ``name``; for the output if ``name`` is None."""
    words = shlex.split(command)
    for place, word in enumerate(words):
        output = words[place - 1] in ("-o", "--out") if place else False
        if (output and name is None) or (name is not None and "/" in word and Path(word).name == name):
            words[place] = new
    return shlex.join(words)


def main() -> None:
    """Store the run that the command line names, and say where."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="the folder of a finished run")
    parser.add_argument("name", help="the task and the name, such as generalization/digits-relu-hybrid")
    given = parser.parse_args()
    try:
        target = store(given.run, given.name)
    except MnfnError as error:
        sys.exit(str(error))
    print(f"{target}: {sum(file.stat().st_size for file in target.iterdir()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
