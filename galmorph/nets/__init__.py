"""Networks: the only layer that imports torch."""
