-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Exactly once and in order: high-water mark, gaps, the log table.
BEGIN;
SELECT plan(36);

CREATE TEMP TABLE n AS SELECT tt.node('in1') AS a, tt.node('in2') AS b;
CREATE FUNCTION pg_temp.batch(p_first int, p_last int) RETURNS jsonb
LANGUAGE sql AS $$
	SELECT jsonb_agg(tt.rec('login', 'alice', NULL, NULL,
			jsonb_build_object('seq', i, 'd.n', i)) ORDER BY i)
	FROM generate_series(p_first, p_last) i
$$;
CREATE FUNCTION pg_temp.logged() RETURNS bigint[] LANGUAGE sql AS $$
	SELECT coalesce(array_agg(seq ORDER BY seq), '{}') FROM team.record
	WHERE node = (SELECT a FROM n)
$$;

SELECT isnt((SELECT a FROM n), (SELECT b FROM n), 'two nodes, two ids');
SELECT results_eq('SELECT * FROM team.hello(''in1'')',
	'SELECT a, 0::bigint FROM n', 'hello again: the same id, nothing yet');
SELECT throws_ok('SELECT * FROM team.hello('''')', '22023', NULL,
	'a node needs a name');

SELECT is(team.ingest(a, pg_temp.batch(1, 3)), 3::bigint, 'the first three')
	FROM n;
SELECT is(pg_temp.logged(), '{1,2,3}', 'they are in the log');
SELECT is(team.ingest(a, pg_temp.batch(1, 3)), 3::bigint,
	'the same again changes nothing') FROM n;
SELECT is(pg_temp.logged(), '{1,2,3}', 'they are in the log once');
SELECT is(team.ingest(a, pg_temp.batch(2, 5)), 5::bigint,
	'an overlap brings only what is new') FROM n;
SELECT is(pg_temp.logged(), '{1,2,3,4,5}', 'each once');
SELECT is(team.ingest(a, '[]'), 5::bigint, 'an empty batch is none') FROM n;
SELECT results_eq('SELECT hwm FROM team.hello(''in1'')',
	ARRAY[5::bigint], 'hello tells the mark');

SELECT throws_ok('SELECT team.ingest(a, pg_temp.batch(7, 8)) FROM n',
	'TE001', NULL, 'a gap before the batch is refused');
SELECT throws_ok('SELECT team.ingest(a, pg_temp.batch(6, 7) || pg_temp.batch(9, 9)) FROM n',
	'TE001', NULL, 'a gap inside is refused');
SELECT throws_ok('SELECT team.ingest(a, pg_temp.batch(7, 7) || pg_temp.batch(6, 6)) FROM n',
	'TE001', NULL, 'the wrong order is refused');
SELECT throws_ok('SELECT team.ingest(a, pg_temp.batch(6, 6) || pg_temp.batch(6, 6)) FROM n',
	'TE001', NULL, 'the same number twice is refused');
SELECT throws_ok('SELECT team.ingest(a, ''[{"action": "login"}]'') FROM n',
	'TE001', NULL, 'a record without a number is refused');
SELECT throws_ok('SELECT team.ingest(a, ''[{"seq": "six"}]'') FROM n',
	'TE001', NULL, 'a number that is none is refused');
SELECT throws_ok('SELECT team.ingest(a, ''{"seq": 6}'') FROM n',
	'22023', NULL, 'what is no array is refused');
SELECT throws_ok('SELECT team.ingest(2000000000, pg_temp.batch(1, 1))',
	'22023', NULL, 'an unknown node is refused');
SELECT is(pg_temp.logged(), '{1,2,3,4,5}', 'nothing of these was taken');
SELECT is((SELECT hwm FROM team.node, n WHERE id = a), 5::bigint,
	'and the mark stayed');
SELECT is(team.ingest(b, pg_temp.batch(1, 1)), 1::bigint,
	'the other node counts for itself') FROM n;

-- A transaction that fails takes the mark back with the records.
SAVEPOINT s;
SELECT is(team.ingest(a, pg_temp.batch(6, 9)), 9::bigint, 'four more') FROM n;
ROLLBACK TO s;
SELECT is(pg_temp.logged(), '{1,2,3,4,5}', 'rolled back: not in the log');
SELECT is(team.ingest(a, pg_temp.batch(6, 9)), 9::bigint,
	'rolled back: taken again') FROM n;

-- The log keeps what it was given.
SELECT tt.send(a, tt.rec('flag', 'bob', 'Team/INBOX', '{[7,7]}',
	'{"at": 1700000000123456, "add": "$Todo", "remove": "\\Answered",
	  "d.note": "x"}')) FROM n;
SELECT results_eq($$SELECT at, action, outcome, username, session, service, ip,
		tls, client, mailbox, uid, uids, added, removed, detail
	FROM team.record, n WHERE node = a AND seq = 10$$,
	$$VALUES (timestamptz '2023-11-14 22:13:20.123466+00', 'flag', 'ok',
		'support', 'sess-bob', 'imap', '192.0.2.1', 'yes', 'Tester',
		'Team/INBOX', 7::bigint, NULL::int8multirange, '$Todo',
		'\Answered', '{"note": "x"}'::jsonb)$$,
	'every field is kept, the time to the microsecond');
SELECT is((SELECT r.tableoid::regclass::text FROM team.record r, n
	   WHERE node = a AND seq = 10), 'team.record_202311',
	'the partition of its month was made');
SELECT is((SELECT count(*) FROM pg_inherits i, pg_class c
	   WHERE i.inhparent = 'team.record'::regclass AND
		c.oid = i.inhrelid AND
		pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT'), 0::bigint,
	'there is no default partition');
SELECT is(team.make_partition('2023-11-30 23:59:59.999999+00'), NULL,
	'the last moment of the month is in it');
SELECT is(team.make_partition('2023-12-01 00:00:00+00'), 'record_202312',
	'the next moment isn''t');

-- Append-only, also for the owner and in each partition.
SET LOCAL ROLE team_test_owner;
SELECT throws_ok('UPDATE team.record SET outcome = ''failed''', '42501',
	'the log is append-only: UPDATE on team.record refused',
	'even the owner can''t change records');
SELECT throws_ok('DELETE FROM team.record', '42501', NULL,
	'nor delete them');
SELECT throws_ok('TRUNCATE team.record', '42501', NULL,
	'nor empty the table');
SELECT throws_ok('UPDATE team.record_202311 SET outcome = ''failed''',
	'42501', NULL, 'nor change them in a partition');
SELECT throws_ok('DELETE FROM team.record_202312', '42501', NULL,
	'nor delete them from a partition');
SELECT throws_ok('TRUNCATE team.record_202311', '42501', NULL,
	'nor empty a partition');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
