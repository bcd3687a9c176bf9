"""mnfn sweep as a user types it."""

import json


def test_sweep(mnfn, fail, digits_zoo, tmp_path):
    small = ("--zoo", digits_zoo.path, "-o", "sweep", "training.epochs=1", "model.head=[4,4]", "model.channels=[2]")
    done = mnfn("sweep", "--recipe", "generalization/relu-monomial", "--seeds", "0,1", *small, "--json")
    (row,) = json.loads(done)["rows"]
    assert row["seeds"] == 2 and (tmp_path / "sweep" / "results.md").exists()
    varied = ("sweep", "--recipe", "generalization/relu-monomial", "--vary", "optimizer.lr=2e-3;training.batch_size=4")
    assert "batch_size=4" in mnfn(*varied, *small)
    errors = fail("sweep", "--recipe", "generalization/relu-monomial", *small, "model.dropout=0.5", code=2)
    assert "seed0" in errors and "another recipe" in errors
    assert "needs --recipe" in fail("sweep", *small, code=2)
    assert "'0;1'" in fail("sweep", "--recipe", "generalization/relu-monomial", "--seeds", "0;1", *small, code=2)
