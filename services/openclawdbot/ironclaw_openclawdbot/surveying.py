"""Ask the fleet which theaters and profiles there are, and under which policies their units work."""

import asyncio
import time

from msgspec import Struct, field

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.artifacts import Profile
from ironclaw_contracts.commands import POLICY_FILE, CommandPolicy, TheaterPolicy, parse_policy
from ironclaw_contracts.endpoints import integration, vault
from ironclaw_contracts.errors import NotFound, Problem
from ironclaw_contracts.events import EventType, typed_payload
from ironclaw_contracts.payloads import PolicyUpdated
from ironclaw_contracts.policy import DEFAULT_PROFILE
from ironclaw_openclawdbot.control import TheaterSeen

_REMEMBERED_SECONDS = 2.0
_NOTHING_ALLOWED = TheaterPolicy(commands=CommandPolicy(allow=[]))


class Survey(Struct, frozen=True):
    """What was found. Whatever could not be asked is left out, or has the default that units work under."""

    theaters: list[TheaterSeen] = field(default_factory=list[TheaterSeen])
    profiles: list[Profile] = field(default_factory=lambda: [Profile(name=DEFAULT_PROFILE)])


class Surveying:
    """Asks at most every two seconds: anybody may ask us, and each answer costs a call or two a theater."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client
        self._ledger = LedgerClient(client)
        self._lock = asyncio.Lock()
        self._last = Survey()
        self._fresh_until = 0.0
        self._configured: list[Profile] = []
        self._seq = 0

    async def look(self) -> Survey:
        """Return what there is."""
        async with self._lock:
            if time.monotonic() >= self._fresh_until:
                self._last = Survey(theaters=await self._theaters(), profiles=await self._profiles())
                self._fresh_until = time.monotonic() + _REMEMBERED_SECONDS
            return self._last

    async def _theaters(self) -> list[TheaterSeen]:
        try:
            listed = (await self._client.call(vault.LIST_THEATERS)).theaters
        except Problem:
            return []
        return [
            TheaterSeen(
                t.theater_id, await self._policy(t.theater_id), await self._needs_approval(t.theater_id)
            )
            for t in listed
        ]

    async def _policy(self, theater_id: str) -> TheaterPolicy:
        query = vault.FileQuery(path=POLICY_FILE)
        try:
            return parse_policy(await self._client.call(vault.READ_FILE, query=query, theater_id=theater_id))
        except NotFound:
            return parse_policy(None)
        except Problem:
            return _NOTHING_ALLOWED  # a policy that cannot be read lets no unit run anything

    async def _needs_approval(self, theater_id: str) -> bool:
        try:
            return (await self._client.call(integration.SHOW_GATES, theater_id=theater_id)).require_approval
        except Problem:
            return False

    async def _profiles(self) -> list[Profile]:
        """Return the profiles that were configured last; the default one is always there."""
        try:
            async for event in self._ledger.events([EventType.POLICY_UPDATED], after=self._seq):
                step = typed_payload(event.type, event.payload)
                self._seq = event.seq
                if isinstance(step, PolicyUpdated) and step.action == "configured" and step.parameters:
                    self._configured = step.parameters.profiles
        except Problem:
            pass  # the ledger is away; what was known stands
        found = {profile.name: profile for profile in self._configured}
        return list(({DEFAULT_PROFILE: Profile(name=DEFAULT_PROFILE)} | found).values())
