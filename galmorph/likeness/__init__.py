"""Likeness: which rows of a table are alike and which are odd, by a column of numbers that a network has made of each.

Nothing here knows where the numbers are from. `vectors` reads such a column, `feature_space` lays it out so that an
angle says how unlike two rows are, `nearest_rows` finds them by direction, `examples` turns what a user likes and
dislikes into a direction, `strangeness` says how far a row lies from all others.
"""
