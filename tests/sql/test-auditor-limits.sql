-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- Auditors who may see some mailboxes only get nothing about others.

BEGIN;
SELECT plan(48);
CREATE ROLE tt_all LOGIN IN ROLE team_auditor;
CREATE ROLE tt_limited LOGIN IN ROLE team_auditor;
CREATE ROLE tt_below LOGIN IN ROLE team_auditor;
CREATE ROLE tt_none LOGIN IN ROLE team_auditor;
SELECT tt.node('limits') AS a \gset
SELECT tt.send(:a,
	tt.rec('append', 'lisa', 'L/Open', '{[1,3]}', '{"mids": "1 <open1@x>\n2 <open2@x>"}'),
	tt.rec('append', 'lars', 'L/Secret', '{[1,4]}',
		'{"mids": "1 <secret1@x>\n2 <secret2@x>\n3 <secret3@x>\n4 <secret4@x>"}'),
	tt.rec('flag', 'lars', 'L/Secret', '{[1,2]}', '{"add": "$Hush \\Deleted"}'),
	tt.rec('login', 'lars', NULL, NULL, '{"ip": "192.0.2.99"}'),
	tt.rec('move', 'lisa', 'L/Secret', '{[5,5]}',
		tt.from_box('L/Open', '{[2,2]}') || '{"d.reason": "to L/Secret", "mids": "5 <open2@x>"}'),
	tt.rec('copy', 'lars', 'L/Open', '{[4,5]}',
		tt.from_box('L/Secret', '{[3,4]}') || '{"mids": "4 <secret3@x>\n5 <secret4@x>"}'),
	tt.rec('copy', 'lisa', 'L/Open/Sub', '{[1,2]}', tt.from_box('L/Open', '{[1,1],[3,3]}')),
	tt.rec('move', 'lisa', 'L/Secret', NULL, tt.from_box('L/Open', '{[1,1]}') ||
		'{"outcome": "refused", "d.holder": "lars"}'),
	tt.rec('open', 'lisa', NULL, NULL, '{"name": "L/Secret", "outcome": "refused"}'),
	tt.rec('open', 'lisa', NULL, NULL, '{"name": "L/Open", "outcome": "refused"}'),
	tt.rec('rename', 'lisa', 'L/Open', NULL, '{"fromname": "L/Opn"}'),
	tt.rec('claim', 'lars', 'L/Secret', '{[1,1]}', '{"outcome": "refused", "d.holder": "lisa"}'),
	tt.rec('flag', 'lisa', 'L/Open', '{[1,1]}', '{"add": "\\Answered"}'));
SELECT throws_like('SELECT team.limit_auditor(''nobody at all'', ''{}'')',
	'there is no role "nobody at all"', 'limits are for roles that there are');
SELECT throws_like('SELECT team.limit_auditor(''tt_limited'', ''{NULL}'')',
	'a mailbox has no name', 'and for names');
SELECT team.limit_auditor('tt_limited', '{L/Open}');
SELECT team.limit_auditor('tt_below', '{L/Op_n*}');
SELECT team.limit_auditor('tt_none', '{}');

-- Collects whatever the planner lets it see.
CREATE TEMP TABLE leaked (value text);
GRANT ALL ON leaked TO PUBLIC;
CREATE FUNCTION pg_temp.leak(p_value text) RETURNS boolean LANGUAGE plpgsql COST 0.0001
AS $$ BEGIN INSERT INTO leaked VALUES (p_value); RETURN true; END $$;
CREATE FUNCTION pg_temp.secrets(p_text text) RETURNS boolean LANGUAGE sql
RETURN p_text ~ 'Secret|secret|Hush|192\.0\.2\.99';

SET LOCAL ROLE tt_all;
SELECT is((SELECT count(*) FROM team.audit WHERE node = 'limits'), 21::bigint,
	'who isn''t limited sees everything');
SELECT is((SELECT count(*) FROM team.export WHERE node = 'limits'), 13::bigint,
	'exports as well');

SET LOCAL ROLE tt_limited;
SELECT is_empty($$SELECT * FROM team.audit a WHERE pg_temp.secrets(a::text) AND
	message_id <> ALL ('{<secret3@x>,<secret4@x>}')$$, 'audit names no other mailbox');
