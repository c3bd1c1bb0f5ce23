"""Classes: the list of what is fuzzed, each loaded only when it is."""

from __future__ import annotations

from importlib import import_module

from .subject import Subject

__all__ = ["CLASSES", "subject_of"]

CLASSES = {
    "catalogs": ("catalogs", "Catalogs"),
    "images": ("images", "Images"),
    "checkpoints": ("weights", "Checkpoints"),
    "onnx": ("graphs", "Graphs"),
    "texts": ("texts", "Texts"),
}


def subject_of(name: str) -> Subject:
    module, kind = CLASSES[name]
    return getattr(import_module(f".{module}", __package__), kind)()
