"""Random weight spaces with a scaling or a sign group, for tests of layers."""

from hypothesis import strategies as st

from mnfn_cli.weightspace.spec import NetworkSpec


@st.composite
def specs(draw):
    activation = draw(st.sampled_from(["relu", "leaky_relu", "sin", "tanh"]))
    width = st.integers(1, 4)
    if draw(st.booleans()):
        return NetworkSpec.mlp(draw(st.lists(width, min_size=3, max_size=6)), activation)
    channels = draw(st.lists(width, min_size=2, max_size=4))
    count = len(channels) - 1
    pair = st.tuples(st.integers(1, 2), st.integers(1, 3))
    kernels = draw(st.lists(pair, min_size=count, max_size=count))
    hidden = draw(st.lists(width, max_size=2))
    return NetworkSpec.cnn(channels, kernel=kernels, hidden=hidden, outputs=draw(width), activation=activation)
