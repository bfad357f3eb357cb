# shellcheck shell=bash disable=SC2034
# Shared by the scripts beside it.

CI_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPOSITORY=$(dirname "$CI_DIR")
CACHE=$REPOSITORY/.cache

say() {
  printf '%s\n' "$*"
}

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# The lines of a list, without its comments.
entries() {
  sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$1"
}

# Run a command that uses the network, up to three times.
retry() {
  local attempt
  for attempt in 1 2; do
    "$@" && return
    say "attempt $attempt failed: $*"
    sleep $((attempt * 5))
  done
  "$@"
}
