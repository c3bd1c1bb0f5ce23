"""Laws of schemes: probabilities that follow the tree, labels and files that come back as they went."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from galmorph.sky.scheme import Answer, Question, Scheme, load_scheme, scheme_names

many = settings(max_examples=60, deadline=None)
SCHEMES = {name: load_scheme(name) for name in scheme_names()}


@st.composite
def schemes(draw: st.DrawFn) -> Scheme:
    """Draw a tree, a list of classes or independent fractions."""
    kind = draw(st.sampled_from(["tree", "tree", "exclusive", "independent"]))
    questions: list[Question] = []
    for number in range(draw(st.integers(1, 5)) if kind == "tree" else 1):
        earlier = [a.key for a in questions[-1].answers] if questions else []
        parents = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=len(earlier))) if earlier else []
        answers = tuple(
            Answer(f"q{number}__a{i}", f"answer {i}", f"t{number}_a{i}_frac") for i in range(draw(st.integers(1, 4)))
        )
        questions.append(Question(f"q{number}", f"Question {number}?", answers, tuple(parents)))
    return Scheme("drawn", "A drawn scheme", "none", kind, tuple(questions))


@st.composite
def schemes_and_probabilities(draw: st.DrawFn) -> tuple[Scheme, np.ndarray]:
    """Draw a scheme and conditional probabilities, (N, A), as a network gives them."""
    scheme = draw(st.one_of(schemes(), st.sampled_from(list(SCHEMES.values()))))
    seed = draw(st.integers(0, 2**32 - 1))
    logits = np.random.default_rng(seed).normal(0, 3, (draw(st.integers(1, 5)), len(scheme.keys)))
    if scheme.kind == "independent":
        return scheme, 1.0 / (1.0 + np.exp(-logits))
    odds = np.exp(logits)
    return scheme, np.concatenate([odds[:, w] / odds[:, w].sum(axis=1, keepdims=True) for w in scheme.slices], axis=1)


@many
@given(schemes_and_probabilities())
def test_the_answers_of_a_question_sum_to_its_parents(case):
    scheme, conditional = case
    marginal = scheme.marginals(conditional)
    for where, parents in zip(scheme.slices, scheme.parents, strict=True):
        asked = marginal[:, list(parents)].sum(axis=1) if parents else conditional[:, where].sum(axis=1)
        assert np.allclose(marginal[:, where].sum(axis=1), asked)


@many
@given(schemes_and_probabilities())
def test_no_answer_is_likelier_than_the_question_was_asked(case):
    scheme, conditional = case
    marginal = scheme.marginals(conditional)
    assert ((marginal >= 0) & (marginal <= 1 + 1e-12)).all()
    for where, parents in zip(scheme.slices, scheme.parents, strict=True):
        if parents:
            assert (marginal[:, where] <= marginal[:, list(parents)].sum(axis=1, keepdims=True) + 1e-12).all()


@many
@given(schemes_and_probabilities())
def test_normalised_probabilities_of_the_first_question_sum_to_one(case):
    scheme, conditional = case
    total = scheme.normalised(scheme.marginals(conditional))[:, scheme.slices[0]].sum(axis=1)
    assert np.allclose(total, 1.0)


@many
@given(schemes_and_probabilities())
def test_the_best_class_is_an_answer_of_the_first_question_with_the_highest_probability(case):
    scheme, conditional = case
    marginal = scheme.marginals(conditional)
    names, confidence = scheme.best_class(marginal)
    first = scheme.normalised(marginal)[:, scheme.slices[0]]
    assert np.allclose(confidence, first.max(axis=1))
    endings = {k.rpartition("__")[2] for k in scheme.keys[scheme.slices[0]]}
    assert set(names.tolist()) <= endings


@many
@given(schemes())
def test_a_scheme_survives_its_dictionary_and_json(scheme):
    assert Scheme.from_dict(scheme.to_dict()) == scheme
    assert Scheme.from_dict(json.loads(json.dumps(scheme.to_dict()))) == scheme


@pytest.mark.parametrize("name", SCHEMES)
def test_every_shipped_scheme_survives_its_dictionary(name):
    scheme = SCHEMES[name]
    assert Scheme.from_dict(json.loads(json.dumps(scheme.to_dict()))) == scheme


@many
@given(schemes(), st.data(), st.booleans())
def test_votes_come_back_from_their_labels(scheme, data, by_source):
    ceiling = 1.0 if scheme.kind == "independent" else 40.0
    rows = data.draw(st.integers(0, 4))
    elements = st.floats(0, 1) if ceiling == 1.0 else st.integers(0, 40).map(float)
    votes = data.draw(hnp.arrays(np.float64, (rows, len(scheme.keys)), elements=elements))
    names = [a.source if by_source else a.key for a in scheme.answers]
    labels = scheme.labels({n: votes[:, i] for i, n in enumerate(names)})
    assert np.array_equal(labels.counts, votes)
    known = labels.totals > 0
    assert np.allclose(labels.fractions[known] * labels.totals[known], votes[known])
    assert np.isnan(labels.fractions[~known]).all()
    if scheme.kind != "independent":
        for where in scheme.slices:
            assert np.array_equal(
                labels.totals[:, where], np.repeat(votes[:, where].sum(1)[:, None], where.stop - where.start, 1)
            )


@many
@given(schemes_and_probabilities())
def test_fractions_are_labels_of_themselves(case):
    scheme, conditional = case
    labels = scheme.labels({k: conditional[:, i] for i, k in enumerate(scheme.keys)})
    assert np.allclose(labels.fractions, conditional)


@many
@given(st.sampled_from([s for s in SCHEMES.values() if s.kind == "exclusive"]), st.data())
def test_classes_come_back_from_their_labels(scheme, data):
    classes = data.draw(st.lists(st.sampled_from(["", *scheme.keys]), min_size=1, max_size=12))
    labels = scheme.labels({"label": classes})
    assert [
        scheme.keys[c.argmax()] if t.any() else "" for c, t in zip(labels.counts, labels.totals, strict=True)
    ] == classes
    names, confidence = scheme.best_class(labels.fractions)
    assert names.tolist() == [c.rpartition("__")[2] for c in classes]
    assert all((p == 1.0) if c else np.isnan(p) for p, c in zip(confidence, classes, strict=True))
