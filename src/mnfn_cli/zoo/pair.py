"""Read two checkpoint files whose networks are to be compared."""

from dataclasses import dataclass, replace
from pathlib import Path

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.layout import Reading, find_layout
from mnfn_cli.weightspace.spec import NetworkSpec, read_spec
from mnfn_cli.zoo.importers.architecture import Architecture
from mnfn_cli.zoo.single_files import SingleFile, read_network, read_state_dict


@dataclass(frozen=True)
class Pair:
    """Two networks of one weight space, each from a file of its own.

    Args:
        spec: the weight space.
        a, b: raw weights, ``(1, 1, ...)``, in the dtypes of the files.
        file_a, file_b: descriptions of the files.
        complete: whether ``spec`` says all that it takes to run the networks. If it was found from the shapes of
            tensors, and the user does not say any stride, nobody knows those of its convolutions.
    """

    spec: NetworkSpec
    a: WeightSpaceFeatures
    b: WeightSpaceFeatures
    file_a: SingleFile
    file_b: SingleFile
    complete: bool


def read_pair(a: Path, b: Path, architecture: Architecture = Architecture(), reading: Reading = Reading()) -> Pair:
    """Read two files with one network each, which must have one weight space.

    The weight space is that in the metadata of the files, which ``mnfn zoo export`` writes. If neither file has one, it
    is found from the shapes of the tensors and from what the user says.

    Args:
        a, b: the checkpoint files.
        architecture: what weights do not tell, for files that do not say it themselves.
        reading: the order of the layers where their shapes leave it open, and where batch normalisations stand.

    Raises:
        DataError: a file cannot be read, the networks have different weight spaces, or a number is not finite.
        UsageError: the activation is needed and not given, or contradicts that in a file.
    """
    stated = [(file, spec) for file in (a, b) if (spec := _stated_spec(file)) is not None]
    if len(stated) == 2 and not stated[0][1].fits(stated[1][1]):
        raise DataError(b, f"is another kind of network than {a}: {_differences(stated[0][1], stated[1][1])}")
    spec = next((spec for _, spec in stated if spec.input_size is not None), stated[0][1] if stated else None)
    complete = True
    if spec is None:
        spec = _spec_of_shapes(a, architecture, reading)
        complete = not spec.kernels or bool(architecture.strides)
    elif architecture.activation not in (None, spec.activation):
        text = f"{architecture.activation}, but {stated[0][0]} holds a network with {spec.activation}"
        raise UsageError("--activation", text)
    features_a, file_a = read_network(a, spec, reading)
    features_b, file_b = read_network(b, spec, reading, [file_a.layout])
    return Pair(spec, features_a, features_b, file_a, file_b, complete)


def _stated_spec(file: Path) -> NetworkSpec | None:
    """Return the weight space in a file's metadata; None if it has none, or one that was written for people only."""
    _, metadata = read_state_dict(file)
    found = read_spec(metadata["spec"]) if "spec" in metadata else None
    return found if isinstance(found, NetworkSpec) else None


def _spec_of_shapes(file: Path, architecture: Architecture, reading: Reading) -> NetworkSpec:
    """Return the weight space that has the shapes of a file's tensors."""
    tensors, metadata = read_state_dict(file)
    layout = find_layout({name: tuple(tensor.shape) for name, tensor in tensors.items()}, str(file), reading=reading)
    if architecture.activation is None:
        architecture = replace(architecture, activation=metadata.get("activation"))
    return architecture.spec(layout, str(file))


def _differences(a: NetworkSpec, b: NetworkSpec) -> str:
    """Return in which fields two weight spaces differ, such as ``activation relu and tanh``."""
    one, other = a.to_json(), b.to_json()
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    return ", ".join(f"{name} {one.get(name, 'not given')} and {other.get(name, 'not given')}" for name in names)
