"""Modules whose buffers come from a fit and not from the constructor."""

from typing import Any

from torch import nn


class FittedBuffers(nn.Module):
    """A module whose buffers are registered by a fit, and by loading with the shapes in which they were saved.

    Until then it has none. Parameters that the constructor makes are loaded as usual.

    Args:
        args, kwargs: those of ``torch.nn.Module``.

    Shapes:
        None: a base class.

    Source:
        mnfn's own.

    >>> import torch
    >>> from mnfn_cli.nn import FittedBuffers
    >>> fitted, loaded = FittedBuffers(), FittedBuffers()
    >>> fitted.register_buffer("mean", torch.ones(3))
    >>> loaded.load_state_dict(fitted.state_dict())
    <All keys matched successfully>
    >>> loaded.mean.shape
    torch.Size([3])
    """

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        for key, tensor in state_dict.items():
            name = key.removeprefix(prefix)
            if key.startswith(prefix) and "." not in name and name not in self._parameters:
                self.register_buffer(name, tensor)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
