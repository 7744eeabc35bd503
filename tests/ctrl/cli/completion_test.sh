#!/bin/bash
# completion_test.sh SLUICE: the script that `sluice completion bash` prints completes.
set -euo pipefail
PATH=$(dirname "$1"):$PATH
export SLUICE_SOCKET=/nonexistent/control.sock
source <(sluice completion bash)

# expect WORDS...: the last two are the word to complete and what must be offered.
expect() {
  local offered="${*: -1}"
  COMP_WORDS=("${@:1:$#-1}")
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  COMPREPLY=()
  _sluice
  case " ${COMPREPLY[*]} " in
    *" $offered "*) ;;
    *) echo "FAIL: ${COMP_WORDS[*]}: offers \"${COMPREPLY[*]}\", not \"$offered\"" >&2; exit 1 ;;
  esac
}
expect sluice swi switch
expect sluice --json roll rollback
expect sluice switch web --exi --existing
expect sluice switch web --existing r reset
expect sluice get li listener
expect sluice --so --socket
echo "every completion is offered"
