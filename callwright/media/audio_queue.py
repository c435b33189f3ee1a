"""Agent audio that waits to be played: whole chunks with an offset, cut into frames as they leave."""

from collections import deque


class AudioQueue:
    """Bytes in order, bounded by `limit` bytes.

    A chunk may hold a whole sentence; it is kept as it came, and a frame is one small copy out of it (a memoryview
    would cost as much and keep the sentence alive in the recording).
    """

    __slots__ = ("_chunks", "_offset", "limit", "size")

    def __init__(self, limit: int) -> None:
        self._chunks: deque[bytes] = deque()
        self._offset = 0
        self.limit = limit
        self.size = 0

    def push(self, chunk: bytes) -> int:
        """Append a chunk; answers how many bytes were too many and therefore dropped."""
        room = self.limit - self.size
        dropped = 0
        if len(chunk) > room:
            dropped = len(chunk) - room
            chunk = chunk[:room]
        if chunk:
            self._chunks.append(chunk)
            self.size += len(chunk)
        return dropped

    def take(self, size: int) -> bytes:
        """The next `size` bytes, or all that there is when it is less."""
        chunks, offset = self._chunks, self._offset
        if not chunks:
            return b""
        head = chunks[0]
        end = offset + size
        if end < len(head):
            self._offset = end
            self.size -= size
            return head[offset:end]
        piece = head[offset:] if offset else head
        chunks.popleft()
        self._offset = 0
        self.size -= len(piece)
        missing = size - len(piece)
        return piece + self.take(missing) if missing and chunks else piece

    def clear(self) -> int:
        """Drop everything; answers how many bytes that was."""
        dropped, self.size, self._offset = self.size, 0, 0
        self._chunks.clear()
        return dropped
