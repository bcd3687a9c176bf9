"""mnfn sweep, and mnfn evaluate of several runs, as a user types them."""

import json
import shutil


def test_sweep(mnfn, fail, digits_zoo, tmp_path):
    small = ("--zoo", digits_zoo.path, "-o", "sweep", "training.epochs=1", "model.head=[4,4]", "model.channels=[2]")
    done = mnfn("sweep", "--recipe", "generalization/relu-monomial", "--seeds", "0,1", *small, "--json")
    (row,) = json.loads(done)
    assert row["seeds"] == 2 and (tmp_path / "sweep" / "results.md").exists()
    varied = ("sweep", "--recipe", "generalization/relu-monomial", "--vary", "optimizer.lr=2e-3;training.batch_size=4")
    assert "batch_size=4" in mnfn(*varied, *small)
    errors = fail("sweep", "--recipe", "generalization/relu-monomial", *small, "model.dropout=0.5", code=2)
    assert "seed0" in errors and "another recipe" in errors
    assert "needs --recipe" in fail("sweep", *small, code=2)
    assert "'0;1'" in fail("sweep", "--recipe", "generalization/relu-monomial", "--seeds", "0;1", *small, code=2)


def test_a_sweep_takes_no_folder_that_holds_something_else(fail, relu_run, digits_zoo, tmp_path):
    asked = ("sweep", "--recipe", "generalization/relu-statnn", "--zoo", digits_zoo.path, "training.epochs=1")
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "thesis.txt").touch()
    assert "something else" in fail(*asked, "-o", "papers", code=6)
    before = sorted(digits_zoo.path.iterdir())
    assert "the input" in fail(*asked, "-o", digits_zoo.path, code=6)
    assert "the input" in fail(*asked, "-o", digits_zoo.path / "sweep", code=6)
    assert "the input" in fail("train", *asked[1:], "-o", digits_zoo.path / "run", code=6)
    assert "something else than a sweep" in fail(*asked, "-o", relu_run, code=6)
    assert sorted(digits_zoo.path.iterdir()) == before


def test_evaluate_names_every_run_that_it_cannot_use(fail, relu_run, tmp_path):
    for name, gone in (("bare", "recipe.yaml"), ("halved", "model.safetensors")):
        shutil.copytree(relu_run, tmp_path / name)
        (tmp_path / name / gone).unlink()
    shutil.copytree(relu_run, tmp_path / "running")
    description = json.loads((relu_run / "run.json").read_text())
    (tmp_path / "running" / "run.json").write_text(json.dumps(description | {"state": "running"}))
    errors = fail("evaluate", relu_run, "bare", "halved", "running", "nowhere", "-o", "out", code=3, lines=4)
    assert "bare: this run is incomplete: it holds no recipe.yaml" in errors
    assert "halved: this run is incomplete: it holds no model.safetensors" in errors
    assert "mnfn train --resume running" in errors and "nowhere: no such run" in errors
    assert not (tmp_path / "out").exists()
