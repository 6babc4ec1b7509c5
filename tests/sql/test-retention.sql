-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- Retention: what is dropped, what must hold before, and what stays.

BEGIN;
SELECT plan(33);
-- earlier tests' records are of no interest here
SELECT tt.node('keep') AS a \gset
SELECT tt.node('keep2') AS b \gset

-- A record of so many months ago, with a leaf of 32 times the byte.
CREATE FUNCTION pg_temp.old(p_rec jsonb, p_months int, p_leaf text DEFAULT NULL)
RETURNS jsonb LANGUAGE sql
RETURN p_rec || jsonb_build_object('at', (extract(epoch FROM date_trunc('month',
		now()) - p_months * interval '1 month' + interval '1 day')
		* 1000000)::bigint) ||
	CASE WHEN p_leaf IS NULL THEN '{}' ELSE
	jsonb_build_object('_salt', repeat('00', 16), '_leaf', repeat(p_leaf, 32)) END;
CREATE FUNCTION pg_temp.month(p_months int) RETURNS timestamptz LANGUAGE sql
RETURN date_trunc('month', now()) - p_months * interval '1 month';
CREATE FUNCTION pg_temp.cut_note(p_size int, p_first int) RETURNS text LANGUAGE sql
RETURN format(E'dovecot-team cut\ndovecot-team/keep/1\n%s 00\nfirst %s\ntime x\n\nsig', p_size, p_first);

SELECT tt.send(:a,
	pg_temp.old(tt.rec('append', 'rita', 'K/INBOX', '{[1,3]}',
		'{"mids": "1 <k1@x>\n2 <k2@x>\n3 <k3@x>"}'), 20, '11'),
	pg_temp.old(tt.rec('expunge', 'rita', 'K/INBOX', '{[1,2]}'), 19, '12'),
	pg_temp.old(tt.rec('read', 'rita', 'K/INBOX', '{[3,3]}'), 14, '13'),
	pg_temp.old(tt.rec('flag', 'rita', 'K/INBOX', '{[2,2]}'), 2, '14'),
	tt.rec('logout', 'rita', NULL, NULL, '{}'));
SELECT tt.send(:b, pg_temp.old(tt.rec('login', 'rolf', NULL, NULL), 18),
	pg_temp.old(tt.rec('logout', 'rolf', NULL, NULL), 1, '21'));

-- what would be done
SELECT is((SELECT before FROM team.retain_plan('12 months') LIMIT 1), pg_temp.month(12),
	'whole months only: all before the one that began twelve months ago');
SELECT results_eq('SELECT node, first, last, signed FROM team.retain_plan(''12 months'')',
	$$VALUES ('keep', 1::bigint, 3::bigint, false), ('keep2', 1, 1, true)$$,
	'which records of which node; those without leaves need no signature');
SELECT results_eq('SELECT first, last FROM team.retain_plan(''17 months'') WHERE node = ''keep''',
	$$VALUES (1::bigint, 2::bigint)$$, 'longer keeps more');
SELECT is_empty('SELECT 1 FROM team.retain_plan(''30 years'')', 'or all');

-- what must hold
SELECT throws_like($$SELECT * FROM team.retain(pg_temp.month(12), '{}')$$,
	'%isn''t signed by keep', 'without a signed cut nothing is dropped');
SELECT throws_like($$SELECT * FROM team.retain(pg_temp.month(12), NULL)$$,
	'%isn''t signed by keep', 'also if nothing is said about nodes');
SELECT team.add_note(:a, 'cut', pg_temp.cut_note(2, 1));
SELECT throws_like($$SELECT * FROM team.retain(pg_temp.month(12), '{}')$$,
	'%isn''t signed by keep', 'nor with one of another place');
SELECT throws_like($$SELECT * FROM team.retain(pg_temp.month(12) + interval '1 day', '{}')$$,
	'%isn''t the beginning of a month%', 'nor parts of months');
SELECT throws_like($$SELECT * FROM team.retain(pg_temp.month(-1), '{}')$$,
	'%isn''t the beginning of a month that is over', 'nor this month');
SELECT team.add_note(:a, 'cut', 'nonsense');
SELECT team.add_note(:a, 'cut', pg_temp.cut_note(1, 3));
SELECT is((SELECT signed FROM team.retain_plan('12 months') WHERE node = 'keep'), true,
	'signed is what the note''s first and size say');
SET LOCAL ROLE team_service;
SELECT throws_ok($$SELECT * FROM team.retain('2020-01-01', '{}')$$, '42501', NULL,
	'the service can''t drop months');
SELECT throws_ok($$SELECT * FROM team.retain_plan('12 months')$$, '42501', NULL,
	'nor look what would go');
