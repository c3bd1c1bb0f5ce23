"""The house in figures: lengths, depth, hidden imports, blanket excepts and names, as laws about the source."""

from __future__ import annotations

import ast
import collections
import functools
import io
import statistics
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import galmorph

ROOT = Path(galmorph.__file__).parent
TESTS = Path(__file__).parent
FILES = {path.relative_to(ROOT).as_posix(): path for path in sorted(ROOT.rglob("*.py"))}

Function = ast.FunctionDef | ast.AsyncFunctionDef
BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match)

# Imports inside a function are for what costs more than 50 ms to load, and not every run needs.
SLOW = {
    "astropy",
    "distributed",
    "galsim",
    "numba",
    "pandas",
    "photutils",
    "pyarrow",
    "reproject",
    "scipy",
    "torch",
    "tqdm",
}
HIDDEN_IMPORTS = 30
# SEP raises nothing narrower than Exception, in a call whose message is then read; the boundary is the one place in
# which what readers of other people's files raise becomes an error of ours; a worker tells whoever started it what it
# ended of.
BLANKET_EXCEPTS = {"stamps/segment.py": 1, "sky/boundary.py": 1, "runs/engines/worker.py": 1}
# Names that say nothing of the thing they name; the figures fall as wings are cleaned.
EMPTY_NAMES = {"found", "known", "given", "made", "seen"}
EMPTY_NAMES_LEFT: dict[str, int] = {}
SHARED_CLASSES: set[str] = set()
SWALLOWING: set[str] = set()
DEEP: set[str] = set()


@functools.cache
def tree(name: str) -> ast.Module:
    return ast.parse(FILES[name].read_text(encoding="utf-8"))


def functions(name: str) -> Iterator[Function]:
    yield from (node for node in ast.walk(tree(name)) if isinstance(node, Function))


def lines_of(function: Function) -> int:
    """Count the lines of a body, without its docstring: a long signature is a table, not a long function."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def depth_of(node: ast.AST, depth: int = 0) -> int:
    """Count how many blocks lie in one another, each ``elif`` in its if; functions inside start anew."""
    children = [c for c in ast.iter_child_nodes(node) if not isinstance(c, Function | ast.Lambda)]
    return max([depth, *(depth_of(child, depth + isinstance(child, BLOCKS)) for child in children)])


def test_functions_are_short():
    lengths = sorted((lines_of(f), f"{name}: {f.name}") for name in FILES for f in functions(name))
    lines = [n for n, _ in lengths]
    assert statistics.median(lines) <= 6
    assert lines[int(0.9 * len(lines))] <= 16
    assert lines[-1] <= 50, lengths[-3:]


def test_no_function_is_nested_four_deep():
    deep = [f"{name}: {f.name}" for name in FILES for f in functions(name) if depth_of(f) >= 4]
    assert set(deep) <= DEEP


def hidden_imports() -> list[tuple[str, str]]:
    """List what is imported inside functions: the importing file and the module."""
    nodes = [(name, node) for name in FILES for f in functions(name) for node in ast.walk(f)]
    imports = {(name, node) for name, node in nodes if isinstance(node, ast.Import | ast.ImportFrom)}
    return [
        (name, module)
        for name, node in imports
        for module in ([a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""])
    ]


def test_imports_hidden_in_functions_are_few():
    imports = hidden_imports()
    assert len(imports) <= HIDDEN_IMPORTS, sorted(imports)


def module_of(dotted: str) -> str:
    """Return the file of a module of ours, '' for none."""
    path = "/".join(dotted.split(".")[1:])
    return next((name for name in (f"{path}.py", f"{path}/__init__.py") if name in FILES), "")


def imports_of(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the modules that statements import, with the names from them, which may be modules."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))


@functools.cache
def loaded_by(name: str) -> frozenset[str]:
    """Find the packages that come with a file of ours: what it imports at its top, and what that does."""
    others: set[str] = set()
    waiting, done = [name], set()
    while waiting:
        file = waiting.pop()
        done.add(file)
        for dotted in imports_of(tree(file).body):
            if dotted.split(".")[0] != "galmorph":
                others.add(dotted.split(".")[0])
            elif (below := module_of(dotted)) and below not in done:
                waiting.append(below)
    return frozenset(others)


def test_imports_hidden_in_functions_load_what_is_slow():
    """Of ours, the modules that bring something slow along; of others, what is slow itself."""
    for name in FILES:
        for dotted in {each for function in functions(name) for each in imports_of(ast.walk(function))}:
            package = dotted.split(".")[0]
            loaded = loaded_by(module_of(dotted)) if module_of(dotted) else {package}
            is_folder = module_of(dotted).endswith("__init__.py")
            assert loaded & SLOW or is_folder or (package == "galmorph" and not module_of(dotted)), f"{name}: {dotted}"


def public_functions(name: str) -> Iterator[Function]:
    """Yield functions of a module and methods of its classes, not those inside a function."""
    classes = [node for node in tree(name).body if isinstance(node, ast.ClassDef)]
    for node in (*tree(name).body, *(inner for c in classes for inner in c.body)):
        if isinstance(node, Function) and not node.name.startswith("_"):
            yield node


def test_no_public_function_swallows_arguments():
    swallowing = {f"{name}: {f.name}" for name in FILES for f in public_functions(name) if f.args.kwarg}
    assert swallowing <= SWALLOWING


def test_no_error_is_caught_unnamed():
    blanket = collections.Counter(
        name
        for name in FILES
        for node in ast.walk(tree(name))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or getattr(node.type, "id", "") in {"Exception", "BaseException"})
    )
    assert blanket <= collections.Counter(BLANKET_EXCEPTS)


def test_no_two_modules_share_a_name():
    modules = collections.Counter(
        path.stem for name, path in FILES.items() if path.stem != "__init__" and not name.startswith("cli/")
    )
    assert [stem for stem, n in modules.items() if n > 1] == []


def test_no_two_classes_share_a_name():
    classes = collections.Counter(
        node.name for name in FILES for node in ast.walk(tree(name)) if isinstance(node, ast.ClassDef)
    )
    assert {name for name, n in classes.items() if n > 1} <= SHARED_CLASSES


def wing(name: str) -> str:
    return name.partition("/")[0] if "/" in name else "."


WINGS = sorted({wing(name) for name in FILES} - {"."})


@pytest.mark.parametrize("which", [".", *WINGS])
def test_names_are_nouns_of_the_field(which):
    words = collections.Counter(
        token.string
        for name, path in FILES.items()
        if wing(name) == which
        for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
        if token.type == tokenize.NAME and token.string in EMPTY_NAMES
    )
    assert words.total() <= EMPTY_NAMES_LEFT.get(which, 0), words


def test_every_wing_has_its_tests():
    missing = [which for which in WINGS if not list((TESTS / which).rglob("test_*.py"))]
    assert missing in ([], ["cli"])


def test_tests_lie_where_their_module_does():
    homes = {path.stem: Path(name).parent for name, path in FILES.items() if path.stem != "__init__"}
    astray = [
        f"{path.relative_to(TESTS)} is not in {homes[module]}"
        for which in WINGS
        for path in sorted((TESTS / which).rglob("test_*.py"))
        for module in [path.stem.removeprefix("test_")]
        if module in homes and path.parent.relative_to(TESTS) != homes[module]
    ]
    assert astray == []
