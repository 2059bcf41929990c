"""What is bound where, which environment a command gets, and how both tiers say it."""

from pathlib import Path

import msgspec
import pytest

from ironclaw_launcher.order import Mount
from ironclaw_sandbox import BadPolicy, Limits, Policy, network_allowed
from ironclaw_sandbox.bubblewrap import arguments, parse_version
from ironclaw_sandbox.environment import scrubbed
from ironclaw_sandbox.policy import Places, root_folder

POLICY = Policy(worktree=Path("/vault/tree"))


def places(**fields: object) -> Places:
    given = {
        "worktree": "/vault/tree",
        "folder": "/vault/tree",
        "writable": ("/vault/tree",),
        "protected": ("/vault/tree/.git",),
        "readable": (Mount("read", "/opt/tools", "/opt/tools"),),
        "system": (Mount("read", "/usr", "/usr"), Mount("link", "/bin", "usr/bin")),
    }
    return Places(**(given | fields))  # type: ignore[arg-type]


def test_given_a_policy_when_its_root_folder_is_planned_then_git_covers_the_worktree_and_the_seal_is_last() -> (
    None
):
    steps = root_folder(POLICY, places())
    targets = [step.target for step in steps]
    assert targets.index("/tmp") < targets.index("/opt/tools") < targets.index("/vault/tree")
    assert targets.index("/vault/tree") < targets.index("/vault/tree/.git")
    assert Mount("write", "/vault/tree", "/vault/tree") in steps
    assert Mount("read", "/vault/tree/.git", "/vault/tree/.git") in steps
    assert steps[-1] == Mount("seal", "/")
    assert [step.target for step in steps if step.kind == "write"] == ["/vault/tree"]


def test_given_an_allow_list_when_the_root_folder_is_planned_then_the_rest_of_the_worktree_is_read_only() -> (
    None
):
    steps = root_folder(POLICY, places(writable=("/vault/tree/src",), protected=()))
    assert Mount("read", "/vault/tree", "/vault/tree") in steps
    assert [step.target for step in steps if step.kind == "write"] == ["/vault/tree/src"]


def test_given_scratch_limits_when_the_root_folder_is_planned_then_both_scratch_folders_are_bounded() -> None:
    small = Policy(worktree=Path("/vault/tree"), limits=Limits(scratch_bytes=2 << 20))
    sizes = {step.target: step.bytes for step in root_folder(small, places()) if step.kind == "scratch"}
    assert sizes == {"/dev/shm": 2 << 20, "/tmp": 2 << 20}


def test_given_every_kind_of_step_when_bubblewrap_is_told_then_each_has_its_words() -> None:
    words = " ".join(arguments(root_folder(POLICY, places()), network=False))
    for said in (
        "--unshare-all --unshare-user --disable-userns --uid 65534 --gid 65534",
        "--cap-drop ALL --clearenv --new-session --die-with-parent --as-pid-1",
        "--ro-bind /usr /usr --symlink usr/bin /bin",
        "--proc /proc --remount-ro /proc --dev /dev",
        "--perms 1777 --size 67108864 --tmpfs /dev/shm",
        "--bind /vault/tree /vault/tree --ro-bind /vault/tree/.git /vault/tree/.git",
        "--remount-ro /dev --remount-ro / --chdir /",
    ):
        assert said in words
    assert "--share-net" not in words
    assert "--share-net" in arguments((), network=True)


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("bubblewrap 0.8.0\n", (0, 8, 0)),
        ("bubblewrap 0.11.0", (0, 11, 0)),
        ("", None),
        ("bwrap", None),
        ("x y", None),
    ],
)
def test_given_an_answer_of_bwrap_when_its_version_is_read_then_it_is_numbers(
    said: str, version: tuple[int, ...] | None
) -> None:
    assert parse_version(said) == version


def test_given_an_environment_full_of_secrets_when_it_is_scrubbed_then_only_the_allow_list_is_left() -> None:
    host = {
        "LANG": "C.UTF-8",
        "HOME": "/home/me",
        "AWS_SECRET_ACCESS_KEY": "x",
        "PATH": "/evil",
        "LD_PRELOAD": "x",
    }
    left = scrubbed(host, {"MODEL": "m"}, ("/opt/tools/bin",))
    assert left["PATH"] == "/opt/tools/bin:/usr/local/bin:/usr/bin:/bin"
    assert (left["LANG"], left["MODEL"], left["HOME"]) == ("C.UTF-8", "m", "/tmp/home")
    assert not {"AWS_SECRET_ACCESS_KEY", "LD_PRELOAD"} & set(left)


@pytest.mark.parametrize("name", ["", "A B", "A=B", "1A", "A\0", "Ä", "A\n", "-x"])
def test_given_a_name_that_no_environment_holds_when_it_is_asked_for_then_it_is_named(name: str) -> None:
    with pytest.raises(BadPolicy, match="environment"):
        scrubbed({}, {name: "x"})


@pytest.mark.parametrize("entry", ["bin", "./bin", "", "/a:/b", "/a\0"])
def test_given_a_search_path_that_the_worktree_could_name_when_it_is_asked_for_then_it_is_refused(
    entry: str,
) -> None:
    with pytest.raises(BadPolicy, match="search_path"):
        scrubbed({}, {}, (entry,))


@pytest.mark.parametrize(
    ("asked", "theater", "granted"),
    [(True, True, True), (True, False, False), (False, True, False), (False, False, False)],
)
def test_given_an_order_and_a_theater_when_the_network_is_asked_for_then_both_must_allow_it(
    asked: bool, theater: bool, granted: bool
) -> None:
    assert network_allowed(asked=asked, theater_allows=theater) is granted


@pytest.mark.parametrize(
    "field", ["cpu_seconds", "wall_seconds", "memory_bytes", "processes", "open_files", "scratch_bytes"]
)
def test_given_a_limit_of_zero_when_it_is_read_then_the_field_is_named(field: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=field):
        msgspec.convert({field: 0}, Limits)
