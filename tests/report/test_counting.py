"""Counts of parameters: the paper's tables to the last number, from shapes alone."""

import re
from itertools import pairwise

import pytest
import torch

from mnfn_cli.models.functional import count_parameters
from mnfn_cli.recipe import list_recipes, load_recipe
from mnfn_cli.report.counting import growth, paper_tables, size_of_layers
from mnfn_cli.report.figures import plot_growth
from mnfn_cli.tasks.counting import layers_of, skeleton, usual_space
from mnfn_cli.tasks.functional import build_model

CLASSIFICATION = {"monomial": (22_146_603, 20_494_603, 16_248_045), "hnp": (22_083_114, 22_083_114, 42_379_306)}
CLASSIFICATION |= {"np": (15_213_866, 15_213_866, 16_237_866), "mlp": (2_197_010, 2_197_010, 2_263_010)}
EDITING = {"np": (4_133_656, 4_133_656), "hnp": (6_440_853, 12_878_235)}
EDITING |= {"mlp": (4_374_191, 4_506_257), "monomial": (4_134_153, 4_134_827)}
EXPECTED = {
    "generalization/relu-monomial": 254_609,
    "generalization/tanh-monomial": 1_416_699,
    "generalization/tanh-monomial-complete": 1_423_739,
    **{f"generalization/{activation}-hnp": 2_811_743 for activation in ("relu", "tanh")},
    **{f"generalization/{activation}-np": 2_031_390 for activation in ("relu", "tanh")},
    **{f"generalization/{activation}-statnn": 1_059_001 for activation in ("relu", "tanh")},
    **{
        f"classification/{data}-{model}": count
        for model, counts in CLASSIFICATION.items()
        for data, count in zip(("mnist", "fashion", "cifar10"), counts, strict=True)
    },
    **{
        f"editing/{data}-{model}": count
        for model, counts in EDITING.items()
        for data, count in zip(("mnist-dilate", "cifar10-contrast"), counts, strict=True)
    },
}


@pytest.fixture(scope="module")
def rows():
    return {row.recipe: row for rows in paper_tables().values() for row in rows}


def test_the_papers_tables(rows):
    counted = {name: row.parameters for name, row in rows.items() if name in EXPECTED}
    assert counted == EXPECTED
    ours = {"relu-gnn", "tanh-gnn", "mnist-dilate-monomial-strict", "cifar10-contrast-monomial-strict"}
    assert {name.partition("/")[2] for name in set(rows) - set(EXPECTED)} == ours


def test_ours_stands_beside_the_papers(rows):
    row = rows["editing/cifar10-contrast-hnp"]
    assert (row.ours, row.paper) == ("12.9M", "12.8M")
    assert (rows["classification/mnist-mlp"].ours, rows["editing/mnist-dilate-mlp"].paper) == ("2M", None)
    for name, row in rows.items():
        if row.paper is not None and not name.endswith("gnn"):  # the GNN is sized by us
            paper, decimals = row.paper.rstrip("M"), len(row.paper.rstrip("M").partition(".")[2])
            # The paper rounds some counts and cuts others off, so by less than one unit of its last digit.
            assert abs(row.parameters / 1e6 - float(paper)) < 10**-decimals, name


@pytest.mark.parametrize("entry", list_recipes(), ids=lambda entry: entry.name)
def test_a_recipe_says_its_count(entry):
    recipe = load_recipe(entry.name)
    said = re.search(r"Parameters: ([\d,]+)", entry.path.read_text())
    model = skeleton(recipe, [usual_space(entry.name, recipe)])
    assert count_parameters(model) == int(said[1].replace(",", ""))
    layers = layers_of(model)
    assert sum(torch.Size(shape).numel() for layer in layers for shape in layer.shapes) == count_parameters(model)


@pytest.mark.parametrize(
    "name", ["generalization/relu-monomial", "classification/digits-monomial", "editing/digits-dilate-monomial-strict"]
)
def test_a_skeleton_has_the_real_shapes(name):
    recipe = load_recipe(name)
    spec = usual_space(name, recipe)
    real = build_model(f"{recipe.task}/{recipe.model.name}", spec, **recipe.model.options())
    shapes = {key: tensor.shape for key, tensor in real.named_parameters()}
    assert {key: tensor.shape for key, tensor in skeleton(recipe, [spec]).named_parameters()} == shapes


def test_building_a_skeleton_touches_no_memory_and_no_random_state():
    state = torch.get_rng_state()
    real = 0
    for name in (entry.name for entry in list_recipes()):
        recipe = load_recipe(name)
        model = skeleton(recipe, [usual_space(name, recipe)])
        tensors = [*model.parameters(), *model.buffers()]
        real = max(real, sum(tensor.numel() for tensor in tensors if not tensor.is_meta))
    assert real <= 1000
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.empty(1).is_meta


def test_layers():
    recipe = load_recipe("generalization/relu-monomial")
    layers = {layer.path: layer for layer in layers_of(skeleton(recipe, [usual_space("", recipe)]))}
    assert layers["features.1"].kind == "MonomialLinear" and layers["features.1"].parameters == 7_584
    assert "features.1.matrices" not in layers and layers["features"].shapes == ()
    assert layers["head.0"].shapes == ((200, 250), (200,))


def test_growth_is_linear_in_depth_against_quadratic_and_constant_in_width():
    sizes = growth()

    def differences(values):
        return [after - before for before, after in pairwise(values)]

    # The first network has no layer in the middle; from the next on the law holds.
    first, second = {}, {}
    for kind in ("monomial", "np", "hnp"):
        first[kind] = differences([size.parameters[kind] for size in sizes["depth"][1:]])
        second[kind] = differences(first[kind])
        assert len({size.parameters[kind] for size in sizes["width"]}) == 1
    assert set(first["monomial"]) == {512}  # e d (1 + 1) for one more layer
    for kind in ("np", "hnp"):
        assert len(set(second[kind])) == 1 and second[kind][0] > 0


def test_growth_by_the_formulas():
    d = e = 16
    for depth, n_0, n_L in ((2, 2, 1), (5, 2, 1)):
        first = (e * n_0 + e) * (d * n_0 + d)
        last = e * d * n_L**2 + e * d * n_L**2 + e * n_L
        assert size_of_layers(depth, 8).parameters["monomial"] == first + 2 * (depth - 2) * e * d + last
    numbers = 16 * (2 * 8 + 8 + 8 + 1)
    assert size_of_layers(2, 8).parameters["no symmetry"] == numbers * numbers + numbers


def test_the_picture(tmp_path):
    plot_growth(growth()).save(tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 10_000
