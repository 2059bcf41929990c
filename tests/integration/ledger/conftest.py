"""A ledger of its own for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ironclaw_ledger.parts import Ledger
from tests.support.ledger import open_ledger


@pytest.fixture
async def ledger(database_url: str, keys_folder: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(database_url, keys_folder, checkpoint_events=8) as opened:
        yield opened
