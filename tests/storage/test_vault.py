import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text, update

from callwright.domain.errors import ConfigurationError, VendorAuthFailed, VendorBusy
from callwright.ports.storage import SharedToken
from callwright.storage.cipher import Cipher
from callwright.storage.database import Database
from callwright.storage.schema import tokens
from callwright.storage.vault import Secrets, Tokens
from tests.databases import SECRET_KEY, OpenDatabase

HOUR = timedelta(hours=1)


def test_a_key_is_generated_once_and_kept_private(tmp_path: Path) -> None:
    sealed = Cipher.load(tmp_path).encrypt("é\ud800")
    assert Cipher.load(tmp_path).decrypt(sealed, "it") == "é\ud800"
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]


def test_keys_can_be_rotated(tmp_path: Path) -> None:
    old, new = "o" * 40, Fernet.generate_key().decode()
    sealed = Cipher.load(tmp_path, old).encrypt("x")
    assert Cipher.load(tmp_path, f"{new}, {old}").decrypt(sealed, "it") == "x"
    with pytest.raises(ConfigurationError, match=r"it: cannot be decrypted .*SECRET_KEY"):
        Cipher.load(tmp_path, new).decrypt(sealed, "it")


def test_a_weak_key_and_a_damaged_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="too short"):
        Cipher.load(tmp_path, "weak")
    (tmp_path / "secret.key").write_text("nonsense")
    with pytest.raises(ConfigurationError, match="does not hold a key"):
        Cipher.load(tmp_path)


async def test_secrets_are_encrypted_at_rest(database: Database, open_database: OpenDatabase) -> None:
    secrets = Secrets(database)
    assert await secrets.read("acme", "token") is None
    await secrets.write("acme", "token", "first")
    await secrets.write("acme", "token", "hunter2")
    await secrets.write("other", "token", "x")
    assert await secrets.read("acme", "token") == "hunter2"
    async with database.read() as conn:
        assert "hunter2" not in str((await conn.execute(text("SELECT * FROM secrets"))).all())
    stranger = Secrets(await open_database(secret_key="n" * 40))
    with pytest.raises(ConfigurationError, match="The stored token of acme"):
        await stranger.read("acme", "token")
    await secrets.delete("acme", "token")
    await secrets.delete("acme", "token")
    assert await secrets.read("acme", "token") is None


async def test_a_database_of_another_key_is_found_out_at_the_start(
    database: Database, open_database: OpenDatabase
) -> None:
    for _ in range(2):
        await Secrets(database).check()
    stranger = await open_database(secret_key="n" * 40)
    with pytest.raises(ConfigurationError, match=r"encryption key .* SECRET_KEY"):
        await Secrets(stranger).check()
    rotated = await open_database(secret_key=f"{'n' * 40},{SECRET_KEY}")
    await Secrets(rotated).check()


class Vendor:
    """Hands out tokens and counts how many refreshes ran, and how many at once."""

    def __init__(self, database: Database) -> None:
        self.clock = database.clock
        self.refreshes = 0
        self.at_once = 0
        self.most_at_once = 0
        self.error: Exception | None = None

    async def refresh(self) -> SharedToken:
        self.refreshes += 1
        number = self.refreshes
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.05)
        self.at_once -= 1
        if self.error is not None:
            raise self.error
        return SharedToken(f"t{number}", self.clock.now() + HOUR, {"host": "api.example"})


@pytest.fixture
async def shared(database: Database, open_database: OpenDatabase) -> AsyncIterator[list[Tokens]]:
    both = [Tokens(database), Tokens(await open_database())]
    yield both
    for store in both:
        await store.close()


async def test_one_refresh_serves_all_callers_of_all_processes(
    database: Database, shared: list[Tokens]
) -> None:
    vendor = Vendor(database)
    found = await asyncio.gather(*(shared[number % 2].get("crm", vendor.refresh) for number in range(20)))
    assert {token.value for token in found} == {"t1"}
    assert found[0].facts == {"host": "api.example"}
    assert vendor.refreshes == 1
    async with database.read() as conn:
        assert "t1" not in str((await conn.execute(text("SELECT value FROM tokens"))).scalar_one())


async def test_a_token_that_the_vendor_refused_is_replaced_once(
    database: Database, shared: list[Tokens]
) -> None:
    vendor = Vendor(database)
    first = await shared[0].get("crm", vendor.refresh)
    assert await shared[1].get("crm", vendor.refresh) == first
    found = await asyncio.gather(
        *(shared[number % 2].get("crm", vendor.refresh, stale="t1") for number in range(20))
    )
    assert {token.value for token in found} == {"t2"}
    assert (vendor.refreshes, vendor.most_at_once) == (2, 1)
    assert (await shared[0].get("crm", vendor.refresh)).value == "t2"


async def test_an_expired_token_is_replaced(database: Database, shared: list[Tokens]) -> None:
    vendor = Vendor(database)

    async def expired() -> SharedToken:
        return SharedToken("old", database.clock.now(), {})

    assert (await shared[0].get("crm", expired)).value == "old"
    assert (await shared[0].get("crm", vendor.refresh)).value == "t1"
    assert (await shared[1].get("crm", vendor.refresh)).value == "t1"


async def test_an_error_reaches_the_caller_and_the_next_one_tries(
    database: Database, shared: list[Tokens]
) -> None:
    vendor = Vendor(database)
    vendor.error = VendorAuthFailed("crm", "invalid_code")
    with pytest.raises(VendorAuthFailed):
        await shared[0].get("crm", vendor.refresh)
    vendor.error = None
    async with asyncio.timeout(5):
        assert (await shared[1].get("crm", vendor.refresh)).value == "t2"


async def test_a_cancelled_caller_does_not_stop_the_refresh_of_the_others(
    database: Database, shared: list[Tokens]
) -> None:
    vendor = Vendor(database)
    impatient = asyncio.create_task(shared[0].get("crm", vendor.refresh))
    patient = asyncio.create_task(shared[0].get("crm", vendor.refresh))
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient).value == "t1"
    assert vendor.refreshes == 1


async def test_the_lock_of_a_dead_process_expires(database: Database, shared: list[Tokens]) -> None:
    vendor = Vendor(database)
    await shared[0].get("crm", vendor.refresh)
    until = database.clock.now() + timedelta(seconds=0.4)
    async with database.write() as conn:
        await conn.execute(update(tokens).values(lock_holder="dead", lock_until=until))
    assert (await shared[1].get("crm", vendor.refresh, stale="t1")).value == "t2"
    assert database.clock.now() >= until
    async with database.write() as conn:
        await conn.execute(update(tokens).values(lock_holder="dead", lock_until=until + HOUR))
    impatient = Tokens(database, wait_s=0.3)
    with pytest.raises(VendorBusy):
        await impatient.get("crm", vendor.refresh, stale="t2")
    await impatient.close()
    assert vendor.refreshes == 2
