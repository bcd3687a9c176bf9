"""mnfn compare: do two checkpoints compute the same function, and are they the same network up to the group?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnfn_cli.cli import completion
from mnfn_cli.cli.console import Console
from mnfn_cli.cli.import_values import read_values
from mnfn_cli.cli.job import claim
from mnfn_cli.cli.options import BatchNorm, Force, Json, Layers, Quiet, Writes, examples, names
from mnfn_cli.cli.table import Table

if TYPE_CHECKING:
    from mnfn_cli.zoo.comparison import Comparison, LayerMove

UNSAID = "For files that do not say it:"

EXAMPLES = examples(
    "mnfn compare checkpoints/003.safetensors checkpoints/017.safetensors",
    "mnfn compare before.safetensors after.safetensors --align before-in-the-order-of-after.safetensors",
    "mnfn compare one.pt other.pt --activation relu --stride 2 --json",
)


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="The file of the network to move.", show_default=False)],
    b: Annotated[Path, typer.Argument(metavar="B", help="The file of the network to compare it with.")],
    align: Annotated[
        Path | None,
        typer.Option(
            "--align", help="Write A here, moved as near to B as permutations and factors of its neurons take it."
        ),
        Writes("a file with one network", "single-checkpoints"),
    ] = None,
    activation: Annotated[
        str | None,
        typer.Option(
            "--activation",
            help=f"{UNSAID} the activation after every layer but the last, such as relu, tanh or sin.",
            autocompletion=completion.every_activation,
        ),
    ] = None,
    omega: Annotated[
        float | None, typer.Option("--omega", help=f"{UNSAID} the frequency of sine layers: sin(OMEGA * (W x + b)).")
    ] = None,
    stride: Annotated[
        str | None,
        typer.Option("--stride", help=f"{UNSAID} the stride of the convolutions, one number or one for each."),
    ] = None,
    padding: Annotated[
        str | None, typer.Option("--padding", help=f"{UNSAID} the zero padding of the convolutions, in the same form.")
    ] = None,
    pool: Annotated[
        str | None,
        typer.Option("--pool", help=f"{UNSAID} the pooling after each convolution, such as max2,none."),
    ] = None,
    input_size: Annotated[
        str | None,
        typer.Option("--input-size", help=f"{UNSAID} the size of the pictures that the networks read, such as 28x28."),
    ] = None,
    layers: Layers = None,
    batchnorm: BatchNorm = None,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Say whether two networks compute the same function, and whether they are the same network up to the group.

    Hidden neurons may be permuted, and scaled (ReLU and leaky ReLU) or flipped in sign (tanh and sine), and the biases
    of sines shifted by multiples of pi / omega, without any change of the function. The result names the largest
    difference of the outputs on random inputs, the permutation, factors and shifts that take A nearest to B, and the
    distance that is left.
    """
    console = Console(quiet=quiet, json=json)
    from mnfn_cli.errors import printable
    from mnfn_cli.storage.outputs import Output
    from mnfn_cli.weightspace.layout import Reading
    from mnfn_cli.zoo.comparison import compare_pair, write_aligned
    from mnfn_cli.zoo.importers.architecture import Architecture
    from mnfn_cli.zoo.pair import read_pair

    if align is not None:
        claim([Output(align)], [a, b], force=force)
    said = {"activation": activation, "omega": omega, "stride": stride, "padding": padding, "pool": pool}
    said |= {"input_size": input_size}
    architecture = Architecture.of(**read_values(said))
    pair = read_pair(a, b, architecture, Reading(names(layers), batchnorm is not None))
    if not pair.complete:
        console.note("the files do not say stride, padding and pooling: say --stride to run the networks")
    found = compare_pair(pair)
    lines = [f"A {printable(a)}", f"B {printable(b)}", f"both {pair.spec}", _outputs(found)]
    left = found.alignment
    closing = [
        f"distance in canonical form: {left.residual_before[0]:.2g} before, {left.residual[0]:.2g} after; "
        f"the same network has at most {left.tolerance:g}",
        f"relative distance of the raw weights: {left.before[0]:.2g} before, {left.after[0]:.2g} after",
        found.verdict,
    ]
    if align is not None:
        write_aligned(pair, found.alignment, align)
        closing.append(f"{printable(align)}: A moved onto B")
    document = {"a": str(a), "b": str(b), **found.to_json(), "aligned": None if align is None else str(align)}
    rows = [_row(i, layer) for i, layer in enumerate(found.layers, 1)]
    console.result(document, *lines, Table(rows, title="A is nearest to B after"), *closing)


def _outputs(found: "Comparison") -> str:
    """Return a line on the difference of the outputs."""
    if found.outputs is None:
        return f"outputs: inconclusive: {found.inconclusive}"
    figures = (
        f"largest difference {found.outputs.absolute[0]:.2g}, relative {found.outputs.relative[0]:.2g}, on "
        f"{found.inputs} inputs"
    )
    answers = {True: "the same function", False: "different functions", None: f"inconclusive: {found.inconclusive}"}
    constant = ", and A is constant" if found.outputs.constant[0] else ""
    return f"outputs: {figures}: {answers[found.same_function]}{constant}"


def _row(number: int, layer: "LayerMove") -> dict[str, Any]:
    """Return the row of a hidden layer, with its factors in words."""
    factors = {
        "scale": f"{min(layer.factors):.3g} to {max(layer.factors):.3g}",
        "sign": f"{layer.flipped} flipped",
        "permutation": "none",
    }[layer.group]
    if layer.shifts is not None:
        factors += f", {sum(shift != 0 for shift in layer.shifts)} shifted"
    return {"layer": number, "neurons": len(layer.permutation), "moved": layer.moved, "factors": factors}
