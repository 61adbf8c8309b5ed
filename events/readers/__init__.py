"""Readers: files of a shop in, the canonical ``log.parquet`` out.

``log.parquet`` has the columns ``session`` and ``aid`` (the source's own ids, Int64 or String), ``ts`` (Int64 unix
milliseconds) and ``type`` (Int8) where the shop has them, and ``event`` (Int32, the event's index in its session),
sorted by session and event.
"""

from events.readers.items import read_items
from events.readers.labels import align_labels, read_labels
from events.readers.read import read
from events.readers.report import ReadReport
from events.readers.users import read_users

__all__ = ["ReadReport", "align_labels", "read", "read_items", "read_labels", "read_users"]
