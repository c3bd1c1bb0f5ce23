"""Matching: which rows of catalogues are the same object, and the table that joins them."""
