"""mnfn zoo: build, look at, check, draw and export zoos."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mnfn_cli.cli.console import Console
from mnfn_cli.cli.help import App
from mnfn_cli.cli.options import (
    Activation,
    Device,
    Force,
    Json,
    Out,
    Quiet,
    Seed,
    Split,
    ZooPath,
    command_line,
    examples,
)
from mnfn_cli.cli.table import Table

POOR_PSNR = 20.0
"""dB below which a picture is hard to recognise in its network."""

app = App(help="Build, look at, check, draw and export zoos: folders of many networks and what is known of them.")
Ids = Annotated[
    str | None, typer.Option("--ids", help="Take only the networks of these ids, with commas between, such as 3,17.")
]
build = App(help="Build a zoo by training its networks on this machine.")
app.add_typer(build, name="build")


@build.command(
    "cnn",
    epilog=examples(
        "mnfn zoo build cnn --images digits --activation relu --count 600 -o zoos/digits-relu",
        "mnfn zoo build cnn --images digits --activation tanh --count 200 --epochs 10 -o zoos/digits-tanh",
    ),
)
def build_cnn(
    out: Out,
    images: Annotated[str, typer.Option(help="digits, a folder with a subfolder a class, or an .npz file.")] = "digits",
    activation: Activation = "relu",
    count: Annotated[int, typer.Option(min=1, help="Number of networks.")] = 600,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over each network's pictures.")] = 10,
    size: Annotated[
        int | None, typer.Option(min=1, help="Resize pictures to SIZE x SIZE.", show_default="16: digits")
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train a zoo of image classifiers, with hyperparameters drawn for each; interrupted, it continues."""
    console = Console(quiet=quiet, json=json)
    from mnfn_cli.runtime.device import resolve_device
    from mnfn_cli.runtime.interruption import interruptible
    from mnfn_cli.zoo.build.cnn import CnnZooPlan, build_cnn_zoo, cnn_spec
    from mnfn_cli.zoo.images import load_images

    pictures = load_images(images, size)
    spec = cnn_spec(pictures, activation)
    if spec.paddings[0] != (0, 0):
        console.note(f"pictures of {tuple(pictures.pixels.shape[2:])} are small: padding 1 in every convolution")
    chosen = resolve_device(device)
    console.note(f"training {count} networks {spec} on {chosen}")
    with interruptible() as interruption:
        zoo = build_cnn_zoo(
            CnnZooPlan(spec, count, epochs, seed),
            pictures,
            out,
            force=force,
            command=command_line(),
            device=chosen,
            progress=console.progress(),
            check=lambda: interruption.check(out, "what is trained is kept; the same command continues"),
        )
    _show(console, zoo)


@build.command(
    "siren",
    epilog=examples(
        "mnfn zoo build siren --images digits --init shared -o zoos/digits-inr",
        "mnfn zoo build siren --images photos --count 100 -o zoos/photos-inr",
        "mnfn zoo build siren --images my-picture.png --size 16 --like zoos/digits-inr -o zoos/mine",
    ),
)
def build_siren(
    out: Out,
    images: Annotated[
        str, typer.Option(help="digits, photos, a folder of pictures, one picture, or an .npz file.")
    ] = "digits",
    init: Annotated[
        str | None,
        typer.Option(help="random: each network has its own start; shared: all have one.", show_default="random"),
    ] = None,
    like: Annotated[
        Path | None, typer.Option(metavar="ZOO_OR_RUN", help="Fit as the networks of this zoo or run were fitted.")
    ] = None,
    copies: Annotated[int, typer.Option(min=1, help="Networks of each picture, with random starts.")] = 1,
    width: Annotated[
        int | None, typer.Option(min=1, help="Width of hidden layers.", show_default="16 up to 16x16, else 32")
    ] = None,
    depth: Annotated[int | None, typer.Option(min=1, help="Hidden layers.", show_default="2")] = None,
    omega: Annotated[
        float | None, typer.Option(help="Factor inside the sine.", show_default="15 up to 16x16, else 30")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of Adam.", show_default="400, or 150")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.", show_default="0.001")] = None,
    size: Annotated[
        int | None, typer.Option(min=1, help="Resize pictures to SIZE x SIZE.", show_default="16: digits")
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="Fit only so many pictures, drawn at random.", show_default="all")
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Fit a SIREN to every picture, which is then in the network's weights; interrupted, it continues."""
    console = Console(quiet=quiet, json=json)
    import statistics

    from mnfn_cli.runtime.device import resolve_device
    from mnfn_cli.runtime.interruption import interruptible
    from mnfn_cli.tasks.finished_run import design_of
    from mnfn_cli.zoo.build.siren import build_siren_zoo
    from mnfn_cli.zoo.build.siren_plan import SirenZooPlan, choose_images, fit_channels, require_only_like, siren_design
    from mnfn_cli.zoo.images import load_images

    every = {"init": init, "width": width, "depth": depth, "omega": omega, "steps": steps, "learning_rate": lr}
    own: dict[str, Any] = {name: value for name, value in every.items() if value is not None}
    if like is None:
        pictures = choose_images(load_images(images, size), count, seed)
        design = siren_design(pictures, seed=seed, **own)
    else:
        design = design_of(like)
        require_only_like(like, design, size, own)
        pictures = load_images(images, size, expected=design.fit.size)
        pictures, changed = fit_channels(choose_images(pictures, count, seed), design.channels)
        if changed:
            console.note(changed)
    plan = SirenZooPlan(design, copies, seed)
    chosen = resolve_device(device)
    number = copies * len(pictures.pixels)
    console.note(
        f"fitting {number} networks {design.spec}, {design.fit.init} start, {design.fit.steps} steps, on {chosen}"
    )
    with interruptible() as interruption:
        zoo = build_siren_zoo(
            plan,
            pictures,
            out,
            force=force,
            command=command_line(),
            device=chosen,
            progress=console.progress(),
            check=lambda: interruption.check(out, "what is fitted is kept; the same command continues"),
        )
    middle = statistics.median(zoo.table["psnr"].to_list())
    if middle < POOR_PSNR:
        console.note(
            f"median PSNR {middle:.1f} dB: the networks hardly hold their pictures; more --steps, or another --lr"
        )
    _show(console, zoo)


