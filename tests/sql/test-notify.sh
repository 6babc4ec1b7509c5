#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What is told to the nodes, by NOTIFY at commit. TEAM_TEST_DB names the
# database.
count=0
guid() { printf %s "$1" | md5sum | cut -d' ' -f1; }
# SQL; prints what was told, sorted
told() {
	psql -XAtq -v ON_ERROR_STOP=1 -d "$TEAM_TEST_DB" -c 'LISTEN team' \
		-c "$1" 2>&1 |
		sed -n 's/.*"team" with payload "\(.*\)" received.*/\1/p;/ERROR/p' |
		sort
}
is() { # what was told, what should have been, name
	count=$((count + 1))
	if [ "$1" = "$2" ]; then
		echo "ok $count - $3"
	else
		printf 'not ok %d - %s\n# have: %s\n# want: %s\n' $count "$3" \
			"${1//$'\n'/; }" "${2//$'\n'/; }"
	fi
}
take() { # colleague uids
	echo "SELECT team.claim_take($node, '$box', 1, '$1', 's', '$2', 60);"
}
lines() { printf '%s\n' "$@" | sort; }

node=$(psql -XAtq -d "$TEAM_TEST_DB" -c "SELECT tt.node('notify')")
box=$(guid N1) done=$(guid N2)
in_n1() { echo "tt.rec('$1', '$2', 'N1', '$3', '$4')"; }

is "$(told "SELECT tt.send($node,
	$(in_n1 read alice '{[1,1]}' '{"p+\\Seen": "{[1,1]}"}'),
	$(in_n1 read alice '{[2,2]}' '{"p+\\Seen": "{[2,2]}"}'),
	$(in_n1 flag 'bob b' '{[2,2]}' '{"p+\\Flagged": "{[2,2]}"}'))")" \
	"$(lines "$node $box 1 flags alice" "$node $box 1 flags bob b")" \
	"private flags: once for each colleague and batch"
is "$(told "SELECT tt.send($node,
	$(in_n1 flag alice '{[1,1]}' '{"add": "\\Answered"}'),
	$(in_n1 open alice '{[3,3]}' '{"mids": "3 <x@y>"}'),
	$(in_n1 read alice '{[1,1]}' \
	  '{"p-\\Seen": "{[1,1]}", "outcome": "refused"}'))")" "" \
	"nothing about what concerns nobody's private flags"
is "$(told "$(take alice '{[1,2]}')")" "$node $box 1 claims" "a claim"
is "$(told "$(take bob '{[1,2]}')")" "" "nothing about one that is refused"
is "$(told "BEGIN; $(take carol '{[9,9]}') ROLLBACK")" "" \
	"nor about one that is rolled back"
is "$(told "SELECT tt.send($node, tt.rec('move', 'alice', 'N2', '{[7,8]}',
		tt.from_box('N1', '{[1,2]}')))")" \
	"$(lines "0 $box 1 claims" "0 $done 1 claims" "0 $done 1 flags alice" \
		"0 $done 1 flags bob b")" \
	"a move: node 0, for the moving node doesn't know it either"
is "$(told "SELECT team.claim_release($node, '$done', 1, 'alice', '{[7,7]}')")" \
	"$node $done 1 claims" "a release"
is "$(told "SELECT team.claim_release($node, '$done', 1, 'bob', '{[8,8]}')")" \
	"" "nothing about one that there wasn't"
is "$(told "SELECT tt.pass('2 min'); SELECT team.claim_lapse($node)")" \
	"0 $done 1 claims" "a claim that lapsed"
is "$(told "$(take alice '{[4,4]}')")" "$node $box 1 claims" "another claim"
is "$(told "SELECT tt.send($node, $(in_n1 expunge alice '{[4,4]}' '{}'))")" \
	"0 $box 1 claims" "an expunged message's claim"
is "$(told "SELECT tt.send($node, tt.rec('read', repeat('x', 9000), 'N1',
		'{[1,1]}', '{\"p+\\\\Seen\": \"{[1,1]}\"}'))" |
	cut -c1-60)" "$(echo "$node $box 1 flags xxxxxxxxxxxxxxxxxxx" | cut -c1-60)" \
	"a name that is too long for a NOTIFY breaks nothing"
echo "1..$count"
