"""What reaches the disk: atomic files and folders, locks, checksums, tensors."""
