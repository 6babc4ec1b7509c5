-- SPDX-License-Identifier: LGPL-2.1-or-later
-- The schema as a whole: owner, closed search_path, comments, privileges.
BEGIN;
SELECT plan(29);

SELECT is((SELECT rolsuper FROM pg_roles r JOIN pg_namespace n
	   ON n.nspowner = r.oid WHERE n.nspname = 'team'), false,
	'the owner is no superuser');
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc p
	JOIN pg_namespace n ON n.oid = p.pronamespace
	WHERE n.nspname = 'team' AND p.prosecdef AND NOT coalesce(
		'search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false)$$,
	'every SECURITY DEFINER function has the closed search_path');
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc p
	JOIN pg_namespace n ON n.oid = p.pronamespace
	JOIN pg_language l ON l.oid = p.prolang
	WHERE n.nspname = 'team' AND p.prokind = 'f' AND
		p.prosqlbody IS NULL AND NOT coalesce(
		'search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false)$$,
	'every function whose body is parsed when it runs has it, too');
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc p
	JOIN pg_namespace n ON n.oid = p.pronamespace
	WHERE n.nspname = 'team' AND obj_description(p.oid, 'pg_proc') IS NULL$$,
	'every function has a comment');
SELECT is_empty($$SELECT c.oid::regclass FROM pg_class c
	JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname = 'team' AND c.relkind IN ('r', 'p', 'v') AND
		NOT c.relispartition AND
		obj_description(c.oid, 'pg_class') IS NULL$$,
	'every table and view has a comment');

-- Nobody who wasn't named may do anything.
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc p
	JOIN pg_namespace n ON n.oid = p.pronamespace
	WHERE n.nspname = 'team' AND (p.proacl IS NULL OR EXISTS (
		SELECT FROM aclexplode(p.proacl) a WHERE a.grantee = 0))$$,
	'PUBLIC may execute no function');
SELECT is_empty($$SELECT c.oid::regclass FROM pg_class c
	JOIN pg_namespace n ON n.oid = c.relnamespace,
	aclexplode(c.relacl) a
	WHERE n.nspname = 'team' AND a.grantee = 0$$,
	'PUBLIC may do nothing with any table');
SELECT is(has_schema_privilege('tt_nobody', 'team', 'USAGE'), false,
	'nobody else may use the schema');
SELECT is_empty($$SELECT c.oid::regclass FROM pg_class c
	JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname = 'team' AND c.relkind IN ('r', 'p', 'v') AND
	has_table_privilege('team_service', c.oid,
		'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')$$,
	'team_service may touch no table or view');
SELECT results_eq($$SELECT c.oid::regclass::text FROM pg_class c
	JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname = 'team' AND c.relkind IN ('r', 'p', 'v') AND
	has_table_privilege('team_auditor', c.oid, 'SELECT')
	ORDER BY c.relname COLLATE "C"$$,
	ARRAY['team.activity', 'team.audit', 'team.claims_refused', 'team.cuts', 'team.deleted',
	      'team.double_answers_prevented', 'team.export', 'team.nodes',
	      'team.notes', 'team.response_time'],
	'team_auditor may read the views and nothing else');
SELECT is_empty($$SELECT c.oid::regclass FROM pg_class c
	JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname = 'team' AND c.relkind IN ('r', 'p', 'v') AND
	has_table_privilege('team_auditor', c.oid,
		'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')$$,
	'team_auditor may write nothing');
SELECT results_eq($$SELECT p.proname::text COLLATE "default" FROM pg_proc p
	JOIN pg_namespace n ON n.oid = p.pronamespace
	WHERE n.nspname = 'team' AND
		has_function_privilege('team_service', p.oid, 'EXECUTE')
	ORDER BY p.proname COLLATE "C"$$,
	ARRAY['add_note', 'audit_page', 'audit_page', 'audit_search', 'audit_show', 'auditor_changes', 'claim_batch',
	      'claim_drop', 'claim_forget', 'claim_free',
	      'claim_give', 'claim_guard', 'claim_lapse', 'claim_logout',
	      'claim_many', 'claim_release', 'claim_renew', 'claim_take', 'claim_try', 'claims',
	      'export_leaves', 'export_nodes', 'export_notes', 'export_records', 'flags', 'flags_mailboxes',
	      'guard_begin',
	      'guard_end', 'hello', 'identify', 'ingest', 'ingest_batch', 'mailbox_find',
	      'message_find', 'node_here', 'notice_tell', 'notices', 'private_known', 'recover', 'reply_check',
	      'status', 'sync_claims', 'sync_flags', 'sync_mailbox', 'unidentified',
	      'who_ask', 'who_read', 'who_tell'],
	'team_service may execute just the functions of the service');
