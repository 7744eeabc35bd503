# What the shell scripts share. Source it after setting `program`.

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export PYTHONPATH="$repository/scripts/lib" PYTHONDONTWRITEBYTECODE=1

fail() {
  printf '%s: %s\n' "$program" "$*" >&2
  exit 1
}

need_root() {
  [ "$(id -u)" -eq 0 ] || fail "needs root ($1): run it again with sudo"
}
