"""A user's own repository: a Python package of several parts with a pytest suite of its own."""

from pathlib import Path

from tests.support.git import make_repository

OLD_STYLE = '''"""Part {name}."""

from typing import Dict, List, Optional


def first(values: List[int]) -> Optional[int]:
    return values[0] if values else None


def counted(words: List[str]) -> Dict[str, int]:
    found: Dict[str, int] = dict()
    for word in words:
        found[word] = found.get(word, 0) + 1
    return found
'''
SUITE = """from shop.{name} import counted, first


def test_first() -> None:
    assert first([3, 2]) == 3 and first([]) is None


def test_counted() -> None:
    assert counted(["a", "b", "a"]) == {{"a": 2, "b": 1}}
"""


_PYTEST = "[tool.pytest.ini_options]\naddopts = ['--disable-plugin-autoload']\n"
"""No plugin of those that lie about: each start of pytest would import all of them."""


def make_package(folder: Path, parts: int, extra: dict[str, str] | None = None) -> Path:
    """Make a repository with `parts` packages `shop/partNN`, each old in style, each with its tests."""
    names = [f"part{number:02d}" for number in range(parts)]
    files = {"README.md": "# Shop\n", "shop/__init__.py": "", "pyproject.toml": _PYTEST}
    for name in names:
        files[f"shop/{name}/__init__.py"] = OLD_STYLE.format(name=name)
        files[f"tests/test_{name}.py"] = SUITE.format(name=name)
    return make_repository(folder, files | (extra or {}))
