-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- The auditors' views, as an auditor reads them; and what the roles can't do.

BEGIN;
SELECT plan(27);
SELECT tt.node('views') AS a \gset
SELECT tt.send(:a,
	tt.rec('deliver', NULL, 'V/INBOX', '{[1,2]}', '{"mids": "1 <v1@x>\n2 <v2@x>"}'),
	tt.rec('claim', 'vera', 'V/INBOX', '{[1,1]}'),
	tt.rec('claim', 'viktor', 'V/INBOX', '{[1,1]}',
	       '{"outcome": "refused", "d.holder": "vera"}'),
	tt.rec('flag', 'vera', 'V/INBOX', '{[1,1]}', '{"add": "\\Answered"}'),
	tt.rec('flag', 'viktor', 'V/INBOX', '{[1,1]}', '{"add": "\\Answered"}'),
	tt.rec('flag', 'viktor', 'V/INBOX', '{[2,2]}', '{"add": "\\Deleted $x"}'),
	tt.rec('expunge', 'viktor', 'V/INBOX', '{[2,2]}'),
	tt.rec('expunge', 'viktor', 'V/INBOX', '{[1,1]}',
	       '{"outcome": "refused", "d.holder": "vera"}'));

SELECT is(count(*), 5::bigint, v || ' has a comment') FROM (
	SELECT 'every view' AS v, c.oid FROM pg_class c
	JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname = 'team' AND c.relname IN ('activity', 'response_time',
		'claims_refused', 'double_answers_prevented', 'deleted') AND
		obj_description(c.oid, 'pg_class') IS NOT NULL) x GROUP BY v;
SET LOCAL ROLE team_auditor;
SELECT results_eq($$SELECT action, outcome, messages FROM team.activity
	WHERE colleague = 'viktor' ORDER BY 1, 2$$,
	$$VALUES ('claim', 'refused', 1::bigint), ('expunge', 'ok', 1),
		('expunge', 'refused', 1), ('flag', 'ok', 2)$$, 'activity');
SELECT results_eq($$SELECT message_id, colleague, after IS NOT NULL
	FROM team.response_time WHERE mailbox = 'V/INBOX' ORDER BY 1$$,
	$$VALUES ('<v1@x>', 'vera', true), ('<v2@x>', NULL, false)$$,
	'response time: who answered first');
SELECT results_eq($$SELECT colleague, holder, message_id FROM team.claims_refused
	WHERE node = 'views'$$, $$VALUES ('viktor', 'vera', '<v1@x>')$$,
	'claims refused');
SELECT results_eq($$SELECT colleague, holder FROM team.double_answers_prevented
	WHERE node = 'views'$$, $$VALUES ('viktor', 'vera')$$,
	'double answers prevented');
SELECT results_eq($$SELECT action, outcome, message_id FROM team.deleted
	WHERE node = 'views' ORDER BY seq$$,
	$$VALUES ('flag', 'ok', '<v2@x>'), ('expunge', 'ok', '<v2@x>'),
		('expunge', 'refused', '<v1@x>')$$, 'who deleted what, and who tried');

RESET ROLE;

-- Two days, worked out by hand.
SELECT tt.node('days') AS d \gset
CREATE FUNCTION pg_temp.at(p_at text, p_rec jsonb) RETURNS jsonb LANGUAGE sql
RETURN p_rec || jsonb_build_object('at', (extract(epoch FROM
	(p_at || '+00')::timestamptz) * 1000000)::bigint);
