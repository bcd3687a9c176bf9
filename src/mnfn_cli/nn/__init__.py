"""Neural-functional layers: equivariant linear maps, activations, invariant steps, encodings and statistics."""
