"""Complete models: published counts, invariance, no device of their own."""

import pytest
import torch

from mnfn_cli.errors import UsageError
from mnfn_cli.recipe import MODELS, list_recipes, load_recipe
from mnfn_cli.tasks.functional import build_functional, build_model
from mnfn_cli.testing import assert_breaks, assert_invariant
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec

PUBLISHED = {
    "generalization/relu-monomial": ("relu", 254_609),
    "generalization/tanh-monomial": ("tanh", 1_416_699),
    "generalization/tanh-monomial-complete": ("tanh", 1_423_739),
    "generalization/relu-statnn": ("relu", 1_059_001),
    "generalization/tanh-statnn": ("tanh", 1_059_001),
    "generalization/relu-np": ("relu", 2_031_390),
    "generalization/tanh-np": ("tanh", 2_031_390),
    "generalization/relu-hnp": ("relu", 2_811_743),
    "generalization/tanh-hnp": ("tanh", 2_811_743),
    "generalization/relu-gnn": ("relu", 1_714_169),
    "generalization/tanh-gnn": ("tanh", 1_714_169),
    "generalization/relu-mlp": ("relu", 5_973_001),
    "generalization/tanh-mlp": ("tanh", 5_973_001),
    "generalization/relu-canonical-statistics": ("relu", 550_404),
    "generalization/tanh-canonical-statistics": ("tanh", 614_916),
    "generalization/relu-gnn-canonical": ("relu", 318_177),
    "generalization/tanh-gnn-canonical": ("tanh", 343_377),
    "generalization/relu-monomial-canonical": ("relu", 456_409),
    "generalization/tanh-monomial-canonical": ("tanh", 481_299),
    "generalization/mixed-monomial": ("relu", 254_609),
    "generalization/mixed-gnn": ("tanh", 133_017),
    "generalization/relu-learned-test-set": ("relu", 103_506),
    "generalization/tanh-learned-test-set": ("tanh", 103_506),
    "generalization/relu-hybrid": ("relu", 103_506),
    "generalization/tanh-hybrid": ("tanh", 103_506),
    "generalization/relu-trees": ("relu", 0),
    "generalization/tanh-trees": ("tanh", 0),
}


def small_cnn_zoo(activation):
    return NetworkSpec.cnn([1, 16, 16, 16], stride=2, outputs=10, activation=activation, input_size=(16, 16))


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", PUBLISHED)
def test_recipes_have_the_published_counts(name):
    activation, parameters = PUBLISHED[name]
    recipe = load_recipe(name)
    with torch.device("meta"):
        model = build_model(f"{recipe.task}/{recipe.model.name}", small_cnn_zoo(activation), **recipe.model.options())
    assert count(model) == parameters


def test_every_shipped_recipe_is_counted_here():
    names = {entry.name for entry in list_recipes() if entry.name.startswith("generalization/")}
    assert names == set(PUBLISHED)


def test_without_options_the_published_model():
    assert count(build_model("generalization/monomial", small_cnn_zoo("relu"))) == 254_609
    assert count(build_model("generalization/monomial", small_cnn_zoo("tanh"))) == 1_416_699
    for name, parameters in (("statnn", 1_059_001), ("np", 2_031_390), ("hnp", 2_811_743), ("mlp", 5_973_001)):
        assert count(build_model(f"generalization/{name}", small_cnn_zoo("relu"))) == parameters


