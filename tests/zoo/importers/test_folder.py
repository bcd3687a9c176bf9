"""Anyone's folder: networks compute what the torch modules compute; nothing is guessed; files stay as they are."""

import os
from dataclasses import replace

import pytest
import torch
from foreign_files import NormCnn, PublishedCnn, digits, hashes, siren_module, write_dws_mnist
from safetensors.torch import save_file
from torch import nn

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.weightspace.layout import Reading
from mnfn_cli.weightspace.rendering import pixel_grid, render
from mnfn_cli.zoo.export import export_zoo
from mnfn_cli.zoo.importers.architecture import Architecture
from mnfn_cli.zoo.importers.dws_inr import plan_dws_inr
from mnfn_cli.zoo.importers.folder import UNKNOWN_SIZE, plan_folder
from mnfn_cli.zoo.importers.folder_labels import LabelOptions
from mnfn_cli.zoo.importers.inr_facts import InrOptions
from mnfn_cli.zoo.plan import write_plan
from mnfn_cli.zoo.verification import verify_zoo

NORM = Architecture(activation="relu", pools=("max2", "none"), paddings=((0, 0), (1, 1)))
AFTER_LAYER = Reading(batchnorm=True)
TANH = Architecture(activation="tanh", pools=("max2:before", "max2:before", "none"))


@pytest.fixture
def nets(norm_cnns, tmp_path):
    """Batch-normalised CNNs: plain state dicts, checkpoints around them, and safetensors."""
    folder = tmp_path / "nets"
    folder.mkdir()
    for number, (net, _) in enumerate(norm_cnns):
        state = net.state_dict()
        if number % 3 == 0:
            torch.save(state, folder / f"net{number}.pt")
        elif number % 3 == 1:
            wrapped = {"epoch": 3, "state_dict": {f"module.{name}": t for name, t in state.items()}, "optimizer": {}}
            torch.save(wrapped, folder / f"net{number}.pth")
        else:
            save_file(state, folder / f"net{number}.safetensors")
    return folder


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine").mkdir()
    return tmp_path / "mine"


def assert_same_function(zoo, nets_by_id, size, channels=1):
    """The networks compute what the torch modules in evaluation mode compute, to 1e-6 of its size."""
    pixels, _ = digits(size)
    inputs = pixels[:40].double().expand(-1, channels, -1, -1)
    for part in zoo.parts:
        outputs = run_networks(part.spec, part.read().to(dtype=torch.float64), inputs)
        for row, own in enumerate(part.ids):
            with torch.no_grad():
                expected = nets_by_id[own].double().eval()(inputs)
            nets_by_id[own].float()
            assert (outputs[row] - expected).abs().max() <= 1e-6 * expected.abs().max()


def test_batch_normalisation_max_pooling_and_a_flattened_map(nets, norm_cnns, tmp_path):
    before = hashes(nets)
    plan = plan_folder(nets, architecture=NORM, reading=AFTER_LAYER)
    zoo = write_plan(plan, tmp_path / "zoo")
    assert hashes(nets) == before and verify_zoo(zoo.path) == []
    assert zoo.ids == [f"net{number}" for number in range(6)]
    assert_same_function(zoo, {f"net{number}": net for number, (net, _) in enumerate(norm_cnns)}, 16)
    spaces = {space.layout.layers[0].weight for space in zoo.spaces}
    assert spaces == {"features.conv1.weight", "module.features.conv1.weight"} and len(zoo.spaces) == 2
    assert all(space.spec.flatten and space.spec.activation == "relu" for space in zoo.spaces)
    assert sorted(zoo.table["split"].unique()) and len(zoo.table["epoch"].drop_nulls()) == 2


