"""Models for INRs: published counts, symmetry, no device of their own."""

import pytest
import torch

from mnfn_cli.errors import UsageError
from mnfn_cli.models.functional import Functional
from mnfn_cli.recipe import list_recipes, load_recipe
from mnfn_cli.tasks.functional import build_model
from mnfn_cli.testing import assert_breaks, assert_equivariant, assert_invariant, relative_difference
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec

GREY = NetworkSpec.mlp([2, 32, 32, 1], activation="sin", omega=30.0)
COLOUR = NetworkSpec.mlp([2, 32, 32, 3], activation="sin", omega=30.0)
SMALL = NetworkSpec.mlp([2, 7, 6, 3], activation="sin", omega=15.0)

PUBLISHED = {
    "classification/mnist-monomial": 22_146_603,
    "classification/mnist-hnp": 22_083_114,
    "classification/mnist-np": 15_213_866,
    "classification/mnist-mlp": 2_197_010,
    "classification/fashion-monomial": 20_494_603,
    "classification/fashion-hnp": 22_083_114,
    "classification/fashion-np": 15_213_866,
    "classification/fashion-mlp": 2_197_010,
    "classification/cifar10-monomial": 16_248_045,
    "classification/cifar10-hnp": 42_379_306,
    "classification/cifar10-np": 16_237_866,
    "classification/cifar10-mlp": 2_263_010,
    "editing/mnist-dilate-monomial": 4_134_153,
    "editing/mnist-dilate-hnp": 6_440_853,
    "editing/mnist-dilate-np": 4_133_656,
    "editing/mnist-dilate-mlp": 4_374_191,
    "editing/cifar10-contrast-monomial": 4_134_827,
    "editing/cifar10-contrast-hnp": 12_878_235,
    "editing/cifar10-contrast-np": 4_133_656,
    "editing/cifar10-contrast-mlp": 4_506_257,
}
INR_RECIPES = [entry.name for entry in list_recipes() if not entry.name.startswith("generalization/")]
TINY_STACK = {"fourier": {"size": 4, "scale": 1.0}, "base_channels": [6, 6]}
ODD = {"channels": [6, 4], "layer": "messages", "unit_scale": True}


def build(recipe, spec):
    return build_model(f"{recipe.task}/{recipe.model.name}", spec, **recipe.model.options())


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", PUBLISHED)
def test_recipes_have_the_published_counts(name):
    with torch.device("meta"):
        assert count(build(load_recipe(name), COLOUR if "cifar10" in name else GREY)) == PUBLISHED[name]


def test_every_recipe_with_a_published_design_is_counted_here():
    ours = ("digits", "photos", "strict", "absolute", "probe")
    assert {name for name in INR_RECIPES if not any(word in name for word in ours)} == set(PUBLISHED)


def test_without_options_the_published_model():
    published = {"monomial": 22_146_603, "hnp": 22_083_114, "np": 15_213_866, "mlp": 2_197_010}
    with torch.device("meta"):
        for name, number in published.items():
            assert count(build_model(f"classification/{name}", GREY)) == number
        assert count(build_model("editing/monomial", COLOUR)) == 4_134_827
        assert count(build_model("classification/absolute", GREY, classes=7)) == 22_083_114 - 3003


