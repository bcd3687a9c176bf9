"""Every command against every name that it might collide with: what is not mnfn's stays as it is, byte for byte.

Each case makes a small world of zoos, runs and files of the user's own, lets one command loose in it, and compares the
whole tree before and after: paths, types, modes, link targets and bytes.
"""

import os
import shutil
import stat
from pathlib import Path

import pytest
from small_world import FIRST, make_world, run, stand_in_copy, tree

from mnfn_cli.storage.marks import MARK

# The arguments of each command, "OUT" where its output goes; the kind of output; and its inputs.
TRAIN = ["train", "--recipe", "mine.yaml", "--zoo", "z", "-o", "OUT"]
BUILD = ["--images", "pictures.npz", "--count", "2", "--epochs", "1"]
SIREN = ["zoo", "build", "siren", "--images", "pictures.npz", "--steps", "2", "--width", "4", "-o", "OUT"]
COMMANDS = {
    "zoo build cnn": (["zoo", "build", "cnn", *BUILD, "--size", "9", "-o", "OUT"], "zoo", ["pictures.npz"]),
    "zoo build mlp": (["zoo", "build", "mlp", *BUILD, "--hidden", "4", "-o", "OUT"], "zoo", ["pictures.npz"]),
    "zoo build siren": (SIREN, "zoo", ["pictures.npz"]),
    "zoo build siren --like": ([*SIREN[:5], "--like", "inr", "-o", "OUT"], "zoo", ["pictures.npz", "inr"]),
    "augment": (["augment", "z", "-o", "OUT", "--scale", "1", "10"], "zoo", ["z"]),
    "zoo split": (["zoo", "split", "z", "50/25/25", "-o", "OUT"], "zoo", ["z"]),
    "zoo merge": (["zoo", "merge", "z", "inr", "-o", "OUT"], "zoo", ["z", "inr"]),
    "zoo filter": (["zoo", "filter", "z", "test_accuracy > 0.3", "-o", "OUT"], "zoo", ["z"]),
    "train": (TRAIN, "run", ["z", "mine.yaml"]),
    "sweep": (["sweep", "--recipe", "mine.yaml", "--zoo", "z", "-o", "OUT"], "sweep", ["z", "mine.yaml"]),
    "evaluate": (["evaluate", "r", "-o", "OUT", "--scales", "1"], "evaluation", ["r", "classifiers"]),
    "predict": (["predict", "r", "z", "-o", "OUT"], "file", ["r", "z"]),
    "predict --plugin": (["predict", "r", "z", "--plugin", "plugin.py", "-o", "OUT"], "file", ["plugin.py"]),
    "predict files": (["predict", "r", "files", "-o", "OUT"], "file", ["r", "files"]),
    "explain": (["explain", "r", "one.safetensors", "-o", "OUT"], "file", ["r", "one.safetensors"]),
    "report": (["report", "r", "inr", "-o", "OUT"], "file", ["r", "inr"]),
    "export-functional": (["export-functional", "c", "-o", "OUT"], "file", ["c"]),
    "classify": (["classify", "c", "inr", "-o", "OUT"], "file", ["c", "inr"]),
    "edit a zoo": (["edit", "e", "inr", "-o", "OUT"], "zoo", ["e", "inr"]),
    "edit --picture": (["edit", "e", "inr", "-o", "edited-here", "--picture", "OUT"], "file", ["e", "inr"]),
    "zoo export": (["zoo", "export", "z", "-o", "OUT", "--limit", "2"], "checkpoints", ["z"]),
    "edit files": (["edit", "e", "inr-files", "-o", "OUT"], "checkpoints", ["e", "inr-files"]),
    "edit one file": (["edit", "e", "inr-files/one.safetensors", "-o", "OUT.safetensors"], "file",
                      ["e", "inr-files/one.safetensors"]),
    "zoo import": (["zoo", "import", "folder", "inr-files", "--labels", "labels.csv", "-o", "OUT"], "zoo",
                   ["inr-files", "labels.csv"]),
    "compare --align": (["compare", "inr-files/one.safetensors", "inr-files/two.safetensors", "--align", "OUT"], "file",
                        ["inr-files/one.safetensors", "inr-files/two.safetensors"]),
    "zoo render": (["zoo", "render", "inr", "-o", "OUT"], "file", ["inr"]),
    "count-params": (["count-params", "--growth", "-o", "OUT"], "file", []),
}  # fmt: skip
READERS = {
    "zoo info": ["zoo", "info", "z"],
    "zoo verify": ["zoo", "verify", "z"],
    "zoo verify --twins": ["zoo", "verify", "z", "--twins"],
    "compare": ["compare", "inr-files/one.safetensors", "inr-files/two.safetensors"],
    "predict to stdout": ["predict", "r", "z"],
    "classify to stdout": ["classify", "c", "inr"],
    "zoo import --dry-run": ["zoo", "import", "folder", "inr-files", "--dry-run"],
    "recipe list": ["recipe", "list"],
    "pretrained": ["pretrained"],
    "recipe show": ["recipe", "show", "mine.yaml"],
    "recipe validate": ["recipe", "validate", "mine.yaml"],
    "count-params": ["count-params", "--recipe", "mine.yaml", "--zoo", "z"],
    "train --resume": ["train", "--resume", "r"],
}


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """The world before any collision; copied for each case."""
    return make_world(tmp_path_factory.mktemp("collisions") / "world")