SELECT results_eq($$SELECT seq, action, mailbox, uid, message_id, detail->>'from',
		(detail->>'fromuid')::bigint FROM team.audit ORDER BY seq, uid, 7$$,
	$$VALUES (1::bigint, 'append', 'L/Open', 1::bigint, '<open1@x>', NULL, NULL::bigint),
		(1, 'append', 'L/Open', 2, '<open2@x>', NULL, NULL),
		(1, 'append', 'L/Open', 3, NULL, NULL, NULL),
		(5, 'move', NULL, NULL, '<open2@x>', 'L/Open', 2),
		(6, 'copy', 'L/Open', 4, '<secret3@x>', NULL, NULL),
		(6, 'copy', 'L/Open', 5, '<secret4@x>', NULL, NULL),
		(7, 'copy', NULL, NULL, '<open1@x>', 'L/Open', 1),
		(7, 'copy', NULL, NULL, NULL, 'L/Open', 3),
		(8, 'move', NULL, NULL, '<open1@x>', 'L/Open', 1),
		(10, 'open', 'L/Open', NULL, NULL, NULL, NULL),
		(11, 'rename', 'L/Open', NULL, NULL, 'L/Opn', NULL),
		(13, 'flag', 'L/Open', 1, '<open1@x>', NULL, NULL)$$,
	'just its own records; of copies and moves its own side');
SELECT is_empty($$SELECT * FROM team.audit WHERE seq IN (5, 8) AND
	(detail ? 'reason' OR detail ? 'holder')$$, 'without what they say about the other side');
SELECT results_eq('SELECT seq FROM team.export ORDER BY 1',
	$$VALUES (1::bigint), (10), (11), (13)$$, 'exports have only records that are its own as a whole');
SELECT is_empty('SELECT * FROM team.export e WHERE pg_temp.secrets(e::text)', 'and no secrets');
SELECT is_empty(format('SELECT * FROM team.%I v WHERE pg_temp.secrets(v::text)', name),
	name || ' has no secrets')
	FROM unnest('{activity,claims_refused,double_answers_prevented,deleted,cuts,notes,nodes}'::text[]) name;
SELECT results_eq('SELECT colleague, action FROM team.activity ORDER BY 1, 2',
	$$VALUES ('lars', 'copy'), ('lisa', 'append'), ('lisa', 'copy'), ('lisa', 'flag'),
		('lisa', 'move'), ('lisa', 'move'), ('lisa', 'open'), ('lisa', 'rename')$$,
	'activity counts what is its own');
SELECT results_eq('SELECT message_id, colleague FROM team.response_time ORDER BY 1',
	$$VALUES ('<open1@x>', 'lisa'), ('<open2@x>', NULL)$$, 'so does response_time');
SELECT is_empty('SELECT * FROM team.deleted', 'so does deleted');

-- ways around
SELECT lives_ok(format('SELECT count(*) FROM team.%I v WHERE %s', c.relname,
		string_agg(format('pg_temp.leak(v.%I::text)', a.attname), ' AND ')),
	'a function that tells what it sees in ' || c.relname)
	FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
	WHERE c.oid IN ('team.audit'::regclass, 'team.export'::regclass, 'team.deleted'::regclass)
	GROUP BY c.relname ORDER BY 1;
SELECT is_empty('SELECT * FROM leaked WHERE pg_temp.secrets(value) AND value <> ALL (''{<secret3@x>,<secret4@x>}'')',
	'doesn''t see other mailboxes');
SELECT lives_ok($$SELECT 1 / (CASE WHEN mailbox = 'L/Secret' THEN 0 ELSE 1 END) FROM team.audit$$,
	'nor does an error tell');
SELECT lives_ok($$SELECT (message_id)::text::int FROM team.audit WHERE mailbox = 'L/Secret'$$,
	'or a cast that fails');
SELECT is_empty($$SELECT * FROM team.audit a JOIN team.audit b ON a.message_id = b.message_id
	WHERE b.mailbox = 'L/Secret'$$, 'joins find nothing');
