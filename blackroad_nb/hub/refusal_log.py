"""Keeps tracebacks of refusals out of the hub's log: a refusal is no fault of the hub."""

from __future__ import annotations

import logging


class QuietRefusals(logging.Filter):
    """Takes the traceback off a line about a launch that was refused.

    JupyterHub's spawn page logs every exception with one, also those that say that
    policy does not allow a launch. The line itself stays, with the reason.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if error is not None and _is_refusal(error):
            record.msg = f"{record.getMessage()}: {error}"
            record.args = ()
            record.exc_info = record.exc_text = None
        return True


def hush_refusals(log: logging.Logger) -> None:
    """Install the filter on a logger, once."""
    if not any(isinstance(each, QuietRefusals) for each in log.filters):
        log.addFilter(QuietRefusals())


def _is_refusal(error: BaseException) -> bool:
    from jupyterhub.spawner import SpawnException

    return isinstance(error, SpawnException)
