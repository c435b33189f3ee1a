"""What one 100 ms block says, and its spelling in tones: pure bits, no samples.

A block is 72 bits (12 utterance, 10 index, 10 total - 1, 24 text, 16 CRC) as eight symbols of 9 bits. Each symbol
is led by a pilot bit that flips every 20 ms, so a 20 ms frame moved to its neighbour's place never fits.
"""

import binascii
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

BLOCK_MS: Final = 100
"""Length of one block in milliseconds."""

MIN_BLOCKS: Final = 4
"""Shortest utterance, in blocks: one damaged frame spoils two at most, so something is always left."""

MAX_BLOCKS: Final = 1024
TEXT_BYTES: Final = 3
MAX_TEXT_BYTES: Final = MAX_BLOCKS * TEXT_BYTES
"""Longest text of one utterance in bytes of UTF-8."""

DATA_SYMBOLS: Final = 8
GROUPS: Final = 5
TONES_PER_GROUP: Final = 4
"""Every symbol sounds one of four tones in each of five groups: two bits each."""

_BITS = 72
_CRC_START = 0x1D0F
_WHITENER = 0x9E3779B97F4A7C15F3  # spreads runs of equal text bytes over different tones
_PILOT = np.array([0, 0, 1, 1, 0, 0, 1, 1], np.uint8)

Symbols = NDArray[np.uint8]
"""Shape (symbols, 5): which of its four tones each group sounds."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block: the utterance's checksum, its place (`index` of `total`), and its share of the text in UTF-8."""

    utterance: int
    index: int
    total: int
    text: bytes


def checksum(text: bytes) -> int:
    """12-bit checksum of a whole text: names the utterance and proves it complete."""
    return binascii.crc_hqx(text, 0) & 0xFFF


def blocks_needed(text: str) -> int:
    """Fewest blocks that carry `text`."""
    return max(-(-len(text.encode()) // TEXT_BYTES), MIN_BLOCKS) if text else 0


def blocks_of(text: str, at_least: int = 0) -> list[Block]:
    """Spread `text` evenly over as many blocks as it needs, or `at_least` so many.

    Raises ValueError for a text beyond `MAX_TEXT_BYTES` or with NUL in it.
    """
    data = text.encode()
    total = max(blocks_needed(text), min(at_least, MAX_BLOCKS) if text else 0)
    if total > MAX_BLOCKS or b"\0" in data:
        raise ValueError(f"{len(data)} bytes of text do not fit {MAX_BLOCKS} blocks, or contain NUL")
    name = checksum(data)
    cuts = [index * len(data) // total for index in range(total)] + [len(data)]
    return [Block(name, index, total, data[cuts[index] : cuts[index + 1]]) for index in range(total)]


def split_text(text: str, limit: int = MAX_TEXT_BYTES) -> list[str]:
    """Cut `text` into pieces of at most `limit` bytes, after sentences or words where there are any."""
    pieces = []
    while len(text.encode()) > limit:
        fits = text.encode()[:limit].decode(errors="ignore")
        cut = max(fits.rfind(mark) for mark in (". ", "? ", "! ")) + 2
        if cut < 2:
            cut = fits.rfind(" ") + 1
        fits = fits[:cut] if cut else fits
        pieces.append(fits)
        text = text[len(fits) :]
    return [*pieces, text] if text else pieces


def to_symbols(block: Block) -> Symbols:
    """Spell a block; shape (8, 5)."""
    head = block.utterance << 44 | block.index << 34 | block.total - 1 << 24
    body = head | int.from_bytes(block.text.ljust(TEXT_BYTES, b"\0"), "big")
    word = (body << 16 | _crc(body)) ^ _WHITENER
    bits = np.unpackbits(np.frombuffer(word.to_bytes(_BITS // 8, "big"), np.uint8)).reshape(DATA_SYMBOLS, -1)
    pairs = np.concatenate([_PILOT[:, None], bits], axis=1).reshape(DATA_SYMBOLS, GROUPS, 2)
    return np.asarray(pairs[:, :, 0] << 1 | pairs[:, :, 1], np.uint8)


def from_symbols(symbols: Symbols) -> Block | None:
    """Read a block; None when the pilot or the checksum does not fit."""
    pairs = np.stack([symbols >> 1, symbols & 1], axis=2).reshape(DATA_SYMBOLS, 2 * GROUPS)
    if (pairs[:, 0] != _PILOT).any():
        return None
    word = int.from_bytes(np.packbits(pairs[:, 1:]).tobytes(), "big") ^ _WHITENER
    body = word >> 16
    index, total = body >> 34 & 0x3FF, (body >> 24 & 0x3FF) + 1
    if _crc(body) != word & 0xFFFF or index >= total:
        return None
    text = (body & 0xFFFFFF).to_bytes(TEXT_BYTES, "big").rstrip(b"\0")
    return Block(body >> 44, index, total, text)


def _crc(body: int) -> int:
    return binascii.crc_hqx(body.to_bytes(7, "big"), _CRC_START)