SELECT throws_ok('SELECT * FROM team.message', '42501', NULL, 'messages'' table is closed');
SELECT throws_ok('SELECT * FROM team.mailbox_name', '42501', NULL, 'so are mailboxes'' names');
SELECT throws_ok('SELECT * FROM team.audit_all', '42501', NULL, 'so is the whole log');
SELECT throws_ok('SELECT * FROM team.export_all', '42501', NULL, 'so is the whole export');
SELECT throws_ok('SELECT * FROM team.limited_record', '42501', NULL, 'and what the views are made of');
SELECT throws_ok('DELETE FROM team.auditor_limit', '42501', NULL, 'nobody takes his own limits away');
SELECT throws_ok('SELECT team.limit_auditor(''tt_limited'', NULL)', '42501', NULL, 'nor by the function');
SELECT is_empty($$SELECT * FROM pg_stats WHERE schemaname = 'team'$$, 'statistics are closed');
SELECT is_empty($$SELECT * FROM pg_stats_ext WHERE schemaname = 'team'$$, 'extended ones, too');
RESET ROLE;
SET LOCAL ROLE tt_below;
SELECT is_empty($$SELECT * FROM team.audit$$, '_ in a name is no wildcard');
RESET ROLE;
SELECT team.limit_auditor('tt_below', '{L/Open*}');
SET LOCAL ROLE tt_below;
SELECT results_eq($$SELECT DISTINCT mailbox FROM team.audit WHERE mailbox IS NOT NULL ORDER BY 1$$,
	$$VALUES ('L/Open'), ('L/Open/Sub')$$, '* is');
RESET ROLE;
SET LOCAL ROLE tt_none;
SELECT is_empty('SELECT * FROM team.audit', 'limited to no mailbox is to see nothing');
RESET ROLE;

-- limits of who logged in hold after SET ROLE
SET LOCAL SESSION AUTHORIZATION tt_limited;
SET LOCAL ROLE team_auditor;
SELECT is((SELECT count(*) FROM team.audit), 12::bigint, 'SET ROLE takes no limit away');
RESET SESSION AUTHORIZATION;
SELECT team.limit_auditor('tt_limited', NULL);
SET LOCAL ROLE tt_limited;
SELECT cmp_ok((SELECT count(*) FROM team.audit), '>=', 20::bigint, 'NULL does');
RESET ROLE;
SELECT cmp_ok((SELECT count(*) FROM team.audit), '>=', 20::bigint, 'the owner isn''t limited');

-- The same mailboxes searched for: what is in it, what left it, what couldn't
-- be opened, each once.
SELECT results_eq(format($$SELECT seq, count(*) FROM team.audit_search('{"mailbox": "%s"}', 1000)
	WHERE node = 'limits' GROUP BY seq ORDER BY seq$$, m),
	format($$SELECT seq, count(*) FROM team.audit_all WHERE node = 'limits' AND seq = ANY ('%s')
	GROUP BY seq ORDER BY seq$$, q), 'search finds what concerns ' || m)
FROM (VALUES ('L/Open', '{1,5,6,7,8,10,11,13}'), ('L/Secret', '{2,3,5,6,8,9,12}')) v(m, q);

-- Every change waits for its record.
SELECT results_eq(format('SELECT auditor, mailboxes, changed_by = session_user FROM team.auditor_changes(%s)', :a),
	$$VALUES ('tt_limited', '{L/Open}', true), ('tt_below', '{L/Op_n*}', true), ('tt_none', '{}', true),
		('tt_below', '{L/Open*}', true), ('tt_limited', NULL, true)$$, 'changes are handed out in order');
SELECT is((SELECT count(*) FROM team.auditor_changes(:a)), 5::bigint, 'again, while the log lacks them');
SELECT tt.node('limits2') AS b \gset
SELECT is((SELECT count(*) FROM team.auditor_changes(:b)), 0::bigint, 'to one node only');
SELECT tt.send(:a, tt.rec('acl', NULL, NULL, NULL, jsonb_build_object('service', 'team',
	'd.change', (SELECT min(id)::text FROM team.auditor_change))));
SELECT is((SELECT count(*) FROM team.auditor_changes(:a)), 4::bigint, 'the log has one now');
DELETE FROM team.auditor_limit WHERE auditor = 'tt_none'::regrole;
SELECT is((SELECT auditor || ' ' || coalesce(mailboxes, 'all') FROM team.auditor_changes(:a) ORDER BY id DESC LIMIT 1),
	'tt_none all', 'changes without the function count as well');
SELECT * FROM finish();
ROLLBACK;