def test_several_architectures_become_several_weight_spaces(nets, norm_cnns, plain_cnns, tmp_path):
    for number, (net, _) in enumerate(plain_cnns[:3]):
        save_file(net.state_dict(), nets / f"other{number}.safetensors", {"spec": "unreadable text"})
    with pytest.raises(DataError) as caught:
        plan_folder(nets, architecture=NORM, reading=AFTER_LAYER)
    assert "has 3 convolutions, and --padding has 2 entries" in str(caught.value) and len(caught.value.faults) == 3
    plan = plan_folder(nets, architecture=NORM, reading=AFTER_LAYER, skip_bad=True)
    assert any("say --input-size" in note for note in plan.notes)
    assert [space.name for space in plan.spaces] == ["1", "2"] and len(plan.skipped) == 3
    mixed = Architecture(activation="tanh", strides=((2, 2),))
    rest = tmp_path / "rest"
    rest.mkdir()
    torch.manual_seed(0)
    made = {
        "wide": nn.Sequential(nn.Conv2d(1, 8, 3, 2), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)),
        "slim": nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.Tanh(), nn.Conv2d(4, 4, 3, 2), nn.Tanh(),
                              nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)),
        "slim2": nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.Tanh(), nn.Conv2d(4, 4, 3, 2), nn.Tanh(),
                               nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)),
    }  # fmt: skip
    for name, net in made.items():
        torch.save(net.state_dict(), rest / f"{name}.pt")
    zoo = write_plan(plan_folder(rest, architecture=mixed), tmp_path / "zoo")
    assert [len(part) for part in zoo.parts] == [2, 1] and zoo.table["weight_space"].to_list() == ["1", "1", "2"]
    assert_same_function(zoo, made, 16)
    assert verify_zoo(zoo.path) == []


def test_inputs_are_normalised_and_outputs_shifted(folder, tmp_path):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 9), nn.GELU(), nn.Linear(9, 4))
    torch.save(net.state_dict(), folder / "a.pt")
    said = Architecture(
        activation="gelu", input_size=(3, 8, 8), input_mean=(0.1, 0.2, 0.3), input_std=(0.5,), output_offset=2.0
    )
    zoo = write_plan(plan_folder(folder, architecture=said), tmp_path / "zoo")
    pictures = torch.rand(10, 3, 8, 8)
    expected = net((pictures - torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)) / 0.5) + 2
    assert torch.allclose(run_networks(zoo.spec, zoo.read(), pictures.flatten(1))[0], expected, atol=1e-6)
    assert plan_folder(folder, architecture=replace(said, input_size=(8, 8))).spaces[0].spec == zoo.spec


def test_a_map_that_is_no_square_needs_the_size_of_the_pictures(folder, tmp_path):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(3 * 4 * 6, 5))
    torch.save(net.state_dict(), folder / "a.pt")
    with pytest.raises(DataError, match="reads 24 pixels of each channel, and the map before it is no square"):
        plan_folder(folder, architecture=Architecture(activation="tanh"))
    with pytest.raises(DataError, match="the map before it is 3x6; say --input-size"):
        plan_folder(folder, architecture=Architecture(activation="tanh", input_size=(5, 8)))
    said = Architecture(activation="tanh", input_size=(6, 8))
    zoo = write_plan(plan_folder(folder, architecture=said), tmp_path / "zoo")
    pictures = torch.rand(10, 1, 6, 8)
    assert torch.allclose(run_networks(zoo.spec, zoo.read(), pictures)[0], net(pictures), atol=1e-6)
    assert zoo.spec.num_layers == 2 and zoo.spec.widths == (1, 3, 5)


def test_the_order_of_layers_is_never_guessed(folder, tmp_path):
    torch.manual_seed(0)
    shapes = {"first": (4, 3), "middle_a": (4, 4), "middle_b": (4, 4), "last": (2, 4)}
    layers = {name: nn.Linear(n_in, n_out) for name, (n_out, n_in) in shapes.items()}
    state = {f"{name}.{kind}": t for name, layer in layers.items() for kind, t in layer.state_dict().items()}
    for name in "abc":
        torch.save(state, folder / f"{name}.pt")
    said = Architecture(activation="tanh")
    with pytest.raises(DataError) as caught:
        plan_folder(folder, architecture=said)
    assert len(caught.value.faults) == 1 and "a.pt and 2 more files: 2 orders" in caught.value.faults[0]
    assert caught.value.details["orders"] == [
        ["first", "middle_a", "middle_b", "last"],
        ["first", "middle_b", "middle_a", "last"],
    ]
    chosen = ("first", "middle_b", "middle_a", "last")
    zoo = write_plan(plan_folder(folder, architecture=said, reading=Reading(chosen)), tmp_path / "zoo")
    net = nn.Sequential(*[module for name in chosen for module in (layers[name], nn.Tanh())][:-1])
    inputs = torch.randn(10, 3)
    assert torch.allclose(run_networks(zoo.spec, zoo.read(), inputs)[0], net(inputs), atol=1e-6)


