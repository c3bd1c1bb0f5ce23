"""Training: from measured galaxies and votes to weights."""
