#!/usr/bin/env bash
# All tests, in two processes side by side: most of the time a test waits for a call to ring, and
# one core would stand idle. Arguments go to pytest; with any, everything runs in one process.
# Exit code 0 only when both passed; the last lines are their summaries.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
[ "$#" -eq 0 ] || exec "$python" -m pytest "$@"

long=(tests/test_engine_*.py tests/test_pci_scan.py tests/test_stack.py tests/test_trunks.py)
rest=()
for file in "${long[@]}"; do rest+=("--ignore=$file"); done
said=$(mktemp)
"$python" -m pytest "${long[@]}" >"$said" 2>&1 &
beside=$!
# Whoever stops this stops both: a test that is left alone would hold its ports and processes.
trap 'kill "$beside" 2>/dev/null; wait "$beside"; rm -f "$said"' EXIT
trap 'exit 130' INT TERM
"$python" -m pytest "${rest[@]}"
first=$?
wait "$beside"
second=$?
echo
echo "== calls, engine and scan, which ran beside"
cat "$said"
[ "$first" = 0 ] && [ "$second" = 0 ]
