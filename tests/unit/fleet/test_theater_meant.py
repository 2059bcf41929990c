"""Which theater a chat without --theater means, and how one is named after its folder."""

from pathlib import Path

import pytest

from ironclaw_contracts.endpoints.vault import Theater
from ironclaw_fleet.cli.session import Failed
from ironclaw_fleet.cli.theater import named
from ironclaw_fleet.cli.work import theater_meant


def theater(name: str, path: str, owned: bool = False) -> Theater:
    return Theater(name, path, "main", "0" * 40, owned, "/vault")


def test_given_theaters_when_we_stand_in_one_s_repository_then_the_innermost_is_meant(tmp_path: Path) -> None:
    outer, inner = theater("outer", str(tmp_path)), theater("inner", f"{tmp_path}/inner/.git")
    deep = tmp_path / "inner" / "src"
    deep.mkdir(parents=True)
    assert theater_meant([outer, inner], deep, None) == "inner"
    assert theater_meant([outer, inner], tmp_path, "summarize") == "outer"


def test_given_one_opened_repository_when_we_stand_elsewhere_then_only_a_codemod_means_it() -> None:
    found = [theater("shop", "/src/shop"), theater("main", "/vault/main", owned=True)]
    assert theater_meant(found, Path("/"), "codemod") == "shop"
    assert theater_meant(found, Path("/"), "draft") is None
    assert theater_meant([*found, theater("two", "/src/two")], Path("/"), "codemod") is None


def test_given_a_path_when_a_theater_is_added_then_it_is_named_after_the_folder(tmp_path: Path) -> None:
    (tmp_path / "my shop.git").mkdir()
    assert named(str(tmp_path / "my shop.git"), None) == ("my-shop-git", tmp_path / "my shop.git")
    assert named("work", None) == ("work", None)
    with pytest.raises(Failed, match="ironclaw theater add NAME PATH"):
        named("/", None)
