"""The shifts of SIRENs as a user types them: augment, verify --twins, compare and evaluate."""

import json

import torch

from mnfn_cli.storage.tensors import read_tensors
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.zoo.store import open_zoo
from mnfn_cli.zoo.writer import save_zoo


def test_augment_shifts_biases_and_the_copies_are_twins(mnfn, inr_zoo, tmp_path):
    done = mnfn("augment", inr_zoo.path, "-o", "shifted", "--shifts", "40", "--keep-original")
    assert "120 networks" in done
    zoo = open_zoo(tmp_path / "shifted")
    assert zoo.record.made.to_json()["group_elements"]["shifts"] == 40
    assert 0 < zoo.table["relative_error"].max() <= 1e-4
    before, after = zoo.read(slice(0, 60)), zoo.read(slice(60, 120))
    assert all(float(bias.abs().max()) < 2 for bias in before.biases[:-1])
    assert all(float(bias.abs().max()) > 4 for bias in after.biases[:-1])  # up to 40 pi / 15
    assert torch.equal(before.biases[-1], after.biases[-1])
    found = mnfn("zoo", "verify", "shifted", "--twins")
    assert "60 pairs of copies within a split" in found
    plain = mnfn("augment", inr_zoo.path, "-o", "plain", "--json")
    assert json.loads(plain)["networks"] == 60
    assert open_zoo(tmp_path / "plain").record.made.to_json()["group_elements"]["shifts"] == 0


def test_compare_names_the_shifts(mnfn, inr_zoo, tmp_path):
    mnfn("augment", inr_zoo.path, "-o", "shifted", "--shifts", "3")
    for name in (inr_zoo.path, tmp_path / "shifted"):
        mnfn("zoo", "export", name, "-o", f"{name.name}-files", "--limit", "1")
    a, b = (next((tmp_path / f"{name}-files").glob("*.safetensors")) for name in (inr_zoo.path.name, "shifted"))
    text = mnfn("compare", a, b, "--align", "aligned.safetensors")
    assert "the same network up to permutations, sign flips and shifts" in text and "shifted" in text
    aligned, expected = read_tensors(tmp_path / "aligned.safetensors")[0], read_tensors(b)[0]
    for name, tensor in expected.items():
        torch.testing.assert_close(aligned[name], tensor, rtol=0, atol=1e-6)
    layers = json.loads(mnfn("compare", a, b, "--json"))["layers"]
    assert all(max(map(abs, layer["shifts"])) <= 3 for layer in layers)
    assert any(shift for layer in layers for shift in layer["shifts"])


def test_layers_without_biases_get_none(mnfn, inr_zoo, tmp_path):
    network = inr_zoo.read(slice(0, 4))
    bare = WeightSpaceFeatures(network.weights, [bias * 0 for bias in network.biases])
    save_zoo(tmp_path / "bare", inr_zoo.spec, bare, inr_zoo.table[:4].select("id", "split"))
    mnfn("augment", "bare", "-o", "out", "--shifts", "3")
    assert not any(bias.any() for bias in open_zoo(tmp_path / "out").read().biases)


def test_what_has_no_shifts_is_refused_in_one_line(fail, digits_zoo, inr_zoo, relu_run, classes_run, tmp_path):
    for name, shifts, said in (
        (digits_zoo.path, "1", "only SIRENs do"),
        (inr_zoo.path, "-1", "-1 is no whole number from 0 to 1000"),
        (inr_zoo.path, "1001", "1001 is no whole number"),
    ):
        assert said in fail("augment", name, "-o", "out", "--shifts", shifts, code=2)
    assert "only SIRENs do" in fail("evaluate", relu_run, "-o", "out", "--shifts", "1", code=2)
    assert "'x' is no whole number" in fail("evaluate", classes_run, "-o", "out", "--shifts", "1,x", code=2)
    assert list(tmp_path.iterdir()) == []


def test_evaluate_under_shifts(mnfn, classes_run, tmp_path):
    document = json.loads(mnfn("evaluate", classes_run, "-o", "out", "--shifts", "1,3", "--json"))
    original, flipped, one, three = document["rows"]
    assert original["largest_change"] == 0 and flipped["largest_change"] < 1e-4
    assert one["networks"] == "sign flips and shifts up to 1, permuted" and one["shifts"] == 1
    assert three["shifts"] == 3 and "shifts" not in flipped
    # The published design knows the signs and not the shifts.
    assert one["largest_change"] > 1e-3 and three["largest_change"] > 1e-3
    assert "shifts up to 3" in (tmp_path / "out" / "evaluation.md").read_text()
