"""zoo build cnn and zoo build mlp, as a user types them."""

import json

import pytest

from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.build.architectures import cnn_spec, mlp_spec
from mnfn_cli.zoo.images import load_images
from mnfn_cli.zoo.store import open_zoo

FEW = ("--count", 4, "--epochs", 1)


def test_defaults_are_the_engines(mnfn):
    digits = load_images("digits")
    for kind, spec in (("cnn", cnn_spec), ("mlp", mlp_spec)):
        mnfn("zoo", "build", kind, *FEW, "-o", kind)
        assert open_zoo(kind).spec == spec(digits, "relu")


def test_widths_and_depth_of_ones_choice(mnfn):
    mnfn("zoo", "build", "cnn", *FEW, "--channels", "8, 6", "--kernel", "5,3", "--hidden", "32", "-o", "cnn")
    expected = NetworkSpec.cnn([1, 8, 6], kernel=[5, 3], stride=2, hidden=[32], outputs=10, input_size=(16, 16))
    assert open_zoo("cnn").spec == expected
    mnfn("zoo", "build", "mlp", *FEW, "--hidden", "64,32", "--size", 8, "--activation", "tanh", "-o", "mlp")
    assert open_zoo("mlp").spec == NetworkSpec.mlp([64, 64, 32, 10], "tanh", input_size=(1, 8, 8))
    shown = json.loads(mnfn("zoo", "info", "mlp", "--json"))
    assert shown["networks"] == 4 and shown["group"] == "sign"
    assert "no fault" in mnfn("zoo", "verify", "mlp")
    assert json.loads(mnfn("augment", "mlp", "-o", "copies", "--json"))["largest_error"] <= 1e-4
    mnfn("zoo", "export", "mlp", "-o", "files", "--limit", 1)


def test_padding_is_said(mnfn, monkeypatch):
    from mnfn_cli.cli import build as commands

    notes = []
    monkeypatch.setattr(commands.Console, "note", lambda self, text: notes.append(text))
    mnfn("zoo", "build", "cnn", *FEW, "--size", 8, "-o", "padded")
    assert "padding 1" in notes[0] and open_zoo("padded").spec.paddings == ((1, 1),) * 3


@pytest.mark.parametrize("value", ["0", "-1", "8,x", "", "8,", "3.5", "1e3", "8;8", "9" * 30])
@pytest.mark.parametrize("option", ["--channels", "--kernel", "--hidden"])
def test_numbers_that_are_none(fail, tmp_path, option, value):
    told = fail("zoo", "build", "cnn", f"{option}={value}", "-o", "zoo", code=2)
    assert told.startswith(f"mnfn: error: {option}: '{value}'")
    if option == "--hidden":
        assert "--hidden" in fail("zoo", "build", "mlp", f"{option}={value}", "-o", "zoo", code=2)
    assert list(tmp_path.iterdir()) == []


def test_architectures_that_cannot_be(fail, tmp_path):
    assert "4 kernels for 3" in fail("zoo", "build", "cnn", "--kernel", "3,3,3,3", "-o", "zoo", code=2)
    assert "even with padding 1" in fail("zoo", "build", "cnn", "--kernel", "19", "-o", "zoo", code=2)
    assert "smaller widths" in fail("zoo", "build", "mlp", "--hidden", "100000", "-o", "zoo", code=2)
    assert "without labels" in fail("zoo", "build", "mlp", "--images", "photos", "-o", "zoo", code=2)
    assert list(tmp_path.iterdir()) == []
