"""A scheme's tree, its labels and its file."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from astropy.table import MaskedColumn, Table

from galmorph.errors import SchemeError
from galmorph.sky.scheme import Scheme, load_scheme, scheme_names

TREE = {
    "name": "little",
    "title": "A little tree",
    "reference": "nobody",
    "kind": "tree",
    "questions": [
        {"name": "smooth", "answers": ["yes", "features"]},
        {"name": "edge_on", "parents": ["smooth__features"], "answers": ["yes", "no"]},
        {"name": "bar", "parents": ["edge_on__no"], "answers": [{"name": "bar", "source": "t3_bar"}, "none"]},
        {"name": "odd", "answers": ["yes", "no"]},
    ],
}


def changed(**changes: object) -> dict[str, object]:
    return {**TREE, **changes}


@pytest.fixture(scope="module")
def tree() -> Scheme:
    return Scheme.from_dict(TREE)


def test_keys_are_question_and_answer_in_the_order_of_the_file(tree):
    assert tree.keys[:4] == ("smooth__yes", "smooth__features", "edge_on__yes", "edge_on__no")
    assert tree.keys[4:] == ("bar__bar", "bar__none", "odd__yes", "odd__no")
    assert tree.column_names()[0] == "gm_p_smooth__yes"
    assert tree.column_names("x_")[-1] == "x_p_odd__no"


def test_slices_and_parents_point_into_the_keys(tree):
    assert [tree.keys[w] for w in tree.slices] == [
        ("smooth__yes", "smooth__features"),
        *[tree.keys[i : i + 2] for i in (2, 4, 6)],
    ]
    assert tree.parents == ((), (1,), (3,), ())


def test_marginals_multiply_down_the_tree_by_hand(tree):
    conditional = np.array([[0.3, 0.7, 0.1, 0.9, 0.25, 0.75, 0.6, 0.4]])
    expected = [0.3, 0.7, 0.07, 0.63, 0.1575, 0.4725, 0.6, 0.4]
    assert tree.marginals(conditional)[0] == pytest.approx(expected)
    assert conditional[0, 2] == 0.1  # the input stays


def test_a_question_with_two_parents_is_asked_of_both():
    two = changed(
        questions=[
            {"name": "a", "answers": ["x", "y", "z"]},
            {"name": "b", "parents": ["a__x", "a__y"], "answers": ["p", "q"]},
        ]
    )
    assert Scheme.from_dict(two).marginals(np.array([0.2, 0.3, 0.5, 0.4, 0.6])) == pytest.approx(
        [0.2, 0.3, 0.5, 0.2, 0.3]
    )


def test_the_best_class_is_the_likeliest_answer_of_the_first_question(tree):
    names, confidence = tree.best_class(np.array([[0.3, 0.7, 1, 0, 1, 0, 1, 0], [np.nan] * 8]))
    assert names.tolist() == ["features", ""]
    assert confidence[0] == 0.7
    assert np.isnan(confidence[1])


def test_the_best_class_of_no_rows_is_empty(tree):
    names, confidence = tree.best_class(np.zeros((0, 8)))
    assert len(names) == len(confidence) == 0


def test_independent_fractions_are_normalised_and_a_row_without_any_is_nan():
    scheme = load_scheme("candels-visual")
    out = scheme.normalised(np.array([[0.8, 0.6, 0.2, 0.0, 0.0], [0.0] * 5]))
    assert out[0] == pytest.approx([0.5, 0.375, 0.125, 0, 0])
    assert np.isnan(out[1]).all()
    assert scheme.best_class(np.array([[0.8, 0.6, 0.2, 0.0, 0.0]]))[1] == pytest.approx([0.5])


def test_other_kinds_are_not_normalised(tree):
    values = np.full((2, 8), 0.9)
    assert tree.normalised(values) is values


# Labels


def test_votes_are_found_by_key_or_by_their_published_name(tree):
    votes = {k: [3, 0] for k in tree.keys}
    votes["t3_bar"] = votes.pop("bar__bar")
    votes["edge_on__yes"] = [1, 0]
    labels = tree.labels(votes)
    assert labels.counts[0].tolist() == [3, 3, 1, 3, 3, 3, 3, 3]
    assert labels.totals[0].tolist() == [6, 6, 4, 4, 6, 6, 6, 6]
    assert labels.fractions[0, 2:4].tolist() == [0.25, 0.75]


def test_a_question_nobody_was_asked_has_no_fraction(tree):
    labels = tree.labels({k: [3.0, 0.0, np.nan] for k in tree.keys})
    assert labels.fractions[0].tolist() == [0.5] * 8
    assert np.isnan(labels.fractions[1:]).all()
    assert (labels.totals[1:] == 0).all()


def test_rows_of_labels_are_taken(tree):
    labels = tree.labels({k: [0, 1, 2] for k in tree.keys})
    some = labels.take(np.array([2, 0]))
    assert len(labels) == 3
    assert len(some) == 2
    assert (some.counts[0] == 2).all()


@pytest.mark.parametrize("make", [dict, Table, pd.DataFrame])
def test_any_kind_of_table_gives_the_same_labels(tree, make):
    labels = tree.labels(make({k: [i, 2 * i] for i, k in enumerate(tree.keys)}))
    assert labels.counts.tolist() == [[0, 1, 2, 3, 4, 5, 6, 7], [0, 2, 4, 6, 8, 10, 12, 14]]


def test_missing_columns_are_counted_and_named(tree):
    with pytest.raises(SchemeError, match=r"no column 'odd__yes' \(2 of 8"):
        tree.labels({k: [1] for k in tree.keys[:6]})


def test_masked_cells_are_no_votes_whatever_lies_below():
    """Tables of several surveys have 0 there: taken for fractions, all classes would have been denied."""
    scheme = load_scheme("candels-visual")
    labels = scheme.labels(Table({k: MaskedColumn([0.0, 0.4], mask=[True, False]) for k in scheme.keys}))
    assert labels.totals.tolist() == [[0.0] * 5, [1.0] * 5]


def test_fractions_in_single_precision_may_exceed_one_by_rounding():
    scheme = load_scheme("candels-visual")
    labels = scheme.labels({k: np.array([1.0], np.float32) * np.float32(1.0000001) for k in scheme.keys})
    assert labels.fractions.tolist() == [[1.0] * 5]


def test_a_question_of_which_some_answers_are_missing_has_no_label(tree, caplog):
    """Without the others, the answer that is there would be everybody's."""
    votes = {k: [0.6, 0.6] for k in tree.keys}
    first, second, *_ = tree.keys
    votes[second] = [np.nan, 0.4]
    labels = tree.labels(votes)
    where = tree.slices[0]
    assert labels.totals[0, where].tolist() == [0.0] * 2
    assert labels.fractions[1, where] == pytest.approx([0.6, 0.4])
    assert np.isfinite(labels.fractions[0, where.stop :]).all()
    assert f"1 of 2 rows lack some answers of question '{tree.questions[0].name}'" in caplog.text
    assert first in tree.keys[where]


