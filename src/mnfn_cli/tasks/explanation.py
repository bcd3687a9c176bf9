"""Explain a prediction: which layers of the network, and which learned inputs of the functional, carried it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.models.functional import Functional, LearnedInputs, place_of
from mnfn_cli.models.shared import SharedFunctional
from mnfn_cli.runtime.context import Context
from mnfn_cli.runtime.seeds import generator
from mnfn_cli.tasks.finished_run import Run, load_run
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.layout import Reading
from mnfn_cli.weightspace.mixed import MixedFeatures, Networks, join_networks
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.checkpoints import Checkpoints, Wanted, load_checkpoints
from mnfn_cli.zoo.store import Zoo

NOISE = 0.1
"""The deviation of the relative noise by which weights are shaken."""
DRAWS = 64
"""The number of times that each tensor is shaken."""


@dataclass(frozen=True)
class LayerMoves:
    """How far a prediction moves when the numbers of one layer are shaken.

    Args:
        layer: the number of the layer, from 1 on.
        weights, biases: the root mean square change of the prediction when every weight, or every bias, of the layer
            is multiplied by 1 + 0.1 z, with z standard normal and drawn for each number. Elements of the symmetry
            group multiply weights too, so they change neither number but for the draws.
    """

    layer: int
    weights: float
    biases: float


@dataclass(frozen=True)
class Explanation:
    """What carried a functional's prediction about a network.

    Args:
        network: the name of the network.
        spec: its weight space.
        prediction: the predicted number.
        interval: the ends of the interval around it, if the run has intervals.
        unlike: the score of the flag of networks unlike the training zoo, if the run has it; above 1 is unlike.
        layers: how far the prediction moves with each layer.
        learned: the inputs that the functional has learned, and what this network makes of them, if it has some.
        remarks: sentences that the user should read.
    """

    network: str
    spec: NetworkSpec
    prediction: float
    interval: tuple[float, float] | None
    unlike: float | None
    layers: tuple[LayerMoves, ...]
    learned: LearnedInputs | None
    remarks: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """Return a dict for JSON; inputs are in the order of their weights, the heaviest first."""
        document: dict[str, Any] = {"network": self.network, "prediction": self.prediction}
        if self.interval is not None:
            document |= dict(zip(("low", "high"), self.interval, strict=True))
        if self.unlike is not None:
            document |= {"unlike": self.unlike > 1, "unlike_score": self.unlike}
        document |= {"noise": NOISE, "layers": [vars(moves) for moves in self.layers]}
        if self.learned is not None:
            known = self.learned
            document["inputs"] = [
                {
                    "input": number,
                    "weight": float(known.weights[number]),
                    "agreement": float(known.agreements[0, number]),
                    "answer": known.answers[number].tolist(),
                    "response": known.responses[0, number].tolist(),
                }
                for number in self.heaviest()
            ]
        return document

    def heaviest(self) -> list[int]:
        """Return the numbers of the learned inputs, those with the largest weights first."""
        return [] if self.learned is None else self.learned.weights.argsort(descending=True, stable=True).tolist()


def explain(
    run: Path | Run,
    checkpoint: Path | Zoo | WeightSpaceFeatures,
    *,
    network: str | None = None,
    reading: Reading = Reading(),
    seed: int = 0,
    context: Context | None = None,
) -> Explanation:
    """Explain a run's prediction about one network.

    Args:
        run: the folder of a finished run of the task generalization, the name of one that comes with mnfn, or a run
            that was loaded, which is moved to the device.
        checkpoint: a file, or with ``network`` also a folder of files or a zoo, open or by path; or raw weights
            ``(networks, 1, ...)``, whose names are their numbers.
        network: the name of the network; not needed if there is one only.
        reading: what the user says about files that their tensors do not tell.
        seed: the seed of the noise.
        context: the device on which to compute.

    Raises:
        DataError: the run or the network cannot be read, or there is no network of this name.
        UsageError: the run was trained for another task; or there are several networks, and none is named.
    """
    context = context or Context()
    loaded = run.require_task("generalization") if isinstance(run, Run) else load_run(run, "generalization")
    loaded.to(device=context.device)
    layouts = loaded.folder.record.layouts
    wanted = Wanted(loaded.specs, reading=reading, layouts=layouts, in_float32=loaded.in_float32)
    networks = load_checkpoints(checkpoint, wanted)
    where = "features" if isinstance(checkpoint, WeightSpaceFeatures) else getattr(checkpoint, "path", checkpoint)
    chosen = _position(networks, where, network)
    one = networks.features.select([chosen])
    space = int(one.spaces[0]) if isinstance(one, MixedFeatures) else 0
    raw = one.parts[space] if isinstance(one, MixedFeatures) else one
    predicted = loaded.predict(one)
    low, high = loaded.intervals(predicted) if loaded.calibration.intervals is not None else (None, None)
    return Explanation(
        network=networks.names[chosen],
        spec=loaded.specs[space],
        prediction=float(predicted[0]),
        interval=None if low is None or high is None else (float(low[0]), float(high[0])),
        unlike=None if loaded.calibration.familiarity is None else float(loaded.unlike(one)[0]),
        layers=layer_moves(loaded, raw, space, seed),
        learned=learned_inputs(loaded, raw, space),
        remarks=loaded.remarks,
    )


def layer_moves(run: Run, network: WeightSpaceFeatures, space: int = 0, seed: int = 0) -> tuple[LayerMoves, ...]:
    """Shake each tensor of a network many times, and return how far the run's prediction moves.

    Args:
        run: the run.
        network: the raw weights of one network, ``(1, 1, ...)``.
        space: the number of its weight space among the run's.
        seed: the seed of the noise.
    """
    exact = network.to(dtype=torch.float64)
    original = run.predict(_placed(run, exact, space)).double()
    random = generator(seed, "explanation")
    repeated = exact.select([0] * DRAWS)

    def moves(place: int, weights: bool) -> float:
        tensors = list(repeated.weights if weights else repeated.biases)
        noise = torch.randn(tensors[place].shape, generator=random, dtype=torch.float64)
        tensors[place] = tensors[place] * (1 + NOISE * noise).to(tensors[place].device)
        pair = (tensors, repeated.biases) if weights else (repeated.weights, tensors)
        shaken = run.predict(_placed(run, WeightSpaceFeatures(*pair), space)).double()
        return float((shaken - original).square().mean().sqrt())

    numbers = range(len(exact.weights))
    return tuple(LayerMoves(place + 1, moves(place, True), moves(place, False)) for place in numbers)


def _placed(run: Run, networks: WeightSpaceFeatures, space: int) -> Networks:
    if len(run.specs) == 1:
        return networks
    return join_networks([(space, range(networks.batch), networks)], run.specs)


def learned_inputs(run: Run, network: WeightSpaceFeatures, space: int = 0) -> LearnedInputs | None:
    """Return the inputs that a run's functional has learned, and what networks make of them; None if it has none.

    Args:
        run: the run.
        network: raw weights of networks of one weight space, ``(networks, 1, ...)``.
        space: the number of their weight space among the run's.

    Returns:
        the inputs with tensors in float64 on the CPU.
    """
    model = run.model.models[space] if isinstance(run.model, SharedFunctional) else run.model
    if not isinstance(model, Functional):
        return None
    device, dtype = place_of(model)
    found = model.learned_inputs(network.to(device=device, dtype=dtype))
    if found is None:
        return None
    tensors: dict[str, Tensor] = {name: tensor.double().cpu() for name, tensor in vars(found).items()}
    return LearnedInputs(**tensors)


def _position(networks: Checkpoints, path: object, name: str | None) -> int:
    """Return the position of the network that is meant."""
    if name is not None:
        if name not in networks.names:
            raise DataError(path, f"holds no network '{name}'")
        return networks.names.index(name)
    if len(networks.names) > 1:
        few = ", ".join(networks.names[:3])
        raise UsageError("--network", f"{path} holds {len(networks.names)} networks; name one, such as {few}")
    return 0
