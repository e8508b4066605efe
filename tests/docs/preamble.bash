# Read by bash before a page's own lines: the first command that fails ends the page and is named by its line;
# what the page left running ends with it.
set -Eeuo pipefail
unset BASH_ENV

failed() {
    local status=$1 command=$2 depth=${#BASH_LINENO[@]}
    # The outermost call is the page's, also where a function of this file was what failed.
    printf '%s %s %s\n' "${BASH_LINENO[depth - 2]}" "$status" "$command" >"$DOCS/failed"
}

leave() {
    local status=$?
    trap - ERR
    set +e
    # The same that Ctrl-C does in the foreground.
    jobs -p | xargs -r kill 2>/dev/null
    wait
    exit "$status"
}

trap 'failed "$?" "$BASH_COMMAND"' ERR
trap leave EXIT

# A block was run to its end.
block_ended() { echo "$1" >>"$DOCS/ended"; }

# A reader looks until `chiffon up` says that it listens, and then goes on.
up_listens() {
    local pid=$1 told=$HOME/.local/share/chiffon/up.json end=$((SECONDS + 60))
    until grep -qs "\"pid\": *$pid\b" "$told"; do
        kill -0 "$pid" 2>/dev/null || { echo "chiffon up has ended"; return 1; }
        ((SECONDS < end)) || { echo "chiffon up does not listen"; return 1; }
        sleep 0.1
    done
}

# Runs a command in a terminal of its own and types the answer to what it asks.
answered() {
    local answer=$1
    shift
    printf '%s\n' "$answer" | SHELL=/bin/bash script --quiet --return --flush --command "$(printf '%q ' "$@")" /dev/null
}
