"""Networks as other people train and keep them, written in the layouts that docs/formats.md describes.

Nothing here uses the importers. The slow readings take one file after another, one tensor after another.
"""

import hashlib
import json
import re
from collections import OrderedDict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.build.siren_fit import draw_siren, fit_networks
from mnfn_cli.zoo.images import load_images

SIREN = NetworkSpec.mlp([2, 10, 10, 1], activation="sin", omega=30.0)
NFN_KEYS = ["net.0.linear.weight", "net.0.linear.bias", "net.1.linear.weight", "net.1.linear.bias",
            "net.2.weight", "net.2.bias"]  # fmt: skip
DWS_KEYS = [f"seq.{layer}.{kind}" for layer in range(3) for kind in ("weight", "bias")]


def digits(size):
    """Pictures of digits ``(1797, 1, size, size)`` in [0, 1], and their classes."""
    images = load_images("digits", size)
    return images.pixels, images.labels


def fitted_sirens(count, spec=SIREN, size=8, steps=60):
    """Tensors W(1), b(1), ... of SIRENs that were fitted to digits on [-1, 1], and the classes of the digits."""
    pixels, labels = digits(size)
    streams = [torch.Generator().manual_seed(seed) for seed in range(count)]
    targets = (2 * pixels[:count] - 1).repeat(1, spec.widths[-1], 1, 1)
    networks = fit_networks(spec, draw_siren(spec, streams), targets, steps=steps, learning_rate=1e-3)
    return [([t[row, 0] for t in networks.tensors()], int(labels[row])) for row in range(count)]


class Sine(nn.Module):
    """sin(30 x)."""

    def forward(self, x):
        return torch.sin(30 * x)


def siren_module(tensors, offset=0.0):
    """A plain torch module of a SIREN, whose last layer is linear."""
    layers = []
    for weight, bias in zip(tensors[0::2], tensors[1::2], strict=True):
        linear = nn.Linear(weight.shape[1], weight.shape[0])
        linear.weight.data, linear.bias.data = weight.clone(), bias.clone()
        layers += [linear, Sine()]
    net = nn.Sequential(*layers[:-1])
    return lambda grid: net(grid).detach() + offset


def grid(size):
    """Coordinates (y, x) of all pixels, as the published code makes them."""
    sides = [torch.linspace(-1, 1, size)] * 2
    return torch.stack(torch.meshgrid(*sides, indexing="ij"), dim=-1).reshape(-1, 2)


class PublishedCnn(nn.Module):
    """The smaller CNN of the model zoos of Schürholt et al., for pictures of 28x28 pixels."""

    def __init__(self):
        super().__init__()
        self.module_list = nn.ModuleList([
            nn.Conv2d(1, 8, 5), nn.MaxPool2d(2, 2), nn.Tanh(),
            nn.Conv2d(8, 6, 5), nn.MaxPool2d(2, 2), nn.Tanh(),
            nn.Conv2d(6, 4, 2), nn.Tanh(), nn.Flatten(),
            nn.Linear(36, 20), nn.Tanh(), nn.Linear(20, 10),
        ])  # fmt: skip

    def forward(self, x):
        for module in self.module_list:
            x = module(x)
        return x