@pytest.fixture
def world(prepared, tmp_path, monkeypatch):
    return stand_in_copy(prepared, tmp_path, monkeypatch)


def arguments_of(command, out, force):
    template, kind, _ = COMMANDS[command]
    return [word.replace("OUT", out) for word in template] + (["--force"] if force and kind != "sweep" else [])


def output_of(command, out):
    return f"{out}.safetensors" if command == "edit one file" else out


def refused(monkeypatch, capsys, world, command, out, force):
    """Run a command that must be refused in one line, and leave everything as it was."""
    before = tree(world)
    code = run(monkeypatch, *arguments_of(command, out, force))
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mnfn: error: ")]
    assert code in (2, 3, 4, 6), (code, errors)
    assert len(errors) == 1, errors
    assert tree(world) == before


def done(monkeypatch, capsys, world, command, out, force):
    """Run a command that must succeed, and add its output to what was there, which stays."""
    before = tree(world)
    code = run(monkeypatch, *arguments_of(command, out, force))
    assert code == 0, capsys.readouterr().err
    after, made = tree(world), {output_of(command, out), "edited-here"}
    kept = {name: entry for name, entry in before.items() if name.split("/")[0] not in made}
    assert {name: entry for name, entry in after.items() if name.split("/")[0] not in made} == kept
    assert Path(output_of(command, out)).exists()


FORCE = pytest.mark.parametrize("force", [False, True], ids=["", "--force"])


def cases(kinds):
    """Return the commands whose outputs are of these kinds; one that takes long runs in `make docs`."""
    names = [name for name, (_, kind, _) in COMMANDS.items() if kind in kinds]
    return [pytest.param(name, marks=pytest.mark.docs) if name == "export-functional" else name for name in names]


EVERY = pytest.mark.parametrize("command", cases({kind for _, kind, _ in COMMANDS.values()}))
FOLDERS = pytest.mark.parametrize("command", [name for name, (_, kind, _) in COMMANDS.items() if kind != "file"])
GROWING = pytest.mark.parametrize(  # a sweep grows nowhere else, and replaces nothing
    "command", [name for name, (_, kind, _) in COMMANDS.items() if kind not in ("file", "sweep")]
)
FILES = pytest.mark.parametrize("command", cases({"file"}))


@FORCE
@EVERY
@pytest.mark.fault("H1")
def test_neighbours_stay(monkeypatch, capsys, world, command, force):
    """Names that an older mnfn, another tool or the user might have chosen mean nothing."""
    out = output_of(command, "o")
    for name in (f"{out}.old", f"{out}.partial", f"{out}.new", f"{out}.bak"):
        shutil.copytree("thesis", name)
    for name in (f".{out}.lock", f".{out}.tmp", f".{out}.123", f"{out}.csv.old", f".{out}.mnfn", "unrelated.mnfn-tmp"):
        Path(name).write_text("mine")
    Path(f"{out}.link").symlink_to("thesis")
    done(monkeypatch, capsys, world, command, "o", force)


@pytest.mark.parametrize("suffix", [".mnfn-partial", ".mnfn-replaced"])
@pytest.mark.parametrize("as_file", [False, True], ids=["folder", "file"])
@FORCE
@GROWING
@pytest.mark.fault("H1")
def test_reserved_names_without_a_mark(monkeypatch, capsys, world, command, suffix, as_file, force):
    if as_file:
        Path(f"o{suffix}").write_text("mine")
    else:
        shutil.copytree("thesis", f"o{suffix}")
    refused(monkeypatch, capsys, world, command, "o", force)


@FORCE
@GROWING
def test_a_lock_of_the_users(monkeypatch, capsys, world, command, force):
    Path(".o.mnfn-lock").write_text("mine")
    refused(monkeypatch, capsys, world, command, "o", force)


def folder_with_thesis(path):
    shutil.copytree("thesis", path)


def empty_folder(path):
    path.mkdir()


def device(path):
    if os.geteuid() != 0:
        pytest.skip("only root makes devices")
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))


