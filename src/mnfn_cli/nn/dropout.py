"""Dropout of whole channels."""

from torch import Tensor, nn

from mnfn_cli.weightspace.features import WeightSpaceFeatures


class ChannelDropout(nn.Module):
    """Set random channels to 0 in training, a whole channel of a tensor of a network at a time.

    The other channels are divided by ``1 - probability``, so that the expectation stays. In evaluation nothing changes.

    Args:
        probability: the probability with which a channel is set to 0, below 1.

    Shapes:
        The input and the output are ``(batch, channels, out, in, *kernel)`` and ``(batch, channels, out)``.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the features with random channels set to 0."""
        return features.map(self._drop) if self.training else features

    def _drop(self, x: Tensor) -> Tensor:
        keep = x.new_empty(*x.shape[:2], *(1,) * (x.dim() - 2)).bernoulli_(1 - self.probability)
        return x * keep / (1 - self.probability)

    def extra_repr(self) -> str:
        """Return the text that ``print(module)`` shows for this layer."""
        return str(self.probability)
