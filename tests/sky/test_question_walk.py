"""QuestionWalk: which question follows which answer."""

from __future__ import annotations

import pytest

from galmorph.sky.question_walk import QuestionWalk, entropy_bits
from galmorph.sky.scheme import load_scheme, scheme_names


def test_an_answer_leads_to_its_question():
    tree = load_scheme("gz-ceers")
    smooth = QuestionWalk(tree, {"smooth_or_featured": "smooth_or_featured__smooth"})
    assert smooth.next is not None
    assert smooth.next.name == "how_rounded_is_it"
    assert [q.name for q in smooth.path][:2] == ["smooth_or_featured", "how_rounded_is_it"]
    assert not any("bar" in q.name for q in smooth.path)


def test_only_answers_of_questions_that_are_asked_are_allowed():
    walk = QuestionWalk(load_scheme("gz-ceers"), {"smooth_or_featured": "smooth_or_featured__smooth"})
    assert walk.allows("how_rounded_is_it", "how_rounded_is_it__in_between")
    assert not walk.allows("how_rounded_is_it", "is_there_a_bar__no_bar")
    assert not walk.allows("is_there_a_bar", "is_there_a_bar__no_bar")


@pytest.mark.parametrize("name", scheme_names())
def test_every_way_through_a_scheme_ends(name):
    scheme = load_scheme(name)
    for choice in (0, -1):
        answers: dict[str, str] = {}
        while (question := QuestionWalk(scheme, answers).next) is not None:
            answers[question.name] = question.answers[choice].key
        assert 0 < len(answers) <= len(scheme.questions)


def test_entropy_is_largest_where_all_answers_are_equal():
    assert entropy_bits([0.25] * 4) == pytest.approx(2.0)
    assert entropy_bits([0.5] * 4) == pytest.approx(2.0)  # fractions that do not exclude each other
    assert entropy_bits([0.0, 1.0, 0.0]) == 0.0
    assert 0 < entropy_bits([0.9, 0.1]) < entropy_bits([0.6, 0.4]) < 1
