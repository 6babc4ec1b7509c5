#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What changed of a mailbox's claims since a cursor, also where transactions
# overlap. TEAM_TEST_DB names the database.
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
count=0
run_sql() { psql -XAtq -F ' ' -d "$TEAM_TEST_DB" "$@"; }
is() { # have, want, name
	count=$((count + 1))
	if [ "$1" = "$2" ]; then
		echo "ok $count - $3"
	else
		printf 'not ok %d - %s\n# have: %s\n# want: %s\n' $count "$3" \
			"${1//$'\n'/; }" "${2//$'\n'/; }"
	fi
}
box=$(printf Changes | md5sum | cut -d' ' -f1)
take() { # colleague uids
	echo "SELECT FROM team.claim_take(1, '$box', 1, '$1', 's', '$2', 600);"
}
# without waiting for others
take_many() { # colleague uids
	echo "SELECT FROM team.claim_many(1, '$box', 1, '$1', 's', '$2', 600, false);"
}
# Sets cursor to the new one; prints the rest in one line.
sync() { # cursor
	run_sql -c "SELECT holder, since, coalesce(gone, '-') FROM team.sync_claims('$box', 1, $1)
		WHERE uid IS NULL; SELECT uid, holder FROM team.sync_claims('$box', 1, $1)
		WHERE uid > 0" > "$work/sync"
	cursor=$(sed -n '1s/^[a-z]* \([0-9]*\) .*/\1/p' "$work/sync")
	have=$(sed '1s/ [0-9]* / /' "$work/sync" | paste -s -d ,)
}

run_sql -c "SELECT team.mailbox_id('$box', 1)" -c "$(take alice '{[1,5]}')" > /dev/null
sync 0
is "$have" "all -,1 alice,2 alice,3 alice,4 alice,5 alice" "without a cursor all"
sync "$cursor"
is "$have" "changed -" "then what changed: nothing"
run_sql -c "$(take bob '{[5,7]}')" \
	-c "SELECT FROM team.claim_release(1, '$box', 1, 'alice', '{[2,3]}')" \
	-c "SELECT FROM team.claim_renew(1, '$box', 1, 'alice', '{[4,4]}', 900)" > /dev/null
first=$cursor
sync "$first"
is "$have" "changed {[2,4)},4 alice,6 bob,7 bob" "claims that came, were renewed and went"
is "$(sync $((cursor + 1000)); echo "$have" | cut -d' ' -f1)" all "a cursor from the future is none"

# A claim that is made and seen only when its transaction ends.
mkfifo "$work/in"
run_sql < "$work/in" > /dev/null &
exec 3> "$work/in"
echo "BEGIN; $(take_many carol '{[20,20]}')" >&3
for _ in $(seq 100); do
	[ "$(run_sql -c "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND
		classid = 1952801133")" -gt 0 ] && break
	sleep 0.05
done
run_sql -c "$(take_many dave '{[30,30]}')" > /dev/null
sync "$cursor"
is "${have##*,}" "30 dave" "a later claim is seen"
echo "COMMIT;" >&3
exec 3>&-
wait
sync "$cursor"
is "$have" "changed -,20 carol,30 dave" "and then the earlier one, which ended after it"

run_sql -c "SELECT team.claim_forget('0 seconds')"
sync "$cursor"
is "$have" "changed -" "what is forgotten isn't missed by who has seen it"
sync "$first"
is "$(echo "$have" | cut -d' ' -f1)" all "who hasn't gets all"
run_sql -c "SELECT team.claim_forget('0 seconds')" -c "SELECT team.claim_forget('0 seconds')"
is "$(run_sql -c "SELECT count(*) FROM team.claim_forgotten")" 1 "one row says what is forgotten"
run_sql -c "SELECT FROM team.claim_free(1, '$box', 1, '{[1,100]}')" > /dev/null
echo "1..$count"
