"""Rules: cuts on fractions that give classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from galmorph.errors import SchemeError
from galmorph.sky.rules import read_rule
from galmorph.sky.scheme import Scheme, load_scheme

CANDELS = load_scheme("candels-visual")
GZ2 = load_scheme("gz2")


@pytest.mark.parametrize(
    ("spheroid", "disk", "irregular", "expected"),
    [
        (0.9, 0.1, 0.0, "spheroid"),
        (0.1, 0.9, 0.05, "disk"),
        (0.7, 0.7, 0.0, "disk_spheroid"),
        (0.3, 0.8, 0.2, "irregular_disk"),
        (0.3, 0.2, 0.8, "irregular"),
        (0.3, 0.3, 0.05, "unclassified"),
        (2 / 3, 0.1, 0.0, "unclassified"),  # more than 2/3 is asked
    ],
)
def test_the_thresholds_of_candels(spheroid, disk, irregular, expected):
    """Two thirds and a tenth, strictly."""
    rule = CANDELS.rule("huertas-company-2015")
    p = np.array([[spheroid, disk, irregular, 0.0, 0.0]])
    assert rule.apply(p, p, CANDELS.keys).tolist() == [expected]


@given(st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_at_most_one_class_of_candels_fits(fractions):
    """The five conditions exclude each other, so that their order does not matter."""
    rule = CANDELS.rule("huertas-company-2015")
    p = np.array([fractions])
    held = [all(c.holds(p, CANDELS.keys)[0] for c in kind.comparisons) for kind in rule.classes]
    assert sum(held) <= 1


def fractions_of(**given: float) -> np.ndarray:
    """Return conditional fractions of the Galaxy Zoo 2 tree, (1, 37), even where nothing is said."""
    p = np.concatenate([np.full(len(q.answers), 1.0 / len(q.answers)) for q in GZ2.questions])
    for key, value in given.items():
        p[GZ2.keys.index(key)] = value
    return p[None]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"smooth_or_features__smooth": 0.5, "roundness__round": 0.6}, "smooth_round"),
        ({"smooth_or_features__smooth": 0.5, "roundness__cigar": 0.6}, "smooth_cigar"),
        ({"smooth_or_features__smooth": 0.46, "roundness__round": 0.9}, "unclassified"),
        ({"smooth_or_features__features_or_disk": 0.43, "edge_on__yes": 0.602}, "edge_on"),
        (
            {"smooth_or_features__features_or_disk": 0.6, "edge_on__no": 0.8, "spiral__yes": 0.7},
            "spiral",
        ),
        ({"smooth_or_features__features_or_disk": 0.6, "edge_on__no": 0.7, "spiral__yes": 0.7}, "unclassified"),
    ],
)
def test_the_clean_samples_of_galaxy_zoo_2(given, expected):
    """The cuts are on fractions of those who were asked: marginals of 0 change nothing."""
    rule = GZ2.rule("clean-2013")
    p = fractions_of(**given)
    assert rule.apply(p, np.zeros_like(p), GZ2.keys).tolist() == [expected]


def test_rows_without_probabilities_have_no_class():
    """NaN is neither a class nor unclassified; no rows are no classes."""
    rule = CANDELS.rule("huertas-company-2015")
    p = np.full((2, 5), np.nan)
    p[1] = 0.0
    assert rule.apply(p, p, CANDELS.keys).tolist() == ["", "unclassified"]
    assert rule.apply(p[:0], p[:0], CANDELS.keys).tolist() == []


def test_the_type_of_the_classes_does_not_depend_on_values():
    """A column keeps its width whatever is found."""
    rule = CANDELS.rule("huertas-company-2015")
    disks = np.array([[0.0, 0.9, 0.0, 0.0, 0.0]])
    assert rule.apply(disks, disks, CANDELS.keys).dtype == rule.apply(1 - disks, 1 - disks, CANDELS.keys).dtype


@pytest.mark.parametrize("name", ["candels-visual", "gz2", "gz2-simple", "gz-ceers"])
def test_schemes_that_ship_have_rules_with_references(name):
    """Each rule says where its numbers come from, and survives the scheme's dictionary."""
    scheme = load_scheme(name)
    assert scheme.rules
    assert all(rule.reference and rule.title for rule in scheme.rules)
    assert Scheme.from_dict(scheme.to_dict()) == scheme
    assert scheme.rule() is None  # the likeliest answer, as ever
    assert scheme.rule("likeliest") is None


