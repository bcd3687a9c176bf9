"""Zoos on disk: store, checkpoints, images, augmentation, building."""
