"""Zoos, which are folders of many networks: building, reading, writing, augmentation and export."""
