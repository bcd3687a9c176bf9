"""Models of several weight spaces: parameters are shared where they may be, and each network is read as if alone."""

import copy
from typing import Literal

import pytest
import torch

from mnfn_cli.errors import RecipeError, UsageError
from mnfn_cli.models.functional import count_parameters
from mnfn_cli.models.shared import SharedFunctional
from mnfn_cli.recipe import MODELS, Model, declare_model, load_recipe
from mnfn_cli.tasks.functional import apply_functional, build_functional
from mnfn_cli.testing import assert_breaks, assert_invariant
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.mixed import join_networks
from mnfn_cli.weightspace.spec import NetworkSpec

SMALL = {
    "mixed-monomial": ["model.channels=[4,3]", "model.head=[8,8]"],
    "mixed-gnn": ["model.size=5", "model.rounds=2", "model.head=[8,8]"],
    "relu-statnn": ["data.activation=null", "model.head=[8,8]"],
    "relu-np": ["data.activation=null", "model.channels=[3,2]", "model.head=[8,8]"],
    "relu-hnp": ["data.activation=null", "model.channels=[3,2]", "model.head=[8,8]"],
}


def cnn(channels, activation="relu", **more):
    return NetworkSpec.cnn([2, *channels], **({"outputs": 3, "activation": activation} | more))


SPECS = [cnn([4, 5]), cnn([6, 3]), cnn([4, 5], "tanh"), cnn([3, 7], "tanh")]


def recipe_of(name, *overrides):
    return load_recipe(f"generalization/{name}", [*SMALL.get(name, []), *overrides])


def build(name, specs=SPECS, *overrides):
    torch.manual_seed(0)
    return build_functional(recipe_of(name, *overrides), specs, {})


def draw(specs=SPECS, each=3, dtype=torch.float32):
    """Networks of every weight space, in turns."""
    generator = torch.Generator().manual_seed(1)
    pieces = [
        (i, range(i, each * len(specs), len(specs)), WeightSpaceFeatures.randn(spec, each, generator=generator))
        for i, spec in enumerate(specs)
    ]
    return join_networks(pieces, specs).to(dtype=dtype)


@pytest.mark.parametrize("name", SMALL)
def test_each_network_is_read_as_by_a_model_of_its_own(name):
    model, networks = build(name), draw()
    model.prepare(networks)
    answers = apply_functional(model.eval(), networks)
    for number, (spec, part) in enumerate(zip(SPECS, networks.parts, strict=True)):
        alone = build(name, [spec])
        alone.prepare(part)
        assert torch.equal(apply_functional(alone.eval(), part), answers[networks.spaces == number])


@pytest.mark.parametrize("name", SMALL)
def test_the_order_of_weight_spaces_changes_no_answer(name):
    specs, networks = SPECS[::-1], draw()
    backwards = join_networks(
        [(3 - i, (networks.spaces == i).nonzero()[:, 0].tolist(), part) for i, part in enumerate(networks.parts)],
        specs,
    )
    assert torch.equal(build(name)(networks), build(name, specs)(backwards))


def test_parameters_are_the_same_objects_within_a_group_and_others_across():
    model = build("mixed-monomial")
    relu, wide, tanh, other = (dict(part.named_parameters()) for part in model.models)
    assert all(relu[name] is wide[name] for name in relu) and all(tanh[name] is other[name] for name in tanh)
    assert not {id(p) for p in relu.values()} & {id(p) for p in tanh.values()}
    alone = [count_parameters(build("mixed-monomial", [spec])) for spec in SPECS]
    assert alone[0] == alone[1] and alone[2] == alone[3]
    assert count_parameters(model) == alone[0] + alone[2]
    assert model.counts() == {(0, 1): alone[0], (2, 3): alone[2]}


@pytest.mark.parametrize("name", ["mixed-gnn", "relu-statnn", "relu-np", "relu-hnp"])
def test_models_of_any_group_share_all(name):
    model = build(name)
    assert model.counts() == {(0, 1, 2, 3): count_parameters(build(name, SPECS[:1]))}
    assert count_parameters(model) == count_parameters(build(name, SPECS[:1]))


def test_buffers_belong_to_each_weight_space():
    model, networks = build("mixed-gnn"), draw()
    model.prepare(networks)
    for part, features in zip(model.models, networks.parts, strict=True):
        assert torch.allclose(part.features[0].means[0], features.weights[0].mean())


@pytest.mark.parametrize("name", ["mixed-monomial", "mixed-gnn"])
def test_gradients_are_sums_over_weight_spaces(name):
    model, networks = build(name), draw(dtype=torch.float64)
    model = model.double()
    model(networks).sum().backward()
    found = {key: parameter.grad for key, parameter in model.named_parameters()}
    sums = {key: torch.zeros_like(gradient) for key, gradient in found.items()}
    for number, (spec, part) in enumerate(zip(SPECS, networks.parts, strict=True)):
        alone = build(name, [spec]).double()
        alone(part).sum().backward()
        for key, parameter in alone.named_parameters():
            whole = f"models.{number}.{key}"
            sums[model._aliases.get(whole, whole)] += parameter.grad
    assert found.keys() == sums.keys()
    for key, gradient in found.items():
        torch.testing.assert_close(gradient, sums[key])