@app.command("info", epilog=examples("mnfn zoo info zoos/digits-relu"))
def info(zoo: ZooPath, quiet: Quiet = False, json: Json = False) -> None:
    """Say what a zoo holds: how many networks of which kind, their splits, and how good they are."""
    from mnfn_cli.zoo.store import open_zoo

    _show(Console(quiet=quiet, json=json), open_zoo(zoo))


@app.command("verify", epilog=examples("mnfn zoo verify zoos/digits-relu"))
def verify(zoo: ZooPath, quiet: Quiet = False, json: Json = False) -> None:
    """Check that a zoo is whole: checksums, shapes, finite weights, and a table that agrees with them."""
    from mnfn_cli.errors import MnfnError
    from mnfn_cli.zoo.store import open_zoo, verify_zoo

    faults = verify_zoo(zoo)
    if faults:
        raise MnfnError.together(faults) if len({type(f) for f in faults}) > 1 else type(faults[0]).together(faults)
    opened = open_zoo(zoo)
    Console(quiet=quiet, json=json).result(
        {"zoo": str(zoo), "networks": len(opened), "faults": []}, f"{zoo}: {len(opened)} networks, no fault found"
    )


@app.command(
    "export",
    epilog=examples("mnfn zoo export zoos/digits-relu -o checkpoints --split test --limit 20"),
)
def export(
    zoo: ZooPath,
    out: Out,
    split: Split = None,
    ids: Ids = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Write at most this many networks.")] = None,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write each network of a zoo into a .safetensors file of its own, with its id, architecture and labels inside."""
    from mnfn_cli.zoo.export import export_zoo
    from mnfn_cli.zoo.store import open_zoo

    chosen = [name.strip() for name in ids.split(",")] if ids else []
    count = export_zoo(open_zoo(zoo), out, split=split, ids=chosen, limit=limit, force=force)
    Console(quiet=quiet, json=json).result({"output": str(out), "networks": count}, f"{out}: {count} networks")


@app.command(
    "render",
    epilog=examples(
        "mnfn zoo render zoos/digits-inr -o grid.png",
        "mnfn zoo render zoos/photos-inr -o test.png --split test --limit 24",
    ),
)
def render(
    zoo: ZooPath,
    out: Out,
    split: Split = None,
    ids: Ids = None,
    limit: Annotated[int, typer.Option(min=1, help="Draw at most this many networks.")] = 12,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Draw the images inside implicit neural representations, below those that they were fitted to, as a PNG."""
    from mnfn_cli.report.pictures import draw_zoo
    from mnfn_cli.storage.folders import check_output
    from mnfn_cli.zoo.export import choose_rows
    from mnfn_cli.zoo.store import open_zoo

    opened = open_zoo(zoo)
    check_output(out, force, inputs=(zoo,))
    chosen = [name.strip() for name in ids.split(",")] if ids else []
    rows = choose_rows(opened, split=split, ids=chosen, limit=limit)
    draw_zoo(opened, rows, out)
    Console(quiet=quiet, json=json).result({"output": str(out), "networks": len(rows)}, f"{out}: {len(rows)} networks")


def _show(console: Console, zoo: Any) -> None:
    splits = {name: len(zoo.rows(name)) for name in ("train", "val", "test")}
    document: dict[str, Any] = {
        "zoo": str(zoo.path),
        "networks": len(zoo),
        "spec": zoo.spec.to_json(),
        "group": zoo.spec.group,
        "splits": splits,
        "fingerprint": zoo.fingerprint,
        "columns": zoo.table.columns,
        "made": zoo.record.made.to_json(),
    }
    parts: list[str | Table] = [
        f"{zoo.path}: {len(zoo)} networks {zoo.spec}; {zoo.spec.num_parameters} numbers each, {zoo.spec.group} group",
        "splits: " + ", ".join(f"{name} {count}" for name, count in splits.items()),
    ]
    if "test_accuracy" in zoo.table.columns and len(zoo):
        accuracy = zoo.table["test_accuracy"].cast(float)
        deciles = [int(((accuracy >= k / 10) & (accuracy < (k + 1) / 10 + (k == 9))).sum()) for k in range(10)]
        document["test_accuracy"] = {
            "quantiles": {f"{q:g}": accuracy.quantile(q) for q in (0.1, 0.25, 0.5, 0.75, 0.9)},
            "tenths": deciles,
        }
        bars = [
            {"accuracy": f"{k / 10:.1f}-{(k + 1) / 10:.1f}", "networks": n, "": "#" * round(40 * n / len(zoo))}
            for k, n in enumerate(deciles)
        ]
        parts.append(Table(bars))
    if "psnr" in zoo.table.columns and len(zoo):
        quantiles = {f"{q:g}": zoo.table["psnr"].cast(float).quantile(q) for q in (0.1, 0.25, 0.5, 0.75, 0.9)}
        document["psnr"] = {"quantiles": quantiles}
        parts.append("PSNR in dB: " + ", ".join(f"{q} quantile {value:.1f}" for q, value in quantiles.items()))
    console.result(document, *parts)