def test_negative_votes_are_refused(tree):
    with pytest.raises(SchemeError, match="negative votes"):
        tree.labels({k: [-1] for k in tree.keys})


def test_counts_are_no_labels_of_independent_fractions():
    scheme = load_scheme("candels-visual")
    with pytest.raises(SchemeError, match="exceed 1"):
        scheme.labels({k: [3] for k in scheme.keys})
    labels = scheme.labels({k: [0.4, np.nan] for k in scheme.keys})
    assert labels.totals.tolist() == [[1.0] * 5, [0.0] * 5]
    assert labels.fractions[0].tolist() == [0.4] * 5


CLASSES = ["spiral", "", " edge_on ", None, "smooth_round"]


@pytest.mark.parametrize(
    "table",
    [
        {"label": CLASSES},
        pd.DataFrame({"label": CLASSES}),
        Table({"label": MaskedColumn(["spiral", "", " edge_on ", "?", "smooth_round"], mask=[0, 0, 0, 1, 0])}),
    ],
    ids=["dict", "pandas", "masked"],
)
def test_classes_become_one_vote_and_empty_cells_no_label(table):
    scheme = load_scheme("gz2-simple")
    labels = scheme.labels(table)
    assert labels.totals[:, 0].tolist() == [1, 0, 1, 0, 1]
    assert [scheme.keys[i] for i in labels.counts[[0, 2, 4]].argmax(axis=1)] == ["spiral", "edge_on", "smooth_round"]
    assert (labels.counts.sum(axis=1) == labels.totals[:, 0]).all()


