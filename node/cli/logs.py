"""Where the log of a node goes (SPEC 13.1)."""

import logging
import sys


def log_to_stderr(*, quiet: bool = False) -> None:
    """Send the log to standard error; structlog's own default is standard output.

    quiet: only what is a fault of ours, for commands whose standard error is another program's.
    """
    import structlog  # noqa: PLC0415 - only commands that run a node log

    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.ERROR if quiet else logging.NOTSET
        ),
    )
