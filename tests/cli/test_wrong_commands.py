"""Commands with something wrong on their line, in their inputs or in the place of their outputs: one line says it.

They run in this process; what a process of its own adds, streams and signals, is in ``test_commands``.
"""

import os

from PIL import Image


def test_usage_errors(fail, tmp_path, digits_zoo):
    assert fail("trian", code=2) == "mnfn: error: mnfn: No such command 'trian'. Did you mean 'train'? see mnfn --help"
    assert "(Possible options: --json); see mnfn zoo info --help" in fail("zoo", "info", "x", "--jso", code=2)
    assert "'nonsense' is not one of 'fail', 'skip'" in fail("train", "--resume", "x", "--on-bad", "nonsense", code=2)
    assert "--recipe" in fail("train", code=2)
    assert "No such option" in fail("zoo", "info", "x", "--colour", code=2)
    assert "did you mean" in fail("recipe", "show", "generalization/relu-monomail", code=2).lower()
    assert "neither" in fail("zoo", "build", "cnn", "--images", "digit", "-o", tmp_path / "z", code=2)
    assert "--activation" in fail("zoo", "build", "cnn", "--activation", "gelu", "-o", tmp_path / "z", code=2)
    assert "no device" in fail("zoo", "build", "cnn", "--device", "tpu9", "-o", tmp_path / "z", code=2)
    assert "--split" in fail("predict", "run", digits_zoo.path, "--split", "tset", code=2)
    assert "--scales" in fail("evaluate", "run", "-o", tmp_path / "e", "--scales", "10,-1", code=2)
    assert "--scales" in fail("evaluate", "run", "-o", tmp_path / "e", "--scales", "10:1", code=2)
    assert list(tmp_path.iterdir()) == []


def test_all_faults_of_a_recipe_at_once(fail, digits_zoo, tmp_path):
    errors = fail(
        "train", "--recipe", "generalization/relu-monomial", "--zoo", digits_zoo.path, "-o", tmp_path / "run",
        "optimizer.lr=no", "training.epoch=3", "model.channels=[0]", code=2, lines=3,
    )  # fmt: skip
    assert "optimizer.lr" in errors and "did you mean 'epochs'" in errors and "model.channels" in errors


def test_wrong_activation_for_the_recipe(fail, tanh_zoo, tmp_path):
    error = fail(
        "train", "--recipe", "generalization/relu-monomial", "--zoo", tanh_zoo.path, "-o", tmp_path / "run", code=2
    )
    assert "tanh" in error and "relu" in error


def test_bad_input(fail, tmp_path, relu_run, digits_zoo):
    assert "no such zoo" in fail("zoo", "info", tmp_path / "nowhere", code=3)
    assert "no such run" in fail("predict", tmp_path / "nowhere", digits_zoo.path, code=3)
    assert "no such file" in fail("predict", relu_run, tmp_path / "nowhere", code=3)
    (tmp_path / "folder").mkdir()
    assert "holds no" in fail("predict", relu_run, tmp_path / "folder", code=3)
    name = "new\nline\x1b[31m.safetensors"
    (tmp_path / "folder" / name).write_bytes(b"x")
    assert r"\n" in fail("predict", relu_run, tmp_path / "folder", code=3)
    os.mkfifo(tmp_path / "pipe.safetensors")
    assert "regular file" in fail("predict", relu_run, tmp_path / "pipe.safetensors", code=3)
    bare = tmp_path / "bare"
    bare.mkdir()
    Image.new("L", (16, 16)).save(bare / "a.png")
    assert "without labels" in fail("zoo", "build", "cnn", "--images", bare, "-o", tmp_path / "z", code=2)


def test_outputs_that_exist_or_cannot_be(fail, tmp_path, relu_run, digits_zoo):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "kept").write_text("kept")
    for command in (
        ["zoo", "build", "cnn", "--count", "2", "--epochs", "1"],
        ["augment", digits_zoo.path],
        ["train", "--recipe", "generalization/relu-monomial", "--zoo", digits_zoo.path],
        ["evaluate", relu_run],
        ["zoo", "export", digits_zoo.path],
        ["predict", relu_run, digits_zoo.path],
    ):
        assert "there" in fail(*command, "-o", tmp_path / "there", code=6)
    assert (tmp_path / "there" / "kept").read_text() == "kept"
    fail("augment", digits_zoo.path, "-o", digits_zoo.path / "inside", code=6)
    fail("augment", digits_zoo.path, "-o", "/proc/mnfn/zoo", code=4)


def test_a_run_that_continues_takes_no_other_choice(fail, relu_run):
    for choice in (["--on-bad", "skip"], ["--on-bad", "fail"], ["--seed", "1"], ["--force"], ["training.epochs=1"]):
        assert "a run continues as it began" in fail("train", "--resume", relu_run, *choice, code=2)
    assert "nonsense" in fail("train", "--resume", relu_run, "--on-bad", "nonsense", code=2)


def test_counting_a_recipe_of_ones_own_asks_which_networks(mnfn, fail, tmp_path):
    (tmp_path / "mnist-mine.yaml").write_text(mnfn("recipe", "show", "classification/mnist-np"))
    own = ("count-params", "--recipe", tmp_path / "mnist-mine.yaml")
    assert "does not say how large its networks are" in fail(*own, code=2)
    assert "15,213,866" in mnfn(*own, "--widths", "2,32,32,1")
    assert "15,213,866" in mnfn("count-params", "--recipe", "classification/mnist-np")
