"""CRMs: whose requests to call somebody are obeyed."""

from dataclasses import replace

import pytest

from callwright.domain.errors import WebhookRejected
from callwright.ports.webhook import WebhookRequest
from tests.contracts import forgery
from tests.contracts.crm_stage import ANN, CrmStage


async def test_a_hook_names_the_record_and_repeats_have_one_key(crm: CrmStage) -> None:
    (hook,) = crm.crm.webhook(crm.hook())
    assert (hook.module, hook.record_id) == (crm.module, ANN.record_id)
    assert hook.dedup_key
    assert crm.crm.webhook(crm.hook()) == [hook]
    assert crm.another().webhook(crm.hook()) == [hook]


async def test_a_hook_without_proof_is_refused(crm: CrmStage) -> None:
    for forge in forgery.ALL:
        refuse(crm, forge(crm.hook()), forge.__name__)


async def test_a_malformed_hook_is_refused_and_never_breaks_anything(crm: CrmStage) -> None:
    for body in (b"", b"{", b"null", b"7", b"[null]", b"\xff\xfe", b"x" * 2_000_000):
        refuse(crm, replace(crm.hook(), body=body), repr(body[:20]))


def refuse(crm: CrmStage, request: WebhookRequest, what: str) -> None:
    """Expect that a hook is refused, with a word by which refusals are counted."""
    with pytest.raises(WebhookRejected) as caught:
        pytest.fail(f"{what} was taken: {crm.crm.webhook(request)}")
    assert caught.value.reason
