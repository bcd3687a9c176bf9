"""Single files say which network they hold, and a run reads only networks like its own."""

from dataclasses import replace

import pytest
import torch

from mnfn_cli.errors import DataError
from mnfn_cli.storage.tensors import read_tensors, save_tensors
from mnfn_cli.weightspace.layout import Reading
from mnfn_cli.weightspace.spec import read_spec
from mnfn_cli.zoo.checkpoints import Wanted, load_checkpoints
from mnfn_cli.zoo.export import export_zoo
from mnfn_cli.zoo.numbers import NumberColumn


@pytest.fixture
def files(digits_zoo, tmp_path):
    """Two exported classifiers."""
    export_zoo(digits_zoo, tmp_path / "files", limit=2)
    return tmp_path / "files"


@pytest.fixture
def old_files(digits_zoo, files):
    """The same files with the text that was written into files before."""
    for file in files.glob("*.safetensors"):
        tensors, metadata = read_tensors(file)
        text = "1 -> 16 -> 16 -> 16 -> 10, kernels 3x3, 3x3, 3x3, relu"
        save_tensors(file, tensors, metadata | {"spec": text})
    return files


def others(spec):
    """Specifications whose tensors have the shapes of those of ``spec``."""
    return {
        "padded": replace(spec, paddings=((1, 1),) * 3),
        "strided": replace(spec, strides=((1, 1),) * 3),
        "tanh": replace(spec, activation="tanh"),
    }


def test_the_spec_in_a_file_is_the_spec_of_its_zoo(digits_zoo, files):
    for file in files.glob("*.safetensors"):
        assert read_spec(read_tensors(file)[1]["spec"]) == digits_zoo.spec
    assert len(load_checkpoints(files, Wanted((digits_zoo.spec,))).names) == 2


@pytest.mark.parametrize("name", ["padded", "strided", "tanh"])
def test_files_of_another_spec_are_refused_though_their_shapes_fit(digits_zoo, files, name):
    wanted = others(digits_zoo.spec)[name]
    with pytest.raises(DataError) as caught:
        load_checkpoints(files, Wanted((wanted,)))
    assert f"is a network {digits_zoo.spec}; the run reads {wanted}" in str(caught.value)


def test_older_files_are_read_where_they_do_not_contradict(digits_zoo, old_files):
    like = others(digits_zoo.spec)
    for spec in (digits_zoo.spec, like["padded"], like["strided"]):
        assert len(load_checkpoints(old_files, Wanted((spec,))).names) == 2
    with pytest.raises(DataError, match="is a network 1 -> 16 -> 16 -> 16 -> 10, kernels 3x3, 3x3, 3x3, relu; the run"):
        load_checkpoints(old_files, Wanted((like["tanh"],)))


def test_a_file_that_differs_from_known_ones_in_one_shape_is_named(digits_zoo, files, tmp_path):
    first = next(files.glob("*.safetensors"))
    single = load_checkpoints(first, Wanted((digits_zoo.spec,))).files[0]
    tensors = read_tensors(first)[0]
    for name, tensor in tensors.items():
        save_tensors(tmp_path / "x.safetensors", tensors | {name: torch.cat([tensor, tensor])})
        with pytest.raises(DataError, match=r"x\.safetensors:.*(shape|chain)"):
            load_checkpoints(tmp_path / "x.safetensors", Wanted((digits_zoo.spec,), layouts=(single.layout,)))


def test_a_label_that_is_not_finite_and_weights_that_are_not_once_folded(digits_zoo, files, tmp_path):
    first = next(files.glob("*.safetensors"))
    tensors, file = read_tensors(first)[0], tmp_path / "x.safetensors"
    save_tensors(file, tensors, {"test_accuracy": "nan"})
    with pytest.raises(DataError, match="test_accuracy: 'nan' in the metadata is not a finite number"):
        load_checkpoints(file, Wanted((digits_zoo.spec,), label="test_accuracy", parse=NumberColumn().parse))
    norm = {f"bn.{kind}": -torch.ones(16) for kind in ("running_mean", "running_var")}
    save_tensors(file, tensors | norm)
    reading = Reading(("layers.0+bn", "layers.1", "layers.2", "layers.3"))
    with pytest.raises(DataError, match=r"not finite .* once batch normalisation is folded in"):
        load_checkpoints(file, Wanted((digits_zoo.spec,), reading=reading))
