"""Looks at the log from outside every few seconds, beside the processor, in a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from processor.adapters.metrics import ProcessorMetrics
from processor.apps.roles import Role
from processor.engine.ports import Log, Survey
from processor.errors import AslError

FIRST_SECONDS: Final = 2.0
EVERY_SECONDS: Final = 15.0
CLOSING_SECONDS: Final = 10.0

_log = logging.getLogger("processor.health")


class Surveyed:
    """A processor together with what looks at its log meanwhile."""

    def __init__(self, processor: Role, surveyor: Surveyor) -> None:
        self._processor, self._surveyor = processor, surveyor

    def run(self, stop: Callable[[], bool]) -> None:
        self._surveyor.start()
        self._processor.run(stop)

    def close(self) -> None:
        self._surveyor.close()
        self._processor.close()


class Surveyor:
    """What it cannot see it counts and tells of, and tries again: a processor does not end of not being watched."""

    def __init__(self, log: Log, metrics: ProcessorMetrics) -> None:
        self._log, self._metrics = log, metrics
        self._survey: Survey | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="survey", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(CLOSING_SECONDS)

    def look(self) -> bool:
        """Return whether there was anything to look at."""
        partitions = self._metrics.partitions
        if not partitions:
            return False
        try:
            if self._survey is None:
                self._survey = self._log.survey()
            self._metrics.surveyed(self._survey.look(partitions))
        except AslError as fault:
            self._metrics.survey_failed()
            _log.warning("survey_failed", extra={"reason": str(fault)})
        except Exception:  # whatever it is: it is counted, and the next look comes
            self._metrics.survey_failed()
            _log.exception("survey_failed")
        return True

    def _run(self) -> None:
        wait = FIRST_SECONDS
        while not self._stopped.wait(wait):
            wait = EVERY_SECONDS if self.look() else FIRST_SECONDS
        if self._survey is not None:
            self._survey.close()
