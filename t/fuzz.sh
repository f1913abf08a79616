#!/usr/bin/env bash
# Every fuzz target: its corpus again, then FUZZ_SECONDS (30) of new inputs,
# as many targets at a time as there are processors.  An hour of each:
#   JOBS=2 scripts/fuzz all 3600

. "$(dirname "$0")/../scripts/common.sh"

exec env JOBS="${JOBS:-$(nproc)}" "$ROOT/scripts/fuzz" all "${FUZZ_SECONDS:-30}"
