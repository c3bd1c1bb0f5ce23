"""Cards: headers of FITS files rewritten card by card, and their HDUs in another order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .dice import Dice

_CARD, _BLOCK = 80, 2880
_KEYS = tuple(
    """
    SIMPLE XTENSION BITPIX NAXIS NAXIS1 NAXIS2 NAXIS3 NAXIS999 PCOUNT GCOUNT GROUPS TFIELDS THEAP EXTNAME EXTVER
    EXTEND INHERIT TTYPE1 TTYPE2 TTYPE3 TFORM1 TFORM2 TFORM3 TUNIT2 TUNIT3 TNULL1 TNULL3 TSCAL1 TSCAL2 TZERO1 TZERO2
    TDIM2 TDISP2 TUCD2 TCOMM2 TBCOL2 BSCALE BZERO BLANK BUNIT DATAMIN DATAMAX CTYPE1 CTYPE2 CUNIT1 CUNIT2 CRPIX1
    CRPIX2 CRVAL1 CRVAL2 CDELT1 CDELT2 CROTA2 CD1_1 CD1_2 CD2_1 CD2_2 PC1_1 PC1_2 PV1_1 PV2_1 PV2_3 LONPOLE LATPOLE
    RADESYS EQUINOX WCSAXES MJD-OBS DATE-OBS A_ORDER B_ORDER A_2_0 B_0_2 AP_ORDER CPDIS1 CPDIS2 DP1 D2IMDIS1 CQDIS1
    EXPTIME GAIN MAGZERO PHOTFLAM PHOTPLAM PHOTZPT FILTER BANDS BAND1 BSOFTEN BOFFSET HDUCLASS HDUCLAS1 HDUCLAS2
    HDUCLAS3 EXTTYPE ZIMAGE ZTENSION ZBITPIX ZNAXIS ZNAXIS1 ZNAXIS2 ZTILE1 ZTILE2 ZCMPTYPE ZNAME1 ZVAL1 ZNAME2 ZVAL2
    ZQUANTIZ ZDITHER0 ZSCALE ZZERO ZBLANK ZTABLE ZSIMPLE CONTINUE COMMENT HISTORY END HIERARCH
    """.split()  # noqa: SIM905
)
_FORMS = (
    "1K",
    "D",
    "3E",
    "0A",
    "8A",
    "A",
    "PE(3)",
    "QD(2)",
    "11X",
    "L",
    "M",
    "1P",
    "Z",
    "9999999999D",
    "-1E",
    "D25.17",
    "PA",
)


def units(content: bytes) -> list[bytes]:
    """Divide a sound file into its HDUs."""
    starts = [0, *(at for at in range(_BLOCK, len(content), _BLOCK) if content.startswith(b"XTENSION= ", at))]
    return [content[a:b] for a, b in zip(starts, [*starts[1:], len(content)], strict=True)]


def _divided(unit: bytes) -> tuple[list[bytes], bytes]:
    """The cards of a header up to END, and the data."""
    cards = []
    for at in range(0, len(unit), _CARD):
        card = unit[at : at + _CARD]
        if card.startswith(b"END     "):
            end = -(-(at + _CARD) // _BLOCK) * _BLOCK
            return cards, unit[end:]
        cards.append(card)
    return cards, b""


def _joined(cards: Sequence[bytes], data: bytes) -> bytes:
    header = b"".join([*cards, b"END".ljust(_CARD)])
    return header.ljust(-(-len(header) // _BLOCK) * _BLOCK) + data


def _text(dice: Dice, key: str) -> str:
    """The text of a value as a card has it."""
    value = dice.value()
    if key.startswith("TFORM") and dice.one_in(2):
        value = dice.choice(_FORMS)
        return f"'{value:8}'"
    if dice.one_in(4):
        return dice.choice(("'unclosed", "(1.0, 2.0)", "T", "F", "''", "'", "", "/ nothing", "1 2", "'a''b'", "'&'"))
    if value.replace(".", "").replace("-", "").replace("e", "").replace("+", "").isdigit() and not dice.one_in(4):
        return f"{value:>20}"
    return f"'{value:8}'"


def _card(dice: Dice, key: str) -> bytes:
    sign = "= " if not dice.one_in(20) else dice.choice(("  ", "=", " ="))
    return f"{key:8}{sign}{_text(dice, key)}".encode("utf-8" if dice.one_in(2) else "latin-1", "replace")[:_CARD].ljust(
        _CARD
    )


def _changed(dice: Dice, cards: list[bytes]) -> None:
    at = dice.randrange(len(cards))
    key = cards[at][:8].decode("latin-1").rstrip()
    cards[at] = _card(dice, key)


def _added(dice: Dice, cards: list[bytes]) -> None:
    cards.insert(dice.randrange(1, len(cards) + 1), _card(dice, dice.choice(_KEYS)))


def _again(dice: Dice, cards: list[bytes]) -> None:
    cards.insert(dice.randrange(1, len(cards) + 1), dice.choice(cards))


def _dropped(dice: Dice, cards: list[bytes]) -> None:
    if len(cards) > 1:
        del cards[dice.randrange(len(cards))]


def _exchanged(dice: Dice, cards: list[bytes]) -> None:
    a, b = dice.randrange(len(cards)), dice.randrange(len(cards))
    cards[a], cards[b] = cards[b], cards[a]


def _renamed(dice: Dice, cards: list[bytes]) -> None:
    at = dice.randrange(len(cards))
    cards[at] = dice.choice(_KEYS).ljust(8).encode() + cards[at][8:]


def _nudged(dice: Dice, cards: list[bytes]) -> None:
    """Another number where one was: off by little, or a digit too many."""
    numbers = [n for n, card in enumerate(cards) if card[10:30].strip().lstrip(b"-").isdigit()]
    if not numbers:
        return
    at = dice.choice(numbers)
    number = int(cards[at][10:30])
    number = dice.choice((number + 1, number - 1, -number, number * 10, number // 2, number * 2, number << 32))
    cards[at] = cards[at][:10] + f"{number:>20}".encode() + cards[at][30:]


_WAYS: tuple[Callable[[Dice, list[bytes]], None], ...] = (
    _changed, _changed, _changed, _added, _added, _again, _dropped, _exchanged, _renamed, _nudged,
)  # fmt: skip


def recarded(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """Change a few cards of one HDU."""
    del others
    hdus = units(content)
    at = dice.randrange(len(hdus))
    cards, data = _divided(hdus[at])
    for _ in range(dice.few()):
        dice.choice(_WAYS)(dice, cards or [b" " * _CARD])
    hdus[at] = _joined(cards, data)
    return b"".join(hdus)


def reordered(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """Leave HDUs out, repeat, shuffle them, or take one of another file."""
    hdus = units(content)
    which = dice.randrange(4)
    if which == 0:
        dice.shuffle(hdus)
    elif which == 1:
        del hdus[dice.randrange(len(hdus))]
    elif which == 2:
        hdus.insert(dice.randrange(len(hdus) + 1), dice.choice(hdus))
    else:
        hdus.insert(dice.randrange(len(hdus) + 1), dice.choice(units(dice.other(others) or b"\0")))
    return b"".join(hdus)


def disturbed(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """Change the data of one HDU and leave all headers as they are."""
    del others
    hdus = units(content)
    at = dice.randrange(len(hdus))
    cards, data = _divided(hdus[at])
    if not data:
        return content
    out = bytearray(data)
    for _ in range(dice.few(30)):
        out[dice.randrange(len(out))] = dice.choice((0, 0x7F, 0x80, 0xFF, dice.randrange(256)))
    hdus[at] = _joined(cards, bytes(out))
    return b"".join(hdus)
