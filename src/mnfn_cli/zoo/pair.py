"""Read two checkpoint files whose networks are to be compared."""

from dataclasses import dataclass
from pathlib import Path

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.layout import find_layout
from mnfn_cli.weightspace.spec import NetworkSpec, read_spec
from mnfn_cli.zoo.single_files import SingleFile, read_network, read_state_dict


@dataclass(frozen=True)
class Pair:
    """Two networks of one weight space, each from a file of its own.

    Args:
        spec: the weight space.
        a, b: raw weights, ``(1, 1, ...)``, in the dtypes of the files.
        file_a, file_b: descriptions of the files.
        complete: whether ``spec`` says all that it takes to run the networks. If it was found from the shapes of
            tensors, nobody knows the strides, paddings and poolings of its convolutions.
    """

    spec: NetworkSpec
    a: WeightSpaceFeatures
    b: WeightSpaceFeatures
    file_a: SingleFile
    file_b: SingleFile
    complete: bool


def read_pair(a: Path, b: Path, activation: str | None = None, omega: float = 1.0) -> Pair:
    """Read two files with one network each, which must have one weight space.

    The weight space is that in the metadata of the files, which ``mnfn zoo export`` writes. If neither file has one, it
    is found from the shapes of the tensors and the activation.

    Args:
        a, b: the checkpoint files.
        activation: the activation of the networks, for files that do not say it.
        omega: the frequency of SIRENs, for files that do not say it.

    Raises:
        DataError: a file cannot be read, the networks have different weight spaces, or a number is not finite.
        UsageError: the activation is needed and not given, or contradicts that in a file.
    """
    stated = [(file, spec) for file in (a, b) if (spec := _stated_spec(file)) is not None]
    if len(stated) == 2 and not stated[0][1].fits(stated[1][1]):
        raise DataError(b, f"is another kind of network than {a}: {_differences(stated[0][1], stated[1][1])}")
    spec = next((spec for _, spec in stated if spec.input_size is not None), stated[0][1] if stated else None)
    complete = spec is not None
    if spec is None:
        spec = _spec_of_shapes(a, activation, omega)
        complete = not spec.kernels
    elif activation not in (None, spec.activation):
        raise UsageError("--activation", f"{activation}, but {stated[0][0]} holds a network with {spec.activation}")
    (features_a, file_a), (features_b, file_b) = read_network(a, spec), read_network(b, spec)
    return Pair(spec, features_a, features_b, file_a, file_b, complete)


def _stated_spec(file: Path) -> NetworkSpec | None:
    """Return the weight space in a file's metadata; None if it has none, or one that was written for people only."""
    _, metadata = read_state_dict(file)
    found = read_spec(metadata["spec"]) if "spec" in metadata else None
    return found if isinstance(found, NetworkSpec) else None


def _spec_of_shapes(file: Path, activation: str | None, omega: float) -> NetworkSpec:
    """Return the weight space that has the shapes of a file's tensors, with strides of 1 and no padding or pooling."""
    tensors, metadata = read_state_dict(file)
    if activation is None and "activation" not in metadata:
        raise UsageError("--activation", f"{file} does not say which activation its network has; say it")
    layout = find_layout({name: tuple(tensor.shape) for name, tensor in tensors.items()}, str(file))
    shapes = layout.weight_shapes(str(file))
    kernels = [(shape[2], shape[3]) for shape in shapes if len(shape) == 4]
    return NetworkSpec(
        widths=(shapes[0][1], *(shape[0] for shape in shapes)),
        activation=activation or metadata["activation"],
        kernels=tuple(kernels),
        strides=((1, 1),) * len(kernels),
        paddings=((0, 0),) * len(kernels),
        omega=omega,
        flatten=any(len(names.shape) < len(shape) for names, shape in zip(layout.layers, shapes, strict=True)),
    )


def _differences(a: NetworkSpec, b: NetworkSpec) -> str:
    """Return in which fields two weight spaces differ, such as ``activation relu and tanh``."""
    one, other = a.to_json(), b.to_json()
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    return ", ".join(f"{name} {one.get(name, 'not given')} and {other.get(name, 'not given')}" for name in names)
