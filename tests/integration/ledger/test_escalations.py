"""Escalations as the ledger derives them, and the lead that lets one service act for another."""

import asyncio

import pytest

from ironclaw_contracts import payloads as p
from ironclaw_contracts.endpoints.ledger import EscalationsQuery, LeadClaim
from ironclaw_contracts.enums import Service, Severity
from ironclaw_contracts.errors import Authority, Conflict, LeaseLive, NotFound
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.snapshots import PATROL_LEAD, Lead
from ironclaw_ledger import audit
from ironclaw_ledger.parts import Ledger
from tests.support.ledger import Scribe


def raised(severity: Severity, subject: str = "x") -> p.EscalationRaised:
    return p.EscalationRaised(severity=severity, subject=subject, reason="because", evidence={"n": 1})


async def acknowledge(scribe: Scribe, escalation_id: str, who: str = "ann") -> None:
    acked = p.EscalationAcked(escalation_id=escalation_id, acked_by=who, note="seen to")
    await scribe.write(Service.CO, E.ESCALATION_ACKED, acked)


async def test_given_escalations_when_listed_then_state_and_severity_filter_them_newest_first(
    ledger: Ledger,
) -> None:
    scribe = Scribe(ledger)
    for severity in (Severity.LOW, Severity.HIGH, Severity.CRITICAL):
        await scribe.write(
            Service.OBSERVER, E.ESCALATION_RAISED, raised(severity), event_id=f"esc-{severity}"
        )
    await acknowledge(scribe, "esc-HIGH")
    page = await ledger.reader.escalations(EscalationsQuery())
    assert [e.escalation_id for e in page.escalations] == ["esc-CRITICAL", "esc-HIGH", "esc-LOW"]
    still_open = await ledger.reader.escalations(EscalationsQuery(state="open"))
    assert [e.severity for e in still_open.escalations] == [Severity.CRITICAL, Severity.LOW]
    high = (await ledger.reader.escalations(EscalationsQuery(severity=Severity.HIGH))).escalations[0]
    assert (high.state, high.acked_by, high.note, high.source) == ("acked", "ann", "seen to", "observer")
    first = await ledger.reader.escalations(EscalationsQuery(limit=2))
    second = await ledger.reader.escalations(EscalationsQuery(limit=2, cursor=first.next_cursor))
    assert [e.escalation_id for e in second.escalations] == ["esc-LOW"] and second.next_cursor is None


async def test_given_an_escalation_when_acknowledged_twice_then_the_second_person_hears_of_the_first(
    ledger: Ledger,
) -> None:
    scribe = Scribe(ledger)
    await scribe.write(Service.OBSERVER, E.ESCALATION_RAISED, raised(Severity.LOW), event_id="esc")
    await acknowledge(scribe, "esc")
    with pytest.raises(Conflict, match="acknowledged by ann"):
        await acknowledge(scribe, "esc", "bob")
    with pytest.raises(NotFound):
        await acknowledge(scribe, "unknown")


async def test_given_escalations_when_the_ledger_is_rebuilt_then_they_are_as_they_were(
    ledger: Ledger,
) -> None:
    scribe = Scribe(ledger)
    for name in ("a", "b"):
        await scribe.write(Service.OBSERVER, E.ESCALATION_RAISED, raised(Severity.LOW), event_id=name)
    await acknowledge(scribe, "a")
    before = await ledger.reader.escalations(EscalationsQuery())
    rebuilt = await audit.rebuild(ledger.store)
    assert rebuilt.differing == []
    assert await ledger.reader.escalations(EscalationsQuery()) == before


async def lead(ledger: Ledger, service: Service, holder: str, seconds: int = 5) -> Lead:
    return await ledger.reader.take_lead(PATROL_LEAD, service, LeadClaim(holder=holder, seconds=seconds))


async def test_given_a_hundred_claims_at_once_when_one_holds_the_lead_then_all_others_are_told_who(
    ledger: Ledger,
) -> None:
    outcomes = await asyncio.gather(
        *(lead(ledger, Service.DUTY_OFFICER, f"h{n}") for n in range(100)), return_exceptions=True
    )
    held = [outcome for outcome in outcomes if isinstance(outcome, Lead)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, LeaseLive)]
    assert (len(held), len(refused)) == (1, 99)
    assert all(held[0].holder in error.message for error in refused)


async def test_given_a_lead_that_ran_out_or_was_released_when_claimed_then_another_has_it(
    ledger: Ledger,
) -> None:
    await lead(ledger, Service.DUTY_OFFICER, "first", seconds=1)
    with pytest.raises(LeaseLive):
        await lead(ledger, Service.SENTINEL, "second")
    await asyncio.sleep(1.05)
    assert (await lead(ledger, Service.SENTINEL, "second")).service == "sentinel"
    stale = await ledger.reader.release_lead(PATROL_LEAD, Service.DUTY_OFFICER, "first")
    own = await ledger.reader.release_lead(PATROL_LEAD, Service.SENTINEL, "second")
    assert (stale.released, own.released) == (False, True)
    assert (await lead(ledger, Service.DUTY_OFFICER, "third")).holder == "third"


async def test_given_the_sentinel_when_it_does_not_lead_then_it_may_not_act_for_the_duty_officer(
    ledger: Ledger,
) -> None:
    scribe = Scribe(ledger)
    with pytest.raises(Authority, match="without the lead"):
        await scribe.write(Service.SENTINEL, E.PATROL_TICK, p.PatrolTick())
    await lead(ledger, Service.DUTY_OFFICER, "duty")
    with pytest.raises(Authority):
        await scribe.write(Service.SENTINEL, E.PATROL_TICK, p.PatrolTick())
    await ledger.reader.release_lead(PATROL_LEAD, Service.DUTY_OFFICER, "duty")
    await lead(ledger, Service.SENTINEL, "watch", seconds=1)
    await scribe.write(Service.SENTINEL, E.PATROL_TICK, p.PatrolTick())
    await asyncio.sleep(1.05)
    with pytest.raises(Authority):
        await scribe.write(Service.SENTINEL, E.PATROL_TICK, p.PatrolTick())
    with pytest.raises(Authority):
        await scribe.write(Service.SENTINEL, E.INTEGRATED, p.Integrated(commit_sha="a" * 40, mainline="main"))