QUESTIONS = {
    "activation": (Architecture(), AFTER_LAYER, UsageError, "--activation: weights do not tell"),
    "unknown activation": (Architecture(activation="mish"), AFTER_LAYER, UsageError, "'mish' is unknown; known: relu"),
    "omega": (Architecture(activation="sin"), AFTER_LAYER, UsageError, "--omega: weights do not tell"),
    "omega of relu": (replace(NORM, omega=30.0), AFTER_LAYER, UsageError, "belongs to sine layers"),
    "batch normalisation": (NORM, Reading(), DataError, "say --batchnorm after-layer"),
    "size": (replace(NORM, input_size=(20, 20)), AFTER_LAYER, DataError, "say --input-size"),
    "channels": (replace(NORM, input_size=(3, 16, 16)), AFTER_LAYER, DataError, "reads pictures of 1 channels"),
    "mean": (replace(NORM, input_mean=(1.0, 2.0)), AFTER_LAYER, DataError, "does not fit what is said about it"),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_weights_do_not_tell_is_asked_once(nets, question):
    said, reading, kind, problem = QUESTIONS[question]
    with pytest.raises(kind) as caught:
        plan_folder(nets, architecture=said, reading=reading)
    assert problem in str(caught.value)
    if question == "batch normalisation":
        assert len(caught.value.faults) == 1 and "net0.pt and 5 more files: found" in caught.value.faults[0]


def test_exports_of_mnfn_come_back(digits_zoo, tmp_path):
    export_zoo(digits_zoo, tmp_path / "files")
    zoo = write_plan(plan_folder(tmp_path / "files"), tmp_path / "zoo")
    assert zoo.spec == digits_zoo.spec and zoo.ids == digits_zoo.ids
    assert torch.equal(zoo.read().flatten(), digits_zoo.read().flatten())
    for name in digits_zoo.table.columns:
        assert zoo.table[name].to_list() == digits_zoo.table[name].to_list(), name
    noted = plan_folder(tmp_path / "files", architecture=Architecture(activation="tanh")).notes
    assert "40 files say their architecture themselves; options are for the others" in noted


def test_exports_of_inrs_come_back(sirens, inr_zoo, tmp_path):
    export_zoo(inr_zoo, tmp_path / "files")
    plan = plan_folder(tmp_path / "files")
    zoo = write_plan(plan, tmp_path / "zoo")
    assert zoo.record.fit == {"size": [8, 8], "pixel_range": [-1.0, 1.0]}
    assert any("shared initial weights, which no file holds" in note for note in plan.notes)
    assert torch.equal(render(zoo.spec, zoo.read(), (8, 8)), render(inr_zoo.spec, inr_zoo.read(), (8, 8)))
    assert zoo.table["class"].to_list() == inr_zoo.table["class"].to_list()


def test_exports_of_imported_inrs_keep_their_pixels(sirens, tmp_path):
    write_dws_mnist(tmp_path, sirens)
    zoo = write_plan(plan_dws_inr(tmp_path / "mnist-inrs", inrs=InrOptions((8, 8))), tmp_path / "zoo")
    export_zoo(zoo, tmp_path / "files")
    plan = plan_folder(tmp_path / "files")
    again = write_plan(plan, tmp_path / "again")
    assert again.record.fit == zoo.record.fit and again.spec == zoo.spec and plan.notes == []


def test_inrs_of_anyone(sirens, folder, tmp_path):
    for number, (tensors, label) in enumerate(sirens[:6]):
        names = [f"mlp.{layer}.{kind}" for layer in "abc" for kind in ("weight", "bias")]
        torch.save(dict(zip(names, tensors, strict=True)) | {"digit": label}, folder / f"{number}.pt")
    said = Architecture(activation="sin", omega=30.0)
    plan = plan_folder(
        folder, architecture=said, inrs=InrOptions((8, 8), (-1.0, 1.0)), labels=LabelOptions(target="digit")
    )
    zoo = write_plan(plan, tmp_path / "zoo")
    assert zoo.table["class"].to_list() == [label for _, label in sirens[:6]] and zoo.record.fit["size"] == [8, 8]
    drawn = render(zoo.spec, zoo.read(), (8, 8))
    for row in range(6):
        expected = siren_module(sirens[row][0])(pixel_grid((8, 8))).reshape(8, 8)
        assert (drawn[row, 0] - expected).abs().max() < 1e-5
    with pytest.raises(UsageError, match="belong to INRs, and these networks are none"):
        plan_folder(folder, architecture=Architecture(activation="tanh"), inrs=InrOptions((8, 8)))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_numbers_keep_their_dtype_and_a_cast_is_said(plain_cnns, tmp_path, dtype):
    states = [net.state_dict() for net, _ in plain_cnns[:2]]
    for number, state in enumerate(states):
        torch.save({name: t.to(dtype) for name, t in state.items()}, tmp_path / f"{number}.pt")
    plan = plan_folder(tmp_path, architecture=TANH)
    assert plan.notes == [UNKNOWN_SIZE] and plan.read("1", range(2)).dtype == dtype
    torch.save(states[0], tmp_path / "single.pt")
    mixed = plan_folder(tmp_path, architecture=TANH)
    wider = torch.promote_types(dtype, torch.float32)
    names = ", ".join(sorted(str(kind).removeprefix("torch.") for kind in (dtype, torch.float32)))
    stored = str(wider).removeprefix("torch.")
    assert mixed.notes == [f"weight space 1: its files hold {names}, stored as {stored}", UNKNOWN_SIZE]
    assert mixed.read("1", range(3)).dtype == wider
    row = mixed.table["id"].to_list().index("0")
    first = mixed.read("1", range(row, row + 1)).weights[0][0, 0]
    assert torch.equal(first, states[0]["module_list.0.weight"].to(dtype).to(wider))


class Canary:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def write_bad(folder, name, net, canary):
    """Write a file that cannot be imported; return what the error says."""
    state = net.state_dict()
    match name:
        case "code":
            torch.save({"a.weight": Canary(canary)}, folder / "bad.pt")
            return "holds more than tensors"
        case "module":
            torch.save(net, folder / "bad.pt")
            return "holds more than tensors"
        case "list":
            torch.save(list(state.values()), folder / "bad.pt")
            return "is not a state dict: found an object of type list"
        case "bare tensor":
            torch.save(torch.zeros(3), folder / "bad.pt")
            return "found a bare tensor"
        case "giant":
            torch.save({"a.weight": torch.zeros(1).expand(10**6, 10**6)}, folder / "bad.pt")
            return "claims 1000000000000 numbers and stores 1"
        case "truncated":
            torch.save(state, folder / "bad.pt")
            (folder / "bad.pt").write_bytes((folder / "bad.pt").read_bytes()[:300])
            return "bad.pt"
        case "empty":
            (folder / "bad.safetensors").write_bytes(b"")
            return "has 0 bytes"
        case "integers":
            torch.save({name: t.int() for name, t in state.items()}, folder / "bad.pt")
            return "dtype int32"
        case "NaN":
            torch.save(state | {"module_list.9.bias": torch.full((20,), float("nan"))}, folder / "bad.pt")
            return "bad.pt:module_list.9.bias: is not finite"
        case "residual":
            torch.save(state | {"downsample.weight": torch.zeros(2, 2)}, folder / "bad.pt")
            return "residual connections are not supported"
        case "attention":
            torch.save(state | {"self_attn.in_proj_weight": torch.zeros(2, 2)}, folder / "bad.pt")
            return "attention is not supported"
        case "transposed":
            torch.save(state | {"up.deconv1.weight": torch.zeros(2, 2, 3, 3)}, folder / "bad.pt")
            return "transposed convolutions are not supported"
        case "layer norm":
            torch.save(state | {"norm.weight": torch.zeros(2), "norm.bias": torch.zeros(2)}, folder / "bad.pt")
            return "normalisation without running statistics cannot be folded"
        case "no chain":
            torch.save({"a.weight": torch.zeros(3, 5), "b.weight": torch.zeros(2, 4)}, folder / "bad.pt")
            return "its layers form no chain"
        case "one layer":
            torch.save({"a.weight": torch.zeros(3, 5)}, folder / "bad.pt")
            return "has 1 layer; a network needs at least 2"
        case "nothing":
            torch.save({}, folder / "bad.pt")
            return "holds no tensor"
        case "link out":
            target = folder.parent / "outside.pt"
            torch.save(state, target)
            (folder / "bad.pt").symlink_to(target)
            return "is a link that leads out of the folder"
        case "broken link":
            (folder / "bad.pt").symlink_to("nowhere.pt")
            return "is a link to nothing"
        case "loop of links":
            (folder / "bad.pt").symlink_to("bad.pt")
            return "is a link to nothing"
        case "pipe":
            os.mkfifo(folder / "bad.pt")
            return "is no regular file"
        case "one name twice":
            save_file(state, folder / "net0.safetensors")
            return "has the name of net0.pt"
        case "folder of links":
            (folder.parent / "outside").mkdir()
            (folder / "sub").symlink_to(folder.parent / "outside")
            return "is a link that leads out of the folder"
    raise AssertionError(name)


BAD = ["code", "module", "list", "bare tensor", "giant", "truncated", "empty", "integers", "NaN", "residual",
       "attention", "transposed", "layer norm", "no chain", "one layer", "nothing", "link out", "broken link",
       "loop of links", "pipe", "one name twice", "folder of links"]  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_named_and_good_ones_kept(plain_cnns, tmp_path, name):
    folder, canary = tmp_path / "nets", tmp_path / "ran"
    folder.mkdir()
    for number, (net, _) in enumerate(plain_cnns[:3]):
        torch.save(net.state_dict(), folder / f"net{number}.pt")
    problem = write_bad(folder, name, plain_cnns[0][0], canary)
    with pytest.raises(DataError) as caught:
        plan_folder(folder, architecture=TANH)
    assert len(caught.value.faults) == 1 and problem in str(caught.value), caught.value.faults
    plan = plan_folder(folder, architecture=TANH, skip_bad=True)
    assert plan.table["id"].to_list() == ["net0", "net1", "net2"] and len(plan.skipped) == 1
    assert not canary.exists()


def test_all_bad_files_are_named_in_one_pass(plain_cnns, tmp_path):
    for number in range(30):
        (tmp_path / f"net{number}.pt").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        plan_folder(tmp_path, architecture=TANH, skip_bad=True)
    assert len(caught.value.faults) == 30
    assert [line.split("net")[1].split(".")[0] for line in caught.value.faults] == [str(n) for n in range(30)]


def test_names_that_differ_in_zeros_or_in_folders(plain_cnns, tmp_path):
    folder = tmp_path / "nets"
    for number, name in enumerate(["001.pt", "1.pt", "sub/1.pt", "sub/é?.pt", "sub/è!.pt", ".hidden.pt", "a b.pt"]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        torch.save(plain_cnns[number][0].state_dict(), folder / name)
    zoo = write_plan(plan_folder(folder, architecture=TANH), tmp_path / "zoo")
    assert zoo.ids == ["a b", "sub-1", "sub-_", "sub-_-2", "001", "1"]
    assert zoo.table["file"].to_list() == ["a b.pt", "sub/1.pt", "sub/è!.pt", "sub/é?.pt", "001.pt", "1.pt"]
    assert export_zoo(zoo, tmp_path / "files") == 6


def test_names_that_are_no_text(plain_cnns, tmp_path):
    folder = tmp_path / "nets"
    folder.mkdir()
    for number, name in enumerate([b"bad\xff.pt", b"new\nline.pt", b"\x1b[31m.pt"]):
        torch.save(plain_cnns[number][0].state_dict(), folder / "x.pt")
        (folder / "x.pt").rename(folder / os.fsdecode(name))
    zoo = write_plan(plan_folder(folder, architecture=TANH), tmp_path / "zoo")
    assert len(zoo) == 3 and verify_zoo(zoo.path) == []
    assert "\x1b" not in (zoo.path / "table.csv").read_text()


def test_places_that_are_no_folder_of_networks(plain_cnns, digits_zoo, tmp_path):
    torch.save(plain_cnns[0][0].state_dict(), tmp_path / "a.pt")
    for path, problem in [
        (tmp_path / "nowhere", "no such folder"),
        (tmp_path / "a.pt", "is a file; name the folder"),
        (digits_zoo.path, "is a zoo of mnfn already"),
    ]:
        with pytest.raises(DataError, match=problem):
            plan_folder(path, architecture=TANH)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no \.safetensors, \.pt, \.pth file"):
        plan_folder(tmp_path / "empty", architecture=TANH)


def test_modules_are_written_as_they_were(norm_cnns):
    """The fixtures are what they say: max pooling follows the activation, and batch normalisation the layer."""
    assert [type(module).__name__ for module in NormCnn().features] == [
        "Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d", "Conv2d", "BatchNorm2d", "ReLU",
    ]  # fmt: skip
    assert all(accuracy > 0.2 for _, accuracy in norm_cnns) and len(PublishedCnn().module_list) == 12
