"""The layers of the house: a module imports its own and earlier ones, never in a circle, and torch stays in nets."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

import galmorph

ROOT = Path(galmorph.__file__).parent
ORDER = (
    (
        "",
        "arguments",
        "errors",
        "flags",
        "garbage",
        "interval",
        "limits",
        "notebook",
        "progress",
        "shipped",
        "text_file",
        "toml",
    ),
    ("sky",),
    ("likeness",),
    ("stamps",),
    ("nets",),
    ("runs",),
    ("learning",),
    ("pages",),
    ("store",),
    ("api",),
    ("web",),
    ("cli",),
    ("__main__",),
)
LAYER = {name: rank for rank, names in enumerate(ORDER) for name in names}


def module_name(path: Path) -> str:
    parts = ["galmorph", *path.relative_to(ROOT).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def layer(module: str) -> int:
    return LAYER[[*module.split("."), ""][1]]


# The package itself, '', holds the version and loads its public names on first use: what it lists for type checkers
# is no import.
LAZY = "galmorph"


def imported(path: Path) -> set[str]:
    """Modules that a file imports anywhere, inside functions too; the names of our own resolved to modules."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & FILES.keys()) or {node.module or ""}
    return found


IMPORTS = {module: imported(path) for module, path in FILES.items() if module != LAZY}


def test_every_module_has_a_layer():
    assert len(FILES) > 40
    assert all(layer(module) >= 0 for module in FILES)


def test_a_module_imports_only_its_own_layer_and_earlier_ones():
    wrong = [
        f"{module} imports {other}"
        for module, others in IMPORTS.items()
        for other in others & FILES.keys()
        if layer(other) > layer(module)
    ]
    assert wrong == []


def test_wings_stand_apart():
    """A catalogue's way knows nothing of learning and of pages, learning nothing of pages; pages may know both."""
    apart = {"runs": {"learning", "pages"}, "learning": {"pages"}}
    across = {
        f"{module} imports {other}"
        for module, others in IMPORTS.items()
        for other in others & FILES.keys()
        if other.split(".")[1:2] and other.split(".")[1] in apart.get(module.split(".")[1], ())
    }
    assert across == set()


def test_no_imports_turn_back():
    own = {module: others & FILES.keys() - {module} for module, others in IMPORTS.items()}
    assert sum(map(len, own.values())) > 100
    order = list(graphlib.TopologicalSorter(own).static_order())  # raises CycleError
    assert order.index("galmorph.errors") < order.index("galmorph.stamps.measure") < order.index("galmorph.api")


def test_torch_stays_in_nets():
    users = {
        module for module, others in IMPORTS.items() if any(o.split(".")[0] in {"torch", "safetensors"} for o in others)
    }
    assert {m.split(".")[1] for m in users} == {"nets"}


def test_nothing_before_nets_reaches_it():
    assert not [m for m, others in IMPORTS.items() if layer(m) < LAYER["nets"] and any(".nets" in o for o in others)]


def test_the_command_line_calls_only_public_functions():
    """It knows the front door, and what all layers know."""
    known = {f"galmorph{of}" for of in ("", ".errors", ".flags", ".limits", ".progress", ".toml")}
    commands = {m: others & FILES.keys() for m, others in IMPORTS.items() if layer(m) == LAYER["cli"]}
    assert len(commands) > 10
    wrong = {m: {o for o in others if o not in known and layer(o) != LAYER["cli"]} for m, others in commands.items()}
    assert not any(wrong.values()), wrong