IN_THE_WAY = {
    "a folder with a thesis": folder_with_thesis,
    "an empty folder": empty_folder,
    "a FIFO": os.mkfifo,
    "a device": device,
    "a link to a file": lambda path: path.symlink_to("mine.yaml"),
    "a link to a folder": lambda path: path.symlink_to("thesis"),
    "a link to a zoo": lambda path: path.symlink_to("inr"),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "the user's checkpoints": lambda path: shutil.copytree("files", path),
}


NEVER_REPLACED = [
    (command, thing)
    for command in COMMANDS
    for thing in IN_THE_WAY
    if (command, thing) != ("sweep", "an empty folder")  # which may become a sweep
]


@pytest.mark.parametrize(("command", "thing"), NEVER_REPLACED)
@FORCE
@pytest.mark.fault("H2", "C6")
def test_what_is_never_replaced(monkeypatch, capsys, world, command, thing, force):
    IN_THE_WAY[thing](Path(output_of(command, "o")))
    refused(monkeypatch, capsys, world, command, "o", force)


@FORCE
@FOLDERS
def test_a_file_where_a_folder_would_be(monkeypatch, capsys, world, command, force):
    Path("o").write_text("mine")
    refused(monkeypatch, capsys, world, command, "o", force)


@FILES
def test_a_file_is_replaced_by_force_only(monkeypatch, capsys, world, command):
    Path(output_of(command, "o")).write_text("old")
    refused(monkeypatch, capsys, world, command, "o", False)
    done(monkeypatch, capsys, world, command, "o", True)
    assert Path(output_of(command, "o")).read_bytes() != b"old"


@FOLDERS
@pytest.mark.fault("H4")
def test_the_same_kind_is_replaced_unless_something_foreign_is_in_it(monkeypatch, capsys, world, command):
    done(monkeypatch, capsys, world, command, "o", False)
    if command == "sweep":
        done(monkeypatch, capsys, world, command, "o", False)  # it continues
        return
    refused(monkeypatch, capsys, world, command, "o", False)
    for name in ("thesis.txt", ".notes", "sub/deep.txt"):
        foreign = Path("o", name)
        foreign.parent.mkdir(exist_ok=True)
        foreign.write_text("years of work")
        refused(monkeypatch, capsys, world, command, "o", True)
        foreign.unlink()
    Path("o/sub").rmdir()
    Path("o/link").symlink_to("../thesis")
    refused(monkeypatch, capsys, world, command, "o", True)
    Path("o/link").unlink()
    done(monkeypatch, capsys, world, command, "o", True)


OTHERS = {"zoo": "z", "run": "r", "evaluation": FIRST / "evaluation"}
OTHER_KINDS = [
    (command, other) for command, (_, kind, _) in COMMANDS.items() for other in OTHERS if kind not in ("file", other)
]


@pytest.mark.parametrize(("command", "other"), OTHER_KINDS)
@FORCE
def test_another_kind_is_never_replaced(monkeypatch, capsys, world, command, other, force):
    shutil.copytree(OTHERS[other], "o")
    refused(monkeypatch, capsys, world, command, "o", force)


@FORCE
@EVERY
@pytest.mark.fault("C3", "C4", "C5", "H3")
def test_outputs_and_inputs(monkeypatch, capsys, world, command, force):
    """Equal to an input, inside it, around it, and the files that make it."""
    for given in COMMANDS[command][2]:
        places = [given, f"{given}/new"] if Path(given).is_dir() else [given]
        places += [f"{given}/{name}" for name in ("table.csv", "model.safetensors", "zoo.json", "run.json")]
        places += ["../world", "."]
        places.append(f"thesis/../{given}")
        for place in places:
            if command == "edit one file":
                place = place.removesuffix(".safetensors")
                if not Path(output_of(command, place)).exists():
                    continue
            refused(monkeypatch, capsys, world, command, place, force)


OWN_FILES = ["z/table.csv", "z/zoo.json", "c/model.safetensors", "c/run.json", "c/recipe.yaml"]
PARTS = [
    *((command, part) for command, (_, kind, _) in COMMANDS.items() for part in OWN_FILES
      if kind == "file" and command != "edit one file"),
    ("edit one file", "z/weights-00001-of-00001"),  # the command adds the suffix
    ("edit one file", "c/model"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "part"), PARTS)
@pytest.mark.fault("H3")
def test_a_part_of_a_zoo_or_a_run_that_is_no_input(monkeypatch, capsys, world, command, part):
    refused(monkeypatch, capsys, world, command, part, True)


@pytest.mark.parametrize(("out", "picture"), [("m", "m/x.png"), ("m", "m"), ("m/zoo", "m"), ("m", "m/../m/y.png")])
@FORCE
@pytest.mark.fault("H5")
def test_two_outputs_of_one_command(monkeypatch, capsys, world, out, picture, force):
    before = tree(world)
    code = run(monkeypatch, "edit", "e", "inr", "-o", out, "--picture", picture, *(["--force"] if force else []))
    assert code == 6 and len(capsys.readouterr().err.splitlines()) == 1
    assert tree(world) == before


