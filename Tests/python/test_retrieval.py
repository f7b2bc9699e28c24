"""The associative retrieval task: what its sequences are."""

import numpy as np
import pytest
from stpn_swift.experiments.retrieval_data import (
    PAPER,
    SYMBOLS,
    RetrievalTask,
    Seeds,
    Sequences,
    generate,
)

COUNT = 20_000


@pytest.fixture(scope="module")
def sequences() -> Sequences:
    return generate(COUNT, np.random.default_rng(5))


def test_a_sequence_is_pairs_question_marks_and_a_letter(sequences: Sequences) -> None:
    for index in range(200):
        text = sequences.text(index)
        letters, digits, asked = text[0:6:2], text[1:6:2], text[-1]
        assert len(text) == PAPER.length == 9
        assert set(letters) <= set(SYMBOLS[:26]) and len(set(letters)) == 3
        assert set(digits) <= set("0123456789")
        assert text[6:8] == "??"
        assert asked in letters


def test_the_answer_is_the_digit_of_the_letter(sequences: Sequences) -> None:
    for index in range(200):
        text = sequences.text(index)
        pairs = dict(zip(text[0:6:2], text[1:6:2], strict=True))
        assert SYMBOLS[sequences.answers[index]] == pairs[text[-1]]


def test_letters_are_drawn_without_replacement_and_digits_with(sequences: Sequences) -> None:
    letters, digits = np.sort(sequences.symbols[:, 0:6:2]), np.sort(sequences.symbols[:, 1:6:2])
    assert np.all(np.diff(letters) > 0)
    all_differ = np.all(np.diff(digits) > 0, axis=1).mean()
    assert abs(all_differ - 0.9 * 0.8) < 5 * np.sqrt(0.72 * 0.28 / COUNT)


def test_every_choice_is_uniform(sequences: Sequences) -> None:
    symbols = sequences.symbols
    counts = [np.bincount(symbols[:, place], minlength=37)[:26] for place in (0, 2, 4)]
    counts += [np.bincount(symbols[:, place], minlength=37)[26:36] for place in (1, 3, 5)]
    asked = (symbols[:, 0:6:2] == symbols[:, -1:]).sum(axis=0)
    for count in (*counts, asked):
        p = 1 / len(count)
        assert count.sum() == COUNT
        assert np.all(np.abs(count - COUNT * p) < 5 * np.sqrt(COUNT * p * (1 - p)))


@pytest.mark.parametrize(
    "task",
    [PAPER, RetrievalTask(pairs=1), RetrievalTask(pairs=6, letters=8, digits=4), RetrievalTask(digits=1)],
)
def test_the_bounds_are_those_of_the_task(task: RetrievalTask) -> None:
    """Who knows the digits is right where the most frequent of them is the answer, or one of equals."""
    digits = generate(COUNT, np.random.default_rng(1), task).symbols[:, 1 : 2 * task.pairs : 2]
    frequency = (digits[:, :, None] == digits[:, None, :]).sum(axis=2)  # (N,P): how often each of the digits
    known = frequency.max(axis=1) / task.pairs
    assert abs(known.mean() - task.digits_known) < 0.01
    assert task.chance * task.digits == 1


def test_the_bounds_of_the_paper() -> None:
    assert PAPER.chance == 0.1 and PAPER.digits_known == 0.43


def test_a_harder_task() -> None:
    task = RetrievalTask(pairs=5, letters=30, digits=4, question_marks=7)
    sequences = generate(300, np.random.default_rng(1), task)
    assert len(task.symbols) == 35 and task.length == 18
    assert set(np.unique(sequences.symbols)) == set(range(35))
    for index in range(len(sequences)):
        text = sequences.text(index)
        pairs = dict(zip(text[0:10:2], text[1:10:2], strict=True))
        assert len(pairs) == 5 and text[10:17] == "???????"
        assert task.symbols[sequences.answers[index]] == pairs[text[-1]]
    assert sequences[:3].one_hot().shape == (3, 18, 35)


def test_one_hot(sequences: Sequences) -> None:
    part = sequences[10:14]
    x = part.one_hot()
    assert x.shape == (4, 9, 37) and x.dtype == np.float32
    assert np.array_equal(x.argmax(axis=2), part.symbols)
    assert np.array_equal(np.unique(x), [0, 1]) and np.all(x.sum(axis=2) == 1)
    assert np.array_equal(part.answers, sequences.answers[10:14])
    assert part.one_hot("float64").dtype == np.float64 and np.array_equal(part.one_hot("float64"), x)


def test_a_seed_is_its_data() -> None:
    one, same, other = (generate(1000, Seeds.from_seed(seed).train) for seed in (3, 3, 4))
    assert np.array_equal(one.symbols, same.symbols) and np.array_equal(one.answers, same.answers)
    assert not np.array_equal(one.symbols, other.symbols)


def test_the_sets_of_a_seed_are_independent() -> None:
    seeds = Seeds.from_seed(3)
    assert seeds._fields == ("train", "validation", "test", "parameters", "order")
    drawn = {tuple(generator.integers(2**63, size=2)) for generator in seeds}
    assert len(drawn) == 5


def test_the_size_of_a_set_changes_no_other() -> None:
    small, large = Seeds.from_seed(3), Seeds.from_seed(3)
    generate(10, small.train), generate(1000, large.train)
    assert np.array_equal(generate(50, small.test).symbols, generate(50, large.test).symbols)
