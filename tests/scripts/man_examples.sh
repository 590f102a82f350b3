#!/bin/bash
# The examples in the man pages work: every line that begins with "isle" in a literal block.
set -uo pipefail
cd "$ISLE_SOURCE_DIR"
if ! isle run -- true 2> /dev/null; then
  echo "no sandbox can be made here: $(isle run -- true 2>&1 | head -n 1)"
  exit 77
fi
failures=0 count=0
for page in man/isle*.1; do
  while IFS= read -r line; do
    # roff to shell
    command=${line//\\-/-}
    command=${command//\\e/\\}
    count=$((count + 1))
    output=$(bash -c "$command" 2>&1 < /dev/null) && continue
    echo "FAIL: $page: $command: $output"
    failures=$((failures + 1))
  done < <(awk '/^\.Bd/ {inside = 1; next} /^\.Ed/ {inside = 0} inside && /^isle run/' "$page")
done
echo "$count examples, $failures failures"
((failures == 0 && count > 0))
