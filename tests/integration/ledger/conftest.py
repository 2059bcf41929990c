"""A ledger of its own for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ironclaw_contracts.enums import Service
from ironclaw_ledger.parts import Ledger
from tests.support.databases import new_database
from tests.support.ledger import open_ledger


@pytest.fixture
async def database_url(postgres_url: str) -> AsyncIterator[str]:
    """The superuser's URL of a database with the ledger's tables."""
    async with new_database(postgres_url, Service.LEDGER) as url:
        yield url


@pytest.fixture
async def empty_database_url(postgres_url: str) -> AsyncIterator[str]:
    """The superuser's URL of a database without tables."""
    async with new_database(postgres_url) as url:
        yield url


@pytest.fixture
async def ledger(database_url: str, keys_folder: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(database_url, keys_folder, checkpoint_events=8) as opened:
        yield opened
