"""Vector: four numbers at a time, which numba makes of few loops by itself; in the language of its compiler, LLVM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["add_fours", "turn_fours"]

_FOUR, _EIGHT = ir.VectorType(ir.FloatType(), 4), ir.VectorType(ir.FloatType(), 8)
_INDEX, _PLACE = ir.IntType(64), ir.IntType(32)


@intrinsic  # type: ignore[untyped-decorator]
def add_fours(
    _typing: Any,
    fours: Any,
    first: Any,  # noqa: ARG001 - numba hands on those that are named here
    wide: Any,  # noqa: ARG001
    factors: Any,
    length: Any,  # noqa: ARG001
    number: Any,  # noqa: ARG001
    weight: Any,  # noqa: ARG001
    to: Any,
    at: Any,  # noqa: ARG001
) -> Any:
    """Add 4 × 4 fours of numbers, each times the factors of its column and row, and all times a weight, to one four.

    Parameters
    ----------
    fours
        Flat, four numbers after each other; rows of them begin so many numbers, `wide`, after each other.
    first
        The first of the numbers.
    factors
        Flat (8, N): those of four columns and of four rows; in each `length` numbers, of which one is taken.
    to, at
        An array, and from which number on it is added to.
    """
    whole = types.intp
    return types.void(fours, whole, whole, factors, whole, whole, types.float32, to, whole), _add_fours


def _add_fours(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
    _, first, wide, _, length, number, weight, _, at = arguments
    fours, factors, to = (context.make_array(signature.args[k])(context, builder, arguments[k]).data for k in (0, 3, 7))
    factor = [
        _repeated(builder, builder.load(builder.gep(factors, [builder.add(builder.mul(length, _INDEX(k)), number)])))
        for k in range(8)
    ]
    # Two fours that lie beside each other are multiplied at once.
    columns = [_beside(builder, factor[m], factor[m + 1]) for m in (0, 2)]
    row, total = builder.gep(fours, [first]), None
    for k in range(4):
        line = None
        for m, column in enumerate(columns):
            line = _plus(builder, _loaded(builder, builder.gep(row, [_INDEX(8 * m)]), _EIGHT), column, line)
        total = _plus(builder, line, _beside(builder, factor[4 + k], factor[4 + k]), total)
        row = builder.gep(row, [wide])
    place = builder.gep(to, [at])
    halves = [builder.shuffle_vector(total, total, ir.VectorType(_PLACE, 4)(list(range(m, m + 4)))) for m in (0, 4)]
    both = builder.fadd(*halves)
    both = _plus(builder, both, _repeated(builder, weight), _loaded(builder, place, _FOUR))
    builder.store(both, builder.bitcast(place, _FOUR.as_pointer())).align = 4
    return context.get_dummy_value()


@intrinsic  # type: ignore[untyped-decorator]
def turn_fours(
    _typing: Any,
    fours: Any,
    first: Any,  # noqa: ARG001 - numba hands on those that are named here
    wide: Any,  # noqa: ARG001
    to: Any,
    at: Any,  # noqa: ARG001
    tall: Any,  # noqa: ARG001
) -> Any:
    """Copy four fours of numbers with rows and columns exchanged.

    Parameters
    ----------
    fours
        Flat; rows of four begin so many numbers, `wide`, after each other, the first with the number `first`.
    to
        Flat; receives rows of four that begin so many numbers, `tall`, after each other, the first with the number
        `at`.
    """
    whole = types.intp
    return types.void(fours, whole, whole, to, whole, whole), _turn_fours


def _turn_fours(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
    _, first, wide, _, at, tall = arguments
    fours, to = (context.make_array(signature.args[k])(context, builder, arguments[k]).data for k in (0, 3))
    rows = [
        _loaded(builder, builder.gep(fours, [builder.add(first, builder.mul(wide, _INDEX(k)))]), _FOUR)
        for k in range(4)
    ]
    # Pairs of rows are interleaved, first their halves, then the halves of what that gives.
    pairs = [[_picked(builder, rows[k], rows[k + 1], start, 4 + start) for k in (0, 2)] for start in (0, 2)]
    turned = [
        builder.shuffle_vector(one, other, ir.VectorType(_PLACE, 4)(order))
        for one, other in pairs
        for order in ([0, 1, 4, 5], [2, 3, 6, 7])
    ]
    for k, row in enumerate(turned):
        place = builder.gep(to, [builder.add(at, builder.mul(tall, _INDEX(k)))])
        builder.store(row, builder.bitcast(place, _FOUR.as_pointer())).align = 4
    return context.get_dummy_value()


def _picked(builder: Any, one: Any, other: Any, first: int, second: int) -> Any:
    """Take two numbers of one four and two of another by turns."""
    return builder.shuffle_vector(one, other, ir.VectorType(_PLACE, 4)([first, second, first + 1, second + 1]))


def _beside(builder: Any, one: Any, other: Any) -> Any:
    """Put two fours of numbers beside each other."""
    return builder.shuffle_vector(one, other, ir.VectorType(_PLACE, 8)(list(range(8))))


def _loaded(builder: Any, place: Any, kind: Any) -> Any:
    """Load numbers that lie anywhere."""
    numbers = builder.load(builder.bitcast(place, kind.as_pointer()))
    numbers.align = 4
    return numbers


def _repeated(builder: Any, number: Any) -> Any:
    """Repeat a number four times."""
    one = builder.insert_element(_FOUR(ir.Undefined), number, _PLACE(0))
    return builder.shuffle_vector(one, one, ir.VectorType(_PLACE, 4)([0] * 4))


def _plus(builder: Any, one: Any, other: Any, rest: Any) -> Any:
    """Return one times other plus rest, rounded once where the processor can; None for no rest."""
    product = builder.fmul(one, other, flags=("contract",))
    return product if rest is None else builder.fadd(product, rest, flags=("contract",))