def test_a_model_without_options_is_the_published_recipe():
    """What is declared once cannot drift: every declaration names its published recipe, and is built from it."""
    for task, models in MODELS.items():
        for name, model in models.items():
            recipe = load_recipe(model.published.format(family="relu"))
            assert (recipe.task, recipe.model.name) == (task, name)
            sin = NetworkSpec.mlp([2, 32, 32, 1], "sin", omega=30.0)
            spec = small_cnn_zoo("relu") if task == "generalization" else sin
            with torch.device("meta"):
                built, resolved = build_model(f"{task}/{name}", spec), build_functional(recipe, [spec], {})
            shapes = [{key: tensor.shape for key, tensor in m.state_dict().items()} for m in (built, resolved)]
            assert shapes[0] == shapes[1]
    strict = build_model("editing/monomial-strict", NetworkSpec.mlp([2, 8, 8, 1], "sin"))
    published = load_recipe("editing/mnist-dilate-monomial-strict").model
    assert strict.sharpness == published.sharpness


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("canonical", [False, True])
@pytest.mark.parametrize("hnp_channels", [(), (5, 4)])
@pytest.mark.parametrize(("activation", "sign_terms"), [("relu", False), ("tanh", False), ("tanh", True)])
@pytest.mark.parametrize("layer", ["linear", "messages"])
def test_invariant(layer, activation, sign_terms, hnp_channels, canonical, dtype):
    spec = NetworkSpec.cnn([1, 6, 5], kernel=3, outputs=4, activation=activation)
    torch.manual_seed(0)
    options = {"sign_terms": sign_terms, "layer": layer, "hnp_channels": hnp_channels, "canonicalize": canonical}
    model = build_model("generalization/monomial", spec, **options).to(dtype)

    assert_invariant(model, spec)
    if not canonical:
        # Before the sigmoid, which would hide differences where it saturates.
        assert_invariant(torch.nn.Sequential(model.features, model.head), spec)


def test_wrong_elements_are_noticed():
    torch.manual_seed(0)
    for activation, factor in (("relu", -1.0), ("tanh", 3.0)):
        spec = NetworkSpec.cnn([1, 6, 5], kernel=3, outputs=4, activation=activation)
        model = build_model("generalization/monomial", spec).double()
        right = MonomialElement.identity(spec, 4)
        wrong = MonomialElement(right.permutations, [factor * d for d in right.scales])
        assert_breaks(torch.nn.Sequential(model.features, model.head), spec, wrong)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("name", ["canonical-statistics", "gnn-canonical", "monomial-canonical"])
def test_functionals_of_invariant_statistics(name, activation, dtype):
    spec = NetworkSpec.cnn([1, 6, 5], kernel=3, outputs=4, activation=activation)
    recipe = load_recipe(f"generalization/{activation}-{name}", ["model.head=[16,16]"])
    torch.manual_seed(0)
    model = build_functional(recipe, [spec], {}).to(dtype)
    x = WeightSpaceFeatures.randn(spec, 40, dtype=dtype)
    model.prepare(x)
    assert_invariant(model.eval(), spec)
    wrong = MonomialElement.identity(spec, 40)
    factor = -1.0 if activation == "relu" else 3.0
    moved = MonomialElement(wrong.permutations, [factor * d for d in wrong.scales]).act(x)
    assert (model(moved) - model(x)).abs().max() > 1e-2
    # What is remembered of networks does not depend on which others were seen.
    again = build_functional(recipe, [spec], {}).to(dtype)
    again.load_state_dict(model.state_dict())
    torch.testing.assert_close(again.eval()(x.select([3, 7])), model(x)[[3, 7]])


def test_members_of_an_ensemble_learn_apart():
    spec = NetworkSpec.mlp([3, 4, 2], "relu")
    model = build_model("generalization/statistics-mlp", spec, members=3, head=[8, 8], dropout=0.0)
    x = WeightSpaceFeatures.randn(spec, 7)
    alone = [member(model.statistics(x)).sigmoid().squeeze(1) for member in model.head.members]
    found = model(x)
    torch.testing.assert_close(found, torch.stack([alone[row % 3][row] for row in range(7)]))
    logits = torch.stack([numbers.logit() for numbers in alone]).mean(dim=0)
    torch.testing.assert_close(model.eval()(x), logits.sigmoid())


BASELINES = {
    "statnn": {"head": [8, 8]},
    "np": {"channels": [4, 3], "head": [8, 8]},
    "hnp": {"channels": [4, 3], "head": [8, 8]},
    "gnn": {"size": 6, "rounds": 4, "head": [8, 8]},
}


def before_the_sigmoid(model):
    """Return the model without its end, which would hide differences where it saturates."""
    return torch.nn.Sequential(model.features, model.head)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("name", BASELINES)
