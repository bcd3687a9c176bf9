"""The version of mnfn: the one place that states it. The package index, the wheel and ``mnfn --version`` read it."""

__version__ = "0.1.0"
