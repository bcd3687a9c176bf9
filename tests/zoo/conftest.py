"""Networks trained on digits, as others would keep them in their files."""

import pytest


@pytest.fixture(scope="session")
def sirens():
    """SIRENs of 24 digits, 8x8, omega 30, each from a start of its own: state dicts by tensor names 0.weight, ..."""
    from foreign_files import fitted_sirens

    return fitted_sirens(24)


@pytest.fixture(scope="session")
def plain_cnns():
    """Eight classifiers with max pooling and a flattened map, trained for some steps on digits, 28x28, tanh."""
    from foreign_files import PublishedCnn, trained

    return [trained(PublishedCnn(), seed, size=28) for seed in range(8)]


@pytest.fixture(scope="session")
def norm_cnns():
    """Six ReLU classifiers with batch normalisation, max pooling and a flattened map, trained on digits, 16x16."""
    from foreign_files import NormCnn, trained

    return [trained(NormCnn(), seed, size=16) for seed in range(6)]
