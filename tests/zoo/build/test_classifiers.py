"""A zoo of classifiers: what it holds, for CNNs and for dense networks."""

from dataclasses import replace

import pytest
import torch

from mnfn_cli.errors import InterruptedRun, OutputError, UsageError
from mnfn_cli.storage.tensors import read_tensors
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.augment import augment_zoo
from mnfn_cli.zoo.build import classifiers
from mnfn_cli.zoo.build.architectures import cnn_spec, mlp_spec
from mnfn_cli.zoo.build.classifiers import ClassifierZooPlan, build_classifier_zoo, divide_images
from mnfn_cli.zoo.images import load_images
from mnfn_cli.zoo.verification import verify_zoo


@pytest.fixture(scope="module")
def digits():
    return load_images("digits", 8)


@pytest.fixture(scope="module", params=["mlp", "large kernels"])
def zoo(request, digits, tmp_path_factory):
    if request.param == "mlp":
        spec = mlp_spec(digits, "relu", hidden=[12, 8])
    else:
        spec = cnn_spec(digits, "relu", channels=[6, 5], kernel=[4, 5], hidden=[7])
    return build_classifier_zoo(ClassifierZooPlan(spec, 8, 2, 5), digits, tmp_path_factory.mktemp("zoos") / "zoo")


def test_it_holds_what_it_says(zoo, digits):
    assert verify_zoo(zoo.path) == [] and len(zoo) == 8
    (_, _), (inputs, labels) = divide_images(digits, zoo.spec, 5)
    right = run_networks(zoo.spec, zoo.read(), inputs).argmax(-1) == labels
    assert zoo.table["test_accuracy"].to_list() == pytest.approx(right.float().mean(-1).tolist(), abs=2 / len(labels))
    assert max(zoo.table["test_accuracy"]) > 0.25
    stored, _ = read_tensors(zoo.path / "images.safetensors")
    assert torch.equal(stored["inputs"], inputs[:64])
    images = zoo.record.images.to_json()
    assert (images["channels"], images["size"], images["pixel_range"]) == (1, [8, 8], [0.0, 1.0])


def test_copies_by_augmentation_are_proven_on_real_inputs(zoo, tmp_path):
    report = augment_zoo(zoo, tmp_path / "copies", scale=(1.0, 1e3))
    assert verify_zoo(report.zoo.path) == [] and 0 < report.largest_error <= 1e-4
    again = augment_zoo(report.zoo, tmp_path / "again", scale=(1.0, 1e3)).zoo
    assert (again.path / "images.safetensors").read_bytes() == (zoo.path / "images.safetensors").read_bytes()


def test_dense_networks_read_pictures_row_by_row(digits):
    spec = mlp_spec(digits.with_channels(3), "relu")
    (flat, labels), _ = divide_images(digits.with_channels(3), spec, 0)
    (pictures, same), _ = divide_images(digits.with_channels(3), cnn_spec(digits.with_channels(3), "relu"), 0)
    assert flat.shape == (1438, 192) and torch.equal(labels, same)
    assert torch.equal(flat.view(-1, 3, 8, 8), pictures)


def stopped_after_the_first_chunk(plan, images, output, monkeypatch):
    """Build until one chunk is on disk, and stop at the first step of the second."""
    train, calls = classifiers.train_networks, []

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            raise InterruptedRun("here", "stop")
        return train(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(classifiers, "train_networks", interrupted)
        with pytest.raises(InterruptedRun):
            build_classifier_zoo(plan, images, output)


def test_an_interrupted_build_goes_on_with_the_same_pictures_and_labels_only(digits, tmp_path, monkeypatch):
    plan = ClassifierZooPlan(mlp_spec(digits, "relu", hidden=[4]), 8, 1, 5)
    whole = build_classifier_zoo(plan, digits, tmp_path / "whole")
    stopped_after_the_first_chunk(plan, digits, tmp_path / "zoo", monkeypatch)
    relabelled = replace(digits, labels=(digits.labels + 1) % 10)
    permuted = digits.select(torch.randperm(len(digits.ids), generator=torch.Generator().manual_seed(0)).tolist())
    mirrored = replace(digits, pixels=digits.pixels.flip(-1))
    for others in (relabelled, permuted, mirrored):
        with pytest.raises(OutputError, match="other images"):
            build_classifier_zoo(plan, others, tmp_path / "zoo")
    with pytest.raises(OutputError, match="other spec"):
        build_classifier_zoo(replace(plan, spec=mlp_spec(digits, "tanh", hidden=[4])), digits, tmp_path / "zoo")
    with monkeypatch.context() as patch, pytest.raises(OutputError, match="other networks_at_once"):
        patch.setattr(classifiers, "networks_at_once", lambda *arguments: 3)
        build_classifier_zoo(plan, digits, tmp_path / "zoo")
    trained = []
    train = classifiers.train_networks
    monkeypatch.setattr(
        classifiers, "train_networks", lambda *a, **options: trained.append(len(a[3])) or train(*a, **options)
    )
    assert build_classifier_zoo(plan, digits, tmp_path / "zoo").fingerprint == whole.fingerprint
    assert 0 < sum(trained) < 8


@pytest.mark.fault("H22")
def test_what_cannot_be_meant():
    spec = NetworkSpec.mlp([64, 8, 10], "relu")
    for count, epochs in ((0, 1), (1, 0)):
        with pytest.raises(UsageError, match="at least 1"):
            ClassifierZooPlan(spec, count, epochs, 0)
    with pytest.raises(UsageError, match="at most 10,000,000"):
        ClassifierZooPlan(spec, 10**20, 1, 0)
    with pytest.raises(UsageError, match="20,012,005 weights and biases each"):
        ClassifierZooPlan(NetworkSpec.mlp([10_000, 2_000, 5], "relu"), 1, 1, 0)
