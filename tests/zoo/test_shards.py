"""The quick look at the highest bytes of numbers: it may doubt finite numbers, and never takes others for finite."""

import pytest
import torch

from mnfn_cli.storage.tensors import save_tensors
from mnfn_cli.zoo.shards import FINITE, highest_bytes_are_in

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_that_are_not_finite_are_never_taken_for_finite(dtype, tmp_path):
    file = tmp_path / "some.safetensors"
    numbers = torch.randn(40, dtype=torch.float64).to(dtype)
    save_tensors(file, {"a": numbers[:7].clone(), "b": numbers[7:].clone()})
    assert highest_bytes_are_in(file, FINITE)
    for place in (0, 6, 7, 39):
        for wrong in (torch.nan, torch.inf, -torch.inf):
            broken = numbers.clone()
            broken[place] = wrong
            save_tensors(file, {"a": broken[:7].clone(), "b": broken[7:].clone()})
            assert not highest_bytes_are_in(file, FINITE)


def test_it_doubts_what_it_cannot_tell(tmp_path):
    file = tmp_path / "some.safetensors"
    save_tensors(file, {"a": torch.full((3,), torch.finfo(torch.float32).max)})
    assert not highest_bytes_are_in(file, FINITE)
    save_tensors(file, {"a": torch.zeros(3), "b": torch.zeros(3, dtype=torch.int32)})
    assert not highest_bytes_are_in(file, FINITE)
