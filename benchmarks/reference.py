"""The published layers, taken from a clone of MathematicalAI-NUS/Monomial-NFN that the user points at.

Nothing of theirs is in this repository. The clone needs einops and, for its augmentation, pandas (``pip install einops
pandas``).
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import torch
from torch import Tensor, nn

from mnfn_cli import NetworkSpec, WeightSpaceFeatures


class Reference:
    """The published code at ``path``."""

    def __init__(self, path: Path) -> None:
        if not (path / "nfn" / "layers" / "layers.py").exists():
            raise SystemExit(f"{path}: no clone of MathematicalAI-NUS/Monomial-NFN")
        sys.path.insert(0, str(path))
        from nfn import common, layers

        self._common, self._layers = common, layers

    def features(self, features: WeightSpaceFeatures) -> Any:
        """Return our features in the published container, in which every published layer wants them."""
        return self._common.WeightSpaceFeatures(features.weights, features.biases)

    def monomial(self, spec: NetworkSpec, head: int) -> nn.Module:
        """Return the published model for predicting generalisation: 1 -> 16 -> 16 -> 5 channels, MLP of ``head``."""
        their_spec = self._spec(spec)
        relu = spec.group == "scale"
        layers: list[nn.Module] = []
        for number, (d, e) in enumerate(((1, 16), (16, 16), (16, 5))):
            layers.append(self._layers.HNPSLinear(their_spec, d, e, init_type="xavier_normal"))
            activation = nn.ReLU() if relu else nn.Tanh() if number < 2 else _Absolute()
            layers.append(self._layers.TupleOp(activation))
        if relu:
            pool = self._layers.HNPSPool(their_spec, 5, mode_pooling="param_mul_L2")
        else:
            pool = self._layers.HNPPool(their_spec)
        numbers = 5 * self._layers.HNPPool.get_num_outs(their_spec)
        hidden = [nn.Linear(numbers, head), nn.ReLU(), nn.Linear(head, head), nn.ReLU(), nn.Linear(head, 1)]
        return _OnFeatures(nn.Sequential(*layers, pool, nn.Flatten(), *hidden, nn.Sigmoid(), nn.Flatten(0)), self)

    def baseline(self, name: str, spec: NetworkSpec, training: WeightSpaceFeatures) -> nn.Module:
        """Return the published ``statnn``, ``np`` or ``hnp`` for predicting generalisation, as its configuration says.

        NP standardises every entry by itself with the mean and deviation of ``training``.
        """
        _stub("torchvision", "torchvision.datasets", "perceiver_pytorch")
        from experiments import models

        if name == "statnn":
            stats = models.StatNet(self._spec(spec), 1000, sigmoid=True)
            return _OnFeatures(nn.Sequential(stats, nn.Flatten(0)), self)
        head = partial(models.MlpHead, h_size=1000, pool_mode="HNP", sigmoid=True)
        options = {"hchannels": [16, 16, 5], "head_cls": head, "init_type": "pytorch_default"}
        if name == "hnp":
            model = models.InvariantNFN(self._spec(spec), mode="HNP", **options)
        else:
            model = models.InvariantNFN(self._spec(spec), mode="NP-PosEmb", normalize=True, **options)
            model.set_stats(
                [[torch.std_mean(t, 0, correction=0)[::-1] for t in ts] for ts in (training.weights, training.biases)]
            )
        return _OnFeatures(nn.Sequential(model, nn.Flatten(0)), self)

    def classifier(self, name: str, spec: NetworkSpec) -> nn.Module:
        """Return the published ``monomial``, ``np``, ``hnp`` or ``mlp`` that classifies INRs of MNIST."""
        _stub("torchvision", "torchvision.datasets", "perceiver_pytorch")
        from experiments import models

        if name == "mlp":
            return _OnFeatures(models.MlpNFN(self._spec(spec, sizes=True), 1000, dropout=0.1, sigmoid=True), self)
        head = partial(models.MlpHead, num_out=10, dropout=0.1, pool_mode="HNP")
        options: dict[str, Any] = {"hchannels": [256] * 3, "head_cls": head, "feature_dropout": 0.1}
        options |= {"inp_enc_cls": self._encoding(), "mode": "HNP"}
        if name == "monomial":
            first = {"hnps_dim": 64, "init_type": "xavier_normal", "model_type": "S_sin_abs", "concat": True}
            return _OnFeatures(models.InvariantNFN_HNPS(self._spec(spec), **options, **first), self)
        if name == "np":
            options |= {"mode": "NP", "init_type": "pytorch_default", "pos_enc_cls": self._positions(10, 6)}
        return _OnFeatures(models.InvariantNFN(self._spec(spec), **options), self)

    def editor(self, name: str, spec: NetworkSpec) -> nn.Module:
        """Return the published ``monomial``, ``np``, ``hnp`` or ``mlp`` that edits INRs of MNIST."""
        from experiments import stylize_models as models

        if name == "mlp":
            return _OnFeatures(models.MLPTransferNet(self._spec(spec, sizes=True)), self)
        options: dict[str, Any] = {"hidden_chan": 128, "hidden_layers": 3, "inp_enc_cls": self._encoding()}
        if name == "hnp":
            return _OnFeatures(models.TransferNet(self._spec(spec), mode="HNP", **options), self)
        options |= {"mode": "NP", "pos_enc_cls": self._positions(3, 3), "special": name == "monomial"}
        return _OnFeatures(models.TransferNet(self._spec(spec), **options), self)

    def _encoding(self) -> Any:
        return partial(self._layers.GaussianFourierFeatureTransform, mapping_size=128, scale=3)

    def _positions(self, highest: float, bands: int) -> Any:
        return partial(self._layers.IOSinusoidalEncoding, max_freq=highest, num_bands=bands, enc_layers=False)

    def augmentation(self, features: WeightSpaceFeatures, copies: int) -> Callable[[], Any]:
        """Return the published loop: every network as it is, and ``copies`` acted on by ``U[1, 10]``."""
        import pandas

        _stub("torchvision", "torchvision.datasets")
        from experiments import data_utils

        data = SimpleNamespace(
            weights=[weight[:, 0].numpy() for weight in features.weights],
            biases=[bias[:, 0].numpy() for bias in features.biases],
            idcs=range(features.batch),
            metrics=pandas.DataFrame({"test_accuracy": [0.5] * features.batch}),
            cnn=data_utils.make_cnn(),
        )
        return lambda: data_utils.ZooDataset.get_augmented_permutation_scale(data, copies + 1, 1, 10)

    def _spec(self, spec: NetworkSpec, sizes: bool = False) -> Any:
        """Return the published specification; with ``sizes`` it holds those of hidden layers, for a perceptron."""
        features = self.features(WeightSpaceFeatures.zeros(spec, 1))
        return self._common.network_spec_from_wsfeat(features, set_all_dims=sizes)


def _stub(*packages: str) -> None:
    """Stand in for packages that the published files import, but that what is used of them does not need."""
    for name in packages:
        sys.modules.setdefault(name, MagicMock())


class _OnFeatures(nn.Module):
    """A published model on our features; what it returns for every weight comes back as ours."""

    def __init__(self, model: nn.Module, reference: Reference) -> None:
        super().__init__()
        self._model, self._reference = model, reference

    def forward(self, features: WeightSpaceFeatures) -> Any:
        output = self._model(self._reference.features(features))
        return output if isinstance(output, Tensor) else WeightSpaceFeatures(output.weights, output.biases)


class _Absolute(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.abs()
