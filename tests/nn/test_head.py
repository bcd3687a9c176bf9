"""An ensemble: each row of a training batch goes to one member, and all members answer together."""

import pytest
import torch

from mnfn_cli.nn.head import Ensemble


@pytest.mark.parametrize("batch", [1, 3, 4, 9])
def test_a_row_goes_to_its_own_member(batch):
    torch.manual_seed(batch)
    ensemble = Ensemble(4, 5, [6], 2).double()
    features = torch.randn(batch, 5, dtype=torch.float64)
    written_out = [ensemble.members[row % 4](features[row : row + 1]) for row in range(batch)]
    found = ensemble.train()(features)
    assert torch.allclose(found, torch.cat(written_out), rtol=0, atol=1e-14)
    found[batch - 1].sum().backward()
    used = [member[0].weight.grad.abs().max() > 0 for member in ensemble.members]
    assert used == [number == (batch - 1) % 4 for number in range(4)]


def test_all_members_answer_together():
    torch.manual_seed(0)
    ensemble = Ensemble(3, 5, [6], 1, dropout=0.5).eval()
    features = torch.randn(7, 5)
    each = torch.stack([member(features) for member in ensemble.members])
    assert torch.equal(ensemble(features), each.mean(dim=0)) and each.std(dim=0).min() > 0
