"""Work in threads: in order, as it is needed, with the number of torch's threads as before."""

import itertools

import pytest
import torch

from mnfn_cli.runtime.threads import in_threads


@pytest.fixture(params=[1, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_come_in_order_and_items_are_taken_as_needed(threads):
    taken = []
    items = (taken.append(i) or i for i in itertools.count())
    results = in_threads(lambda i: (i * i, torch.get_num_threads()), items)
    assert list(itertools.islice(results, 4)) == [(i * i, 1) for i in range(4)]
    assert len(taken) <= 4 + threads
    results.close()
    assert torch.get_num_threads() == threads


def test_an_error_ends_it(threads):
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda i: 1 / i, [2, 1, 0, 1]))
    assert torch.get_num_threads() == threads
    assert list(in_threads(abs, [])) == []