@pytest.mark.parametrize("name", INR_RECIPES)
def test_forward_and_backward_on_the_meta_device(name):
    """No layer names a device: everything runs where no memory is."""
    spec = COLOUR if "cifar10" in name or "photos" in name else GREY
    with torch.device("meta"):
        model = build(load_recipe(name), spec)
        output = model(WeightSpaceFeatures.zeros(spec, 4))
        if isinstance(output, torch.Tensor):
            assert output.shape == (4, 10)
            learns_more = isinstance(model, Functional)
            zeros = WeightSpaceFeatures.zeros(spec, 4)
            (model.training_loss(zeros, torch.sum) if learns_more else output.sum()).backward()
        else:
            assert [t.shape for t in output.tensors()] == [
                t.shape for t in WeightSpaceFeatures.zeros(spec, 4).tensors()
            ]
            sum(tensor.sum() for tensor in output.tensors()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def classifiers(**more):
    common = {**TINY_STACK, "head": [8, 8], "classes": 5, **more}
    yield "absolute", common
    yield "monomial", common | ODD | {"keep_input": True}
    yield "monomial", common | {"channels": [6, 1], "base": "np", "encoding": {"bands": 2, "max_freq": 4.0}}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("case", range(3))
def test_sign_invariant_classifiers(case, dtype):
    torch.manual_seed(0)
    name, options = list(classifiers())[case]
    model = build_model(f"classification/{name}", SMALL, **options).to(dtype).eval()
    assert_invariant(model, SMALL)
    right = MonomialElement.identity(SMALL, 3)
    wrong = MonomialElement(right.permutations, [3 * d for d in right.scales])
    # The last biases of the untrained head are most of the logits.
    assert_breaks(model, SMALL, wrong, least=1e-3)


@pytest.mark.parametrize("name", ["np", "hnp"])
def test_baselines_know_permutations_only(name):
    torch.manual_seed(0)
    classifier = build_model(f"classification/{name}", SMALL, **TINY_STACK, head=[8, 8], encoding=None).double().eval()
    editor = build_model(f"editing/{name}", SMALL, **TINY_STACK).double()
    drawn = MonomialElement.sample(SMALL, 4)
    shuffle = MonomialElement(drawn.permutations, [torch.ones_like(d) for d in drawn.scales])
    assert_invariant(classifier, SMALL, element=shuffle)
    assert_equivariant(editor, SMALL, element=shuffle)
    flip = MonomialElement(shuffle.permutations, [-d for d in shuffle.scales])
    assert_breaks(classifier, SMALL, flip)
    assert_breaks(editor, SMALL, flip)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("widths", [[2, 7, 6, 3], [2, 7, 1], [2, 5, 4, 6, 1]])
@pytest.mark.parametrize("layer", ["linear", "messages"])
def test_the_strict_editor_commutes_with_flips_and_permutations(layer, widths, dtype):
    torch.manual_seed(0)
    spec = NetworkSpec.mlp(widths, activation="sin", omega=15.0)
    options = ODD | {"layer": layer, "encoding": {"bands": 2, "max_freq": 4.0}}
    model = build_model("editing/monomial-strict", spec, **TINY_STACK, **options, sharpness=2.0).to(dtype)
    for seed in range(5):
        assert_equivariant(model, spec, seed=seed)
    right = MonomialElement.identity(spec, 3)
    assert_breaks(model, spec, MonomialElement(right.permutations, [3 * d for d in right.scales]))


def test_the_published_editor_does_not():
    torch.manual_seed(0)
    model = build_model("editing/monomial", SMALL, **TINY_STACK).double()
    drawn = MonomialElement.sample(SMALL, 4)
    assert_equivariant(model, SMALL, element=MonomialElement(drawn.permutations, [d.abs() for d in drawn.scales]))
    assert_breaks(model, SMALL, MonomialElement(drawn.permutations, [-d.abs() for d in drawn.scales]))


def test_all_of_the_input_reaches_the_strict_editor():
    """Every number of every tensor matters to the change, the output bias and its sign among them."""
    torch.manual_seed(0)
    model = build_model("editing/monomial-strict", SMALL, **TINY_STACK, **ODD).double()
    x = WeightSpaceFeatures.randn(SMALL, 1, dtype=torch.float64)
    with torch.no_grad():
        before = model(x)
        for number in range(len(x)):
            for kind in ("weights", "biases"):
                changed = {"weights": list(x.weights), "biases": list(x.biases)}
                changed[kind][number] = changed[kind][number] * -1.5
                after = model(WeightSpaceFeatures(**changed))
                assert relative_difference(after, before) > 1e-4, (kind, number)


def test_what_does_not_fit_is_refused():
    relu = NetworkSpec.mlp([2, 4, 4, 1], activation="relu")
    with pytest.raises(UsageError, match="use hnp"):
        build_model("classification/monomial", relu)
    with pytest.raises(UsageError, match="reads one channel"):
        build_model("editing/monomial", SMALL, channels=[16, 2])
    with pytest.raises(UsageError, match="relu breaks the sign group"):
        build_model("editing/monomial-strict", SMALL, channels=[4, 4], base_channels=[4], activation="relu")
