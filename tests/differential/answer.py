"""How an execution ended, as both interpreters tell it."""

from __future__ import annotations

import msgspec

from processor.interpreter.context import ARN_PREFIX

MACHINE, RUN = "machine", "run"
NAME = f"{MACHINE}:{RUN}"
ROLE = "arn:aws:iam::111111111111:role/role"
EXECUTION_ARN = f"{ARN_PREFIX}:execution:{NAME}"
MACHINE_ARN = f"{ARN_PREFIX}:stateMachine:{MACHINE}"


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """`status` is AWS's, or REFUSED where the definition was not accepted. `output` is JSON text: 1 is not 1.0.

    `met`: of moto, every failure on the way, the caught and retried ones too, each as `error: cause`.
    """

    status: str
    output: str | None = None
    error: str | None = None
    cause: str | None = None
    met: tuple[str, ...] = ()
