"""Numbers at the ends of their range: what is lost is counted or refused, and what is not lost changes nothing."""

import json
import math
import shutil
import sys

import polars as pl
import pytest
import torch

from mnfn_cli import load_run
from mnfn_cli.cli.app import main
from mnfn_cli.errors import DataError, NumericError
from mnfn_cli.tasks.application import apply_run
from mnfn_cli.weightspace.canonical import canonicalize
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.augment import augment_zoo
from mnfn_cli.zoo.checkpoints import Wanted, load_checkpoints
from mnfn_cli.zoo.magnitudes import LARGE, Magnitudes, _is_usual, look_at_magnitudes
from mnfn_cli.zoo.single_files import read_network
from mnfn_cli.zoo.store import open_zoo
from mnfn_cli.zoo.writer import save_zoo

SPEC = NetworkSpec.cnn([1, 3, 4], kernel=2, padding=1, hidden=[5], outputs=2, activation="relu")


def networks(count=6, dtype=torch.float64, seed=0):
    """Return random networks of ``SPEC``."""
    torch.manual_seed(seed)
    return WeightSpaceFeatures.randn(SPEC, count, dtype=dtype)


def moved(features, factor):
    """Scale what enters the first hidden layer, and scale back what leaves it: the functions stay what they are."""
    weights, biases = list(features.weights), list(features.biases)
    weights[0], biases[0], weights[1] = weights[0] * factor, biases[0] * factor, weights[1] / factor
    return WeightSpaceFeatures(weights, biases)


def odd(dtype):
    """Return networks with dead neurons, zeros of both signs, denormal and large numbers; some have several."""
    features = networks(dtype=dtype)
    tiny, huge = torch.finfo(dtype).smallest_normal / 4, min(torch.finfo(dtype).max / 8, 1e30)
    features.weights[0][0, :, 1], features.biases[0][0, :, 1] = 0.0, 0.5  # constant
    features.weights[1][0, :, 2:4] = -0.0  # constant, two of them
    features.weights[2][1, :, :, 3] = 0.0  # without influence
    features.weights[3][
        2
    ] = -0.0  # the last layer is no hidden one: nothing has an influence, and no neuron is constant
    features.weights[1][3, 0, 0, 0], features.biases[2][4, 0, 0] = -tiny, tiny
    features.weights[0][5, 0, 0, 0, 0, 0] = -huge
    return features


def save(features, path):
    """Write a zoo; the last two networks of each six are val and test."""
    split = ["train"] * (features.batch - 4) + ["val"] * 2 + ["test"] * 2
    ids, accuracy = [f"n{row}" for row in range(features.batch)], [row / 10 for row in range(features.batch)]
    return save_zoo(path, SPEC, features, pl.DataFrame({"id": ids, "split": split, "test_accuracy": accuracy}))


def slow_magnitudes(features):
    """Count number by number and neuron by neuron, in Python."""
    smallest = torch.finfo(features.dtype).smallest_normal
    found = Magnitudes()
    for row in range(features.batch):
        numbers = [abs(n) for tensor in features.tensors() for n in tensor[row].flatten().tolist()]
        found.largest = max(found.largest, *(n for n in numbers if n > LARGE), 0.0)
        found.large += any(n > LARGE for n in numbers)
        found.denormal += any(0 < n < smallest for n in numbers)
        weights = [weight[row, 0] for weight in features.weights]
        for layer, weight in enumerate(weights):
            if layer < len(weights) - 1:
                found.reads_nothing += sum(not any(neuron.flatten().tolist()) for neuron in weight)
            if layer > 0:
                found.read_by_nothing += sum(not any(weight[:, j].flatten().tolist()) for j in range(weight.shape[1]))
    return found


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_counts_are_those_of_a_slow_count(tmp_path, dtype):
    zoo = save(odd(dtype), tmp_path / "zoo")
    found = look_at_magnitudes(zoo)
    assert found == slow_magnitudes(zoo.read())
    assert (found.denormal, found.reads_nothing, found.read_by_nothing) == (2, 3, 1 + 5)
    assert found.large == (dtype != torch.float16)
    assert len(found.sentences()) == 3 + found.large
    assert look_at_magnitudes(save(networks(dtype=dtype), tmp_path / "plain")).sentences() == []


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_the_first_look_misses_nothing(tmp_path, dtype):
    plain, limits = networks(dtype=dtype).map(lambda tensor: tensor.abs() + 0.1), torch.finfo(dtype)

    def looks_usual(change):
        features = plain.map(torch.clone)
        change(features)
        (shard,) = (file for file in save(features, tmp_path / "zoo").path.glob("weights*"))
        usual = _is_usual(shard, SPEC)
        shutil.rmtree(tmp_path / "zoo")
        return usual

    def put(number, tensors, layer, places):
        return lambda features: getattr(features, tensors)[layer].view(-1)[:places].fill_(number)

    assert looks_usual(put(1.0, "weights", 0, 1))
    for zero in (0.0, -0.0):
        assert looks_usual(put(zero, "biases", 1, 6 * 4)) and looks_usual(put(zero, "weights", 1, 3 * 4 - 1))
        assert not looks_usual(put(zero, "weights", 1, 3 * 4))  # all that go into one neuron
    for odd in {limits.smallest_normal / 2, min(1.01 * LARGE, limits.max)} - {limits.max}:
        for sign in (1, -1):
            for place in (("weights", 0), ("weights", 3), ("biases", 1)):
                assert not looks_usual(put(sign * odd, *place, 1))