def test_class_strings_of_galaxy_zoo_2_are_read_from_its_column_and_the_rarer_ones_count_as_other():
    scheme = load_scheme("gz2-class13")
    table = {"gz2class": ["Sc?t", "Ei(o)", "", "Sen", None, "A"]}
    labels = scheme.labels(table)
    assert labels.totals[:, 0].tolist() == [1, 1, 0, 1, 0, 1]
    found = [scheme.keys[i] for i in labels.counts.argmax(axis=1)]
    assert [found[i] for i in (0, 1, 3, 5)] == ["Sc_t", "other", "Sen", "other"]
    assert (scheme.labels({"label": table["gz2class"]}).counts == labels.counts).all()
    assert Scheme.from_dict(scheme.to_dict()) == scheme


def test_what_other_classes_count_as_must_be_an_answer():
    contents = load_scheme("gz2-class13").to_dict() | {"otherwise": "others"}
    with pytest.raises(SchemeError, match="did you mean 'other'"):
        Scheme.from_dict(contents)


def test_an_unknown_class_names_the_known_ones():
    with pytest.raises(SchemeError, match="did you mean 'spiral'"):
        load_scheme("gz2-simple").labels({"label": ["spirall"]})


def test_a_table_with_neither_votes_nor_classes_says_what_it_looked_for(tree):
    with pytest.raises(SchemeError, match="neither columns of votes"):
        tree.labels({"label": ["spiral"]})  # a tree has no single class
    with pytest.raises(SchemeError, match="'morphology' with names of classes: found kind"):
        load_scheme("gz2-simple").labels({"kind": ["spiral"]}, column="morphology")


# Files


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        (changed(extra=1), "scheme 'little': unknown key 'extra'"),
        (changed(kind="forest"), "did you mean 'tree'|known are exclusive, independent, tree"),
        ({k: v for k, v in TREE.items() if k != "title"}, "scheme 'little': lacks 'title'"),
        (
            changed(questions=[{"name": "a", "answers": ["x"], "parent": []}]),
            r"\[questions.1\]: unknown key 'parent'.*did you mean 'parents'",
        ),
        (changed(questions=[{"name": "a"}]), r"\[questions.1\]: lacks 'answers'"),
        (changed(questions=[{"name": "a", "answers": ["x", "x"]}]), "an answer is there twice"),
        (changed(questions=[{"name": "a", "answers": ["x"]}] * 2), "an answer is there twice"),
        (changed(questions=3), "questions = 3, expected a list"),
        (changed(questions=[]), "has no questions"),
        (changed(questions=["a"]), r"questions = \['a'\], expected a list"),
        (changed(questions=[{"name": 7, "answers": ["x"]}]), r"\[questions.1\]: name = 7, expected a text"),
        (changed(questions=[{"name": "a", "answers": [5]}]), r"\[questions.1\]: answers = .5,., expected a list"),
        (changed(questions=[{"name": "a", "answers": []}]), "has no answers"),
        (changed(questions=[{"name": "a", "answers": [{"nam": "x"}]}]), r"unknown key 'nam'.*did you mean 'name'"),
        (changed(noise=float("nan")), "noise = nan, expected a number"),
        (changed(noise=-1), "noise = -1, expected a number from 0"),
        (changed(rules=["a"]), r"rules = \['a'\], expected a list"),
        (
            changed(questions=[{"name": "a", "answers": ["x"], "parents": ["b__y"]}]),
            "'b__y' is no answer of an earlier question",
        ),
    ],
)
def test_a_wrong_scheme_is_explained_in_one_line(contents, words):
    with pytest.raises(SchemeError, match=words) as caught:
        Scheme.from_dict(contents)
    assert "\n" not in str(caught.value)


