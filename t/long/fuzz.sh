#!/usr/bin/env bash
# Every fuzz target for FUZZ_SECONDS (30), as many at a time as there are
# processors.  An hour of each: FUZZ_SECONDS=3600 scripts/test fuzz

. "$(dirname "$0")/../../scripts/common.sh"

exec env JOBS="${JOBS:-$(nproc)}" "$ROOT/scripts/fuzz" all "${FUZZ_SECONDS:-30}"
