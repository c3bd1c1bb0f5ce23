"""Fuzz: files that are damaged in every way that we can think of, and what galmorph makes of them.

Every input is drawn from a seed and a number alone, so that ``python -m tests.fuzz CLASS --seed S --first N --count 1``
makes it again. Each class draws small sound files, damages them, and says what is right: see :mod:`.subject`.
"""
