# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Part of quickstart: processes that are known by a file with their number.

# process_of PIDFILE NAME: prints the number if the process is alive and its
# command line holds NAME. Numbers are used again, files stay behind.
process_of()
{
	local pid=''
	[ -r "$1" ] || return 1
	read -r pid < "$1" || [ -n "$pid" ] || return 1
	case $pid in
	''|*[!0-9]*) return 1 ;;
	esac
	{ tr '\0' ' ' < "/proc/$pid/cmdline"; } 2>/dev/null | grep -qF -- "$2" || return 1
	printf '%s\n' "$pid"
}

is_alive()
{
	local state
	state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || return 1
	[ -n "$state" ] && [ "$state" != Z ]
}

# wait_until SECONDS COMMAND...: returns 0 as soon as the command succeeds.
wait_until()
{
	local tries=$(($1 * 20))
	shift
	while [ "$tries" -gt 0 ]; do
		if "$@"; then
			return 0
		fi
		sleep 0.05
		tries=$((tries - 1))
	done
	return 1
}

is_gone() { ! is_alive "$1"; }

# All descendants of a process, which outlive it for a moment when it stops.
descendants_of()
{
	local child
	for child in $(cat "/proc/$1/task/"*/children 2>/dev/null); do
		printf '%s\n' "$child"
		descendants_of "$child"
	done
}

# stop_process PID SIGNAL: stops it and waits until it and its children are
# gone; kills those that don't go. Once it has gone, its children get SIGTERM, as
# they do from systemd: mail processes would wait until they were idle for long
# enough.
stop_process()
{
	local pid=$1 signal=$2 process
	local -a all=("$pid")

	mapfile -t -O 1 all < <(descendants_of "$pid")
	kill -s "$signal" "$pid" 2>/dev/null || return 0
	for process in "${all[@]}"; do
		if ! wait_until 15 is_gone "$process"; then
			complain "Process $process did not stop: killing it."
			kill -s KILL "$process" 2>/dev/null || true
			wait_until 5 is_gone "$process" || true
		fi
		[ "$process" != "$pid" ] || kill -s TERM "${all[@]:1}" 2>/dev/null || true
	done
}