SELECT results_eq($$SELECT p.proname::text COLLATE "default" FROM pg_proc p
	JOIN pg_namespace n ON n.oid = p.pronamespace
	WHERE n.nspname = 'team' AND
		has_function_privilege('team_auditor', p.oid, 'EXECUTE')
	ORDER BY p.proname COLLATE "C"$$,
	ARRAY['audit_detail', 'expand', 'place', 'private_flags', 'uid_set'],
	'team_auditor may execute just what the views are made of');
SELECT is_empty($$SELECT p.oid::regprocedure, a.grantee::regrole FROM pg_proc p
	JOIN pg_namespace n ON n.oid = p.pronamespace, aclexplode(p.proacl) a
	WHERE n.nspname = 'team' AND a.grantee NOT IN (p.proowner,
		'team_service'::regrole, 'team_auditor'::regrole)$$,
	'and nobody else any function');
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc p
	JOIN pg_namespace n ON n.oid = p.pronamespace
	WHERE n.nspname = 'team' AND p.prosecdef AND
		has_function_privilege('team_auditor', p.oid, 'EXECUTE')$$,
	'team_auditor may execute nothing that acts as the owner');
SELECT is((SELECT bool_or(rolcanlogin OR rolsuper OR rolcreaterole OR
			  rolcreatedb OR rolbypassrls)
	   FROM pg_roles WHERE rolname IN ('team_service', 'team_auditor')),
	false, 'the roles that were made are plain groups');

-- The same, tried.
SELECT tt.send(tt.node('schema'),
	tt.rec('append', 'alice', 'Team/INBOX', '{[1,3]}',
	       '{"mids": "1 <m1@x>\n2 <m2@x>"}'));
SET LOCAL ROLE team_service;
SELECT throws_ok('SELECT * FROM team.record', '42501', NULL,
	'team_service can''t read records');
SELECT throws_ok('INSERT INTO team.record (at, node, seq, action, outcome) VALUES (now(), 1, 99, ''x'', ''ok'')',
	'42501', NULL, 'team_service can''t write records by itself');
SELECT throws_ok('UPDATE team.record SET outcome = ''ok''', '42501', NULL,
	'team_service can''t change records');
SELECT throws_ok('DELETE FROM team.record', '42501', NULL,
	'team_service can''t delete records');
SELECT throws_ok('SELECT * FROM team.audit', '42501', NULL,
	'team_service can''t read the view');
SELECT throws_ok('SELECT team.make_partition(now())', '42501', NULL,
	'team_service can''t call what isn''t its own');
SET LOCAL ROLE team_auditor;
SELECT is((SELECT count(*) FROM team.audit WHERE node = 'schema' AND
	   detail->>'user' = 'support'), 3::bigint,
	'team_auditor reads the view, detail included');
SELECT throws_ok('SELECT * FROM team.claim', '42501', NULL,
	'team_auditor can''t read tables');
SELECT throws_ok('DELETE FROM team.audit', '55000', NULL,
	'nobody can write through the view');
SET LOCAL ROLE tt_nobody;
SELECT throws_ok('SELECT * FROM team.audit', '42501', NULL,
	'anybody else can read nothing');
SELECT throws_ok('SELECT * FROM team.status()', '42501', NULL,
	'anybody else can call nothing');
RESET ROLE;

SELECT is((SELECT value FROM team.status() WHERE key = 'schema_version'),
	(SELECT max(version)::text FROM team.migration),
	'status names the version');
SELECT matches((SELECT value FROM team.status() WHERE key = 'node schema'),
	'^record 1, seen [0-9-]+T[0-9:]+Z$', 'status names the nodes');

SELECT * FROM finish();
ROLLBACK;
