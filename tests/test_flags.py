"""Flags in words: decoding of scalars and arrays, the recommended cuts, and what all rows of a run share."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from astropy.table import MaskedColumn, Table

import galmorph
from galmorph.cli import main
from galmorph.errors import UnknownNameError
from galmorph.flags import (
    MEANINGS,
    RECOMMENDED_CUT,
    REMEDIES,
    SURVEY_WIDE,
    UNCLASSIFIABLE,
    Flag,
    cut_of,
    decode,
    describe_flags,
    flag_names,
    shared_mismatches,
)

ALL = int(sum(Flag))


@pytest.mark.parametrize("kind", [int, np.int16, np.int32, np.int64, np.uint32, np.float64, np.array])
def test_a_scalar_is_a_list_of_names(kind):
    assert decode(kind(2056)) == ["OFF_EDGE", "LOW_SNR"]
    assert decode(kind(0)) == []


def test_every_bit_has_its_name():
    assert decode([1 << bit for bit in range(len(MEANINGS))]) == [[flag.name] for flag in MEANINGS]
    assert decode(ALL) == [flag.name for flag in MEANINGS]


def test_an_array_keeps_its_shape():
    values = np.array([[0, 8], [1024, 1032]], np.int32)
    assert decode(values) == [[[], ["OFF_EDGE"]], [["BLEND"], ["OFF_EDGE", "BLEND"]]]
    assert decode(values.tolist()) == decode(tuple(map(tuple, values.tolist()))) == decode(values)
    assert decode(np.empty(0, np.int32)) == []


def test_a_cell_without_a_value_is_none_and_not_free_of_doubt():
    masked = np.ma.array([8, 8, 0], mask=[False, True, False])
    expected = [["OFF_EDGE"], None, []]
    assert decode(masked) == expected
    assert decode(MaskedColumn(masked, name="gm_flags")) == expected
    assert decode(np.array([8, np.nan, 0])) == expected
    assert decode(pd.Series([8, None, 0], dtype="Int32")) == expected
    assert decode([8, None, 0]) == expected
    assert decode(np.ma.masked) is None


@pytest.mark.parametrize("wrong", [-1, 8.5, 1 << 19, 2.0**40, np.inf, "8", [8, -2]])
def test_what_is_no_sum_of_bits_is_refused(wrong):
    with pytest.raises(ValueError, match="expected the sum of bits"):
        decode(wrong)


def test_a_column_of_a_table_is_decoded():
    table = Table({"gm_flags": np.array([0, 1024], np.int32)})
    assert decode(table["gm_flags"]) == [[], ["BLEND"]]
    assert decode(table["gm_flags"][1]) == ["BLEND"]


def test_every_flag_is_described_with_its_remedy():
    entries = describe_flags()
    assert [entry.value for entry in entries] == [1 << entry.bit for entry in entries] == [int(f) for f in Flag]
    assert list(REMEDIES) == list(Flag)
    assert [entry.meaning for entry in entries] == list(MEANINGS.values())
    assert all(entry.remedy and entry.is_cut == bool(Flag(entry.value) & RECOMMENDED_CUT) for entry in entries)


@pytest.mark.parametrize("words", [2056, "2056", "0x808", ["OFF_EDGE", "LOW_SNR"], ["off_edge", 2048], np.int32(2056)])
def test_flags_are_described_by_values_and_names(words):
    assert [entry.name for entry in galmorph.describe_flags(words)] == ["OFF_EDGE", "LOW_SNR"]


@pytest.mark.parametrize(
    ("word", "hint"), [("BLENDED", "did you mean 'BLEND'"), ("-8", "known are"), (1 << 20, "known are")]
)
def test_an_unknown_flag_names_those_that_there_are(word, hint):
    with pytest.raises(UnknownNameError, match=hint):
        describe_flags(word)


def test_the_recommended_cut_takes_rows_without_answers_and_spares_what_the_whole_survey_has():
    assert RECOMMENDED_CUT & UNCLASSIFIABLE == UNCLASSIFIABLE
    assert RECOMMENDED_CUT & Flag.NO_ANSWER
    assert not RECOMMENDED_CUT & SURVEY_WIDE
    assert not RECOMMENDED_CUT & (Flag.BLEND | Flag.UNRESOLVED)


def test_a_cut_is_named_by_words_and_values():
    assert cut_of("recommended") == RECOMMENDED_CUT
    assert cut_of("none") == Flag(0)
    assert cut_of("recommended,blend") == RECOMMENDED_CUT | Flag.BLEND
    assert cut_of(["OFF_EDGE", 2048]) == cut_of(2056) == cut_of("2056") == Flag.OFF_EDGE | Flag.LOW_SNR


def test_mismatches_of_nearly_all_rows_are_those_of_the_run():
    band, scale = int(Flag.BAND_MISMATCH), int(Flag.SCALE_MISMATCH)
    assert shared_mismatches(np.array([band, band | 8, 1, 2])) == Flag.BAND_MISMATCH
    assert shared_mismatches(np.array([scale, 0, band, band])) == Flag(0)
    assert shared_mismatches(np.array([8, 8])) == Flag(0)
    assert shared_mismatches(np.empty(0, np.int32)) == Flag(0)


def test_the_command_prints_bits_meanings_and_remedies(capsys):
    assert main(["flags", "2056"]) == 0
    printed = capsys.readouterr().out
    assert flag_names(2056) == [line.split()[2] for line in printed.splitlines() if line[2].isdigit()]
    assert all(MEANINGS[f] in printed and REMEDIES[f] in printed for f in (Flag.OFF_EDGE, Flag.LOW_SNR))
    assert main(["flags", "0"]) == 0
    assert "no reason for doubt" in capsys.readouterr().out


def test_the_command_lists_all_flags_and_prints_json(capsys):
    assert main(["flags"]) == 0
    printed = capsys.readouterr().out
    assert all(flag.name in printed for flag in Flag)
    assert main(["flags", "BLEND", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["flags"] == [
        {
            "bit": 10,
            "value": 1024,
            "name": "BLEND",
            "meaning": MEANINGS[Flag.BLEND],
            "remedy": REMEDIES[Flag.BLEND],
            "is_cut": False,
        }
    ]


def test_the_command_names_the_closest_flag(capsys):
    assert main(["flags", "BLEN"]) == 1
    assert "did you mean 'BLEND'" in capsys.readouterr().err
