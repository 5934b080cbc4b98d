"""The real processor on Kafka, as a process that dies by SIGKILL of each command whose bytes hold `deadly`.

python -m tests.integration.mortal_processor kafka:BOOTSTRAP|sqlite:PATH PREFIX SLOT
"""

from __future__ import annotations

import os
import signal
import sys

from processor.adapters.clock import OsEntropy, SystemClock
from processor.apps.logs import open_log
from processor.apps.settings import Settings
from processor.engine import applier
from processor.engine.encoding import decode_command
from processor.engine.processor import Processor
from processor.model.commands import AnyCommand


def mortal(value: bytes, *, content_type: str | None = None) -> AnyCommand:
    if b"deadly" in value:
        os.kill(os.getpid(), signal.SIGKILL)
    return decode_command(value, content_type=content_type)


def main(address: str, prefix: str, slot: str) -> None:
    applier.decode_command = mortal  # type: ignore[attr-defined]  # where it is imported
    log = open_log(Settings(log=address, prefix=prefix), missing="REFUSE")
    Processor(log=log, clock=SystemClock(), entropy=OsEntropy(), slot=slot).run(lambda: False)


if __name__ == "__main__":
    main(*sys.argv[1:])
