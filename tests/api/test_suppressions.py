"""Numbers that must not be called."""

import pytest

from tests.api.site import Site

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_a_number_is_kept_as_e164_however_it_was_written(site: Site) -> None:
    body = {"reason": "asked", "evidence": "ticket 1"}
    added = await site.expect(200, "PUT", "/api/v1/suppressions/+44 7700 900301", json=body)
    assert (added["phone"], added["source"], added["expires_at"]) == ("+447700900301", "api", None)
    for written in ("+447700900301", "%2B447700900301", "00447700900301", "+44-7700-900301"):
        assert await site.expect(200, "GET", f"/api/v1/suppressions/{written}") == added
    await site.expect(204, "DELETE", "/api/v1/suppressions/+447700900301")
    await site.expect(404, "GET", "/api/v1/suppressions/+447700900301")
    await site.expect(404, "DELETE", "/api/v1/suppressions/+447700900301")


async def test_what_lasts_longer_stands(site: Site) -> None:
    path = "/api/v1/suppressions/+447700900302"
    await site.expect(200, "PUT", path, json={"reason": "for ever"})
    later = {"reason": "a while", "expires_at": "2099-01-01T00:00:00Z"}
    assert (await site.expect(200, "PUT", path, json=later))["reason"] == "for ever"


async def test_what_has_expired_is_not_on_the_list(site: Site) -> None:
    path = "/api/v1/suppressions/+447700900303"
    await site.expect(200, "PUT", path, json={"reason": "past", "expires_at": "2020-01-01T00:00:00Z"})
    await site.expect(404, "GET", path)


async def test_the_list_comes_in_pages(site: Site) -> None:
    numbers = [f"+4477009004{index:02d}" for index in range(5)]
    for number in reversed(numbers):
        await site.expect(200, "PUT", f"/api/v1/suppressions/{number}", json={"reason": "x"})
    seen: list[str] = []
    cursor = ""
    while True:
        params = {"limit": 2, "cursor": cursor}
        page = await site.expect(200, "GET", "/api/v1/suppressions", params=params)
        seen += [item["phone"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [number for number in seen if number in numbers] == numbers


@pytest.mark.parametrize(
    "phone,body,where",
    [
        ("12", {"reason": "x"}, "path phone"),
        ("nobody", {"reason": "x"}, "phone"),
        ("+447700900304", {}, "reason"),
        ("+447700900304", {"reason": " "}, "reason"),
        ("+447700900304", {"reason": "x", "expires_at": "2099-01-01T00:00:00"}, "expires_at"),
        ("+447700900304", {"reason": "x", "until": "2099"}, "until"),
    ],
)
async def test_wrong_input_is_told_where_it_is_wrong(
    site: Site, phone: str, body: dict[str, str], where: str
) -> None:
    problem = await site.expect(422, "PUT", f"/api/v1/suppressions/{phone}", json=body)
    assert [item["where"] for item in problem["errors"]] == [where]
