"""Explain: what the layers of a trained network look for, see and hang on."""
