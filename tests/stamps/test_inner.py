"""What compiled functions alone may call: Python, which would end with the process, calls none of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import galmorph

ROOT, TESTS = Path(galmorph.__file__).parent, Path(__file__).parents[1]
COMPILERS = {"compiled", "inner", "inner_sum"}
Name = tuple[str, str]
"""Of a module, and in it."""


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)


def trees(root: Path) -> dict[str, ast.Module]:
    return {dotted(p) if root == ROOT else str(p): ast.parse(p.read_text("utf-8")) for p in sorted(root.rglob("*.py"))}


PACKAGE = trees(ROOT)


def decorators(node: ast.AST) -> set[str]:
    return {d.id for d in getattr(node, "decorator_list", []) if isinstance(d, ast.Name)}


def inner_names() -> set[Name]:
    """Names of functions that are compiled without a wrapper for Python, by a decorator or a call."""
    names = set()
    for module, tree in PACKAGE.items():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and decorators(node) & {"inner", "inner_sum"}:
                names.add((module, node.name))
            if isinstance(node, ast.Assign) and any(
                isinstance(part, ast.Name) and part.id in ("inner", "inner_sum") for part in ast.walk(node.value)
            ):
                targets = [part for target in node.targets for part in ast.walk(target)]
                names |= {(module, part.id) for part in targets if isinstance(part, ast.Name)}
    return names


INNER = inner_names()


def compiled_by_calls(tree: ast.AST) -> set[str]:
    """Names of functions that are compiled as ``name = inner(_name)``."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name))
    return {
        a.id
        for call in calls
        for a in call.args
        if isinstance(call.func, ast.Name) and call.func.id in COMPILERS and isinstance(a, ast.Name)
    }


def in_python(node: ast.AST, compiled: set[str], own: frozenset[str] = frozenset()) -> Iterator[ast.Name]:
    """Yield the names that Python reads, outside of compiled functions, but for arguments of those around it."""
    for child in ast.iter_child_nodes(node):
        inside = own
        if isinstance(child, ast.FunctionDef):
            if decorators(child) & COMPILERS or child.name in compiled:
                continue
            inside |= {argument.arg for argument in ast.walk(child.args) if isinstance(argument, ast.arg)}
        if isinstance(child, ast.Attribute) and child.attr == "py_func":
            continue  # the source of a function, which Python may carry out
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load) and child.id not in own:
            yield child
        yield from in_python(child, compiled, inside)


def misuses(module: str, tree: ast.Module) -> list[str]:
    """List where Python reads the name of an inner function: to call it, or to hand it on."""
    local = {name: (module, name) for of, name in INNER if of == module}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            local |= {alias.asname or alias.name: (node.module or "", alias.name) for alias in node.names}
    return [
        f"{module}:{name.lineno} {name.id}"
        for name in in_python(tree, compiled_by_calls(tree))
        if local.get(name.id) in INNER
    ]


def test_inner_functions_are_there():
    assert len(INNER) > 100
    assert ("galmorph.stamps.window", "turn_err_deg") in INNER


def test_python_calls_no_inner_function():
    assert not [misuse for module, tree in PACKAGE.items() for misuse in misuses(module, tree)]


def test_no_test_calls_an_inner_function():
    assert not [misuse for path, tree in trees(TESTS).items() for misuse in misuses(path, tree)]


def test_a_call_from_python_is_noticed():
    module, name = sorted(INNER)[0]
    text = f"from {module} import {name} as it\n@compiled\ndef fine():\n    it()\n\ndef wrong():\n    return it()\n"
    assert misuses("somewhere", ast.parse(text)) == ["somewhere:7 it"]
