from hypothesis import given
from hypothesis import strategies as st

from hfi_core.feedback.labels import assign_split

NAMES = st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True)


def test_the_attacker_gets_about_the_share_that_is_asked_for():
    parts = [assign_split(f"badge-{k}", 0.3) for k in range(5000)]
    assert abs(parts.count("attack") / 5000 - 0.3) < 0.02


def test_the_part_of_a_picture_is_pinned_for_ever():
    assert [assign_split(f"badge-{k}", 0.3) for k in range(6)] == ["learn"] * 5 + ["attack"]


def test_the_judge_gets_its_share_and_takes_none_from_the_attacker():
    parts = [assign_split(f"badge-{k}", 0.3, 0.2) for k in range(5000)]
    assert abs(parts.count("judge") / 5000 - 0.2) < 0.02
    assert [part == "attack" for part in parts] == [assign_split(f"badge-{k}", 0.3) == "attack" for k in range(5000)]


@given(NAMES, st.floats(0.01, 0.4), st.floats(0, 0.3), st.floats(0, 0.1), st.floats(0, 0.1))
def test_larger_shares_move_pictures_out_of_what_is_learned_from_only(name, attack, judge, more, other):
    before, after = assign_split(name, attack, judge), assign_split(name, attack + more, judge + other)
    assert before == "learn" or after == before


@given(NAMES, st.floats(0.01, 0.5), st.floats(0, 0.49))
def test_a_larger_share_takes_no_picture_back_from_the_attacker(name, share, more):
    assert assign_split(name, share) == "learn" or assign_split(name, share + more) == "attack"
