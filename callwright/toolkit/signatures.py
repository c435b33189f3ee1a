"""Proofs that a webhook comes from whom it says: HMAC, Basic, and static headers, compared in constant time."""

import base64
import binascii
import hashlib
import hmac


def same(given: str, expected: str) -> bool:
    """Whether two texts are equal, in time that does not depend on where they differ."""
    return hmac.compare_digest(
        given.encode("utf-8", "surrogatepass"), expected.encode("utf-8", "surrogatepass")
    )


def hmac_hex(secret: str, message: bytes, algorithm: str = "sha256") -> str:
    """The HMAC of a message as lower-case hex."""
    return hmac.new(secret.encode(), message, getattr(hashlib, algorithm)).hexdigest()


def hmac_matches(given: str, secret: str, message: bytes, algorithm: str = "sha256") -> bool:
    """Whether `given` (hex or base64) is the HMAC of the message."""
    digest = hmac.new(secret.encode(), message, getattr(hashlib, algorithm)).digest()
    text = given.strip()
    try:
        candidate = (
            bytes.fromhex(text) if len(text) == 2 * len(digest) else base64.b64decode(text, validate=True)
        )
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(candidate, digest)


def basic_header(username: str, password: str) -> str:
    """The value of an `Authorization: Basic` header."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
