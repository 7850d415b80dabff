"""Silence for long runs: making log lines takes longer than what they tell of."""

import logging

import structlog


def be_quiet() -> None:
    """Let no node log anything, until ``structlog.reset_defaults()``."""
    structlog.configure(
        processors=[],
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        logger_factory=structlog.ReturnLoggerFactory(),
    )
