"""Packets of subunit v2: found and proved by us, decoded by python-subunit.

python-subunit believes the length of a damaged packet and skips that many bytes, and with them good packets.
Here a packet is one only if its checksum is right; after damage the search goes on at the next byte.
The format: https://github.com/testing-cabal/subunit#version-2
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

from ci_scripts.errors import CIError
from ci_scripts.verdict.byte_source import ByteSource
from ci_scripts.verdict.outcomes import STATUS_OF, WORKER, OutcomeCollector

SIGNATURE = b"\xb3"
MIN_PACKET = 8
# Bytes that may be spent on checksums that turn out wrong: a hostile file can claim 4 MiB at every byte.
WASTE_LIMIT = 256 * 1024 * 1024


class PacketFinder:
    """Tells whether a whole packet starts at a place of the source."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._waste_left = WASTE_LIMIT
        self.cut = False

    def length(self, at: int = 0) -> int:
        """Length of the good packet ``at`` bytes ahead; 0 if there is none.

        ``cut`` is true afterwards if one may start here that the end of the stream cuts.
        """
        length = self._claimed(at)
        if not length or self._waste_left <= 0:
            return 0
        packet = self._source.peek(length, at)
        if len(packet) < length:
            # In the middle of a line this is more often the UTF-8 of a letter: an o with an accent ends so.
            self.cut = self.cut or at == 0
        elif zlib.crc32(packet[:-4]) == int.from_bytes(packet[-4:], "big"):
            self.cut = False
            return length
        self._waste_left -= len(packet)
        return 0

    def _claimed(self, at: int) -> int:
        header = self._source.peek(6, at)
        if len(header) < 4 or header[:1] != SIGNATURE or header[1] & 0xF0 != 0x20 or header[2] & 0x08:
            return 0
        size = header[3] >> 6
        if size == 3 or len(header) < 4 + size:
            return 0
        length = int.from_bytes(header[3 : 4 + size], "big") & ((1 << (6 + 8 * size)) - 1)
        return length if length >= MIN_PACKET else 0


class PacketEvents:
    """The receiver of python-subunit's events; a ``testtools.StreamResult`` in shape."""

    def __init__(self, collector: OutcomeCollector, report: Callable[[str], None]) -> None:
        self._collector = collector
        self._report = report

    def feed(self, packet: bytes) -> None:
        """Decode one packet whose checksum is right. What cannot be decoded is reported."""
        from subunit import ByteStreamToStreamResult

        try:
            ByteStreamToStreamResult(io.BytesIO(packet), non_subunit_name="noise").run(self)
        except CIError:  # an abort
            raise
        except Exception as error:  # struct.error, IndexError, OverflowError, UnicodeError: all of them seen
            self._report(f"a packet cannot be decoded ({type(error).__name__})")

    def status(
        self,
        *,
        test_id: str | None = None,
        test_status: str | None = None,
        timestamp: datetime | None = None,
        **more: Any,
    ) -> None:
        """One event. Only events that name a test matter here."""
        if test_id == "subunit.parser":
            self._report("a packet cannot be decoded (ParseError)")
            return
        if test_id is None or test_status == "exists":
            return
        key = (test_id, more.get("route_code") or "")
        announced = key in self._collector.open or test_status is not None
        worker = _worker(more.get("test_tags"), more.get("route_code"))
        test = self._collector.begin(key, timestamp if test_status == "inprogress" else None, worker)
        if test is None:
            return
        test.announced = announced
        if more.get("file_bytes"):
            self._collector.attach(
                test, more.get("file_name") or "details", bytes(more["file_bytes"]), binary=_is_binary(more)
            )
        if test_status in STATUS_OF:
            self._collector.end(key, STATUS_OF[test_status], timestamp)


def _worker(tags: set[str] | None, route_code: str | None) -> str | None:
    for tag in sorted(tags or ()):
        if WORKER.match(tag):
            return tag
    if route_code:
        return f"worker-{route_code}"[:40]
    return None


def _is_binary(event: dict[str, Any]) -> bool:
    kind = str(event.get("mime_type") or "text/plain").partition(";")[0].strip().lower()
    return not (kind.startswith("text/") or kind == "application/json")
