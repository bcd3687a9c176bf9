"""Learned test sets: the prediction written out, independent members, and rates of their own."""

import pytest
import torch

from mnfn_cli.errors import UsageError
from mnfn_cli.models.functional import place_of
from mnfn_cli.models.learned_test_set import HEAD_RATE, LearnedTestSet
from mnfn_cli.testing import assert_breaks, assert_invariant
from mnfn_cli.training.loop import _groups
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec

SMALL = {"members": 3, "questions": 12, "asked": 5, "noise": 0.5}
SPEC = NetworkSpec.cnn([1, 6, 5], stride=2, outputs=4, input_size=(9, 9))


def built(spec=SPEC, **options):
    torch.manual_seed(0)
    return LearnedTestSet(spec, **SMALL | options)


def test_the_prediction_written_out():
    model = built(members=2).double().eval()
    networks = WeightSpaceFeatures.randn(SPEC, 3, dtype=torch.float64)
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    expected = torch.zeros(3, 2, dtype=torch.float64)
    for number, member in enumerate(model.members):
        outputs = run_networks(SPEC, networks, member.inputs(torch.float64))
        for row in range(3):
            z = outputs[row] - outputs[row].mean(dim=1, keepdim=True)
            logits = []
            for reading, scale in enumerate((1.0, z.square().mean().sqrt())):
                p = (member.temperatures[reading].exp() * z / scale).softmax(dim=1)
                agreement = (p * member.answers.softmax(dim=1)).sum(dim=1)
                score = (member.weights[reading].softmax(dim=0) * agreement).sum()
                logits.append((score / (1 - score)).log())
            s = torch.stack(logits)
            expected[row, number] = torch.sigmoid(member.straight(s) + member.bent(s))[0]
    torch.testing.assert_close(model(networks), expected.mean(dim=1), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_invariant(activation):
    spec = NetworkSpec.cnn([1, 6, 5], stride=2, outputs=4, activation=activation, input_size=(9, 9))
    model = built(spec).double().eval()
    assert_invariant(model, spec)
    right = MonomialElement.identity(spec, 4)
    factor = -1.0 if activation == "relu" else 3.0
    assert_breaks(model, spec, MonomialElement(right.permutations, [factor * d for d in right.scales]), least=1e-4)


def test_members_are_independent():
    model = built().train()
    networks = WeightSpaceFeatures.randn(SPEC, 6)
    predicted = model(networks)
    assert predicted.shape == (6, 3) and model.eval()(networks).shape == (6,)
    predicted[:, 1].sum().backward()
    moved = [
        any(p.grad is not None and p.grad.abs().max() > 0 for p in member.parameters()) for member in model.members
    ]
    assert moved == [False, True, False]
    members = model.members
    assert not torch.equal(members[0].inputs.coefficients, members[1].inputs.coefficients)
    asked = (members[1].inputs.coefficients.grad.flatten(1).abs().amax(dim=1) > 0).sum()
    assert asked == 5


def test_training_sees_noise_and_evaluation_does_not():
    model = built()
    networks = WeightSpaceFeatures.randn(SPEC, 6)
    assert not torch.equal(model.train()(networks), model(networks))
    assert torch.equal(model.eval()(networks), model(networks))


def test_float64_whatever_the_parameters_are():
    model = built()
    assert place_of(model) == (torch.device("cpu"), torch.float64)
    exact = WeightSpaceFeatures.randn(SPEC, 6, dtype=torch.float64)
    assert model.eval().summary(exact).dtype == torch.float64
    assert not torch.equal(model.summary(exact), model.summary(exact.to(dtype=torch.float32)))


def test_rates():
    model = built()
    groups = {group["factor"]: group["params"] for group in _groups(model)}
    assert set(groups) == {1.0, HEAD_RATE}
    learned = [p for m in model.members for p in (m.inputs.coefficients, m.inputs.means, m.answers, m.weights)]
    assert {id(p) for p in groups[1.0]} == {id(p) for p in learned}
    assert len(groups[1.0]) + len(groups[HEAD_RATE]) == len(list(model.parameters()))


def test_what_cannot_be_read():
    with pytest.raises(UsageError, match="one output"):
        built(NetworkSpec.mlp([3, 4, 1], "relu"))
    with pytest.raises(UsageError, match="input_size"):
        built(NetworkSpec.cnn([1, 6, 5], outputs=4))
    networks = WeightSpaceFeatures.randn(SPEC, 5)
    networks.weights[-1][3] *= 1e30
    assert built().readable(networks).tolist() == [True, True, True, False, True]