@pytest.fixture
def told(tmp_path, monkeypatch, capsys):
    """Return a function that runs a command on zoos in the folder, and returns its JSON document and its stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["mnfn", *arguments, "--json"])
        with pytest.raises(SystemExit, match="0"):
            main()
        said = capsys.readouterr()
        return json.loads(said.out), said.err

    return run


def test_verify_and_import_say_what_is_unusual(told, tmp_path):
    save(odd(torch.float32), tmp_path / "zoo")
    told("zoo", "export", "zoo", "-o", "files")
    for command in (["verify", "zoo"], ["import", "folder", "files", "-o", "again"]):
        document, notes = told("zoo", *command)
        numbers = document["numbers"]
        assert (numbers["large"], numbers["denormal"], numbers["reads_nothing"]) == (1, 2, 3)
        assert "2 networks hold denormal numbers" in notes and "1 networks hold numbers above 1e+18" in notes
    assert "numbers" not in told("zoo", "import", "folder", "files", "--dry-run")[0]


def test_an_import_of_usual_networks_says_nothing_of_their_numbers(told, tmp_path):
    save(networks(dtype=torch.float32), tmp_path / "zoo")
    told("zoo", "export", "zoo", "-o", "files")
    document, notes = told("zoo", "import", "folder", "files", "-o", "again")
    assert not any(document["numbers"].values()) and not {"denormal", "above", "neurons"} & set(notes.split())


@pytest.mark.parametrize("factor", [1e30, 1e-30])
def test_large_and_small_factors_change_no_prediction(tmp_path, digits_zoo, relu_run, factor):
    features = digits_zoo.read().map(lambda tensor: tensor.double())
    run = load_run(relu_run)
    plain, scaled = (run.predict(x.to(dtype=torch.float32)) for x in (features, moved(features, factor)))
    assert torch.allclose(plain, scaled, atol=1e-5) and plain.std() > 1e-5


@pytest.mark.parametrize("factor", [1e30, 1e-30, 1e-39])
def test_canonical_forms_and_proofs_at_the_ends_of_the_range(tmp_path, factor):
    features = moved(networks(dtype=torch.float64), factor)
    canonical, _ = canonicalize(features, SPEC)
    inputs = torch.rand(7, 1, 5, 5, dtype=torch.float64)
    assert torch.allclose(*(run_networks(SPEC, x, inputs) for x in (features, canonical)), rtol=1e-9)
    zoo = save(moved(networks(), factor).to(dtype=torch.float32), tmp_path / "zoo")
    if factor == 1e-39:  # denormal: the second layer is too large for float32
        assert zoo.bad_networks()
        return
    report = augment_zoo(zoo, tmp_path / "moved", scale=(0.1, 10.0))
    assert report.largest_error < 1e-4


def test_dead_neurons_and_zeros_of_both_signs_are_finite_everywhere(tmp_path, digits_zoo, relu_run):
    features = odd(torch.float64)
    canonical, _ = canonicalize(features, SPEC)
    assert all(tensor.isfinite().all() for tensor in canonical.tensors())
    silent = digits_zoo.read().map(lambda tensor: torch.zeros_like(tensor))
    negative = silent.map(lambda tensor: -tensor)
    run = load_run(relu_run)
    assert math.copysign(1, float(negative.biases[0].flatten()[0])) == -1
    assert torch.equal(run.predict(silent), run.predict(negative)) and run.predict(silent).isfinite().all()


@pytest.mark.parametrize("verify", [True, False])
def test_augmentation_beyond_the_dtype_names_every_network_and_writes_nothing(tmp_path, verify):
    zoo = save(networks(dtype=torch.float16), tmp_path / "zoo")
    with pytest.raises(NumericError, match="too large for the dtype of the zoo") as caught:
        augment_zoo(zoo, tmp_path / "moved", scale=(1e6, 1e7), verify=verify)
    assert len(caught.value.faults) == 6 and "n0-g1" in caught.value.faults[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["zoo"]


def test_sums_that_are_infinite_are_no_numbers_that_are(tmp_path):
    large = networks(dtype=torch.float32).map(lambda tensor: torch.full_like(tensor, 3e38))
    augmented = augment_zoo(save(large, tmp_path / "zoo"), tmp_path / "moved", scale=(1.0, 1.0), verify=False)
    assert augmented.zoo.bad_networks() == []


def test_float64_beyond_float32_is_refused_where_the_functional_computes_in_float32(tmp_path, digits_zoo, relu_run):
    features = digits_zoo.read(slice(0, 4)).map(lambda tensor: tensor.double())
    features.weights[1][2] *= 1e60
    table = digits_zoo.table[:4]
    zoo = save_zoo(tmp_path / "zoo", digits_zoo.spec, features, table)
    assert zoo.bad_networks() == [] and look_at_magnitudes(zoo).large == 1
    with pytest.raises(DataError, match="not finite in float32") as caught:
        apply_run(relu_run, tmp_path / "zoo")
    assert [zoo.ids[2] in fault for fault in caught.value.faults] == [True]
    assert apply_run(relu_run, tmp_path / "zoo", skip_bad=True).names == [zoo.ids[row] for row in (0, 1, 3)]


def test_a_file_of_float64_beyond_float32_is_refused_too(tmp_path, digits_zoo):
    from mnfn_cli.zoo.export import export_zoo

    features = digits_zoo.read(slice(0, 2)).map(lambda tensor: tensor.double())
    features.biases[0][1] = 1e300
    export_zoo(save_zoo(tmp_path / "zoo", digits_zoo.spec, features, digits_zoo.table[:2]), tmp_path / "files")
    wanted = Wanted((digits_zoo.spec,), in_float32=True)
    with pytest.raises(DataError, match=r"layers\.0\.bias: is not finite"):
        load_checkpoints(tmp_path / "files", wanted)
    assert len(load_checkpoints(tmp_path / "files", wanted, skip_bad=True).names) == 1
    assert len(load_checkpoints(tmp_path / "files", Wanted((digits_zoo.spec,))).names) == 2


def test_a_new_weight_too_large_for_the_files_dtype_is_refused(tmp_path):
    from mnfn_cli.zoo.export import export_zoo

    export_zoo(save(networks(dtype=torch.float16), tmp_path / "zoo"), tmp_path / "files")
    network, file = read_network(tmp_path / "files" / "n0.safetensors", SPEC)
    edited = network.map(lambda tensor: tensor.float() * 1e6)
    with pytest.raises(NumericError, match=r"out\.safetensors:layers\.0\.\w+: .* too large for float16"):
        file.write(edited, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_a_training_names_networks_beyond_float32(tmp_path):
    from mnfn_cli.tasks.data import find_bad

    features = networks()
    features.weights[2][1] *= 1e200
    zoo = save(features, tmp_path / "zoo")
    assert not find_bad([zoo], False)
    with pytest.raises(DataError, match=r"n1: layers\.2\.weight is not finite in float32.*--on-bad skip"):
        find_bad([open_zoo(tmp_path / "zoo")], False, in_float32=True)
