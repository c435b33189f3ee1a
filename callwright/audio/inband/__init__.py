"""The simulated world's speech code: audio that carries its own text, so that words come from nowhere else.

An utterance is a row of 100 ms blocks without pauses. Each block is a 20 ms chirp, which tells where it begins
to the sample, and 80 ms of tones that carry the utterance's checksum, the block's number, how many there are, up
to 3 bytes of the text and a checksum. The code lies between 1.4 and 3.3 kHz, above the audible speech it is mixed
with, and survives G.711, resampling between 8 and 48 kHz, any chunking and any offset.
"""

from callwright.audio.inband.block import BLOCK_MS, MAX_TEXT_BYTES, Block, blocks_needed, split_text
from callwright.audio.inband.listen import Fault, FaultKind, Heard, Listener
from callwright.audio.inband.modulate import CODE_LOW_HZ, encode

__all__ = [
    "BLOCK_MS",
    "CODE_LOW_HZ",
    "MAX_TEXT_BYTES",
    "Block",
    "Fault",
    "FaultKind",
    "Heard",
    "Listener",
    "blocks_needed",
    "encode",
    "split_text",
]