def test_baselines_know_permutations_alone(name, activation, dtype):
    spec = NetworkSpec.cnn([2, 6, 5], kernel=3, outputs=4, activation=activation)
    torch.manual_seed(0)
    model = before_the_sigmoid(build_model(f"generalization/{name}", spec, **BASELINES[name])).to(dtype)
    drawn = MonomialElement.sample(spec, 4)
    shuffle = MonomialElement(drawn.permutations, [torch.ones_like(d) for d in drawn.scales])
    assert_invariant(model, spec, element=shuffle)
    factor = 30.0 if activation == "relu" else -1.0
    moved = MonomialElement(shuffle.permutations, [factor * d for d in shuffle.scales])
    assert_breaks(model, spec, moved, least=1e-3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("name", [*BASELINES, "mlp"])
def test_canonical_weights_make_any_model_invariant(name, activation, dtype):
    spec = NetworkSpec.cnn([2, 6, 5], kernel=3, outputs=4, activation=activation)
    torch.manual_seed(0)
    options = BASELINES.get(name, {"head": [8, 8]})
    model = build_model(f"generalization/{name}", spec, **options, canonicalize=True).to(dtype)
    element = MonomialElement.sample(spec, 4, permute=name != "mlp")
    assert_invariant(model, spec, element=element)
    # Before the sigmoid and on weights as they come, the same element is noticed: the model is no constant.
    assert_breaks(before_the_sigmoid(model), spec, element, least=1e-3)
    if name == "mlp":
        shuffled = MonomialElement.sample(spec, 4, (1.0, 1.0))
        bare = before_the_sigmoid(model)
        assert_breaks(bare, spec, shuffled, least=1e-3)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_standardisation_takes_the_weights_that_the_model_reads(activation):
    """On canonical weights, the scales and signs of the training networks leave no trace in the model."""
    spec = NetworkSpec.cnn([2, 6, 5], kernel=3, outputs=4, activation=activation)
    training = WeightSpaceFeatures.randn(spec, 20, dtype=torch.float64)
    moved = MonomialElement.sample(spec, 20).act(training)
    models = []
    for canonical in (True, False):
        for networks in (training, moved):
            torch.manual_seed(0)
            model = build_model("generalization/np", spec, **BASELINES["np"], canonicalize=canonical).double()
            model.prepare(networks)
            models.append(model)
    (means, same), (raw, other) = [[model.features[0].means for model in pair] for pair in (models[:2], models[2:])]
    torch.testing.assert_close(means, same)
    torch.testing.assert_close(models[0](training), models[1](moved))
    torch.testing.assert_close(raw[0], training.weights[0].mean())
    assert not torch.allclose(raw, other) and not torch.allclose(raw, means)


@pytest.mark.parametrize("layer", ["linear", "messages"])
@pytest.mark.parametrize("name", [name for name, (_, parameters) in PUBLISHED.items() if parameters])
def test_forward_and_backward_on_the_meta_device(name, layer):
    """No layer names a device: everything runs where no memory is."""
    activation, _ = PUBLISHED[name]
    has_layer = hasattr(load_recipe(name).model, "layer")
    recipe = load_recipe(name, [f"model.layer={layer}"] * has_layer)
    canonical = {"canonicalize": True} if "canonicalize" in recipe.model.options() else {}
    spec = small_cnn_zoo(activation)
    with torch.device("meta"):
        model = build_model(f"generalization/{recipe.model.name}", spec, **recipe.model.options() | canonical).eval()
        features = WeightSpaceFeatures.zeros(spec, 8)
        output = model(features)
        output.sum().backward()
    assert output.shape == (8,) and output.device.type == "meta"
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_on_a_gpu_as_on_the_cpu():
    spec = small_cnn_zoo("relu")
    model = build_model("generalization/monomial", spec).double()
    features = WeightSpaceFeatures.randn(spec, 8, dtype=torch.float64)
    here = model(features)
    there = model.to("cuda")(features.to(device="cuda")).cpu()
    torch.testing.assert_close(there, here)


def test_groups_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="use normalize"):
        build_model("generalization/monomial", small_cnn_zoo("relu"), invariant="absolute")
    with pytest.raises(UsageError, match="use tanh or sin"):
        build_model("generalization/monomial", small_cnn_zoo("tanh"), activation="relu")
    with pytest.raises(UsageError, match="unknown model"):
        build_model("generalization/monomail", small_cnn_zoo("relu"))
