"""A specification is told apart from every other: as a value, as JSON, and, in what matters, as text."""

import dataclasses
import json

import pytest

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
    spec = NetworkSpec.cnn([1, 2], kernel=2, stride=3, padding=4, outputs=5)
    spec = dataclasses.replace(spec, omega=6.0)
    assert {field.name for field in dataclasses.fields(spec)} == set(json.loads(spec.to_text()))
