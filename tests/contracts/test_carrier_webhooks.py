"""Carriers: whose webhooks are believed, and what repeats of them are."""

from dataclasses import replace

import pytest

from callwright.domain.errors import WebhookRejected
from callwright.domain.events import CarrierEventKind
from callwright.ports.webhook import WebhookRequest
from callwright.simulation.faults import Fault, FaultKind
from tests.contracts import forgery
from tests.contracts.carrier_stage import HASTY, SILENT, CarrierStage


async def arrivals(carrier: CarrierStage) -> list[WebhookRequest]:
    """Genuine webhooks about a whole call."""
    await carrier.set_up()
    await carrier.dial(HASTY)
    await carrier.event(CarrierEventKind.ENDED)
    assert not carrier.doorway.refused, "genuine webhooks are refused"
    return list(carrier.doorway.arrived)


def refuse(carrier: CarrierStage, request: WebhookRequest, what: str) -> None:
    """Expect that a webhook is refused, with a word by which refusals are counted."""
    with pytest.raises(WebhookRejected) as caught:
        pytest.fail(f"{what} was taken: {carrier.carrier.webhook(request)}")
    assert caught.value.reason


async def test_a_call_is_told_from_beginning_to_end(carrier: CarrierStage) -> None:
    await arrivals(carrier)
    kinds = [event.kind for event in carrier.events]
    assert kinds.index(CarrierEventKind.ANSWERED) < kinds.index(CarrierEventKind.ENDED)
    assert all(event.at.tzinfo is not None for event in carrier.events)
    assert all(event.dedup_key for event in carrier.events)


async def test_a_webhook_without_proof_is_refused(carrier: CarrierStage) -> None:
    for request in await arrivals(carrier):
        for forge in forgery.ALL:
            refuse(carrier, forge(request), forge.__name__)


async def test_an_address_that_is_not_ours_is_refused(carrier: CarrierStage) -> None:
    request = (await arrivals(carrier))[0]
    refuse(carrier, replace(request, path="no/such/path", headers={}, query={}), "another path")


async def test_a_malformed_body_is_refused_and_never_breaks_anything(carrier: CarrierStage) -> None:
    request = (await arrivals(carrier))[0]
    for body in (b"", b"{", b"[]x", b"null", b"7", b'"text"', b"[null]", b"\xff\xfe", b"{}" * 99):
        refuse(carrier, replace(request, body=body), repr(body))


async def test_repeats_have_the_same_key_and_different_events_have_not(carrier: CarrierStage) -> None:
    requests = await arrivals(carrier)
    first = [carrier.carrier.webhook(request) for request in requests]
    again = [carrier.carrier.webhook(request) for request in reversed(requests)]
    keys = [[event.dedup_key for event in events] for events in first]
    assert keys == [[event.dedup_key for event in events] for events in reversed(again)]
    other_process = [carrier.another().webhook(request) for request in requests]
    assert keys == [[event.dedup_key for event in events] for events in other_process]
    told = {(event.kind, event.carrier_call_id, event.dedup_key) for events in first for event in events}
    person = [key for kind, _, key in told if kind in {CarrierEventKind.ANSWERED, CarrierEventKind.ENDED}]
    assert len(person) == len(set(person)) == 2


async def test_a_repeated_delivery_is_one_event(carrier: CarrierStage) -> None:
    await carrier.set_up()
    carrier.fault(Fault("webhook ", FaultKind.REPEAT, times=50))
    await carrier.dial(HASTY)
    await carrier.event(CarrierEventKind.ENDED)
    await carrier.until(lambda: len(carrier.doorway.arrived) % 2 == 0, "second copy of the last webhook")
    ended = {event.dedup_key for event in carrier.events if event.kind is CarrierEventKind.ENDED}
    assert len(carrier.events) > len({event.dedup_key for event in carrier.events})
    assert len(ended) == 1


async def test_a_call_of_which_every_webhook_is_lost_is_asked_for(carrier: CarrierStage) -> None:
    await carrier.set_up()
    carrier.fault(Fault("webhook ", FaultKind.LOSE, times=50))
    call = await carrier.dial(HASTY)
    asked = await carrier.ended(call)
    assert asked.end_reason is not None
    assert asked.answered_at is not None
    assert asked.started_at is not None
    assert carrier.events == []


async def test_another_call_of_the_account_is_not_taken_for_ours(carrier: CarrierStage) -> None:
    await carrier.set_up()
    calls = [await carrier.dial(SILENT, "attempt-1"), await carrier.dial(SILENT, "attempt-2")]
    answered = CarrierEventKind.ANSWERED
    await carrier.until(
        lambda: sum(event.kind is answered for event in carrier.events) == len(calls), "answer to both calls"
    )
    by_call = {event.carrier_call_id: event.attempt_id for event in carrier.events if event.kind is answered}
    for call in calls:
        assert by_call[call.carrier_call_id] in {call.attempt_id, None}
