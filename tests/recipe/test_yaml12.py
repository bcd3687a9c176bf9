"""Which scalars are numbers, and that writing and reading agree on it."""

import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mnfn_cli.recipe.reader import read_value
from mnfn_cli.recipe.yaml12 import CoreDumper


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1.0e4", 10000.0),
        ("1E+4", 10000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-.5e1", -5.0),
        ("0", 0),
        ("-12", -12),
        ("+12", 12),
        ("0o10", 8),
        ("0x1F", 31),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        # What YAML 1.1 makes numbers, booleans and dates of is text.
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("010", "010"),
        ("-010", "-010"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("0b11", "0b11"),
        ("2024-01-01", "2024-01-01"),
        ("<<", "<<"),
        ("=", "="),
        ("e3", "e3"),
        (".", "."),
        ("-", [None]),
        ("'1e-3'", "1e-3"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_scalars(text: str, value: Any) -> None:
    read = read_value(text, "a test")
    assert read == value
    assert type(read) is type(value)


def test_nan_is_a_float() -> None:
    assert math.isnan(read_value(".nan", "a test"))


_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
_SCALARS = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | _TEXT
_TRICKY = st.sampled_from(["1e-3", "no", "010", "0x1F", "~", "", "true", "[a", "a: b", "# a", "- a", "<<", "\t"])


@given(st.recursive(_SCALARS | _TRICKY, lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner)))
def test_what_is_written_reads_back(value: Any) -> None:
    text = yaml.dump(value, Dumper=CoreDumper, allow_unicode=True, default_flow_style=None)
    assert read_value(text, "a test") == value
