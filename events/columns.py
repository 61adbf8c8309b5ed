"""Names that every floor shares: the columns of a log on disk, the event types, the targets."""

from typing import Final

SESSION: Final = "session"
AID: Final = "aid"
TS: Final = "ts"
TYPE: Final = "type"
EVENT: Final = "event"
"""The event's index in its session, as read; it makes every sort by time total."""

CLICKS: Final = 0
CARTS: Final = 1
ORDERS: Final = 2

TARGETS: Final = ("clicks", "carts", "orders")
"""Names of the event types, in the order of their codes (0, 1, 2); they are the targets, too."""

WEIGHTS: Final = {"clicks": 0.10, "carts": 0.30, "orders": 0.60}
"""Weight of each target's Recall@20 in the total, as in the OTTO competition."""

HOUR: Final = 3_600
DAY: Final = 86_400
WEEK: Final = 7 * DAY
"""Seconds."""
