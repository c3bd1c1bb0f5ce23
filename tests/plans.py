"""Plans of tests: made from what :func:`galmorph.classify` takes, without opening anything."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from galmorph.runs.plan import Plan
from galmorph.runs.run_settings import Settings
from galmorph.sky.catalog_input import CatalogInput, ColumnNames
from galmorph.sky.images import ImageInput


def plan_of(
    catalog: Any, images: Any, *, checkpoint: Any = None, network: bool = True, hdu: Any = None, **options: Any
) -> Plan:
    """Sort options into the groups that a plan has."""

    def group(kind: Any, **also: Any) -> Any:
        return kind(**{f.name: options.pop(f.name) for f in fields(kind) if f.name in options}, **also)

    columns = group(ColumnNames)
    inputs = CatalogInput(catalog, hdu, columns), group(ImageInput, images=images)
    plan = Plan(*inputs, checkpoint, group(Settings), network)
    assert not options, f"{list(options)}: no option of a plan"
    return plan