def test_shares_have_a_rule_of_their_own_by_default():
    """Rarer classes lead at less; stars and what nobody can tell are classes of their own."""
    scheme = load_scheme("candels-shares")
    rule = scheme.rule()
    assert rule is not None
    shares = np.array(
        [
            [0.9, 0.1, 0.0, 0.0, 0.0],
            [0.0, 0.6, 0.4, 0.0, 0.0],
            [0.2, 0.6, 0.2, 0.0, 0.0],
            [0.4, 0.1, 0.0, 0.5, 0.0],
            [0.3, 0.1, 0.2, 0.0, 0.4],
            [0.35, 0.3, 0.25, 0.05, 0.05],
        ]
    )
    expected = ["spheroid", "irregular", "disk", "point_source", "unclassifiable", "mixed"]
    assert rule.apply(shares, shares, scheme.keys).tolist() == expected
    assert scheme.rule("likeliest") is None


def test_an_older_checkpoint_finds_the_default_rule_that_ships():
    """But not where its answers are others, or where it has rules of its own."""
    scheme = load_scheme("candels-shares")
    contents = {k: v for k, v in scheme.to_dict().items() if k not in ("rules", "default_rule")}
    assert Scheme.from_dict(contents).rule() == scheme.rule()
    own = {**contents, "rules": [{**scheme.rules[0].to_dict(), "name": "own"}]}
    assert Scheme.from_dict(own).rule() is None
    contents["questions"][0]["answers"] = contents["questions"][0]["answers"][:3]
    assert Scheme.from_dict(contents).rule() is None


def test_an_older_checkpoint_finds_the_rules_that_ship():
    """A scheme that was stored before there were rules has those of its name, if its answers are the same."""
    contents = CANDELS.to_dict()
    del contents["rules"]
    assert Scheme.from_dict(contents).rule("huertas-company-2015") == CANDELS.rules[0]
    contents["questions"][0]["answers"] = contents["questions"][0]["answers"][:3]
    with pytest.raises(SchemeError, match="known are likeliest"):
        Scheme.from_dict(contents).rule("huertas-company-2015")


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ("disc > 0.5", "unknown answer 'disc'.*did you mean 'disk'"),
        ("disk > 1/0", "divides by 0"),
        ("disk = 0.5", "cannot be read"),
        ("disk > 0.5 or spheroid > 0.5", "cannot be read"),
        ("disk > 0.5 and", "cannot be read"),
        ("__import__('os')", "cannot be read"),
        ("", "cannot be read"),
        ("disk > .", "cannot be read"),
    ],
)
def test_a_wrong_condition_is_named(when, words):
    """One line says which rule, class and words, and what is expected."""
    with pytest.raises(SchemeError, match=words) as caught:
        read_rule({"name": "mine", "classes": [{"name": "a", "when": when}]}, CANDELS.keys)
    assert "rule 'mine'" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"classes": []}, "lacks 'name'"),
        ({"name": "mine"}, r"\[rules.mine\]: lacks 'classes'"),
        ({"name": "mine", "classes": []}, "at least one class"),
        ({"name": "likeliest", "classes": [{"name": "a", "when": "disk > 0"}]}, "another name"),
        ({"name": "mine", "classes": [{"name": "a"}]}, r"\[rules.mine.classes\]: lacks 'when'"),
        ({"name": "mine", "klasses": []}, "did you mean 'classes'"),
        ({"name": "mine", "of": "some", "classes": [{"name": "a", "when": "disk > 0"}]}, "known are all, asked"),
    ],
)
def test_a_wrong_table_is_named(table, words):
    """Missing and unknown keys are errors of the scheme."""
    with pytest.raises(SchemeError, match=words):
        read_rule(table, CANDELS.keys)


def test_an_unknown_rule_lists_what_exists():
    """Also as the default of a scheme."""
    with pytest.raises(SchemeError, match="known are clean-2013, likeliest; did you mean 'clean-2013'"):
        GZ2.rule("clean-2012")
    with pytest.raises(SchemeError, match="unknown rule"):
        Scheme.from_dict({**CANDELS.to_dict(), "default_rule": "mine"})


def test_a_default_rule_is_taken_and_can_be_turned_off():
    """`likeliest` brings back the likeliest answer."""
    scheme = Scheme.from_dict({**CANDELS.to_dict(), "default_rule": "huertas-company-2015"})
    assert scheme.rule() == CANDELS.rules[0]
    assert scheme.rule("likeliest") is None
    assert Scheme.from_dict(scheme.to_dict()) == scheme
