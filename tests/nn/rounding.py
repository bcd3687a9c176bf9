"""How far a function of networks moves when the last digit of their weights does: what no test can ask less of."""

import torch

DRAWS = 8


def moved_by_rounding(function, networks, dtype):
    """Return the largest change of ``function(networks)`` when each number moves by at most one rounding of a dtype.

    A group element cannot be held to move an ill-conditioned number, such as the logarithm of a small difference, by
    less than this: stored weights are rounded too.
    """
    random, before = torch.Generator().manual_seed(0), function(networks)

    def rounded(tensor):
        steps = torch.randint(-1, 2, tensor.shape, generator=random).to(tensor.dtype)
        return tensor * (1 + torch.finfo(dtype).eps * steps)

    return max(float((function(networks.map(rounded)) - before).abs().max()) for _ in range(DRAWS))
