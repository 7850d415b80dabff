"""Which changes no other node is known to have."""

from pmxcfs.memdb.sharing import DOUBT_S, Sharing

NOW_S = 1_700_000_000


def test_what_a_majority_applies_is_shared() -> None:
    sharing = Sharing()
    sharing.note_applied(7, NOW_S, is_own=True, is_shared=True)
    assert sharing.unshared_since is None


def test_what_is_applied_alone_is_not_shared_until_others_have_the_same_tree() -> None:
    sharing = Sharing()
    for version in (7, 8):
        sharing.note_applied(version, NOW_S, is_own=True, is_shared=False)
    sharing.note_applied(9, NOW_S, is_own=True, is_shared=True)
    assert sharing.unshared_since == 7
    sharing.note_agreement(NOW_S)
    assert sharing.unshared_since is None


def test_an_agreement_counts_once_it_has_lasted() -> None:
    for age_s, since in ((0, 7), (DOUBT_S, 7), (DOUBT_S + 1, None)):
        sharing = Sharing(unshared_since=7)
        sharing.note_agreement(NOW_S - 100)
        sharing.note_agreement(NOW_S - age_s)
        sharing.note_parting(NOW_S)
        assert sharing.unshared_since == since
        sharing.note_agreement(NOW_S)
        sharing.note_parting(NOW_S)
        assert sharing.unshared_since == since


def test_own_last_changes_are_in_doubt_when_members_go() -> None:
    sharing = Sharing()
    for version, age_s in ((5, DOUBT_S + 1), (6, DOUBT_S), (7, 0)):
        sharing.note_applied(version, NOW_S - age_s, is_own=True, is_shared=True)
    sharing.note_parting(NOW_S)
    assert sharing.unshared_since == 6


def test_old_changes_and_those_before_somebody_elses_are_not_in_doubt() -> None:
    old, answered = Sharing(), Sharing()
    old.note_applied(7, NOW_S - DOUBT_S - 1, is_own=True, is_shared=True)
    old.note_parting(NOW_S)
    answered.note_applied(7, NOW_S, is_own=True, is_shared=True)
    answered.note_applied(8, NOW_S, is_own=False, is_shared=True)
    answered.note_parting(NOW_S)
    assert (old.unshared_since, answered.unshared_since) == (None, None)


def test_only_the_last_seconds_are_remembered() -> None:
    sharing = Sharing()
    for second in range(1000):
        sharing.note_applied(7 + second, NOW_S + second, is_own=True, is_shared=True)
    assert len(sharing._own) == DOUBT_S + 1


def test_what_was_remembered_over_a_restart_holds() -> None:
    sharing = Sharing(unshared_since=3)
    sharing.note_applied(9, NOW_S, is_own=True, is_shared=False)
    assert sharing.unshared_since == 3
