"""Which branches git has to be asked about."""

from ironclaw_git import ChangedPath
from ironclaw_integration.weather import Branch, may_meet, pairs, sky, without_operational, work_of, worst


def branch(name: str, paths: set[str], seq: int = 0, removes: bool = False) -> Branch:
    return Branch(name, 1, seq, "h", "b", "w", frozenset(paths), removes)


def test_given_two_branches_when_their_paths_are_compared_then_only_those_that_could_meet_are_asked_about() -> (
    None
):
    assert not may_meet(branch("a", {"x/1", "y"}), branch("b", {"x/2", "z"}))
    assert may_meet(branch("a", {"x/1"}), branch("b", {"x/1"}))
    assert may_meet(branch("a", {"x"}), branch("b", {"x/y/z"}))
    assert may_meet(branch("a", {"x/y/z"}), branch("b", {"x/y"}))
    assert may_meet(branch("a", {"x"}, removes=True), branch("b", {"y"}))


def test_given_branches_when_paired_then_the_older_is_first() -> None:
    met = pairs([branch("young", set(), 9), branch("old", set(), 1), branch("middle", set(), 5)])
    assert [(a.order_id, b.order_id) for a, b in met] == [
        ("old", "middle"),
        ("old", "young"),
        ("middle", "young"),
    ]


def test_given_pairs_when_summed_up_then_the_worst_counts() -> None:
    assert (sky(False, False), sky(True, False), sky(True, True), sky(False, True)) == (
        "clear",
        "soft",
        "hot",
        "hot",
    )
    assert (worst([]), worst(["clear", "soft"]), worst(["soft", "hot", "clear"])) == ("clear", "soft", "hot")


def test_given_changes_when_named_then_only_paths_and_contents_count() -> None:
    one = ChangedPath("a", "M", "100644", "1" * 40)
    own = ChangedPath("aar.json", "A", "100644", "2" * 40)
    assert without_operational([one, own]) == [one]
    assert work_of([one]) != work_of([ChangedPath("a", "M", "100755", "1" * 40)])
    assert work_of([one, own]) == work_of([own, one])
