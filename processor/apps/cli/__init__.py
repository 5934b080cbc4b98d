"""The command line `asl`.

    app.py         what there is, and how faults are told      options.py  options that commands share
    authoring.py   validate, run, dev                          terminal.py results on stdout, messages on stderr
    roles.py       processor, timers, worker, topics           live.py     commands and events side by side
    executions.py  deploy, start, stop, describe, history, list

Exit codes: 0 fine, 1 the workflow failed, 2 bad usage or a fault of ours to tell. Every command takes `--json`.
"""


def main() -> None:
    """The console script."""
    # Imported here: a module of this package must not cost what the whole command line costs.
    from processor.apps.cli.app import app

    app()
