"""Files on other machines: asked for politely, kept in the user's cache, and read like local ones."""

from galmorph.sky.remote.cache import Cache, CacheEntry, default_cache
from galmorph.sky.remote.client import Client, Form, Manners
from galmorph.sky.remote.partial_file import PartialFile, PartialReader, partial_at
from galmorph.sky.remote.whole_file import fetch

__all__ = [
    "Cache",
    "CacheEntry",
    "Client",
    "Form",
    "Manners",
    "PartialFile",
    "PartialReader",
    "default_cache",
    "fetch",
    "partial_at",
]
