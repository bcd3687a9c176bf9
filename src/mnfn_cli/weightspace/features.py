"""Batches of weights and biases of networks, or of features of the same shapes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Self

import torch
from torch import Tensor

from mnfn_cli.errors import DataError
from mnfn_cli.weightspace.layout import Reading, find_layout
from mnfn_cli.weightspace.spec import NetworkSpec


class WeightSpaceFeatures:
    """Weights ``(batch, channels, out, in, *kernel)`` and biases ``(batch, channels, out)``, a pair for each layer.

    Raw weights have one channel. Objects of this class are immutable by convention: every method returns a new object,
    whose tensors may be views of the old ones.

    Args:
        weights: the weight tensors of all layers, in order.
        biases: the bias tensors of all layers, in order.

    Raises:
        ValueError: there are not as many weights as biases.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="tanh")
    >>> networks = WeightSpaceFeatures.randn(spec, batch=7)
    >>> networks.batch, networks.channels, networks.weights[1].shape
    (7, 1, torch.Size([7, 1, 4, 5]))
    >>> sorted(networks.to_state_dicts()[0])[:2]
    ['layers.0.bias', 'layers.0.weight']
    """

    __slots__ = ("biases", "weights")

    def __init__(self, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> None:
        if len(weights) != len(biases):
            raise ValueError(f"{len(weights)} weights but {len(biases)} biases")
        self.weights = tuple(weights)
        self.biases = tuple(biases)

    @property
    def batch(self) -> int:
        """The number of networks in the batch."""
        return self.biases[0].shape[0]

    @property
    def channels(self) -> int:
        """The number of channels; 1 for raw weights."""
        return self.biases[0].shape[1]

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the tensors."""
        return self.biases[0].dtype

    @property
    def device(self) -> torch.device:
        """The device of the tensors."""
        return self.biases[0].device

    def tensors(self) -> Iterator[Tensor]:
        """Return an iterator over all tensors in the order W(1), b(1), W(2), b(2), ...

        >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="tanh")
        >>> networks = WeightSpaceFeatures.randn(spec, batch=7)
        >>> [tuple(tensor.shape) for tensor in networks.tensors()][:2]
        [(7, 1, 5, 2), (7, 1, 5)]
        """
        for weight, bias in zip(self.weights, self.biases, strict=True):
            yield weight
            yield bias

    def map(self, function: Callable[[Tensor], Tensor]) -> "WeightSpaceFeatures":
        """Return the features with a function applied to every tensor.

        Args:
            function: a function of one tensor, which changes the batch and the channels of all alike, or of none.

        >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="tanh")
        >>> networks = WeightSpaceFeatures.randn(spec, batch=7)
        >>> networks.map(torch.zeros_like).flatten().any().item()
        False
        """
        return WeightSpaceFeatures([function(w) for w in self.weights], [function(b) for b in self.biases])

    def zip_map(
        self, function: Callable[[Tensor, Tensor], Tensor], other: "WeightSpaceFeatures"
    ) -> "WeightSpaceFeatures":
        """Return the features with a function applied to every pair of tensors of two batches.

        Args:
            function: a function of two tensors.
            other: the second batch, of the same weight space.

        Raises:
            ValueError: the two have other numbers of layers.

        >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="tanh")
        >>> networks = WeightSpaceFeatures.randn(spec, batch=7)
        >>> networks.zip_map(torch.sub, networks).flatten().any().item()
        False
        """
        weights = [function(a, b) for a, b in zip(self.weights, other.weights, strict=True)]
        biases = [function(a, b) for a, b in zip(self.biases, other.biases, strict=True)]
        return WeightSpaceFeatures(weights, biases)

    def to(
        self, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> "WeightSpaceFeatures":
        """Return the features on another device or in another dtype.

        Args:
            device: the device; by default that of the tensors.
            dtype: the dtype; by default that of the tensors.

        >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="tanh")
        >>> networks = WeightSpaceFeatures.randn(spec, batch=7)
        >>> networks.to(dtype=torch.float64).dtype
        torch.float64
        """
        return self.map(lambda tensor: tensor.to(device=device, dtype=dtype))

    def select(self, index: slice | Tensor | Sequence[int]) -> "WeightSpaceFeatures":
        """Return some networks of the batch; with a slice the tensors are views.

        Args:
            index: a slice, or the places of the networks, in any order.

        >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="tanh")
        >>> networks = WeightSpaceFeatures.randn(spec, batch=7)
        >>> networks.select([0, 6]).batch, networks.select(slice(3)).batch
        (2, 3)
        """
        return self.map(lambda tensor: tensor[index])

    def flatten(self) -> Tensor:
        """Return all numbers of each network as ``(batch, channels * numbers)``, in the order W(1), b(1), W(2), ...

        >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="tanh")
        >>> networks = WeightSpaceFeatures.randn(spec, batch=7)
        >>> networks.flatten().shape, spec.num_parameters
        (torch.Size([7, 54]), 54)
        """
        return torch.cat([tensor.flatten(1) for tensor in self.tensors()], dim=1)

    def unflatten(self, numbers: Tensor) -> "WeightSpaceFeatures":
        """Return features with one channel of the shapes of these.

        Args:
            numbers: ``(batch, numbers)``, in the order of ``flatten``; the batch may be another one.

        >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="tanh")
        >>> networks = WeightSpaceFeatures.randn(spec, batch=7)
        >>> again = networks.unflatten(networks.flatten())
        >>> torch.equal(again.weights[1], networks.weights[1])
        True
        """
        pieces = numbers.split([tensor[0, 0].numel() for tensor in self.tensors()], dim=1)
        tensors = [
            piece.reshape(numbers.shape[0], 1, *tensor.shape[2:])
            for piece, tensor in zip(pieces, self.tensors(), strict=True)
        ]
        return WeightSpaceFeatures(tensors[0::2], tensors[1::2])

    def beside(self, other: "WeightSpaceFeatures") -> "WeightSpaceFeatures":
        """Return features whose channels are those of ``self`` followed by those of ``other``.

        Args:
            other: features of the same networks, with any number of channels.

        >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="tanh")
        >>> networks = WeightSpaceFeatures.randn(spec, batch=7)
        >>> networks.beside(networks).channels
        2
        """
        return self.zip_map(lambda a, b: torch.cat([a, b], dim=1), other)

    def detach(self) -> "WeightSpaceFeatures":
        """Return the features detached from the graph of gradients.

        >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="tanh")
        >>> networks = WeightSpaceFeatures.randn(spec, batch=7)
        >>> networks.map(torch.Tensor.requires_grad_).detach().weights[0].requires_grad
        False
        """
        return self.map(Tensor.detach)

    @classmethod
    def cat(cls, parts: Sequence["WeightSpaceFeatures"]) -> Self:
        """Return one batch of the networks of several.

        Args:
            parts: batches of one weight space, with the same number of channels; at least one.

        >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="tanh")
        >>> networks = WeightSpaceFeatures.randn(spec, batch=7)
        >>> WeightSpaceFeatures.cat([networks, networks]).batch
        14
        """
        layers = range(len(parts[0].weights))
        weights = [torch.cat([part.weights[i] for part in parts]) for i in layers]
        biases = [torch.cat([part.biases[i] for part in parts]) for i in layers]
        return cls(weights, biases)

    @classmethod
    def zeros(cls, spec: NetworkSpec, batch: int, channels: int = 1, dtype: torch.dtype = torch.float32) -> Self:
        """Return features of a weight space that are all 0.

        Args:
            spec: the weight space.
            batch: the number of networks.
            channels: the number of channels.
            dtype: the dtype of the tensors.

        >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="tanh")
        >>> WeightSpaceFeatures.zeros(spec, batch=2, channels=3).biases[0].shape
        torch.Size([2, 3, 5])
        """
        weights = [torch.zeros(batch, channels, *shape, dtype=dtype) for shape in spec.weight_shapes]
        biases = [torch.zeros(batch, channels, *shape, dtype=dtype) for shape in spec.bias_shapes]
        return cls(weights, biases)

    @classmethod
    def randn(
        cls,
        spec: NetworkSpec,
        batch: int,
        channels: int = 1,
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Self:
        """Return features of a weight space drawn from a standard normal distribution.

        Args:
            spec: the weight space.
            batch: the number of networks.
            channels: the number of channels.
            generator: the source of randomness; by default torch's global generator.
            dtype: the dtype of the tensors.

        >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="tanh")
        >>> seeded = torch.Generator().manual_seed(0)
        >>> WeightSpaceFeatures.randn(spec, batch=2, generator=seeded).weights[2].shape
        torch.Size([2, 1, 3, 4])
        """

        def draw(shape: tuple[int, ...]) -> Tensor:
            return torch.randn(batch, channels, *shape, generator=generator, dtype=dtype)

        return cls([draw(shape) for shape in spec.weight_shapes], [draw(shape) for shape in spec.bias_shapes])

    @classmethod
    def from_state_dicts(
        cls,
        state_dicts: Sequence[Mapping[str, Tensor]],
        spec: NetworkSpec | None = None,
        names: Sequence[str] | None = None,
        reading: Reading = Reading(),
    ) -> Self:
        """Return a batch of networks from their state dicts, with tensors of any names.

        The layers are put in the one order that their shapes and the numbers in their names allow; see
        ``layout.find_layout``. A layer without a bias gets a bias of 0.

        Args:
            state_dicts: for each network, a mapping from tensor names to tensors.
            spec: the weight space whose shapes the tensors must have; by default those of the first network.
            names: the names of the networks for error messages; by default their numbers.
            reading: the order of the layers where shapes do not settle it, and where batch normalisations stand.

        Raises:
            DataError: a network has a tensor too many or a shape that differs, or the order of its layers is not clear.
                The error names all such networks.

        >>> net = torch.nn.Sequential(torch.nn.Linear(2, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
        >>> WeightSpaceFeatures.from_state_dicts([net.state_dict(), net.state_dict()])
        WeightSpaceFeatures((2, 1, 5, 2), (2, 1, 5), (2, 1, 3, 5), (2, 1, 3))
        """
        names = names or [f"network {i}" for i in range(len(state_dicts))]
        rows: list[list[Tensor]] = []
        errors = []
        shapes = None if spec is None else spec.weight_shapes
        for name, state_dict in zip(names, state_dicts, strict=True):
            try:
                layout = find_layout({key: tuple(t.shape) for key, t in state_dict.items()}, name, shapes, reading)
                shapes = layout.weight_shapes(name) if shapes is None else shapes
            except DataError as error:
                errors.append(error)
                continue
            tensors = layout.read(state_dict)
            tensors[0::2] = [weight.reshape(shape) for weight, shape in zip(tensors[0::2], shapes, strict=True)]
            rows.append(tensors)
        if errors:
            raise DataError.together(errors)
        stacked = [torch.stack([row[i] for row in rows])[:, None] for i in range(len(rows[0]))]
        return cls(stacked[0::2], stacked[1::2])

    def to_state_dicts(self, names: Sequence[str] | None = None) -> list[dict[str, Tensor]]:
        """Return the state dict of each network of a batch with one channel.

        Args:
            names: the names of the tensors in the order W(1), b(1), W(2), ...; by default ``layers.0.weight``,
                ``layers.0.bias``, ``layers.1.weight``, ...

        Raises:
            ValueError: the features have more than one channel.

        >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="tanh")
        >>> networks = WeightSpaceFeatures.randn(spec, batch=7)
        >>> len(networks.to_state_dicts()), networks.to_state_dicts()[0]["layers.0.weight"].shape
        (7, torch.Size([5, 2]))
        """
        if self.channels != 1:
            raise ValueError(f"state dicts hold raw weights; these features have {self.channels} channels")
        names = names or [f"layers.{i}.{kind}" for i in range(len(self.weights)) for kind in ("weight", "bias")]
        tensors = list(self.tensors())
        return [
            {name: tensor[row, 0] for name, tensor in zip(names, tensors, strict=True)} for row in range(self.batch)
        ]

    def __len__(self) -> int:
        return len(self.weights)

    def __reduce__(self) -> tuple[type["WeightSpaceFeatures"], tuple[list[Tensor], list[Tensor]]]:
        return WeightSpaceFeatures, ([_apart(w) for w in self.weights], [_apart(b) for b in self.biases])

    def __repr__(self) -> str:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in self.tensors())
        return f"WeightSpaceFeatures({shapes})"


def _apart(tensor: Tensor) -> Tensor:
    """Return a tensor for pickle, which would write all of a file that the tensor is a view of."""
    return tensor if tensor.untyped_storage().nbytes() == tensor.nbytes else tensor.clone()
