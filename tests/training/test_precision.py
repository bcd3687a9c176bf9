"""Training in bfloat16: products of matrices are rounded, the networks' own outputs and the parameters are not."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mnfn_cli import NetworkSpec, WeightSpaceFeatures, run_networks
from mnfn_cli.recipe import load_recipe
from mnfn_cli.storage.tensors import map_tensors
from mnfn_cli.tasks.batch_loss import BatchLoss
from mnfn_cli.tasks.data import load_split
from mnfn_cli.tasks.functional import build_functional
from mnfn_cli.tasks.task import task_class
from mnfn_cli.tasks.training import train_run

PRODUCTS = ("mm", "addmm", "bmm", "baddbmm")


class Products(TorchDispatchMode):
    """Remembers the dtypes of products of matrices."""

    def __init__(self):
        super().__init__()
        self.dtypes = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if function.overloadpacket._qualified_op_name.removeprefix("aten::") in PRODUCTS:
            self.dtypes.add(out.dtype)
        return out


def first_step(name, zoo, precision):
    """Return the loss, the gradients and the dtypes of the products of the first step of a recipe."""
    settings = ["training.batch_size=16", f"data.zoo=['{zoo.path}']", f"training.precision={precision}"]
    recipe = load_recipe(name, settings)
    task = task_class(recipe.task).on_zoos(recipe, [zoo])
    torch.manual_seed(0)
    model = build_functional(recipe, task.specs, task.model_options)
    train = load_split([zoo], "train", task.targets)
    if hasattr(model, "prepare"):
        model.prepare(train.features)
    with Products() as products:
        loss = BatchLoss(task, model, train, 16, 2)(0)
    loss.backward()
    gradients = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
    return float(loss.detach()), gradients, products.dtypes


@pytest.mark.parametrize(
    ("name", "zoo"),
    [
        ("generalization/relu-monomial", "digits_zoo"),
        ("generalization/relu-np", "digits_zoo"),
        ("generalization/relu-learned-test-set", "digits_zoo"),
        ("classification/digits-monomial", "inr_zoo"),
        ("editing/digits-dilate-monomial-strict", "inr_zoo"),
    ],
)
def test_a_step_is_that_of_float32_to_rounding(name, zoo, request):
    zoo = request.getfixturevalue(zoo)
    expected, direction, exact = first_step(name, zoo, "fp32")
    loss, gradients, rounded = first_step(name, zoo, "bf16")
    assert gradients.dtype == torch.float32
    assert loss == pytest.approx(expected, rel=0.03)
    assert torch.cosine_similarity(gradients, direction, dim=0) > 0.95
    assert torch.bfloat16 not in exact
    assert torch.bfloat16 in rounded


def test_networks_compute_in_their_own_dtype():
    spec = NetworkSpec.cnn([1, 4, 4], outputs=3, activation="relu")
    features = WeightSpaceFeatures.randn(spec, 5)
    inputs = torch.randn(6, 1, 8, 8)
    expected = run_networks(spec, features, inputs)
    with torch.autocast("cpu", torch.bfloat16):
        found = run_networks(spec, features, inputs)
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    assert torch.equal(found, expected)


def test_the_trained_model_is_a_float32_model(digits_zoo, tmp_path):
    settings = ["training.epochs=1", "training.precision=bf16", f"data.zoo=['{digits_zoo.path}']"]
    result = train_run(load_recipe("generalization/relu-monomial", settings), tmp_path / "run")
    assert result.steps > 0
    assert {tensor.dtype for tensor in map_tensors(tmp_path / "run" / "model.safetensors").values()} == {torch.float32}
