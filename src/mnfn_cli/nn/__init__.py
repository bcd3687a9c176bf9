"""Neural-functional layers: equivariant maps, activations, invariant steps."""
