"""Features: what is learnt of stamps without any label, and classical classifiers on it."""
