"""Dropout of whole channels."""

from torch import Tensor, nn

from mnfn_cli.weightspace.features import WeightSpaceFeatures


class ChannelDropout(nn.Module):
    """In training, silence whole channels of each tensor of each network, and enlarge the others in return.

    Args:
        probability: of a channel to be dropped.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Drop."""
        return features.map(self._drop) if self.training else features

    def _drop(self, x: Tensor) -> Tensor:
        keep = x.new_empty(*x.shape[:2], *(1,) * (x.dim() - 2)).bernoulli_(1 - self.probability)
        return x * keep / (1 - self.probability)

    def extra_repr(self) -> str:
        """Describe the layer."""
        return str(self.probability)
