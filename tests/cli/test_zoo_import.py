"""mnfn zoo import on the command line: what it says, what it refuses, and that every later command reads its zoos."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from foreign_files import (
    NORM_OPTIONS,
    NormCnn,
    PublishedCnn,
    fitted_sirens,
    hashes,
    trained,
    write_dws_fmnist,
    write_dws_mnist,
    write_model_zoo,
    write_nfn,
)

from mnfn_cli.zoo.importers.formats import BELONGS

INDICES = [*range(16), 45_000, 45_001, 49_999, 50_000, 50_001, 60_000, 69_999, 69_998]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """All formats, written once; tests only read them."""
    root = tmp_path_factory.mktemp("foreign")
    sirens = fitted_sirens(24)
    write_nfn(root / "nfn", sirens, INDICES, copies=1)
    (root / "dws").mkdir()
    write_dws_mnist(root / "dws", sirens)
    write_dws_fmnist(root / "fmnist", sirens)
    write_model_zoo(root / "runs", [trained(PublishedCnn(), seed, size=28, steps=8) for seed in range(10)])
    (root / "nets").mkdir()
    rows = ["name,acc,who"]
    for seed in range(12):
        net, accuracy = trained(NormCnn(), seed, size=16, steps=5)
        torch.save(net.state_dict(), root / "nets" / f"net{seed}.pt")
        rows.append(f"net{seed},{accuracy},me")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    return root


FOLDER = [*NORM_OPTIONS, "--input-size", "16x16", "--label", "acc"]


def arguments_of(world, name):
    return {
        "nfn-siren": ["nfn-siren", world / "nfn", "--size", "8x8"],
        "nfn-siren --augmented": ["nfn-siren", world / "nfn", "--size", "8x8", "--augmented"],
        "dws-inr": ["dws-inr", world / "dws", "--size", "8"],
        "dws-inr fmnist": ["dws-inr", world / "fmnist", "--size", "8"],
        "model-zoos": ["model-zoos", world / "runs", "--epoch", "all", "--split", "60/20/20"],
        "folder": ["folder", world / "nets", "--labels", world / "labels.csv", *FOLDER],
    }[name]


NETWORKS = {"nfn-siren": 24, "nfn-siren --augmented": 48, "dws-inr": 24, "dws-inr fmnist": 24, "model-zoos": 30,
            "folder": 12}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_every_command_reads_what_was_imported(world, mnfn, name):
    before = hashes(world)
    said = mnfn("zoo", "import", *arguments_of(world, name), "-o", "z")
    assert said.startswith(f"z: {NETWORKS[name]} networks, 1 weight space\n") and hashes(world) == before
    document = json.loads(mnfn("zoo", "import", *arguments_of(world, name), "-o", "z2", "--json"))
    assert document["networks"] == NETWORKS[name] == sum(document["splits"].values())
    assert json.loads(mnfn("zoo", "info", "z", "--json"))["fingerprint"] == document["fingerprint"]
    assert "no fault found" in mnfn("zoo", "verify", "z")
    assert mnfn("zoo", "export", "z", "-o", "files", "--split", "train").startswith("files: ")
    assert "largest max |f - g| / max |f|" in mnfn("augment", "z", "-o", "moved", "--scale", "1", "10")
    if "inr" in name or "siren" in name:
        mnfn("zoo", "render", "z", "-o", "grid.png")
        assert Path("grid.png").stat().st_size > 1000


@pytest.mark.parametrize("name", ["folder", "model-zoos"])
def test_a_run_learns_from_imported_classifiers_and_predicts(world, mnfn, name):
    mnfn("zoo", "import", *arguments_of(world, name), "-o", "z", "-q")
    small = ["training.epochs=1", "model.channels=[2]", "model.head=[4,4]", "training.batch_size=4"]
    recipe = "generalization/relu-monomial" if name == "folder" else "generalization/tanh-monomial"
    mnfn("train", "--recipe", recipe, "--zoo", "z", "-o", "run", *small)
    rows = mnfn("predict", "run", "z").splitlines()
    assert rows[0] == "network,predicted_accuracy,true_accuracy" and len(rows) == NETWORKS[name] + 1


def test_a_run_classifies_and_edits_imported_inrs(world, mnfn):
    mnfn("zoo", "import", *arguments_of(world, "dws-inr"), "-o", "z", "-q")
    small = ["model.base_channels=[4,4]", "training.batch_size=4"]
    mnfn("train", "--recipe", "classification/digits-monomial", "--zoo", "z", "-o", "classes", *small,
         "model.head=[4,4]", "training.epochs=1")  # fmt: skip
    assert mnfn("classify", "classes", "z").startswith("network,predicted_class,true_class")
    mnfn("train", "--recipe", "editing/digits-dilate-monomial-strict", "--zoo", "z", "-o", "dilate", *small,
         "training.steps=2")  # fmt: skip
    mnfn("edit", "dilate", "z", "-o", "edited", "--picture", "edited.png")
    result = json.loads(Path("dilate/result.json").read_text())
    # On [-1, 1] a dilation changes a digit by more than rounding: pixels are not taken for those of another range.
    assert 0.02 < result["test"]["do_nothing"]["value"] < 1
    assert Path("edited.png").stat().st_size > 1000


def test_a_dry_run_says_everything_and_writes_nothing(world, mnfn):
    arguments = ["zoo", "import", *arguments_of(world, "folder"), "--dry-run"]
    text = mnfn(*arguments)
    for words in (
        "12 networks, 1 weight space", "features.conv1.weight 6x1x3x3", "none, read as 0", "features.bn1",
        "convolution 3x3, stride 1x1, padding 1x1", "max2", "dense on the flattened map 7x7", "classifier.3.bias",
        "ignored: features.bn1.num_batches_tracked, a counter of training", "matched 12", "written as test_accuracy",
    ):  # fmt: skip
        assert words in text, words
    document = json.loads(mnfn(*arguments, "--json"))
    layers = document["weight_spaces"][0]["layers"]
    assert document["dry_run"] and [layer["folded"] for layer in layers] == ["features.bn1", "features.bn2", None, None]
    assert list(Path().iterdir()) == []


def test_an_order_that_nothing_settles(mnfn):
    Path("nets").mkdir()
    state = {}
    for name, shape in {"in": (4, 3), "a": (4, 4), "b": (4, 4), "out": (2, 4)}.items():
        state |= {f"{name}.weight": torch.randn(shape), f"{name}.bias": torch.randn(shape[0])}
    for number in range(3):
        torch.save(state, f"nets/{number}.pt")
    arguments = ["zoo", "import", "folder", "nets", "--activation", "relu", "-o", "z"]
    error = mnfn(*arguments, code=3)
    assert error.splitlines() == [
        "mnfn: error: nets/0.pt and 2 more files: 2 orders of its layers fit, such as in, a, b, out or in, b, a, out; "
        "say which is right with --layers"
    ]
    assert not Path("z").exists()
    mnfn(*arguments, "--layers", "in,b,a,out")
    assert json.loads(mnfn("zoo", "info", "z", "--json"))["networks"] == 3


@pytest.mark.parametrize("option", ["--json", "--dry-run"])
def test_the_full_list_of_orders(tmp_path, option):
    (tmp_path / "nets").mkdir()
    shapes = {"in": (4, 3), "a": (4, 4), "b": (4, 4), "c": (4, 4), "out": (2, 4)}
    torch.save({f"{name}.weight": torch.randn(shape) for name, shape in shapes.items()}, tmp_path / "nets" / "x.pt")
    done = mnfn_process(tmp_path, "zoo", "import", "folder", "nets", "--activation", "relu", option, "-o", "z")
    assert done.returncode == 3 and len(done.stderr.splitlines()) == 1 and "6 orders" in done.stderr
    if option == "--json":
        orders = json.loads(done.stdout)["orders"]
    else:
        orders = [line.split(",") for line in done.stdout.splitlines()]
    assert len(orders) == 6 and orders[0] == ["in", "a", "b", "c", "out"]


def test_a_dry_run_that_fails_prints_nothing_but_its_error(tmp_path):
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "x.pt").write_bytes(b"no network")
    done = mnfn_process(tmp_path, "zoo", "import", "folder", "nets", "--activation", "relu", "--dry-run")
    assert done.returncode == 3 and done.stdout == "" and len(done.stderr.splitlines()) == 1


def mnfn_process(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "mnfn_cli", *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


class Canary:
    def __reduce__(self):
        return os.mkdir, ("canary",)


def test_a_hostile_folder_in_a_process_of_its_own(world, tmp_path):
    nets = tmp_path / "nets"
    nets.mkdir()
    for file in sorted((world / "nets").iterdir())[:4]:
        (nets / file.name).write_bytes(file.read_bytes())
    torch.save({"a.weight": Canary()}, nets / "evil.pt")
    torch.save([1, 2], nets / "list\n.pt")
    (nets / "out.pt").symlink_to(world / "nets" / "net11.pt")
    os.mkfifo(nets / "pipe.pt")
    arguments = ["zoo", "import", "folder", "nets", *NORM_OPTIONS, "-o", "z"]
    failed = mnfn_process(tmp_path, *arguments)
    errors = [line for line in failed.stderr.splitlines() if line.startswith("mnfn: error: ")]
    assert failed.returncode == 3 and len(errors) == 4 and "Traceback" not in failed.stderr
    assert not (tmp_path / "canary").exists() and [path.name for path in tmp_path.iterdir()] == ["nets"]
    skipped = mnfn_process(tmp_path, *arguments, "--on-bad", "skip")
    assert (
        skipped.returncode == 0 and skipped.stdout.startswith("z: 4 networks") and skipped.stderr.count("skipped") == 4
    )
    made = json.loads((tmp_path / "z" / "zoo.json").read_text())["made"]
    assert len(made["skipped"]) == 4 and not (tmp_path / "canary").exists()
    assert mnfn_process(tmp_path, "zoo", "verify", "z").returncode == 0


def test_options_belong_to_formats(world, mnfn):
    error = mnfn("zoo", "import", "nfn-siren", world / "nfn", "-o", "z", "--labels", "x.csv", "--epoch", "3",
                 "--seed", "0", code=2)  # fmt: skip
    assert error.splitlines() == [
        "mnfn: error: --labels: belongs to folder, not to nfn-siren",
        "mnfn: error: --seed: belongs to dws-inr, model-zoos and folder, not to nfn-siren",
        "mnfn: error: --epoch: belongs to model-zoos, not to nfn-siren",
    ]
    error = mnfn("zoo", "import", "folder", world / "nets", "-o", "z", "--augmented", "--step", "0", code=2)
    assert "--augmented: belongs to nfn-siren, not to folder" in error and "--step: belongs to small-cnn-zoo" in error
    assert set().union(*BELONGS.values()) == {"small-cnn-zoo", "nfn-siren", "dws-inr", "model-zoos", "folder"}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--stride", "0"], "--stride: '0'; give whole numbers"),
        (["--padding", "a"], "--padding: 'a'; give whole numbers"),
        (["--pool", "max2,big"], "'big'; write none, max2"),
        (["--input-size", "28x"], "--input-size: '28x'; give a size"),
        (["--input-mean", "0.1,nan"], "--input-mean: '0.1,nan'; give numbers"),
        (["--split", "70/20/20"], "--split: '70/20/20'; give the percentages"),
        (["--split", "70"], "--split: '70'; give the percentages"),
        (["--size", "0"], "--size: '0'; give a size in pixels"),
        (["--pixel-range", "1", "-1"], "--pixel-range: 1 -1; black is less than white"),
        (["--batchnorm", "before"], "before"),
        (["--activation", "mish"], "--activation: 'mish' is unknown"),
        ([], "--activation: weights do not tell the activation"),
    ],
)
def test_values_that_are_wrong(world, mnfn, options, problem):
    assert problem in mnfn("zoo", "import", "folder", world / "nets", "-o", "z", *options, code=2)
    assert not Path("z").exists()


def test_what_must_be_said(world, mnfn):
    assert "--out: say where to write the zoo" in mnfn("zoo", "import", "folder", world / "nets", code=2)
    assert "--protocol: say by which" in mnfn("zoo", "import", "small-cnn-zoo", world / "nets", "-o", "z", code=2)
    assert "fodler" in mnfn("zoo", "import", "fodler", world / "nets", "-o", "z", code=2)
    assert "gone: no such folder" in mnfn("zoo", "import", "folder", "gone", "-o", "z", code=3)
    error = mnfn("zoo", "import", "model-zoos", world / "runs", "--epoch", "newest", "-o", "z", code=2)
    assert "--epoch: 'newest'; give the number of an epoch, last or all" in error


def test_labels_are_an_input_that_is_never_replaced(world, mnfn):
    Path("labels.csv").write_text((world / "labels.csv").read_text())
    arguments = [*arguments_of(world, "folder")[:2], "--labels", "labels.csv", *FOLDER]
    assert "lies in, around or on" in mnfn("zoo", "import", *arguments, "-o", "labels.csv", "--force", code=6)


def test_help_groups_options_by_format(mnfn, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    text = mnfn("zoo", "import", "--help")
    titles = [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert titles[:4] == ["Arguments:", "Options:", "Options of folder:", "Options of model-zoos and folder:"]
    assert titles[-1] == "Examples:" and all(f"--{name.replace('_', '-')} " in text for name in BELONGS)


def test_the_first_examples_work_as_typed(digits_zoo, tmp_path):
    (tmp_path / "zoos").mkdir()
    (tmp_path / "zoos" / "digits-relu").symlink_to(digits_zoo.path)
    text = mnfn_process(tmp_path, "zoo", "import", "--help").stdout
    lines = text.partition("Examples:\n")[2].splitlines()[:3]
    for line in lines:
        done = mnfn_process(tmp_path, *line.split()[1:])
        assert done.returncode == 0, (line, done.stderr)
    assert (tmp_path / "zoos" / "imported" / "zoo.json").exists()