SELECT tt.send(:d,
	pg_temp.at('2026-10-20 09:00', tt.rec('deliver', NULL, 'W/INBOX', '{[1,3]}',
		'{"mids": "1 <w1@x>\n2 <w2@x>\n3 <w3@x>"}')),
	pg_temp.at('2026-10-20 09:05', tt.rec('read', 'wanda', 'W/INBOX', '{[1,3]}')),
	pg_temp.at('2026-10-20 09:10', tt.rec('claim', 'wanda', 'W/INBOX', '{[1,1]}')),
	pg_temp.at('2026-10-20 09:11', tt.rec('claim', 'willi', 'W/INBOX', '{[1,1]}',
		'{"outcome": "refused", "d.holder": "wanda"}')),
	pg_temp.at('2026-10-20 09:20', tt.rec('reply', 'willi', 'W/INBOX', '{[1,1]}',
		'{"outcome": "refused", "d.holder": "wanda"}')),
	pg_temp.at('2026-10-20 09:30', tt.rec('flag', 'wanda', 'W/INBOX', '{[1,1]}',
		'{"add": "\\Answered $Done"}')),
	pg_temp.at('2026-10-20 23:30', tt.rec('login', 'wanda', NULL, NULL)),
	pg_temp.at('2026-10-21 08:00', tt.rec('move', 'wanda', 'W/Done', '{[1,1]}',
		tt.from_box('W/INBOX', '{[2,2]}') || '{"mids": "1 <w2@x>"}')),
	pg_temp.at('2026-10-21 08:30', tt.rec('flag', 'willi', 'W/Done', '{[1,1]}',
		'{"add": "\\Answered"}')),
	pg_temp.at('2026-10-21 08:45', tt.rec('flag', 'wanda', 'W/Done', '{[1,1]}',
		'{"add": "\\Answered", "outcome": "refused"}')),
	pg_temp.at('2026-10-21 09:00', tt.rec('reply', 'willi', 'W/INBOX', '{[3,3]}',
		'{"outcome": "refused", "d.holder": "wanda"}')),
	pg_temp.at('2026-10-21 09:01', tt.rec('reply', 'willi', 'W/INBOX', '{[3,3]}',
		'{"d.override": "claimed"}')),
	pg_temp.at('2026-10-21 09:30', tt.rec('move', 'willi', 'W/Done', NULL,
		tt.from_box('W/INBOX', '{[1,1]}') || '{"outcome": "refused", "d.holder": "wanda"}')),
	pg_temp.at('2026-10-21 10:00', tt.rec('flag', 'willi', 'W/INBOX', '{[3,3]}',
		'{"add": "\\Deleted"}')),
	pg_temp.at('2026-10-21 10:01', tt.rec('expunge', 'willi', 'W/INBOX', '{[3,3]}')),
	pg_temp.at('2026-10-21 10:02', tt.rec('delete', 'wanda', 'W/Old', NULL)),
	-- imported into another mailbox, later
	pg_temp.at('2026-10-21 11:00', tt.rec('append', 'wanda', 'A/Copy', '{[1,1]}',
		'{"mids": "1 <w1@x>"}')));
SET LOCAL timezone = 'Asia/Tokyo';
SET LOCAL ROLE team_auditor;
SELECT results_eq($$SELECT day, colleague, action, outcome, messages, records
	FROM team.activity WHERE colleague IN ('wanda', 'willi') ORDER BY 1, 2, 3, 4$$,
	$$VALUES ('2026-10-20'::date, 'wanda', 'claim', 'ok', 1::bigint, 1::bigint),
		('2026-10-20', 'wanda', 'flag', 'ok', 1, 1),
		('2026-10-20', 'wanda', 'login', 'ok', 0, 1),
		('2026-10-20', 'wanda', 'read', 'ok', 3, 1),
		('2026-10-20', 'willi', 'claim', 'refused', 1, 1),
		('2026-10-20', 'willi', 'reply', 'refused', 1, 1),
		('2026-10-21', 'wanda', 'append', 'ok', 1, 1),
		('2026-10-21', 'wanda', 'delete', 'ok', 0, 1),
		('2026-10-21', 'wanda', 'flag', 'refused', 1, 1),
		('2026-10-21', 'wanda', 'move', 'ok', 1, 1),
		('2026-10-21', 'willi', 'expunge', 'ok', 1, 1),
		('2026-10-21', 'willi', 'flag', 'ok', 2, 2),
		('2026-10-21', 'willi', 'move', 'refused', 1, 1),
		('2026-10-21', 'willi', 'reply', 'ok', 1, 1),
		('2026-10-21', 'willi', 'reply', 'refused', 1, 1)$$,
	'activity: messages and records a day, the day being UTC''s');
SELECT results_eq($$SELECT message_id, mailbox, date_trunc('second', arrived), colleague,
		date_trunc('second', after) FROM team.response_time
	WHERE message_id LIKE '<w_@x>' ORDER BY 1$$,
	$$VALUES ('<w1@x>', 'W/INBOX', '2026-10-20 09:00+00'::timestamptz, 'wanda', '30 min'::interval),
		('<w2@x>', 'W/INBOX', '2026-10-20 09:00+00', 'willi', '23:30:00'),
		('<w3@x>', 'W/INBOX', '2026-10-20 09:00+00', NULL, NULL)$$,
	'response time: from the first arrival to the first answer, also after a move');
