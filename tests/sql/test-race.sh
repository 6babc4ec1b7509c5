#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Many clients at once: one winner for each claim, no flag lost, no deadlock,
# every record once. TEAM_TEST_DB names the database.
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
count=0 clients=8

run_sql() { psql -XAtq -d "$TEAM_TEST_DB" "$@"; }
is() { # have, want, name
	count=$((count + 1))
	if [ "$1" = "$2" ]; then
		echo "ok $count - $3"
	else
		printf 'not ok %d - %s\n# have: %s\n# want: %s\n' $count "$3" \
			"${1//$'\n'/; }" "${2//$'\n'/; }"
	fi
}
# Starts the scripts $work/*.sql as one client each, at the same moment.
race() {
	local start f
	start=$(date -d '+1 second' '+%F %T.%N %z')
	for f in "$work"/*.sql; do
		run_sql -c "SELECT pg_sleep_until('$start')" -f "$f" \
			> "$f.out" 2> "$f.err" &
	done
	wait
	errors=$(cat "$work"/*.err)
}
clean() { rm -f "$work"/*; }
guid() { printf %s "$1" | md5sum | cut -d' ' -f1; }
claim() { # colleague box uids seconds
	echo "SELECT '$1', uid, state FROM team.claim_take(1, '$(guid "$2")', 1, '$1', 's', '$3', $4);"
}

# Everybody wants every one of 150 messages, one by one, in another order.
for c in $(seq $clients); do
	for uid in $(seq 150 | shuf); do
		claim "c$c" Race1 "{[$uid,$uid]}" 600
	done > "$work/$c.sql"
done
race
is "$errors" "" "one by one: no errors"
is "$(cat "$work"/*.out | grep -c .)" $((150 * clients)) "everyone gets an answer"
is "$(cat "$work"/*.out | grep granted | cut -d'|' -f2 | sort -n | uniq)" \
	"$(seq 150)" "every message has a winner"
is "$(cat "$work"/*.out | grep granted | cut -d'|' -f2 | sort -n | uniq -d)" \
	"" "and only one"
is "$(cat "$work"/*.out | grep granted | cut -d'|' -f1 | sort -u | wc -l |
	awk '{print ($1 > 1)}')" 1 "it was a race"
is "$(run_sql -c "SELECT c.name, uid FROM team.claim JOIN team.colleague c
	ON c.id = colleague_id WHERE mailbox_id = (SELECT id FROM team.mailbox
	WHERE guid = '$(guid Race1)')" | sort)" \
	"$(cat "$work"/*.out | sed -n 's/|granted$//p' | sort)" \
	"the table says the same"
clean

# Sets that overlap, on a mailbox that doesn't exist yet.
for c in $(seq $clients); do
	for i in $(seq 60 | shuf); do
		claim "c$c" Race2 "{[$((i * 3)),$((i * 3 + 10))]}" 600
	done > "$work/$c.sql"
done
race
is "$errors" "" "overlapping sets: no errors, no deadlock"
is "$(cat "$work"/*.out | grep granted | cut -d'|' -f2 | sort -n)" \
	"$(seq 3 190)" "every message has one winner"
clean

# Claims that lapse in the middle of it: never two holders at a time.
for c in $(seq $clients); do
	for i in $(seq 40); do
		claim "c$c" Race3 "{[1,3]}" 600
		echo "SELECT team.claim_release(1, '$(guid Race3)', 1, 'c$c', '{[1,3]}');"
		[ $((i % 10)) = 0 ] && echo "SELECT team.claim_lapse($c);"
	done > "$work/$c.sql"
done
race
is "$errors" "" "taking and giving back: no errors"
is "$(cat "$work"/*.out | grep -c granted | awk '{print ($1 >= 3)}')" 1 \
	"they were taken"
is "$(run_sql -c "SELECT count(*) FROM team.claim WHERE mailbox_id =
	(SELECT id FROM team.mailbox WHERE guid = '$(guid Race3)')")" 0 \
	"in the end all are free"
clean

# Lapsed claims are reported by one node, whoever asks.
run_sql -c "SELECT team.claim_take(1, tt.guid('Race4'), 1, 'c1', 's', '{[1,500]}', 60);
	SELECT tt.pass('1 hour') " > /dev/null
for c in $(seq $clients); do
	for i in 1 2 3 4 5; do
		echo "SELECT 'lapsed', uid, $c FROM team.claim_lapse($c) WHERE guid = '$(guid Race4)';"
		claim "c$c" Race4 "{[$((c * 7)),$((c * 7 + 100))]}" 600
	done > "$work/$c.sql"
done
race
run_sql -c "SELECT 'lapsed', uid, 1 FROM team.claim_lapse(1)
	WHERE guid = '$(guid Race4)'" > "$work/last.out"
is "$errors" "" "lapsing: no errors"
# to the same node again and again, until the log has it
is "$(cat "$work"/*.out | sed -n 's/^lapsed|//p' | sort -u | cut -d'|' -f1 | sort -n)" \
	"$(seq 500)" "each is reported by one node"
clean

# Nodes that ship at the same time: the same mailboxes in another order, new
# names, moves to and fro, claims in between.
run_sql -c "SELECT tt.node('race' || i) FROM generate_series(1, $clients) i" > /dev/null
for c in $(seq $clients); do
	for i in $(seq 25); do
		a=$((RANDOM % 5)) b=$((RANDOM % 5)) u=$((c * 100 + i))
		cat <<SQL
SELECT 'sent', tt.send((SELECT id FROM team.node WHERE name = 'race$c'),
	tt.rec('read', 'r$((i % 3))', 'Ra$a', '{[$u,$u]}', '{"p+\\\\Seen": "{[$u,$u]}"}'),
	tt.rec('read', 'r$((i % 3))', 'Ra$b', '{[$u,$u]}', '{"p+\\\\Seen": "{[$u,$u]}"}'),
	tt.rec('read', 'all', 'Common', '{[$u,$u]}', '{"p+\\\\Seen": "{[$u,$u]}"}'),
	tt.rec('move', 'r1', 'Ra$b', '{[$((u + 5000)),$((u + 5000))]}',
		tt.from_box('Ra$a', '{[$u,$u]}')),
	tt.rec('open', 'new-$i', 'new-$((RANDOM % 40))', NULL));
SQL
		claim "r$c" "Ra$a" "{[$u,$((u + 3))]}" 600
	done > "$work/$c.sql"
done
race
is "$errors" "" "nodes shipping: no errors, no deadlock"
is "$(cat "$work"/*.out | grep '^sent' | sort)" \
	"$(for c in $(seq $clients); do for i in $(seq 25); do
		echo "sent|$((i * 5))"; done; done | sort)" "each in its order"
is "$(run_sql -c "SELECT count(*), count(DISTINCT (node, seq)) FROM team.record
	WHERE node IN (SELECT id FROM team.node WHERE name LIKE 'race%')")" \
	"$((clients * 125))|$((clients * 125))" "every record once"
is "$(run_sql -c "SELECT u FROM unnest(tt.flagged('all', 'Common', '\Seen')) r,
	generate_series(lower(r), upper(r) - 1) u")" \
	"$(for c in $(seq $clients); do seq $((c * 100 + 1)) $((c * 100 + 25)); done)" \
	"no flag is lost in a block that all of them write"
clean

# The same batch from two services that both think they are the node.
run_sql -c "SELECT tt.node('twin')" > /dev/null
for c in 1 2 3 4; do
	cat > "$work/$c.sql" <<SQL
SELECT team.ingest((SELECT id FROM team.node WHERE name = 'twin'),
	(SELECT jsonb_agg(tt.rec('login', 'x', NULL, NULL) ||
		jsonb_build_object('seq', i)) FROM generate_series(1, 300) i));
SQL
done
race
is "$errors$(grep -h . "$work"/*.out | sort -u)" "300" "the same batch from four"
is "$(run_sql -c "SELECT count(*) FROM team.record WHERE node =
	(SELECT id FROM team.node WHERE name = 'twin')")" 300 "is taken once"
clean

# A month without a partition, found out by all at once.
for c in $(seq $clients); do
	echo "SELECT tt.send((SELECT id FROM team.node WHERE name = 'race$c'),
		tt.rec('login', 'x', NULL, NULL, '{\"at\": 1500000000000000}'));" \
		> "$work/$c.sql"
done
race
is "$errors" "" "a new month: no errors"
is "$(run_sql -c "SELECT count(*) FROM team.record_201707")" $clients \
	"all records are in its partition"
echo "1..$count"
