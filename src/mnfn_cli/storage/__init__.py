"""Writing and reading files: atomic files and folders, locks, checksums, JSON records and tensors."""
