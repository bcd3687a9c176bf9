"""Two checkpoints: what is read, what is said about them, and the file that is written."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mnfn_cli.errors import DataError, NumericError, UsageError
from mnfn_cli.testing import relative_difference
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.layout import Reading
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.comparison import compare_pair, write_aligned
from mnfn_cli.zoo.importers.architecture import Architecture
from mnfn_cli.zoo.pair import read_pair
from mnfn_cli.zoo.single_files import read_network

SPEC = NetworkSpec.cnn([1, 6, 5], kernel=3, stride=2, outputs=3, activation="relu")


def write(path, network, spec=None, names=None, **metadata):
    tensors = {name: tensor.clone() for name, tensor in network.to_state_dicts(names)[0].items()}
    save_file(tensors, path, metadata | ({"spec": spec.to_text()} if spec else {}))
    return path


@pytest.fixture
def twins(tmp_path):
    """A network and its twin, in files of their own."""

    def make(spec=SPEC, dtype=torch.float32, stated=True):
        a = WeightSpaceFeatures.randn(spec, 1, dtype=dtype)
        b = MonomialElement.sample(spec, 1, (1.0, 1e4)).act(a)
        said = spec if stated else None
        return write(tmp_path / "a.safetensors", a, said), write(tmp_path / "b.safetensors", b, said)

    return make


SPECS = [
    SPEC,
    NetworkSpec.cnn([3, 4, 4], kernel=3, hidden=[5], outputs=2, activation="tanh", pool=["max2", "none"]),
    NetworkSpec.cnn([1, 4, 6], kernel=[3, 4], outputs=2, flatten=True),
    NetworkSpec.cnn([1, 4], kernel=3, outputs=2, activation="gelu", input_size=(9, 7)),
    NetworkSpec.mlp([12, 8, 8, 2], "leaky_relu", input_size=(3, 2, 2), input_mean=(0.5,), input_std=(0.2,)),
    NetworkSpec.mlp([2, 8, 8, 1], "sin", omega=30.0, output_offset=0.5),
]


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_twins_of_every_kind(twins, spec, tmp_path):
    pair = read_pair(*twins(spec))
    found = compare_pair(pair)
    assert found.twins and found.same_function and pair.complete
    assert "are the same network up to permutations" in found.verdict
    document = found.to_json()
    assert document["outputs"]["relative_difference"] <= 1e-4 and document["distance"]["canonical_after"] <= 1e-6
    assert [len(layer["permutation"]) for layer in document["layers"]] == list(spec.hidden_widths)
    write_aligned(pair, found.alignment, tmp_path / "moved.safetensors")
    moved, _ = read_network(tmp_path / "moved.safetensors", spec)
    assert relative_difference(moved, pair.b) <= 1e-5


def test_the_same_file_and_a_stranger(twins, tmp_path):
    a, _ = twins()
    assert compare_pair(read_pair(a, a)).verdict == "A and B hold the same weights"
    other = write(tmp_path / "other.safetensors", WeightSpaceFeatures.randn(SPEC, 1), SPEC)
    found = compare_pair(read_pair(a, other))
    assert not found.twins and found.same_function is False
    assert found.verdict == (
        "A and B are not the same network up to permutations and scalings; they compute different functions"
    )


def test_one_function_in_two_networks(tmp_path):
    """Two neurons that are never active on any input: the function knows nothing of what they send on."""
    spec = NetworkSpec.mlp([2, 4, 1], "relu")
    a = WeightSpaceFeatures.randn(spec, 1)
    a.weights[0][:, :, 0] = 0
    a.biases[0][:, :, 0] = -1.0
    b = a.map(torch.clone)
    b.weights[1][:, :, :, 0] = 7.0
    found = compare_pair(read_pair(*(write(tmp_path / f"{n}.safetensors", x, spec) for n, x in (("a", a), ("b", b)))))
    assert not found.twins and found.same_function and "compute the same function on all inputs" in found.verdict


def test_outputs_that_say_nothing(twins, tmp_path):
    spec = NetworkSpec.cnn([1, 4, 6], kernel=[1, 1], padding=[3, 0], flatten=True, outputs=2)
    found = compare_pair(read_pair(*twins(spec)))
    assert found.same_function is None and found.inconclusive == "no inputs of that shape" and found.twins
    assert found.to_json()["outputs"]["inconclusive"] == "no inputs of that shape"
    spec = NetworkSpec.mlp([2, 5, 1], "tanh")
    huge = WeightSpaceFeatures.zeros(spec, 1, dtype=torch.float64)
    huge.biases[0][:] = torch.arange(5.0, 10.0)
    huge.weights[1][:] = 5e307
    found = compare_pair(read_pair(*[write(tmp_path / "huge.safetensors", huge, spec)] * 2))
    assert found.same_function is None and found.inconclusive == "outputs are not finite" and found.twins


def test_names_dtypes_and_metadata_of_a_stay(tmp_path):
    spec = NetworkSpec.mlp([2, 4, 1], "tanh")
    a = WeightSpaceFeatures.randn(spec, 1).map(lambda t: t.to(torch.bfloat16))
    b = MonomialElement.sample(spec, 1).act(a.to(dtype=torch.float32))
    names = ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]
    files = write(tmp_path / "a.safetensors", a, spec, names, id="007"), write(tmp_path / "b.safetensors", b, spec)
    pair = read_pair(*files)
    found = compare_pair(pair)
    assert found.twins and found.same_function
    write_aligned(pair, found.alignment, tmp_path / "out.safetensors")
    moved, single = read_network(tmp_path / "out.safetensors", spec)
    assert single.metadata["id"] == "007" and list(load_file(tmp_path / "out.safetensors")) == sorted(names)
    assert moved.dtype == torch.bfloat16 and relative_difference(moved.to(dtype=torch.float32), b) == 0


def test_a_file_without_metadata(twins):
    spec = NetworkSpec.mlp([2, 6, 1], "sin", omega=30.0)
    a, b = twins(spec, stated=False)
    with pytest.raises(UsageError, match="do not tell the activation"):
        read_pair(a, b)
    pair = read_pair(a, b, Architecture("sin", 30.0))
    assert pair.spec == spec and pair.complete and compare_pair(pair).same_function
    a, b = twins(stated=False)
    pair = read_pair(a, b, Architecture("relu"))
    found = compare_pair(pair)
    assert not pair.complete and found.twins and found.same_function is None and "stride" in found.inconclusive
    pair = read_pair(a, b, Architecture("relu", strides=((2, 2),)))
    assert pair.spec == SPEC and compare_pair(pair).same_function


def test_names_that_leave_the_order_open(tmp_path):
    spec = NetworkSpec.mlp([4, 4, 4, 4], "tanh")
    a = WeightSpaceFeatures.randn(spec, 1)
    names = ("first", "second", "third")
    tensors = [f"{name}.{kind}" for name in ("second", "third", "first") for kind in ("weight", "bias")]
    files = [
        write(tmp_path / f"{n}.safetensors", x, spec, tensors)
        for n, x in (("a", a), ("b", MonomialElement.sample(spec, 1).act(a)))
    ]
    with pytest.raises(DataError, match="--layers"):
        read_pair(*files)
    assert compare_pair(read_pair(*files, reading=Reading(("second", "third", "first")))).twins
    assert not compare_pair(read_pair(*files, reading=Reading(names))).twins


def test_a_network_of_an_older_version(first=Path(__file__).parents[1] / "formats" / "first" / "checkpoints"):
    """Its metadata say the shapes and the activation in words, and no strides."""
    pair = read_pair(first / "00.safetensors", first / "01.safetensors")
    assert pair.spec.activation == "relu" and not pair.complete and not compare_pair(pair).twins


def test_one_file_says_what_both_are(twins, tmp_path):
    a, b = twins(NetworkSpec.mlp([2, 6, 1], "tanh"))
    bare = tmp_path / "bare.safetensors"
    save_file(load_file(b), bare)
    assert compare_pair(read_pair(a, bare)).twins and compare_pair(read_pair(bare, a)).twins
    with pytest.raises(UsageError, match=r"relu, but .*a.safetensors holds a network with tanh"):
        read_pair(a, b, Architecture("relu"))


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (NetworkSpec.cnn([1, 6, 5], kernel=3, stride=2, outputs=3, activation="tanh"), "activation relu and tanh"),
        (NetworkSpec.cnn([1, 6, 4], kernel=3, stride=2, outputs=3), r"widths \[1, 6, 5, 3\] and \[1, 6, 4, 3\]"),
        (NetworkSpec.cnn([1, 6, 5], kernel=3, stride=1, outputs=3), "strides"),
        (NetworkSpec.cnn([1, 6, 5], kernel=3, stride=2, outputs=3, output_offset=1.0), "output_offset not given and 1"),
    ],
)
def test_another_kind_of_network(twins, tmp_path, other, said):
    a, _ = twins()
    b = write(tmp_path / "b.safetensors", WeightSpaceFeatures.randn(other, 1), other)
    with pytest.raises(DataError, match=said):
        read_pair(a, b)


def test_bad_files(twins, tmp_path):
    a, b = twins()
    tensors = load_file(b)
    tensors["layers.1.bias"][2] = torch.nan
    save_file(tensors, b, {"spec": SPEC.to_text()})
    with pytest.raises(DataError, match=r"b.safetensors:layers.1.bias: is not finite"):
        read_pair(a, b)
    del tensors["layers.1.bias"], tensors["layers.2.weight"]
    save_file(tensors, b, {"spec": SPEC.to_text()})
    with pytest.raises(DataError, match=r"b.safetensors"):
        read_pair(a, b)
    with pytest.raises(DataError, match="cannot read"):
        read_pair(a, tmp_path / "nowhere.safetensors")


def test_a_move_beyond_the_range_of_a_dtype(tmp_path):
    spec = NetworkSpec.mlp([2, 4, 1], "relu")
    a = WeightSpaceFeatures.randn(spec, 1)
    b = MonomialElement.sample(spec, 1, (1e6, 1e7)).act(a)
    files = (
        write(tmp_path / "a.safetensors", a.to(dtype=torch.float16), spec),
        write(tmp_path / "b.safetensors", b, spec),
    )
    pair = read_pair(*files)
    with pytest.raises(NumericError, match="exceeds 65504"):
        write_aligned(pair, compare_pair(pair).alignment, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()