class NormCnn(nn.Module):
    """Convolutions with batch normalisation, max pooling, a flattened map; names that no number orders."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            OrderedDict(conv1=nn.Conv2d(1, 6, 3, bias=False), bn1=nn.BatchNorm2d(6), act1=nn.ReLU())
            | OrderedDict(pool=nn.MaxPool2d(2), conv2=nn.Conv2d(6, 8, 3, padding=1), bn2=nn.BatchNorm2d(8))
            | OrderedDict(act2=nn.ReLU())
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(392, 12), nn.ReLU(), nn.Linear(12, 10))

    def forward(self, x):
        return self.classifier(self.features(x))


NORM_OPTIONS = ["--activation", "relu", "--pool", "max2,none", "--padding", "0,1", "--batchnorm", "after-layer"]


def trained(net, seed, size, steps=25):
    """A network after some steps on digits, in evaluation mode, and its accuracy on the last 300 digits."""
    torch.manual_seed(seed)
    for module in net.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    pixels, labels = digits(size)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for step in range(steps):
        rows = torch.arange(64 * step, 64 * (step + 1)) % 1400
        optimizer.zero_grad()
        F.cross_entropy(net(pixels[rows]), labels[rows]).backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        return net, float((net(pixels[-300:]).argmax(1) == labels[-300:]).double().mean())


def write_nfn(root, sirens, indices, copies=0):
    """Write a set of the nfn library; further copies are the networks of the next digits."""
    for number, index in enumerate(indices):
        label = sirens[number][1]
        for copy in range(-1, copies):
            folder = root / f"randinit_smaller{'' if copy < 0 else f'_aug{copy}'}_{label}s"
            folder.mkdir(parents=True, exist_ok=True)
            tensors = sirens[(number + 5 * (copy + 1)) % len(sirens)][0]
            torch.save(dict(zip(NFN_KEYS, tensors, strict=True)), folder / f"net{index}.pth")


def halved(tensors):
    """The SIREN on [0, 1] of one on [-1, 1], without the 0.5 that its user adds."""
    return [*tensors[:-2], tensors[-2] / 2, tensors[-1] / 2]


def write_dws_mnist(root, sirens):
    """Write a set in the layout of mnist-inrs, and its splits with absolute paths of another machine."""
    splits = {name: {"path": [], "label": []} for name in ("train", "val", "test")}
    for number, (tensors, label) in enumerate(sirens):
        part = "training" if number < 16 else "testing"
        name = f"mnist_png_{part}_{label}_{number}/checkpoints/model_final.pth"
        file = root / "mnist-inrs" / name
        file.parent.mkdir(parents=True)
        torch.save(dict(zip(DWS_KEYS, halved(tensors), strict=True)), file)
        split = "test" if part == "testing" else "val" if number % 5 == 0 else "train"
        splits[split]["path"].append(f"/home/them/dataset/mnist-inrs/{name}")
        splits[split]["label"].append(str(label))
    (root / "mnist_splits.json").write_text(json.dumps(splits))


def write_dws_fmnist(root, sirens):
    """Write a set in the layout of fmnist_inrs, whose files hold the class, and its splits as lists of paths."""
    splits = {"train": [], "val": [], "test": []}
    for number, (tensors, label) in enumerate(sirens):
        part = "train" if number < 16 else "test"
        (root / part).mkdir(parents=True, exist_ok=True)
        whole = dict(zip(DWS_KEYS, halved(tensors), strict=True)) | {"label": label}
        torch.save(whole, root / part / f"model_{number}.pth")
        splits["val" if number == 3 else part].append(f"../../fmnist_inrs/{part}/model_{number}.pth")
    (root / "splits.json").write_text(json.dumps(splits))


def write_model_zoo(root, cnns, epochs=(0, 5, 50), nlin="tanh"):
    """Write runs of Ray Tune; the last checkpoint is the trained network, and the ones before are scaled."""
    for seed, (net, accuracy) in enumerate(cnns):
        run = root / f"NN_tune_trainable_{seed:05d}_{seed}_seed={seed}_2022-01-01"
        rows = []
        for place, epoch in enumerate(epochs):
            folder = run / f"checkpoint_{epoch:06d}"
            folder.mkdir(parents=True)
            factor = (place + 1) / len(epochs)
            torch.save({name: factor * t for name, t in net.state_dict().items()}, folder / "checkpoints")
            torch.save({"state": {}, "param_groups": []}, folder / "optimizer")
        for epoch in range(max(epochs) + 1):
            config = {"model::nlin": nlin, "model::channels_in": 1, "seed": seed, "optim::lr": 0.0003, "cuda": False}
            measured = {"test_acc": accuracy * epoch / max(epochs), "train_acc": -999, "test_loss": float("nan")}
            rows.append(json.dumps(measured | {"training_iteration": epoch, "config": config, "pid": 7}))
        (run / "result.json").write_text("\n".join(rows) + "\n")


def slow_model_zoo(run, epoch):
    """Read a network of a run: its tensors and its accuracy."""
    state = torch.load(run / f"checkpoint_{epoch:06d}" / "checkpoints", weights_only=True)
    rows = [json.loads(line) for line in (run / "result.json").read_text().splitlines()]
    accuracy = next(row["test_acc"] for row in rows if row["training_iteration"] == epoch)
    return in_order(state), accuracy


def in_order(state):
    """The tensors of a state dict, weight before bias, by the first number in their names."""
    names = sorted(state, key=lambda name: (int(re.search(r"\d+", name)[0]), name.endswith("bias")))
    return [state[name] for name in names]


def hashes(root):
    """The SHA-256 of every file below a folder, and the targets of links."""
    return {
        str(path.relative_to(root)): str(path.readlink()) if path.is_symlink() else
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(root).rglob("*")) if path.is_symlink() or path.is_file()
    }  # fmt: skip
