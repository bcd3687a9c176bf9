"""The surroundings of a job: device, random seeds, progress, interruption and plugins."""
