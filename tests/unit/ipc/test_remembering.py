"""The porter's memory: an answer is given again only in the state in which it is true."""

from pmxcfs.ipc.freshness import Page
from pmxcfs.ipc.remembering import ANSWERS_BYTES_MAX, ANSWERS_MAX, Answers

LARGE = 1 << 20
REQUEST, ANSWER = b"\6\0\0\0 a file", b"what is in it"


def test_an_answer_is_given_again_until_the_state_has_moved_on() -> None:
    page = Page()
    page.move_on()
    answers = Answers(page)
    assert answers.find(REQUEST, LARGE) is None
    answers.remember(REQUEST, ANSWER, page.state)
    assert answers.find(REQUEST, LARGE) == ANSWER
    assert answers.find(b"\6 another", LARGE) is None
    page.move_on()
    assert answers.find(REQUEST, LARGE) is None
    assert page.counts() == {6: 1}


def test_an_answer_of_an_earlier_state_is_not_given() -> None:
    page = Page()
    answers, state = Answers(page), page.state + 1
    page.move_on()
    page.move_on()
    answers.remember(REQUEST, ANSWER, state)
    assert answers.find(REQUEST, LARGE) is None


def test_answers_of_another_state_are_forgotten() -> None:
    page = Page()
    answers = Answers(page)
    answers.remember(b"first", ANSWER, 1)
    answers.remember(b"second", ANSWER, 2)
    page.move_on()
    page.move_on()
    assert answers.find(b"first", LARGE) is None
    assert answers.find(b"second", LARGE) == ANSWER


def test_an_answer_that_is_too_large_for_a_client_is_left_to_the_daemon() -> None:
    page = Page()
    page.move_on()
    answers = Answers(page)
    answers.remember(REQUEST, ANSWER, page.state)
    assert answers.find(REQUEST, len(ANSWER) - 1) is None
    assert answers.find(REQUEST, len(ANSWER)) == ANSWER


def test_what_is_remembered_is_bounded() -> None:
    page = Page()
    page.move_on()
    answers = Answers(page)
    for number in range(2 * ANSWERS_MAX):
        answers.remember(b"%d" % number, ANSWER, page.state)
    assert sum(answers.find(b"%d" % n, LARGE) is not None for n in range(999)) == ANSWERS_MAX
    page.move_on()
    large = bytes(ANSWERS_BYTES_MAX // 8)
    for number in range(16):
        answers.remember(b"%d" % number, large, page.state)
    assert sum(answers.find(b"%d" % n, LARGE) is not None for n in range(16)) == 7
