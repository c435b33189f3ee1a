"""Puts blocks together to what was understood of each utterance, and what was wrong with it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np

from callwright.audio.inband.block import checksum
from callwright.audio.inband.detect import BLOCK, RATE_HZ, BlockDetector, Detection
from callwright.audio.resample import Resampler

LOST: Final = " … "
"""Stands in a text for what was not heard."""

_SLIP = RATE_HZ * 2 // 1000
_RESTART = BLOCK * 3 // 2  # a first block again, so much later, is the same text said anew
_CUT_OFF = RATE_HZ * 300 // 1000  # no block for so long after the last: one damaged frame spoils only 200 ms
_CUT_OFF_LOUD = RATE_HZ  # the same while something still sounds in the code's band


class FaultKind(StrEnum):
    """What can go wrong with an utterance on its way, apart from being cut short."""

    MISSING = "missing"
    ORDER = "order"
    DOUBLED = "doubled"
    SLIP = "slip"
    CLIPPED = "clipped"
    CHECKSUM = "checksum"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault at a block, `at_ms` into the stream; `amount` is blocks missing or ms slipped."""

    kind: FaultKind
    block: int
    at_ms: float
    amount: float = 0.0


Ranges = tuple[tuple[int, int], ...]
"""Ranges of block numbers, both ends included."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What was understood of one utterance; times in ms since the stream began.

    `complete` says that every block arrived; `gaps` are the blocks missing before the last one heard.
    """

    utterance: int
    total: int
    text: str
    complete: bool
    ranges: Ranges
    gaps: Ranges
    faults: tuple[Fault, ...]
    start_ms: float
    end_ms: float

    @property
    def clean(self) -> bool:
        """Whether it arrived whole, in order and in time."""
        return self.complete and not self.faults


@dataclass(slots=True)
class _Open:
    """An utterance that is being heard."""

    utterance: int
    total: int
    first: Detection
    last: Detection
    pieces: dict[int, bytes] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


class Listener:
    """Understands one direction of one call, fed with PCM16 at `rate_hz` in chunks of any size."""

    def __init__(self, rate_hz: int) -> None:
        self._to_code = None if rate_hz == RATE_HZ else Resampler(rate_hz, RATE_HZ)
        self._lag = round((self._to_code.delay_ms if self._to_code else 0) * RATE_HZ / 1000)
        self._detector = BlockDetector()
        self._open: _Open | None = None
        self.blocks_heard = 0
        """Blocks understood since the stream began."""

    def feed(self, pcm: bytes) -> list[Heard]:
        """Take audio; answers the utterances that have ended. Raises ValueError for a torn sample."""
        if self._to_code is not None:
            pcm = self._to_code(pcm)
        return self._take(self._detector.feed(np.frombuffer(pcm, "<i2")))

    def finish(self) -> list[Heard]:
        """The stream has ended: answers what was still being heard."""
        ended = self._take(self._detector.flush())
        return ended + self._close()

    @property
    def hearing(self) -> bool:
        """Whether an utterance is under way."""
        return self._open is not None

    def so_far(self) -> Heard | None:
        """What is understood of the utterance under way, if there is one."""
        return None if self._open is None else self._heard(self._open)

    def _take(self, detections: list[Detection]) -> list[Heard]:
        ended: list[Heard] = []
        for detection in detections:
            self.blocks_heard += 1
            if self._open is not None and not self._continues(self._open, detection):
                ended += self._close()
            if self._open is None:
                block = detection.block
                self._open = _Open(block.utterance, block.total, detection, detection)
                self._open.pieces[block.index] = block.text
                self._check_edges(self._open, detection)
            else:
                self._add(self._open, detection)
            if detection.block.index == detection.block.total - 1:
                ended += self._close()
        if self._open is not None:
            silence = self._detector.position - (self._open.last.start + BLOCK)
            quiet = self._detector.position - self._detector.loud_until > _CUT_OFF // 2
            if silence > (_CUT_OFF if quiet else _CUT_OFF_LOUD):
                ended += self._close()
        return ended

    def _continues(self, current: _Open, new: Detection) -> bool:
        """Whether a block belongs to the utterance under way: the same text may be said again at once."""
        if (new.block.utterance, new.block.total) != (current.utterance, current.total):
            return False
        return new.block.index > 0 or (
            new.start - current.last.start < _RESTART and current.last.block.index == 0
        )

    def _add(self, current: _Open, new: Detection) -> None:
        block, step = new.block, new.block.index - current.last.block.index
        if step == 0:
            current.faults.append(Fault(FaultKind.DOUBLED, block.index, self._ms(new.start)))
        elif step < 0:
            current.faults.append(Fault(FaultKind.ORDER, block.index, self._ms(new.start)))
        slip = new.start - current.last.start - step * BLOCK
        if step > 0 and abs(slip) > _SLIP:
            amount = slip * 1000 / RATE_HZ
            current.faults.append(Fault(FaultKind.SLIP, block.index, self._ms(new.start), amount))
        current.pieces.setdefault(block.index, block.text)
        current.last = new
        self._check_edges(current, new)

    def _check_edges(self, current: _Open, new: Detection) -> None:
        if new.doubled:
            current.faults.append(Fault(FaultKind.DOUBLED, new.block.index, self._ms(new.start)))
        if new.clipped:
            current.faults.append(Fault(FaultKind.CLIPPED, new.block.index, self._ms(new.start)))

    def _close(self) -> list[Heard]:
        if self._open is None:
            return []
        heard = self._heard(self._open)
        self._open = None
        return [heard]

    def _heard(self, current: _Open) -> Heard:
        ranges = _ranges(sorted(current.pieces))
        gaps = _gaps(ranges)
        complete = len(current.pieces) == current.total
        start = self._ms(current.first.start)
        end = self._ms(current.last.start + BLOCK)
        faults = list(current.faults)
        origin = current.first.start - current.first.block.index * BLOCK
        faults += [
            Fault(FaultKind.MISSING, low, self._ms(origin + low * BLOCK), high - low + 1)
            for low, high in gaps
        ]
        if (
            complete
            and checksum(b"".join(current.pieces[i] for i in range(current.total))) != current.utterance
        ):
            faults.append(Fault(FaultKind.CHECKSUM, 0, start))
        text = _text(current.pieces, ranges, gap_first=bool(gaps) and gaps[0][0] == 0)
        return Heard(
            current.utterance, current.total, text, complete, ranges, gaps, tuple(faults), start, end
        )

    def _ms(self, sample: int) -> float:
        return max(sample - self._lag, 0) * 1000 / RATE_HZ


def _ranges(numbers: list[int]) -> Ranges:
    """Sorted numbers as ranges."""
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return tuple(ranges)


def _gaps(ranges: Ranges) -> Ranges:
    """What lies before and between ranges."""
    gaps: list[tuple[int, int]] = []
    expected = 0
    for low, high in ranges:
        if low > expected:
            gaps.append((expected, low - 1))
        expected = high + 1
    return tuple(gaps)


def _text(pieces: dict[int, bytes], ranges: Ranges, *, gap_first: bool) -> str:
    """The words that arrived; a character torn by a gap is lost with it."""
    runs = [b"".join(pieces[i] for i in range(low, high + 1)).decode(errors="ignore") for low, high in ranges]
    return (LOST if gap_first else "") + LOST.join(runs)
