"""File formats of catalogues: one short module each, all with the interface of :class:`registry.Format`.

`read` gives an astropy table of all rows; `write` makes a new file from such a table; `append` copies the
file that a catalogue came from and adds columns without touching what is there: rows as they were, byte for
byte where the format allows it. A new format is a new module and one more line in :mod:`registry`.
"""
