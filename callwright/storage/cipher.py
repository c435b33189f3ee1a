"""Encryption at rest: Fernet (AES-128-CBC, HMAC-SHA256) under a key of the settings or the data folder."""

import base64
import binascii
import json
import os
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from callwright.domain.errors import ConfigurationError, Problem
from callwright.storage.columns import to_json

KEY_FILE = "secret.key"
SHORTEST_KEY = 32


class Cipher:
    """Encrypts and decrypts text; the first key encrypts, every key decrypts."""

    def __init__(self, keys: list[bytes], origin: str) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self._origin = origin

    @classmethod
    def load(cls, data_dir: Path, secret_key: str | None = None) -> "Cipher":
        """Take the keys from SECRET_KEY (comma-separated, newest first) or the data folder's key file.

        The file is generated with mode 0600 when it is missing. Raises ConfigurationError.
        """
        if secret_key:
            keys = [_key_of(part.strip()) for part in secret_key.split(",") if part.strip()]
            return cls(keys, "the setting SECRET_KEY")
        path = data_dir / KEY_FILE
        return cls([_file_key(path)], f"the file {path}")

    def encrypt(self, text: str) -> str:
        """Encrypt text into printable ASCII."""
        return self._fernet.encrypt(text.encode("utf-8", "surrogatepass")).decode("ascii")

    def decrypt(self, token: str, what: str) -> str:
        """Decrypt; raises ConfigurationError naming `what` when it was written with another key."""
        try:
            return self._fernet.decrypt(token.encode("ascii")).decode("utf-8", "surrogatepass")
        except (InvalidToken, UnicodeError) as error:
            problem = Problem(
                what,
                f"cannot be decrypted with the key of {self._origin}.",
                "Set SECRET_KEY to the key it was stored with (old keys may follow the new one,"
                " after a comma), or store it again.",
            )
            raise ConfigurationError(problem) from error

    def seal(self, value: dict[str, Any]) -> str | None:
        """Encrypt a JSON object; None for an empty one."""
        return self.encrypt(to_json(value)) if value else None

    def unseal(self, token: str | None, what: str) -> dict[str, Any]:
        """Decrypt a JSON object sealed before; raises ConfigurationError."""
        if token is None:
            return {}
        value: dict[str, Any] = json.loads(self.decrypt(token, what))
        return value


def _key_of(text: str) -> bytes:
    """A Fernet key as it is; any other text of 32 characters or more by HKDF (RFC 5869)."""
    if _is_fernet_key(text):
        return text.encode()
    if len(text) < SHORTEST_KEY:
        remedy = f"Give {SHORTEST_KEY} random characters or more, or leave it empty to have a key generated."
        raise ConfigurationError(Problem("SECRET_KEY", "is too short.", remedy))
    derived = HKDF(SHA256(), 32, salt=None, info=b"callwright at rest").derive(text.encode())
    return base64.urlsafe_b64encode(derived)


def _is_fernet_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)) == 32
    except (binascii.Error, UnicodeEncodeError):
        return False


def _file_key(path: Path) -> bytes:
    """Read the key file, or create it so that of several processes starting at once one wins."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was faster: its key is read below
        finally:
            draft.unlink()
    key = path.read_text(encoding="ascii", errors="replace").strip()
    if not _is_fernet_key(key):
        remedy = "Restore it from a backup; without it stored credentials must be entered again."
        raise ConfigurationError(Problem(str(path), "does not hold a key.", remedy))
    return key.encode()
