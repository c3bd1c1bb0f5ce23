"""Vector: four numbers at a time, which numba makes of few loops by itself; in the language of its compiler, LLVM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["add_fours"]

_FOUR, _INDEX, _PLACE = ir.VectorType(ir.FloatType(), 4), ir.IntType(64), ir.IntType(32)


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
    row, total = builder.gep(fours, [first]), None
    for k in range(4):
        line = None
        for m in range(4):
            line = _plus(builder, _loaded(builder, builder.gep(row, [_INDEX(4 * m)])), factor[m], line)
        total = _plus(builder, line, factor[4 + k], total)
        row = builder.gep(row, [wide])
    place = builder.gep(to, [at])
    total = _plus(builder, total, _repeated(builder, weight), _loaded(builder, place))
    builder.store(total, builder.bitcast(place, _FOUR.as_pointer())).align = 4
    return context.get_dummy_value()


def _loaded(builder: Any, place: Any) -> Any:
    """Load four numbers that lie anywhere."""
    four = builder.load(builder.bitcast(place, _FOUR.as_pointer()))
    four.align = 4
    return four


def _repeated(builder: Any, number: Any) -> Any:
    """Repeat a number four times."""
    one = builder.insert_element(_FOUR(ir.Undefined), number, _PLACE(0))
    return builder.shuffle_vector(one, one, ir.VectorType(_PLACE, 4)([0] * 4))


def _plus(builder: Any, one: Any, other: Any, rest: Any) -> Any:
    """Return one times other plus rest, rounded once where the processor can; None for no rest."""
    product = builder.fmul(one, other, flags=("contract",))
    return product if rest is None else builder.fadd(product, rest, flags=("contract",))