def test_an_unknown_scheme_lists_what_ships():
    with pytest.raises(
        SchemeError, match=r"candels-visual, gz-ceers, gz1, gz2, gz2-class13, gz2-simple; did you mean 'gz2-simple'"
    ):
        load_scheme("gz2-simpel")


def test_a_scheme_file_is_read_by_its_path_and_named_after_it(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        'title = "T"\nreference = "R"\nkind = "exclusive"\n[[questions]]\nname = "class"\nanswers = ["a", "b"]\n'
    )
    scheme = load_scheme(path)
    assert (scheme.name, scheme.keys) == ("mine", ("a", "b"))


@pytest.mark.parametrize("text", ["kind = ", "\x00", None])
def test_a_broken_or_missing_scheme_file_is_a_scheme_error(tmp_path, text):
    path = tmp_path / "mine.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SchemeError, match="cannot be read"):
        load_scheme(path)


# What ships

SHIPPED = {
    "gz1": (1, 6),
    "candels-visual": (1, 5),
    "candels-shares": (1, 5),
    "gz-ceers": (None, 39),
    "gz2": (11, 37),
    "gz2-class13": (None, 13),
    "gz2-simple": (1, 5),
}


def test_the_shipped_schemes_are_these():
    assert set(scheme_names()) == set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_scheme_reads_and_has_as_many_answers_as_published(name):
    scheme = load_scheme(name)
    questions, answers = SHIPPED[name]
    assert len(scheme.keys) == answers
    assert questions is None or len(scheme.questions) == questions
    assert scheme.title
    assert scheme.reference
    assert all(a.title and a.source for a in scheme.answers)
    assert len(set(scheme.column_names())) == answers
    assert all(name.replace("_", "").isalnum() for name in scheme.column_names())


@pytest.mark.parametrize("name", SHIPPED)
def test_every_question_of_a_shipped_scheme_is_asked_of_somebody(name):
    scheme = load_scheme(name)
    # All give the first answer of each question that still leads on: every question is reached by some path.
    even = np.concatenate([np.full(w.stop - w.start, 1.0 / (w.stop - w.start)) for w in scheme.slices])
    assert (scheme.marginals(even) > 0).all()


def test_galaxy_zoo_2_has_the_eleven_tasks_of_willett_2013():
    scheme = load_scheme("gz2")
    tasks = {int(q.answers[0].source.removeprefix("Class").partition(".")[0]): q for q in scheme.questions}
    assert [len(tasks[i].answers) for i in range(1, 12)] == [3, 2, 2, 2, 4, 2, 3, 7, 3, 3, 6]
    assert [q.answers[0].source for q in scheme.questions if not q.parents] == ["Class1.1", "Class6.1"]
    assert tasks[7].parents == (tasks[1].answers[0].key,)  # how round: asked of smooth galaxies
    assert tasks[9].parents == (tasks[2].answers[0].key,)  # shape of the bulge: of those seen edge-on
    assert tasks[10].parents == tasks[11].parents == (tasks[4].answers[0].key,)  # arms: of spirals


def test_the_galaxy_zoo_ceers_scheme_reads_the_published_votes(shared_data):
    votes = pd.read_csv(shared_data / "ceers_f200w" / "votes.csv")
    scheme = load_scheme("gz-ceers")
    labels = scheme.labels(votes)
    assert len(labels) == len(votes) == 3230
    first = labels.totals[:, scheme.slices[0]][:, 0]
    assert 20 < np.median(first) < 60


def test_the_five_class_scheme_reads_the_published_labels(shared_data):
    table = pd.read_csv(shared_data / "sdss_gz2" / "labels.csv")
    labels = load_scheme("gz2-simple").labels(table)
    assert (labels.totals[:, 0] > 0).sum() == 2542
    assert labels.counts.sum(axis=0).min() == 40  # smooth_cigar


def test_the_candels_scheme_reads_the_published_fractions(shared_data):
    table = pd.read_csv(shared_data / "candels_labels" / "goodss_visual_fractions.csv")
    scheme = load_scheme("candels-visual")
    labels = scheme.labels(table)
    assert len(labels) == 7567
    assert 0 <= np.nanmin(labels.fractions) <= np.nanmax(labels.fractions) <= 1
