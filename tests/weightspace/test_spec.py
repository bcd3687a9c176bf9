"""A specification is told apart from every other: as a value, as JSON, and, in what matters, as text."""

import dataclasses
import json

import pytest

from mnfn_cli.errors import UsageError
from mnfn_cli.weightspace.spec import NetworkSpec, read_spec

SPECS = [
    NetworkSpec.mlp([2, 8, 8, 1], "sin", omega=15.1),
    NetworkSpec.mlp([2, 8, 8, 1], "tanh"),
    NetworkSpec.cnn([1, 4, 4], outputs=10),
    NetworkSpec.cnn([1, 4, 4], stride=2, outputs=10),
    NetworkSpec.cnn([1, 4, 4], stride=[1, 2], outputs=10),
    NetworkSpec.cnn([1, 4, 4], padding=1, outputs=10),
    NetworkSpec.cnn([1, 4, 4], padding=(0, 1), outputs=10),
    NetworkSpec.cnn([1, 4, 4], kernel=(3, 2), outputs=10, activation="gelu"),
]


def test_texts_differ_where_specs_do() -> None:
    assert len({str(spec) for spec in SPECS}) == len({spec.to_text() for spec in SPECS}) == len(SPECS)
    assert str(SPECS[2]) == "1 -> 4 -> 4 -> 10, kernels 3x3, 3x3, relu"
    assert str(SPECS[6]) == "1 -> 4 -> 4 -> 10, kernels 3x3, 3x3, paddings 0x1, 0x1, relu"


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_only_its_own_json_agrees(spec: NetworkSpec) -> None:
    assert read_spec(spec.to_text()) == spec
    assert [other for other in SPECS if spec.agrees_with(read_spec(other.to_text()))] == [spec]


def test_the_text_of_an_older_file_agrees_unless_it_contradicts() -> None:
    old = "1 -> 4 -> 4 -> 10, kernels 3x3, 3x3, relu"
    assert [spec for spec in SPECS if spec.agrees_with(read_spec(old))] == SPECS[2:7]
    assert SPECS[0].agrees_with(read_spec("2 -> 8 -> 8 -> 1, sin (omega 15.1)"))
    assert not SPECS[0].agrees_with(read_spec("2 -> 8 -> 8 -> 1, sin (omega 15)"))


NO_SPECS = ["", "[]", "7", "null", '{"widths": 3}', '{"widths": [2], "activation": "tanh"}', "[" * 100_000, "{"]
NO_SPECS += [json.dumps({"widths": [1, 2, 1], "activation": "swish"}), '{"widths": [1, Infinity, 1]}']


@pytest.mark.parametrize("text", NO_SPECS, ids=range(len(NO_SPECS)))
def test_anything_else_stays_a_text_that_agrees_with_nothing(text: str) -> None:
    assert read_spec(text) == text
    assert not any(spec.agrees_with(text) for spec in SPECS)


def test_every_field_of_a_spec_is_in_its_json() -> None:
    spec = NetworkSpec.cnn(
        [1, 2, 3], kernel=[2, 3], stride=[3, 1], padding=[4, 0], outputs=5, pool=["max2:before", "none"]
    )
    more = {"omega": 6.0, "input_size": (9, 9), "input_mean": (0.5,), "input_std": (2.0,), "output_offset": 0.5}
    spec = dataclasses.replace(spec, flatten=True, **more)
    assert read_spec(spec.to_text()) == spec
    assert {field.name for field in dataclasses.fields(spec)} == set(json.loads(spec.to_text()))


def test_an_unknown_input_size_fits_any_and_nothing_else_does() -> None:
    small, large = (NetworkSpec.cnn([1, 4], outputs=2, input_size=size) for size in ((8, 8), (9, 8)))
    unknown = NetworkSpec.cnn([1, 4], outputs=2)
    assert small.fits(unknown) and unknown.fits(large) and not small.fits(large) and small != unknown
    assert not unknown.fits(NetworkSpec.cnn([1, 4], outputs=2, pool="max2"))
    assert unknown.agrees_with(small)


NO_FIELDS = [
    {"pools": (None, None)},
    {"input_size": (8,)},
    {"input_size": (1, 8, 8)},
    {"input_size": (1, 1)},
    {"flatten": True, "input_size": (8, 8)},
    {"flatten": True, "strides": ((2, 2),)},
    {"input_mean": (1.0, 2.0)},
    {"input_std": (0.0,)},
    {"input_mean": (float("nan"),)},
    {"output_offset": float("inf")},
    {"omega": 0.0},
]


@pytest.mark.parametrize("fields", NO_FIELDS, ids=str)
def test_fields_that_do_not_fit_are_refused(fields) -> None:
    with pytest.raises(UsageError):
        dataclasses.replace(NetworkSpec.cnn([1, 4], outputs=2), **fields)


def test_dense_networks_on_pictures_keep_their_shape() -> None:
    spec = NetworkSpec.mlp([12, 5, 2], "relu", input_size=(3, 2, 2), input_mean=(0.1, 0.2, 0.3))
    assert read_spec(spec.to_text()) == spec
    with pytest.raises(UsageError, match="no 12 inputs"):
        NetworkSpec.mlp([12, 5, 2], "relu", input_size=(1, 3, 3))


@pytest.mark.parametrize("text", ["max", "max0", "maxx2", "avg2/0", "max2:after", "MAX2", "max2 "])
def test_other_poolings_are_refused(text) -> None:
    with pytest.raises(UsageError, match="write none, max2"):
        NetworkSpec.cnn([1, 4], outputs=2, pool=text)
