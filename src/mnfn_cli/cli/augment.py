"""mnfn augment: change the weights of a zoo's networks without changing what they compute."""

from typing import Annotated

import typer

from mnfn_cli.cli.console import Console
from mnfn_cli.cli.job import claim, job
from mnfn_cli.cli.options import A_ZOO, Device, Force, Json, Out, Quiet, Seed, ZooPath, examples

EXAMPLES = examples(
    "mnfn augment zoos/digits-relu -o zoos/digits-relu-scaled --scale 1 1e4",
    "mnfn augment zoos/digits-relu -o zoos/digits-relu-more --scale 1 10 --copies 3 --keep-original",
    "mnfn augment zoos/digits-inr -o zoos/digits-inr-shifted --shifts 3",
)


def augment(
    zoo: ZooPath,
    out: Annotated[Out, A_ZOO],
    scale: Annotated[
        tuple[float, float],
        typer.Option(
            help="Draw factors between these numbers for the hidden neurons of ReLU and leaky ReLU networks.",
            metavar="LOW HIGH",
        ),
    ] = (1.0, 1e4),
    copies: Annotated[int, typer.Option(min=1, help="Make this many copies of each network.")] = 1,
    keep_original: Annotated[
        bool, typer.Option("--keep-original", help="Keep the unchanged networks beside the copies.")
    ] = False,
    log_uniform: Annotated[
        bool, typer.Option("--log-uniform", help="Draw the logarithms of the factors uniformly, not the factors.")
    ] = False,
    no_permute: Annotated[
        bool, typer.Option("--no-permute", help="Scale neurons or flip their signs, but leave them in their order.")
    ] = False,
    shifts: Annotated[
        int,
        typer.Option(
            help="Shift the biases of SIRENs by up to this many times pi / omega, up or down, which a sine undoes by a "
            "change of sign.",
            metavar="K",
        ),
    ] = 0,
    no_verify: Annotated[
        bool,
        typer.Option(
            "--no-verify", help="Do not run the networks to check that they compute the same, which is faster."
        ),
    ] = False,
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Change the weights of every network without changing what it computes, and check that nothing changed.

    Hidden neurons are permuted, and scaled (ReLU and leaky ReLU) or flipped in sign (tanh and sine), at random; with
    --shifts the biases of SIRENs are shifted too, except in layers whose biases are all 0.
    """
    console = Console(quiet=quiet, json=json)
    from mnfn_cli.storage.outputs import Output
    from mnfn_cli.zoo.augment import augment_zoo
    from mnfn_cli.zoo.contents import ZOO
    from mnfn_cli.zoo.store import open_zoo

    source = open_zoo(zoo)
    claim([Output(out, ZOO)], [zoo], force=force)
    for spec in (space.spec for space in source.spaces):
        if spec.group != "scale":
            console.note(f"{spec.activation} networks: {spec.group} group, --scale does not matter")
    with job(console, device, shared=True) as context:
        report = augment_zoo(
            source,
            out,
            scale=scale,
            copies=copies,
            keep_original=keep_original,
            log_uniform=log_uniform,
            permute=not no_permute,
            shifts=shifts,
            verify=not no_verify,
            seed=seed,
            force=force,
            context=context,
        )
    text = f"{out}: {len(report.zoo)} networks"
    if report.largest_error is None:
        text += ", not verified"
    else:
        text += f"; largest max |f - g| / max |f| {report.largest_error:.1e}; {report.constant} constant networks"
    document = {"zoo": str(out), "networks": len(report.zoo), "verified": not no_verify}
    console.result(document | {"largest_error": report.largest_error, "constant": report.constant}, text)
