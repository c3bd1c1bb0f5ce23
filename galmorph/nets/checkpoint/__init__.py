"""Checkpoint: the file with all that is needed to use a network, and what is fitted to it after training."""
