"""The command line `asl`.

    app.py         what there is, and how faults are told      options.py  options that commands share
    authoring.py   validate, dev                               terminal.py results on stdout, messages on stderr
    run.py         run                                         outcome.py  how an execution's end is told
    drawing.py     graph                                       live.py     commands and events side by side
    roles.py       processor, timers, worker, topics
    executions.py  deploy, start, stop, describe, history, list
    recovery.py    redrive, quarantine, dead-letters
    audit.py       replay, export

Exit codes: 0 fine, 1 the workflow failed or a log has faults, 2 bad usage or a fault of ours to tell. Every command
takes `--json`.
"""


def main() -> None:
    """The console script."""
    # Imported here: a module of this package must not cost what the whole command line costs.
    from processor.apps.cli.app import app

    app()
