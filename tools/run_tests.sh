#!/usr/bin/env bash
# All tests, in nine processes side by side: most of the time a test waits for a call to ring, and
# the cores would stand idle. Arguments go to pytest; with any, everything runs in one process.
#
# Nine of them on a machine of two cores make each other wait, and a call does not: a debtor who
# presses a key at the second second does so whether anybody listened or not. So the few that fail
# are run once more with nothing beside them. What is wrong fails alone, too; what does not is named
# at the end. More than MOST failures are never a busy machine, and are not tried again.
#
# Exit code 0 only when all passed; the last lines are the summaries.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
[ "$#" -eq 0 ] || exec "$python" -m pytest "$@"
MOST=6
# Seconds by which those with calls begin before the others: a start alone fills a core for a while.
HEAD_START=${HEAD_START:-20}
# Compiled once, not by each of the thousands of processes that the tests start.
unset PYTHONDONTWRITEBYTECODE

# A file belongs to the first share that names it, and to "rest" where none does. The first ones
# have calls: real time, and mostly waiting; each takes about as long. The others are work for the
# processor, with which they fill the gaps: they stand back, so that no call waits for them.
declare -A patterns=(
    [talks]="engine_agents_pay engine_agents_many engine_agents_three engine_agents_transfers
        agents_at_work"
    [lines]="digits_on_the_line detection_on_the_line guard_on_the_line pay_node_on_the_line
        ivr_calls switch_calls switch_link payments_process agents_pay agents_ivr_calls story_*"
    [agents]="agents_* engine_agents* demo_agents simulated_agents"
    [calls]="engine_* pci_scan stack trunks"
    [console]="console_*"
    [web]="api_* web_* desk_*"
    [payments]="payment_* payments_*"
    [early]="[a-i]*"
)
shares=(talks lines agents calls console web payments early)
standing_back=" console web payments early "
declare -A files taken
for name in "${shares[@]}"; do
    read -rd '' -a wanted <<<"${patterns[$name]}"  # not expanded to what is in this folder
    for pattern in "${wanted[@]}"; do
        for file in tests/test_$pattern.py; do
            [ -e "$file" ] && [ -z "${taken[$file]:-}" ] || continue
            taken[$file]=1
            files[$name]+=" $file"
        done
    done
done
rest=()
for file in "${!taken[@]}"; do rest+=("--ignore=$file"); done

work=$(mktemp -d)
beside=()
# Whoever stops this stops all: a test that is left alone would hold its ports and processes.
trap 'kill "${beside[@]}" 2>/dev/null; wait "${beside[@]}" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
begin() {  # name, files ...
    local name=$1
    shift
    local back=0 later=0
    [[ $standing_back == *" $name "* ]] && back=7 later=$HEAD_START
    {
        sleep "$later"
        exec nice -n "$back" "$python" -m pytest -o cache_dir="$work/cache-$name" "$@"
    } >"$work/$name" 2>&1 &
    beside+=("$!")
}
for name in "${shares[@]}"; do
    # shellcheck disable=SC2086 - names of files, without spaces
    begin "$name" ${files[$name]}
done
sleep "$HEAD_START"
nice -n 7 "$python" -m pytest -o cache_dir="$work/cache-rest" "${rest[@]}"
codes=("$?")
for one in "${beside[@]}"; do
    wait "$one"
    codes+=("$?")
done
beside=()
for name in "${shares[@]}"; do
    echo
    echo "== $name, which ran beside"
    cat "$work/$name"
done

# Which failed: one a line. A process that did not come to its end leaves none, and its code is all
# there is to say.
failed=$("$python" - "$work" "rest ${shares[*]}" "${codes[@]}" <<'PY'
import json, sys
from pathlib import Path

work, shares, codes = Path(sys.argv[1]), sys.argv[2].split(), sys.argv[3:]
for name, code in zip(shares, codes, strict=True):
    told = work / f"cache-{name}/v/cache/lastfailed"
    names = list(json.loads(told.read_text())) if told.exists() else []
    if code not in ("0", "1") or (code == "1" and not names):
        sys.exit(f"the process {name!r} ended with {code} before it had told of all its tests")
    print(*names, sep="\n", end="\n" if names else "")
PY
) || exit 1
[ -n "$failed" ] || exit 0
mapfile -t again <<<"$failed"
[ "${#again[@]}" -le "$MOST" ] || exit 1
echo
echo "== ${#again[@]} that failed, with nothing beside"
"$python" -m pytest "${again[@]}" || exit 1
echo "failed beside others and passed alone:"
printf '  %s\n' "${again[@]}"
