"""Runs read files that others made: PyTorch's format, names of any kind, orders that shapes do not settle."""

import json
import sys

import pytest
import torch

from mnfn_cli.cli.app import main
from mnfn_cli.errors import DataError
from mnfn_cli.recipe import load_recipe
from mnfn_cli.tasks.application import apply_run
from mnfn_cli.tasks.training import train_run
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.layout import Reading, find_layout
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.export import export_zoo
from mnfn_cli.zoo.record import spaces_of
from mnfn_cli.zoo.store import open_zoo
from mnfn_cli.zoo.writer import save_zoo

NAMES = ("conv1", "conv_second", "conv_final", "head")
SMALL = ["model.channels=[2]", "model.head=[4,4]", "training.epochs=1", "training.batch_size=4"]


def state_dicts(zoo, layers=NAMES):
    names = [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
    return zoo.read().to_state_dicts(names)


@pytest.fixture(scope="module")
def files(digits_zoo, tmp_path_factory):
    """Files of PyTorch's format with names that do not tell the order of two layers of one shape."""
    folder = tmp_path_factory.mktemp("foreign") / "files"
    folder.mkdir()
    for name, state_dict in list(zip(digits_zoo.ids, state_dicts(digits_zoo), strict=True))[:6]:
        torch.save({key: tensor.clone() for key, tensor in state_dict.items()}, folder / f"{name}.pt")
    return folder


@pytest.mark.fault("H19")
def test_an_order_that_shapes_do_not_settle_is_asked_for(relu_run, digits_zoo, files, monkeypatch, capsys):
    with pytest.raises(DataError) as caught:
        apply_run(relu_run, files)
    assert len(caught.value.faults) == 6
    assert "2 orders of its layers fit" in caught.value.faults[0]
    expected = apply_run(relu_run, digits_zoo.path).answers[:6]
    right = apply_run(relu_run, files, reading=Reading(NAMES))
    torch.testing.assert_close(right.answers, expected, rtol=1e-5, atol=1e-6)
    wrong = apply_run(relu_run, files, reading=Reading(("conv1", "conv_final", "conv_second", "head")))
    assert not torch.allclose(wrong.answers, expected, rtol=1e-5, atol=1e-6)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["mnfn", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, capsys.readouterr()

    code, said = run("predict", relu_run, files, "--json")
    assert code == 3 and len(json.loads(said.out)["orders"]) == 2 and len(said.err.splitlines()) == 6
    code, said = run("predict", relu_run, files, "--layers", ",".join(NAMES), "--json")
    assert code == 0 and [row["network"] for row in json.loads(said.out)] == right.names


def test_a_run_keeps_the_order_of_the_zoo_that_it_was_trained_on(digits_zoo, files, tmp_path):
    shapes = {name: tuple(tensor.shape) for name, tensor in state_dicts(digits_zoo)[0].items()}
    layout = find_layout(shapes, "a file", reading=Reading(NAMES))
    zoo = save_zoo(tmp_path / "zoo", spaces_of([(digits_zoo.spec, layout)]), digits_zoo.read(), digits_zoo.table)
    run = tmp_path / "run"
    train_run(load_recipe("generalization/relu-monomial", [*SMALL, f"data.zoo=['{zoo.path}']"]), run)
    torch.testing.assert_close(
        apply_run(run, files).answers, apply_run(run, zoo.path).answers[:6], rtol=1e-5, atol=1e-6
    )
    for suffix in (".pt", ".safetensors"):
        export_zoo(zoo, tmp_path / suffix, original_names=True, suffix=suffix)
        file = tmp_path / suffix / f"{zoo.ids[0]}{suffix}"
        torch.testing.assert_close(
            apply_run(run, file).answers, apply_run(run, zoo.path).answers[:1], rtol=1e-5, atol=1e-6
        )
    assert set(torch.load(tmp_path / ".pt" / f"{zoo.ids[0]}.pt")) == set(shapes)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_edited_files_are_written_as_they_were_given(dilate_run, inr_zoo, tmp_path, suffix):
    zoo = save_zoo(
        tmp_path / "zoo",
        spaces_of([(inr_zoo.spec, _without_first_bias(inr_zoo))]),
        WeightSpaceFeatures(inr_zoo.read().weights, [inr_zoo.read().biases[0] * 0, *inr_zoo.read().biases[1:]]),
        inr_zoo.table,
    )
    export_zoo(zoo, tmp_path / "given", original_names=True, suffix=suffix, limit=3)
    applied = apply_run(dilate_run, tmp_path / "given", output=tmp_path / "edited")
    given, edited = (sorted(path.name for path in (tmp_path / name).iterdir()) for name in ("given", "edited"))
    assert given == edited
    assert any("3 networks got biases that they did not have" in remark for remark in applied.remarks)
    if suffix == ".pt":
        before, after = (torch.load(tmp_path / name / f"{zoo.ids[0]}.pt") for name in ("given", "edited"))
        assert list(after) == [*before, "net.0.linear.bias"]
        assert all(after[name].dtype == tensor.dtype for name, tensor in before.items())
    again = apply_run(dilate_run, tmp_path / "edited")
    assert again.names == applied.names


def _without_first_bias(zoo):
    names = {f"net.{i}.linear.weight": shape for i, shape in enumerate(zoo.spec.weight_shapes)}
    names |= {f"net.{i}.linear.bias": shape for i, shape in enumerate(zoo.spec.bias_shapes) if i}
    return find_layout(names, "a file")


def test_pictures_with_an_output_offset_come_out_right(inr_zoo, tmp_path):
    from dataclasses import replace

    from mnfn_cli.weightspace.rendering import render

    spec = replace(inr_zoo.spec, output_offset=0.5)
    zoo = save_zoo(tmp_path / "zoo", spec, inr_zoo.read(), inr_zoo.table)
    assert open_zoo(zoo.path).spec.output_offset == 0.5
    size = (8, 8)
    torch.testing.assert_close(render(zoo.spec, zoo.read(), size), render(inr_zoo.spec, inr_zoo.read(), size) + 0.5)


def test_a_spec_that_says_more_is_another_spec(relu_run, digits_zoo, tmp_path):
    spec = NetworkSpec.cnn([1, 16, 16, 16], stride=2, outputs=10, pool=["avg1", "none", "none"])
    zoo = save_zoo(tmp_path / "zoo", spec, digits_zoo.read(), digits_zoo.table)
    with pytest.raises(DataError, match="pooling avg1"):
        apply_run(relu_run, zoo.path)
    known = NetworkSpec.cnn([1, 16, 16, 16], stride=2, outputs=10, input_size=(16, 16))
    zoo = save_zoo(tmp_path / "known", known, digits_zoo.read(), digits_zoo.table)
    torch.testing.assert_close(
        apply_run(relu_run, zoo.path).answers, apply_run(relu_run, digits_zoo.path).answers, rtol=1e-5, atol=1e-6
    )
