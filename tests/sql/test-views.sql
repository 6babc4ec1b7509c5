-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- The auditors' views, as an auditor reads them; and what the roles can't do.

BEGIN;
SELECT plan(20);
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
-- the owner's slips
SELECT throws_ok('UPDATE team.note SET note = ''''', '42501', NULL,
	'owner: checkpoints are append-only');
SELECT throws_ok('DELETE FROM team.record', '42501', NULL, 'owner: so are records');
SELECT throws_ok('TRUNCATE team.note', '42501', NULL, 'owner: no truncate by a slip');
SELECT * FROM finish();
ROLLBACK;
