"""Files on other machines: asked for politely, kept in the user's cache, and read like local ones."""

from galmorph.sky.remote.cache import Cache, CacheEntry, default_cache
from galmorph.sky.remote.client import Client, Form, Manners
from galmorph.sky.remote.ledger import Ledger, Need
from galmorph.sky.remote.manifest import (
    MANIFEST,
    Manifest,
    fetched_files,
    folder_cache,
    read_manifest,
    trusted_cache,
)
from galmorph.sky.remote.partial_file import PartialFile, PartialReader, partial_at
from galmorph.sky.remote.whole_file import fetch

__all__ = [
    "MANIFEST",
    "Cache",
    "CacheEntry",
    "Client",
    "Form",
    "Ledger",
    "Manifest",
    "Manners",
    "Need",
    "PartialFile",
    "PartialReader",
    "default_cache",
    "fetch",
    "fetched_files",
    "folder_cache",
    "partial_at",
    "read_manifest",
    "trusted_cache",
]
