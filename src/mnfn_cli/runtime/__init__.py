"""Device, seeds, interruption, and how engines report."""
