"""classify and edit as a user types them: outputs, exit codes, one line an error, nothing half-written."""

import json

from mnfn_cli.storage.tensors import read_tensors, save_tensors


def test_classify(mnfn, fail, classes_run, inr_zoo, tmp_path):
    done = mnfn("classify", classes_run, inr_zoo.path, "--split", "test", "-o", "classes.csv")
    assert "12 networks" in done and "on 12 networks with a known class: accuracy" in done
    header = (tmp_path / "classes.csv").read_text().splitlines()[0]
    assert header.startswith("network,predicted_class,true_class,probability_0,")
    document = json.loads(mnfn("classify-inr", classes_run, inr_zoo.path, "--split", "test", "--json"))
    assert len(document) == 12 and set(document[0]) > {"network", "predicted_class", "true_class", "probability_0"}
    assert fail("classify", classes_run, inr_zoo.path, "-o", tmp_path / "classes.csv", code=6)


def test_edit(mnfn, fail, dilate_run, inr_zoo, tmp_path):
    out, picture = tmp_path / "edited", tmp_path / "grid.png"
    done = mnfn("edit", dilate_run, inr_zoo.path, "--split", "test", "-o", out, "--picture", picture)
    assert "12 networks, dilate" in done and "made from original pictures" in done
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "exists already" in fail("edit-style", dilate_run, inr_zoo.path, "-o", out, code=6)
    assert "exists already" in fail(
        "edit", dilate_run, inr_zoo.path, "-o", tmp_path / "x", "--picture", picture, code=6
    )
    assert not (tmp_path / "x").exists()
    again = mnfn("edit", dilate_run, out, "-o", tmp_path / "twice", "--json")
    assert json.loads(again)["targets_from"] == "renderings before the edit"


def test_what_a_person_might_give_by_mistake(
    mnfn, fail, classes_run, dilate_run, relu_run, inr_zoo, digits_zoo, tmp_path
):
    edited = tmp_path / "edited"
    assert "mnfn edit reads it" in fail("classify", dilate_run, inr_zoo.path, code=2)
    assert "mnfn predict reads it" in fail("edit", relu_run, inr_zoo.path, "-o", edited, code=2)
    assert "the run reads 2 -> 6 -> 6 -> 1" in fail("classify", classes_run, digits_zoo.path, code=3)
    assert "no such run" in fail("edit", tmp_path / "nowhere", inr_zoo.path, "-o", edited, code=3)
    assert "in, around or on the input" in fail("edit", dilate_run, inr_zoo.path, "-o", inr_zoo.path / "x", code=6)
    assert "for another task" in fail("evaluate", dilate_run, classes_run, "-o", tmp_path / "e", code=2)
    assert "'dilate' or 'contrast'" in fail(
        "train", "--recipe", "editing/digits-dilate-np", "--zoo", inr_zoo.path, "-o", tmp_path / "run",
        "data.edit=rotate", code=2,
    )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_all_bad_files_in_one_pass(mnfn, fail, classes_run, dilate_run, inr_zoo, tmp_path):
    mnfn("zoo", "export", inr_zoo.path, "-o", tmp_path / "files", "--limit", "3")
    first, second, _ = sorted((tmp_path / "files").glob("*.safetensors"))
    tensors, metadata = read_tensors(first)
    save_tensors(first, tensors, metadata | {"start": "0123456789abcdef"})
    second.write_bytes(b"<!doctype html>")
    errors = fail("classify", classes_run, tmp_path / "files", "-o", tmp_path / "c.csv", code=3, lines=2)
    assert "from start 0123456789abcdef" in errors and "HTML page" in errors
    fail("edit", dilate_run, tmp_path / "files", "-o", tmp_path / "edited", code=3, lines=2)
    assert [path.name for path in tmp_path.iterdir()] == ["files"]
    done = mnfn("edit", dilate_run, tmp_path / "files", "-o", tmp_path / "edited", "--on-bad", "skip")
    assert "1 networks, dilate" in done