@pytest.mark.parametrize("name", SMALL)
def test_a_state_has_every_shared_parameter_once_and_is_read_back(name):
    model, networks = build(name), draw()
    model.prepare(networks)
    state = model.state_dict()
    pointers = [tensor.data_ptr() for tensor in state.values()]
    assert len(set(pointers)) == len(pointers)
    torch.manual_seed(9)
    other = build_functional(recipe_of(name), SPECS, {})
    assert not torch.equal(other(networks), model(networks))
    other.load_state_dict(state)
    assert torch.equal(other(networks), model(networks))
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_state_dict(dict(list(state.items())[1:]))


def test_copies_and_other_dtypes_still_share():
    model = copy.deepcopy(build("mixed-monomial")).double()
    assert model.models[0].head[0].weight is model.models[1].head[0].weight
    assert count_parameters(model) == count_parameters(build("mixed-monomial"))


@pytest.mark.parametrize("name", ["mixed-monomial", "mixed-gnn"])
def test_forward_and_backward_on_the_meta_device(name):
    with torch.device("meta"):
        model = build_functional(recipe_of(name, "model.canonicalize=true"), SPECS, {})
    output = model(draw().to(device="meta"))
    output.sum().backward()
    assert output.shape == (12,) and output.device.type == "meta"
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("number", range(len(SPECS)))
def test_the_shared_monomial_is_invariant_in_each_part(number, dtype):
    spec = SPECS[number]
    part = build("mixed-monomial").to(dtype).models[number]
    assert_invariant(part, spec)
    assert_invariant(torch.nn.Sequential(part.features, part.head), spec)
    right = MonomialElement.identity(spec, 4)
    factor = -1.0 if spec.group == "scale" else 3.0
    wrong = MonomialElement(right.permutations, [factor * d for d in right.scales])
    assert_breaks(torch.nn.Sequential(part.features, part.head), spec, wrong)


def test_a_graph_network_reads_any_depth_width_and_kernel():
    """Parameters whose shapes depend on the network are its own: maps of kernels, and the first matrix of a head."""
    specs = [cnn([4]), cnn([4, 5, 3], "tanh"), cnn([4, 5], kernel=[3, 7]), NetworkSpec.mlp([2, 4, 3], "gelu")]
    model, networks = build("mixed-gnn", specs), draw(specs)
    model.prepare(networks)
    answers = apply_functional(model.eval(), networks)
    for number, (spec, part) in enumerate(zip(specs, networks.parts, strict=True)):
        if spec.group != "sign":  # else the elements would flip signs
            assert_invariant(copy.deepcopy(model.models[number]).double(), spec, scale=(1.0, 1.0))
        assert len(answers[networks.spaces == number].unique()) == part.batch
    sets = model.counts()
    assert sets[0, 1, 2, 3] > 200 and (0,) not in sets and (1,) in sets


@pytest.mark.parametrize(
    ("name", "other", "message"),
    [
        ("mixed-monomial", cnn([4, 5, 6]), "which have 3 layers, not 4"),
        ("mixed-monomial", cnn([4, 5], kernel=5), "which have other kernels"),
        ("mixed-monomial", cnn([4, 5], hidden=[], outputs=7), "which have 3 outputs, not 7"),
        ("mixed-monomial", NetworkSpec.cnn([1, 4, 5], outputs=3), "which have 2 inputs, not 1"),
        ("mixed-monomial", cnn([4, 5], "gelu"), "gelu networks have permutation symmetry only"),
        ("relu-np", cnn([4, 5, 6], "tanh"), "which have 3 layers, not 4"),
        ("relu-mlp", cnn([4, 5], "tanh"), "the model reads one weight space"),
    ],
)
def test_what_cannot_be_read_beside_the_others_is_named(name, other, message):
    with pytest.raises(UsageError, match=message) as caught:
        build(name, [cnn([6, 3]), other])
    assert f"networks {other}" in str(caught.value)


def test_parts_of_other_groups_do_not_have_to_agree():
    model = build("mixed-monomial", [cnn([4, 5]), cnn([4, 5, 6], "tanh", kernel=5, outputs=8)])
    assert len(model.counts()) == 2


def test_by_default_a_model_of_ones_own_reads_one_weight_space(monkeypatch):
    monkeypatch.setitem(MODELS, "generalization", dict(MODELS["generalization"]))

    class Mine(Model):
        built_by = torch.nn.Identity
        name: Literal["mine"]

    class AtOnce(Mine):
        name: Literal["at-once"]
        closed_form = True
        shares = "all"

    assert declare_model("generalization", Mine).shares == "none"
    with pytest.raises(RecipeError, match="shares no parameters"):
        declare_model("generalization", AtOnce)


def test_one_weight_space_needs_no_shared_functional():
    assert not isinstance(build("mixed-monomial", SPECS[:1]), SharedFunctional)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("name", ["mixed-monomial", "mixed-gnn"])
def test_on_a_gpu_as_on_the_cpu(name):
    model, networks = build(name).double(), draw(dtype=torch.float64)
    here = model(networks)
    there = model.to("cuda")(networks.to(device="cuda").select(torch.arange(12, device="cuda"))).cpu()
    torch.testing.assert_close(there, here)
    assert model.models[0].head[0].weight is model.models[1].head[0].weight