@pytest.mark.parametrize("thing", IN_THE_WAY)
def test_a_bad_picture_leaves_no_half_of_an_edit(monkeypatch, capsys, world, thing):
    IN_THE_WAY[thing](Path("p.png"))
    before = tree(world)
    assert run(monkeypatch, "edit", "e", "inr", "-o", "m", "--picture", "p.png", "--force") == 6
    assert tree(world) == before


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.fault("M2")
def test_readers_never_write(monkeypatch, capsys, world, reader):
    for name in ("z", "r", "c", "inr"):
        for suffix in (".old", ".partial", ".mnfn-partial", ".mnfn-replaced"):
            shutil.copytree("thesis", f"{name}{suffix}")
        Path(f".{name}.lock").write_text("mine")
    before = tree(world)
    code = run(monkeypatch, *READERS[reader])
    assert code == (2 if reader == "train --resume" else 0)
    assert tree(world) == before


@pytest.mark.parametrize("name", ["z", "r"])
def test_a_reader_of_what_is_gone_never_takes_a_neighbour(monkeypatch, capsys, world, name):
    Path(name).rename(f"{name}.old")
    before = tree(world)
    code = run(monkeypatch, *(["zoo", "info", "z"] if name == "z" else ["predict", "r", "z"]))
    assert code == 3 and tree(world) == before


@FORCE
def test_an_evaluation_and_the_zoo_that_its_run_learned_from(monkeypatch, capsys, world, force):
    """The zoo is named by the run alone; not even the folders above the output are made in it."""
    refused(monkeypatch, capsys, world, "evaluate", "classifiers/deep/new", force)


@pytest.mark.parametrize("name", ["results.json", "results.md"])
def test_the_tables_of_a_sweep(monkeypatch, capsys, world, name):
    done(monkeypatch, capsys, world, "sweep", "sweep", False)
    refused(monkeypatch, capsys, world, "predict", f"sweep/{name}", True)
    (Path("sweep") / name).unlink()
    Path("notes").write_text("mine")
    (Path("sweep") / name).symlink_to("../notes")
    if name == "results.json":
        refused(monkeypatch, capsys, world, "sweep", "sweep", False)
    assert Path("notes").read_text() == "mine"


@pytest.mark.parametrize("thing", IN_THE_WAY)
def test_a_run_of_a_sweep_that_is_something_else(monkeypatch, capsys, world, thing):
    """It is told before the first run is trained."""
    done(monkeypatch, capsys, world, "sweep", "sweep", False)
    IN_THE_WAY[thing](Path("sweep/mine.yaml-seed2"))
    before = tree(world)
    assert run(monkeypatch, *arguments_of("sweep", "sweep", False), "--seeds", "0,1,2") == 6
    assert len([line for line in capsys.readouterr().err.splitlines() if line.startswith("mnfn: error: ")]) == 1
    assert tree(world) == before


@pytest.fixture
def unfinished(world):
    """A run that may be resumed."""
    shutil.copytree("r", "unfinished")
    text = Path("unfinished/run.json").read_text()
    Path("unfinished/run.json").write_text(text.replace('"state": "done"', '"state": "running"'))
    (Path("unfinished") / "checkpoints").mkdir()
    return Path("unfinished")


@pytest.mark.parametrize("name", ["link", "unfinished/../link", "."])
def test_a_run_is_resumed_under_its_own_name_only(monkeypatch, capsys, world, unfinished, name):
    """A link has another lock than the run that it leads to: two processes would train one run."""
    Path("link").symlink_to("unfinished")
    if name == ".":
        monkeypatch.chdir(unfinished)
    before = tree(world)
    assert run(monkeypatch, "train", "--resume", name) == 6
    assert len(capsys.readouterr().err.splitlines()) <= 2 and tree(world) == before


def test_a_run_without_its_states_is_not_begun_anew_in_silence(monkeypatch, capsys, world, unfinished):
    (unfinished / "checkpoints").rmdir()
    before = tree(world)
    assert run(monkeypatch, "train", "--resume", unfinished) == 3
    assert "checkpoints: gone" in capsys.readouterr().err and tree(world) == before


@pytest.mark.parametrize("name", ["z", "r"])
def test_readers_say_what_is_set_aside_and_leave_it(monkeypatch, capsys, world, name):
    Path(name).rename(f"{name}.mnfn-replaced")
    (Path(f"{name}.mnfn-replaced") / MARK).write_text(f'{{"mnfn": "replaced", "output": "{name}"}}')
    before = tree(world)
    assert run(monkeypatch, *(["zoo", "info", "z"] if name == "z" else ["predict", "r", "z"])) == 3
    assert f"waits as {name}.mnfn-replaced" in capsys.readouterr().err and tree(world) == before
