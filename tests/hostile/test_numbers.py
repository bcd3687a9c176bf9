"""Networks with numbers at the ends of what floats can say."""

import csv
import io
import math

import pytest
from damage import PREDICT, in_tensors

FILE = "files/00.safetensors"


def predictions(out):
    return [float(row["predicted_accuracy"]) for row in csv.DictReader(io.StringIO(out))]


def factor(scale):
    """Scale the neurons of a layer, and the weights behind them back: another network, the same function."""

    def change(tensors, _):
        for name in ("layers.0.weight", "layers.0.bias"):
            tensors[name] *= scale
        tensors["layers.1.weight"] /= scale

    return in_tensors(FILE, change)


@pytest.mark.fault("N2")
@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_extreme_scales_give_a_finite_answer(mnfn, world, scale):
    before = predictions(mnfn(PREDICT)[1])
    factor(scale)()
    code, out, err = mnfn(PREDICT)
    assert code == 0, err
    assert predictions(out) == pytest.approx(before, abs=1e-3)


def put(number):
    return in_tensors(FILE, lambda tensors, _: tensors["layers.1.weight"].view(-1)[:5].fill_(number))


@pytest.mark.parametrize(
    "number", [pytest.param(1e-42, marks=pytest.mark.fault("N4")), pytest.param(-0.0, marks=pytest.mark.fault("N5"))]
)
def test_denormals_and_negative_zeros_are_as_good_as_zeros(mnfn, world, number):
    put(0.0)()
    of_zeros = predictions(mnfn(PREDICT)[1])
    put(number)()
    code, out, err = mnfn(PREDICT)
    assert code == 0 and predictions(out) == pytest.approx(of_zeros, abs=1e-5), err


@pytest.mark.fault("N3")
def test_a_network_of_zeros_has_a_finite_answer(mnfn, world):
    in_tensors(FILE, lambda tensors, _: [tensor.zero_() for tensor in tensors.values()])()
    code, out, err = mnfn(f"predict r {FILE}")
    assert code == 0 and all(map(math.isfinite, predictions(out))), err


@pytest.mark.fault("N7")
def test_json_says_null(mnfn, world):
    in_tensors(FILE, lambda _, found: found.pop("test_accuracy"))()
    code, out, _ = mnfn(f"{PREDICT} --json")
    assert code == 0 and "null" in out and "NaN" not in out
