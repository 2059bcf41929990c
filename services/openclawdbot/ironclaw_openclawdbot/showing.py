"""Answer the browser's questions: feed, dead letters, demand, overview, control."""

import hashlib
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import msgspec

from ironclaw_chassis.foreign import ForeignAnswer, ForeignCall
from ironclaw_chassis.settings import SettingsError
from ironclaw_contracts.demand import Segment
from ironclaw_contracts.instants import format_instant
from ironclaw_openclawdbot.control import control
from ironclaw_openclawdbot.following import Following
from ironclaw_openclawdbot.overview import FeedFigures, demand_view, is_stale, overview
from ironclaw_openclawdbot.parts import Parts
from ironclaw_openclawdbot.store import DEAD_LETTERS_MAX, FEED_MAX, DeadLetter
from ironclaw_openclawdbot.surveying import Surveying

_LIMIT_DEFAULT = 20


class CatalogueEntry(msgspec.Struct, frozen=True, rename="camel"):
    """One segment of the catalogue."""

    id: str
    label: str
    cluster_labels: list[str]
    static_weight: int


def read_catalogue(path: str) -> list[Segment]:
    """Return the demand segments of a file, or the standard ones. Raises `SettingsError`."""
    source = Path(path) if path else files("ironclaw_openclawdbot") / "segments.json"
    try:
        entries = msgspec.json.decode(source.read_bytes(), type=list[CatalogueEntry])
    except (OSError, msgspec.DecodeError) as error:
        raise SettingsError(f"IRONCLAW_OPENCLAWDBOT_SEGMENTS_FILE: {path}: {error}") from error
    return [Segment(e.id, e.label, 0, "idle", e.static_weight, e.cluster_labels) for e in entries]


def clamp_limit(given: str | None) -> int:
    """Return the limit of a feed: 1…50, and 20 for what is no number."""
    if not given or not given.isascii() or "_" in given:  # Python reads more as a number than others do
        return _LIMIT_DEFAULT
    try:
        return max(1, min(FEED_MAX, int(float(given))))
    except (ValueError, OverflowError):
        return _LIMIT_DEFAULT


class Showing:
    """Serves the GETs."""

    def __init__(self, parts: Parts, following: Following, catalogue: list[Segment], model_name: str) -> None:
        self._parts = parts
        self._following = following
        self._catalogue = catalogue
        self._model_name = model_name
        self._surveying = Surveying(parts.client)

    async def latest(self, call: ForeignCall) -> ForeignAnswer:
        """The feed."""
        items = await self._parts.store.feed(clamp_limit(call.query.get("limit")))
        return _answer(call, {"ok": True, "items": items})

    async def milestone_dead_letters(self, call: ForeignCall) -> ForeignAnswer:
        """Rejected milestones."""
        return await self._dead_letters(call, "milestones")

    async def demand_dead_letters(self, call: ForeignCall) -> ForeignAnswer:
        """Rejected demand summaries."""
        return await self._dead_letters(call, "demand")

    async def demand_live(self, call: ForeignCall) -> ForeignAnswer:
        """The newest summary."""
        snapshot = await self._parts.store.snapshot()
        stale = is_stale(snapshot, datetime.now(UTC))
        return _answer(call, {"ok": True, "snapshot": snapshot, "stale": stale})

    async def demand(self, call: ForeignCall) -> ForeignAnswer:
        """The segments with their live signals."""
        snapshot = await self._parts.store.snapshot()
        return _answer(call, demand_view(self._catalogue, snapshot, datetime.now(UTC)))

    async def overview(self, call: ForeignCall) -> ForeignAnswer:
        """The feed in figures."""
        store = self._parts.store
        letters = await store.dead_letters("milestones")
        figures = FeedFigures(
            feed=await store.feed(FEED_MAX),
            accepted_at=await store.accepted_at(),
            dead_letters=len(letters),
            last_rejection=letters[0][1] if letters else None,
            followers=self._following.followers,
        )
        return _answer(call, overview(figures, datetime.now(UTC)))

    async def control(self, call: ForeignCall) -> ForeignAnswer:
        """What runs."""
        survey = await self._surveying.look()
        return _answer(call, control(survey.theaters, survey.profiles, self._model_name))

    async def _dead_letters(self, call: ForeignCall, channel: str) -> ForeignAnswer:
        letters = await self._parts.store.dead_letters(channel)
        items = [DeadLetter(format_instant(at), reason, key) for at, reason, key in letters]
        return _answer(call, {"ok": True, "items": items, "count": min(len(items), DEAD_LETTERS_MAX)})


def _answer(call: ForeignCall, value: object) -> ForeignAnswer:
    """Answer with an entity tag: a dashboard that polls is told when nothing changed."""
    body = msgspec.json.encode(value)
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if call.headers.get("if-none-match") == tag:
        return ForeignAnswer(304, b"", headers)
    return ForeignAnswer(200, body, headers)
