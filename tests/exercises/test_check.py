"""`lab.check`: what it says, what it survives, and what it never does."""

import threading
import time

import pytest
import torch

from lmlab import user_folder
from lmlab.exercises import check, hint, progress, time_limit
from lmlab.exercises.registry import exercises
from lmlab.exercises.time_limit import TimeIsUp, call_within


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LMLAB_HOME", str(tmp_path))


def share(counts, prefix, word):
    after = counts.get(prefix, {})
    return after.get(word, 0) / sum(after.values()) if after else 0.0


def stub(counts, prefix, word): ...


def stub_with_docstring(counts, prefix, word):
    """The share of times that the word followed the prefix."""
    ...  # noqa: PIE790


def half_a_stub(counts, prefix, word):
    total = ...
    return total


def todo(counts, prefix, word):
    raise NotImplementedError


@pytest.mark.parametrize("answer", [stub, stub_with_docstring, half_a_stub, todo, ...])
def test_a_stub_is_not_started_and_not_wrong(answer):
    result = check("next_word.next_prob", answer)
    assert repr(result).startswith("not started\n")
    assert "✕" not in repr(result)
    assert not result.passed


def test_a_pass_is_kept_and_a_failure_is_not():
    check("next_word.next_prob", lambda counts, prefix, word: 0.5)
    assert not user_folder.passed()
    check("next_word.next_prob", share)
    assert list(user_folder.passed()) == ["next_word.next_prob"]
    assert repr(progress()).startswith(f"1 of {len(exercises())} exercises passed, 0 predictions made\n")
    assert "✓ next_word.next_prob" in repr(progress())


def test_a_value_in_place_of_the_function_is_named():
    assert "got the number 0.5; pass the function itself" in repr(check("next_word.next_prob", 0.5))
    assert "got one that takes (counts)" in repr(check("next_word.next_prob", lambda counts: 1.0))


def test_unknown_id_names_the_nearest():
    with pytest.raises(ValueError, match=r"no exercise 'next_word\.sofmax'; did you mean 'next_word\.softmax'"):
        check("next_word.sofmax", share)


def test_cases_are_fresh_and_a_seed_repeats_them():
    def say(counts, prefix, word):
        return 0.123

    told = {repr(check("next_word.next_prob", say)) for _ in range(5)}
    assert len(told) > 1
    assert repr(check("next_word.next_prob", say, seed=7)) == repr(check("next_word.next_prob", say, seed=7))


def test_feedback_escapes_markup():
    def evil(counts, prefix, word):
        raise ValueError("<img src=x onerror=alert(1)> `</div><script>`")

    page = check("next_word.next_prob", evil)._repr_html_()
    assert "<img" not in page
    assert "<script" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page


@pytest.mark.parametrize(
    ("returned", "named"),
    [
        (None, "None (is a `return` missing?)"),
        ("0.5", "the text '0.5'"),
        ([0.5], "a list of 1: [0.5]"),
        (True, "the truth value True"),
        (torch.tensor([0.5]), "a tensor of shape (1,) and dtype float32"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (1j, "the number 1j"),
        (share, "a function, share (are the parentheses of a call missing?)"),
    ],
)
def test_anything_but_a_number_is_described(returned, named):
    result = repr(check("next_word.next_prob", lambda counts, prefix, word: returned))
    assert result.startswith("0 of 4 checks passed")
    assert named in result


def test_a_scalar_tensor_is_a_number():
    assert check("next_word.next_prob", lambda c, p, w: torch.tensor(share(c, p, w), dtype=torch.float64)).passed


def test_the_students_line_is_quoted_and_a_library_frame_is_not():
    def mixes_shapes(logits):
        return torch.stack([logits, logits[:-1]])  # the student's line

    result = repr(check("next_word.softmax", mixes_shapes))
    assert "yours raised RuntimeError" in result
    assert "`return torch.stack([logits, logits[:-1]])  # the student's line`" in result


def test_printing_is_shown_cut_and_not_lost():
    def chatty(counts, prefix, word):
        print("looking at", prefix)
        return share(counts, prefix, word)

    result = check("next_word.next_prob", chatty)
    assert result.passed
    assert "Yours printed: `looking at" in repr(result)
    assert len(repr(result)) < 2500


# ---------------------------------------------------------------- time


def swallows_everything(counts, prefix, word):
    while True:
        try:
            while True:
                pass
        except:  # noqa: E722
            pass


def loops_and_prints(counts, prefix, word):
    while True:
        print("still here")


def sleeps(counts, prefix, word):
    time.sleep(0.6)
    return 1.0


@pytest.mark.parametrize("endless", [swallows_everything, loops_and_prints, sleeps])
def test_a_function_that_does_not_end_is_stopped_and_the_rest_not_run(endless):
    started = time.perf_counter()
    result = repr(check("next_word.next_prob", endless, seconds=0.3))
    assert time.perf_counter() - started < 3
    assert "had not finished after 0.3 seconds and was stopped" in result
    assert result.count("not run") == 3


def test_the_lab_keeps_working_after_a_stop():
    for _ in range(5):
        check("next_word.next_prob", swallows_everything, seconds=0.05)
        assert sum(i for i in range(100_000)) == 4_999_950_000  # no late exception lands here
    assert check("next_word.next_prob", share).passed
    assert not [t for t in threading.enumerate() if t.name == "lmlab time limit" and t.is_alive()]


def test_time_limit_works_in_any_thread():
    seen = []

    def work():
        try:
            call_within(0.1, swallows_everything, None, None, None)
        except TimeIsUp:
            seen.append("stopped")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(5)
    assert seen == ["stopped"]


def test_recursion_without_end_is_named():
    def again(counts, prefix, word):
        return again(counts, prefix, word)

    assert "yours called itself without end" in repr(check("next_word.next_prob", again))


def test_interrupting_is_reported_not_thrown():
    def interrupted(counts, prefix, word):
        raise KeyboardInterrupt

    assert "you interrupted it" in repr(check("next_word.next_prob", interrupted))


# ---------------------------------------------------------------- hints


def test_three_hints_one_a_call_and_the_third_stays():
    first, second, third, fourth = (hint("next_word.text_bits") for _ in range(4))
    assert [h.level for h in (first, second, third, fourth)] == [1, 2, 3, 3]
    assert len({first.text, second.text, third.text}) == 3
    assert repr(first).startswith("hint 1 of 3: ")
    assert hint("next_word.text_bits", 1) == first
    with pytest.raises(ValueError, match="hints 1, 2 and 3; got 4"):
        hint("next_word.text_bits", 4)


def test_a_limit_that_strikes_as_the_call_is_left_strikes_nobody_later(monkeypatch):
    close, calls = time_limit._close, []

    def struck_at_the_entrance(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise time_limit.TimeIsUp
        close(*arguments)

    monkeypatch.setattr(time_limit, "_close", struck_at_the_entrance)
    assert time_limit.call_within(0.05, lambda: 1) == 1
    assert len(calls) == 2
    end = time.monotonic() + 0.5
    while time.monotonic() < end:  # where a watcher that was left would raise
        pass
