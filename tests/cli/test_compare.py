"""mnfn compare and mnfn zoo verify --twins, as a user types them."""

import json

import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from mnfn_cli.zoo.augment import augment_zoo
from mnfn_cli.zoo.export import export_zoo
from mnfn_cli.zoo.writer import save_zoo


@pytest.fixture(scope="module")
def files(digits_zoo, tmp_path_factory):
    """Files of two networks of a zoo, and of their copies by augmentation."""
    folder = tmp_path_factory.mktemp("pairs")
    copied = augment_zoo(digits_zoo, folder / "copied").zoo
    export_zoo(digits_zoo, folder / "files", limit=2)
    export_zoo(copied, folder / "copies", limit=2)
    return sorted((folder / "files").glob("*.safetensors")) + sorted((folder / "copies").glob("*.safetensors"))


def test_twins(mnfn, files, tmp_path):
    shown = mnfn("compare", files[0], files[2], "--align", "moved.safetensors")
    lines = shown.splitlines()
    assert lines[2].startswith("both 1 -> 16 -> 16 -> 16 -> 10") and lines[3].endswith(
        "on 32 inputs: the same function"
    )
    assert "A and B are the same network up to permutations and scalings" in lines
    assert [line.split()[:2] for line in lines[6:9]] == [["1", "16"], ["2", "16"], ["3", "16"]]
    moved, target = load_file(tmp_path / "moved.safetensors"), load_file(files[2])
    for name, tensor in moved.items():
        torch.testing.assert_close(tensor, target[name], rtol=1e-5, atol=0.0)


def test_strangers_are_no_error(mnfn, files):
    document = json.loads(mnfn("compare", files[0], files[3], "--json"))
    assert document["twins"] is False and document["outputs"]["same"] is False and document["aligned"] is None
    assert document["distance"]["canonical_after"] > 0.1 and "different functions" in document["verdict"]
    assert len(document["layers"]) == 3 and len(document["layers"][0]["factors"]) == 16


def test_errors(mnfn, fail, files, tmp_path):
    (tmp_path / "there.safetensors").touch()
    assert "exists" in fail("compare", files[0], files[2], "--align", "there.safetensors", code=6)
    mnfn("compare", files[0], files[2], "--align", "there.safetensors", "--force")
    assert "input" in fail("compare", files[0], files[2], "--align", files[2], "--force", code=6)
    bare = load_file(files[0])
    save_file(bare, tmp_path / "bare.safetensors")
    assert "--activation" in fail("compare", "bare.safetensors", "bare.safetensors", code=2)
    assert "'swish' is unknown" in fail("compare", *["bare.safetensors"] * 2, "--activation", "swish", code=2)
    said = ("compare", "bare.safetensors", files[2].name, "--activation", "relu")
    save_file(load_file(files[2]), tmp_path / files[2].name)
    assert "inconclusive: nobody says stride" in mnfn(*said) and "32 inputs: the same" in mnfn(*said, "--stride", "2")
    bare["layers.0.bias"][0] = torch.inf
    save_file(bare, tmp_path / "bad.safetensors")
    assert "bad.safetensors:layers.0.bias" in fail("compare", files[0], "bad.safetensors", code=3)
    assert "no such file" in fail("compare", files[0], "nowhere.safetensors", code=3).lower()


def test_verify_twins(mnfn, digits_zoo, tmp_path):
    assert "no two networks are the same" in mnfn("zoo", "verify", digits_zoo.path, "--twins")
    copied = augment_zoo(digits_zoo, tmp_path / "copied", keep_original=True).zoo
    shown = mnfn("zoo", "verify", "copied", "--twins")
    assert "40 pairs of copies within a split" in shown and "LEAK" not in shown
    splits = pl.Series("split", ["train"] * 41 + ["test"] + ["train"] * 38)
    table = copied.table.drop("source_id").with_columns(splits)
    save_zoo(tmp_path / "leaky", copied.spec, copied.read(), table)
    lines = mnfn("zoo", "verify", "leaky", "--twins").splitlines()
    assert lines[0].startswith("1 pair across splits: this is a LEAK")
    assert lines[2].startswith("39 pairs of twins within a split")
    assert lines[4].split()[:4] == [digits_zoo.ids[1], "train", f"{digits_zoo.ids[1]}-g1", "test"]
    document = json.loads(mnfn("zoo", "verify", "leaky", "--twins", "--json"))
    assert document["leaks"] == 1 and document["expected"] == 0 and len(document["twins"]) == 40
    assert document["twins"][0]["leak"] is True and document["faults"] == []


def test_a_damaged_zoo_is_told_first(fail, digits_zoo, tmp_path):
    copied = augment_zoo(digits_zoo, tmp_path / "copied").zoo
    (copied.path / "table.csv").write_text("id,split\n")
    fail("zoo", "verify", "copied", "--twins", code=3, lines=2)
