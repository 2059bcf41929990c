"""Pushing: only where the operator said, never by force, whatever the repository's configuration says."""

from pathlib import Path

import pytest

from ironclaw_git import Credentials, GitError, Repository, StaleRef, UnsafeName, check_remote, push
from tests.unit.git.conftest import AddOrder, RawGit

NOBODY = Credentials()


@pytest.fixture
def remote(tmp_path: Path, raw_git: RawGit) -> Path:
    folder = tmp_path / "remote.git"
    folder.mkdir()
    raw_git(folder, "init", "-q", "--bare", "-b", "main")
    return folder


async def test_given_a_mainline_when_pushed_then_the_remote_has_it_and_again_is_harmless(
    repo: Repository, add_order: AddOrder, remote: Path, raw_git: RawGit
) -> None:
    _, head = await add_order("o1", {"a": "a\n"})
    for _ in range(2):
        await push(repo, str(remote), head, "main", NOBODY)
        assert raw_git(remote, "rev-parse", "main") == head


async def test_given_a_remote_with_other_commits_when_pushed_then_nothing_is_overwritten(
    repo: Repository, add_order: AddOrder, remote: Path, raw_git: RawGit
) -> None:
    (_, one), (_, two) = await add_order("o1", {"a": "a\n"}), await add_order("o2", {"b": "b\n"})
    await push(repo, str(remote), one, "main", NOBODY)
    with pytest.raises(StaleRef, match="merge them first"):
        await push(repo, str(remote), two, "main", NOBODY)
    assert raw_git(remote, "rev-parse", "main") == one


async def test_given_a_hostile_configuration_when_pushed_then_it_neither_redirects_nor_runs_anything(
    repo: Repository, add_order: AddOrder, remote: Path, raw_git: RawGit, tmp_path: Path
) -> None:
    _, head = await add_order("o1", {"a": "a\n"})
    evil, mark = tmp_path / "evil.git", tmp_path / "mark"
    evil.mkdir()
    raw_git(evil, "init", "-q", "--bare", "-b", "main")
    hooks = repo.git_dir / "hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "pre-push").write_text(f"#!/bin/sh\ntouch {mark}\n")
    (hooks / "pre-push").chmod(0o755)
    raw_git(repo.git_dir, "config", f"url.{evil}.insteadOf", str(remote))
    raw_git(repo.git_dir, "config", f"url.{evil}.pushInsteadOf", str(remote))
    raw_git(repo.git_dir, "config", "remote.origin.receivepack", f"touch {mark}; git-receive-pack")
    await push(repo, str(remote), head, "main", NOBODY)
    assert raw_git(remote, "rev-parse", "main") == head
    assert not mark.exists() and not raw_git(evil, "for-each-ref")


async def test_given_no_such_remote_when_pushed_then_git_says_why(repo: Repository, tmp_path: Path) -> None:
    with pytest.raises(GitError):
        await push(repo, str(tmp_path / "none.git"), await repo.mainline_head(), "main", NOBODY)


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch", "--upload-pack=x", "-o", "http://example.org/x", "git://example.org/x", "relative/path",
        "https://user:pass@example.org/x", "https://example.org/x?y", "ssh://-oProxyCommand=x/y", "/a/../b", "",
        "file:///x", "host:path", "/a\nb", "https://example.org/x\n", "ssh://host/x y", "fd::17", "https:///x",
    ],
)  # fmt: skip
def test_given_an_address_that_is_not_plain_when_checked_then_it_is_refused(url: str) -> None:
    with pytest.raises(UnsafeName):
        check_remote(url)


def test_given_plain_addresses_when_checked_then_their_protocol_is_known() -> None:
    assert check_remote("https://example.org:8443/team/work.git") == "https"
    assert check_remote("ssh://git@example.org/team/work.git") == "ssh"
    assert check_remote("/srv/git/work.git") == "file"