SELECT results_eq($$SELECT date_trunc('second', at), colleague, holder, mailbox, uid, message_id
	FROM team.claims_refused WHERE node = 'days'$$,
	$$VALUES ('2026-10-20 09:11+00'::timestamptz, 'willi', 'wanda', 'W/INBOX', 1::bigint, '<w1@x>')$$,
	'claims refused: who, when, which message, who held it');
SELECT results_eq($$SELECT seq, action, colleague, holder, message_id
	FROM team.double_answers_prevented WHERE node = 'days' ORDER BY 1$$,
	$$VALUES (4::bigint, 'claim', 'willi', 'wanda', '<w1@x>'), (5, 'reply', 'willi', 'wanda', '<w1@x>')$$,
	'double answers prevented: not those that were sent all the same');
SELECT results_eq($$SELECT seq, action, colleague, outcome, mailbox, message_id FROM team.deleted
	WHERE node = 'days' ORDER BY 1$$,
	$$VALUES (14::bigint, 'flag', 'willi', 'ok', 'W/INBOX', '<w3@x>'),
		(15, 'expunge', 'willi', 'ok', 'W/INBOX', '<w3@x>'),
		(16, 'delete', 'wanda', 'ok', 'W/Old', NULL)$$,
	'who deleted what: messages and mailboxes');
SELECT is_empty($$SELECT 1 FROM team.activity WHERE colleague IS NULL$$,
	'deliveries are nobody''s activity');
SELECT is((SELECT sum(records) FROM team.activity WHERE colleague IN ('wanda', 'willi')), 16::numeric,
	'no record is counted twice');

SELECT throws_ok('UPDATE team.record SET ip = NULL', '42501', NULL, 'auditor: no update');
SELECT throws_ok('DELETE FROM team.note', '42501', NULL, 'auditor: no delete');
SELECT throws_ok('SELECT team.add_note(1, ''cut'', ''x'')', '42501', NULL,
	'auditor: no notes');
SELECT throws_ok('SELECT team.erase(''vera'')', '42501', NULL, 'auditor: no erasing');
SELECT throws_ok('SELECT * FROM team.record', '42501', NULL, 'auditor: no tables');
SET LOCAL ROLE team_service;
SELECT throws_ok('UPDATE team.record SET ip = NULL', '42501', NULL, 'service: no update');
SELECT throws_ok('DELETE FROM team.record', '42501', NULL, 'service: no delete');
SELECT throws_ok('TRUNCATE team.record', '42501', NULL, 'service: no truncate');
SELECT throws_ok('DROP TABLE team.record', '42501', NULL, 'service: no drop');
SELECT throws_ok('ALTER TABLE team.record DISABLE TRIGGER ALL', '42501', NULL,
	'service: no disabling of triggers');
SELECT throws_ok('UPDATE team.note SET note = ''''', '42501', NULL,
	'service: no change of checkpoints');
RESET ROLE;
-- the owner's slips, in the tables and in every month
SET LOCAL ROLE team_test_owner;
CREATE FUNCTION pg_temp.refused(p_sql text) RETURNS boolean LANGUAGE plpgsql
AS $$
BEGIN
	EXECUTE p_sql;
	RETURN false;
EXCEPTION WHEN insufficient_privilege THEN
	RETURN SQLERRM LIKE 'the log is append-only: %';
END
$$;
SELECT is((SELECT count(*) FROM pg_class c
	WHERE (c.oid IN (SELECT inhrelid FROM pg_inherits
			 WHERE inhparent = 'team.record'::regclass) OR
	       c.oid IN ('team.record'::regclass, 'team.note'::regclass,
			 'team.cut'::regclass, 'team.dropped_leaves'::regclass)) AND
		pg_temp.refused(format(sql, c.oid::regclass))), tables,
	'owner: by a slip no ' || format(sql, 'table'))
	FROM unnest('{UPDATE %s SET node = 1,DELETE FROM %s,TRUNCATE %s}'::text[]) sql,
		(SELECT count(*) + 4 AS tables FROM pg_inherits
		 WHERE inhparent = 'team.record'::regclass) t;
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
