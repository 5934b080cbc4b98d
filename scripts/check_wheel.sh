#!/usr/bin/env bash
# Build the wheel, install it into an empty environment outside the repository, and use it from there: what works in
# a checkout only because the sources lie beside it fails here.
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
outside=$(mktemp -d)
trap 'rm -rf "$outside"' EXIT

"$repository/.cache/uv/bin/uv" build --quiet --wheel --out-dir "$outside" "$repository"
"$repository/.venv/bin/python" -m venv "$outside/venv"
"$outside/venv/bin/pip" install --quiet --disable-pip-version-check "$outside"/asl_processor-*.whl
cd "$outside"

cat >example.py <<'PYTHON'
from importlib.resources import files

import processor
from processor import Continued, FireTimer, Succeeded, WaitStarted, parse, recover, resume, start

assert "site-packages" in processor.__file__, processor.__file__
schemas = sorted(entry.name for entry in (files("processor") / "schemas").iterdir() if entry.name.endswith(".avsc"))
assert schemas, "the wheel carries no schemas"

workflow = parse(
    {
        "StartAt": "Start",
        "States": {"Start": {"Type": "Wait", "Seconds": 10, "Next": "End"}, "End": {"Type": "Succeed"}},
    }
)
outcome = start(workflow, {"user": "a@example.com"}, context={"environment": "staging"})
assert isinstance(outcome, Continued), outcome
finish = FireTimer.of(next(e for e in outcome.events if isinstance(e, WaitStarted)))
finished = resume(outcome.execution, finish)
assert isinstance(finished, Succeeded), finished
assert recover(workflow, outcome.events).execution == outcome.execution
print(f"README example: {type(outcome).__name__}, then {type(finished).__name__}; {len(schemas)} schemas")
PYTHON
venv/bin/python -I example.py

cat >greeting.json <<'JSON'
{"StartAt": "Greet", "States": {"Greet": {"Type": "Pass", "Result": {"said": "hello"}, "ResultPath": "$.greeting", "End": true}}}
JSON
venv/bin/asl run greeting.json --input '{"to": "you"}'
venv/bin/asl run greeting.json --input '{"to": "you"}' --json >result.json
grep -q '"said"' result.json
echo "The wheel works in an empty environment."