SELECT throws_ok($$SELECT team.forget_messages(now())$$, '42501', NULL, 'nor forget messages');
SELECT throws_ok($$SELECT team.make_months_ahead()$$, '42501', NULL, 'nor make months');
SELECT throws_ok(format('DROP TABLE team.%I', (SELECT 'record_' || to_char(pg_temp.month(20)
	AT TIME ZONE 'UTC', 'YYYYMM'))), '42501', NULL, 'nor drop a month itself');
SET LOCAL ROLE team_auditor;
SELECT throws_ok($$SELECT * FROM team.retain('2020-01-01', '{}')$$, '42501', NULL,
	'nor can auditors');
RESET ROLE;

-- an older record behind a newer one keeps its month
SAVEPOINT before;
SELECT tt.send(:a, pg_temp.old(tt.rec('read', 'rita', 'K/INBOX', '{[3,3]}'), 14, '15'));
SELECT is((SELECT before FROM team.retain_plan('12 months') LIMIT 1), pg_temp.month(14),
	'months in which a clock was wrong stay until what stands before them goes');
SELECT throws_like($$SELECT * FROM team.retain(pg_temp.month(12), '{}')$$,
	'records from before % stand behind later ones (keep)', 'and can''t be dropped by force');
ROLLBACK TO before;

-- dropping
SELECT set_eq($$SELECT records FROM team.retain(pg_temp.month(12), '{}')$$, ARRAY[4::bigint],
	'as many records as were told');
SELECT is((SELECT count(*) FROM team.record WHERE at < pg_temp.month(12)), 0::bigint,
	'they are gone');
SELECT is((SELECT count(*) FROM team.months_before(pg_temp.month(12))), 0::bigint,
	'with their partitions');
SELECT results_eq($$SELECT seq FROM team.record WHERE node = (SELECT id FROM team.node
	WHERE name = 'keep') ORDER BY 1$$, $$VALUES (4::bigint), (5)$$, 'later ones stay');
SELECT results_eq($$SELECT first, leaves FROM team.export_leaves('keep', 0)$$,
	format('VALUES (1::bigint, %L)', repeat('11', 32) || repeat('12', 32) || repeat('13', 32)),
	'the leaves'' hashes stay');
SELECT is_empty($$SELECT 1 FROM team.export_leaves('keep', 3)$$, 'and are given from a number on');
SELECT results_eq($$SELECT message_id FROM team.message WHERE message_id ~ '^<k[0-9]@x>' ORDER BY 1$$,
	$$VALUES ('<k2@x>'), ('<k3@x>')$$,
	'Message-IDs of expunged messages go, unless a later record names the message');
SET LOCAL ROLE team_auditor;
SELECT results_eq($$SELECT node, first, last, before, note ~ '^dovecot-team cut' FROM team.cuts$$,
	$$VALUES ('keep', 1::bigint, 3::bigint, date_trunc('month', now()) - interval '12 months', true),
		('keep2', 1, 1, date_trunc('month', now()) - interval '12 months', NULL)$$,
	'auditors see what was cut');
RESET ROLE;
SELECT throws_ok('DELETE FROM team.cut', '42501', NULL, 'the owner''s slips: cuts stay');
SELECT throws_ok('UPDATE team.dropped_leaves SET first = 0', '42501', NULL, 'so do leaves');
SELECT is_empty($$SELECT 1 FROM team.retain_plan('12 months')$$, 'a second time there is nothing to do');

-- a node that can't sign any more
SELECT throws_like($$SELECT * FROM team.retain(pg_temp.month(0), '{}')$$,
	'%isn''t signed by keep, keep2', 'a node that is no more');
SELECT team.add_note(:a, 'cut', pg_temp.cut_note(4, 1));
SELECT lives_ok($$SELECT * FROM team.retain(pg_temp.month(0), '{keep2}')$$, 'can be given up');

-- months ahead
SELECT is((SELECT count(*) FROM generate_series(0, 3) i WHERE to_regclass('team.record_' ||
	to_char((now() + i * interval '1 month') AT TIME ZONE 'UTC', 'YYYYMM')) IS NOT NULL),
	4::bigint, 'three months are made ahead');
DO $$ BEGIN
	EXECUTE format('DROP TABLE team.record_%s', to_char(now() AT TIME ZONE 'UTC', 'YYYYMM'));
END $$;
SELECT lives_ok(format('SELECT tt.send(%s, tt.rec(''login'', ''rita'', NULL, NULL))', :a),
	'a month that is missing stops nothing');
SELECT * FROM finish();
ROLLBACK;
