"""Which errors mean that the database is away for a moment: what failed is worth another try."""

from sqlalchemy.exc import InterfaceError, InternalError, OperationalError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as NoConnectionInTime

DATABASE_AWAY = (
    OperationalError,
    InterfaceError,
    InternalError,
    PendingRollbackError,
    NoConnectionInTime,
    TimeoutError,
    OSError,
)
"""A server that is stopped, restarting, read-only or out of reach; a file that is locked; a full disk."""


def reason_of(error: BaseException) -> str:
    """An error in words for a call's log: of the database only its kind, since its own words show statements."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, DATABASE_AWAY):
        return f"the database is away ({type(error).__name__})"
    return str(error) or type(error).__name__
