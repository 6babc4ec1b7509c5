-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Guards, renewing, taking over, handing over, giving back.
BEGIN;
SELECT plan(22);

CREATE TEMP TABLE n AS SELECT tt.node('ls1') AS a;
CREATE FUNCTION pg_temp.take(p_colleague text, p_uids int8multirange)
RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', uid, state, holder), ', ')
	FROM team.claim_take((SELECT a FROM n), tt.guid('Lease'), 1,
			     p_colleague, 'sess-' || p_colleague, p_uids, 600)
$$;
CREATE FUNCTION pg_temp.give(p_from text, p_to text, p_uids int8multirange)
RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', uid, state, holder), ', ' ORDER BY uid)
	FROM team.claim_give((SELECT a FROM n), tt.guid('Lease'), 1, p_from,
			     p_to, 's', p_uids, 600)
$$;
SELECT team.sync_mailbox(tt.guid('Lease'), 1, 'Team/Lease');

-- Guards.
SELECT is(pg_temp.take('alice', '{[1,2]}'), '1 granted alice, 2 granted alice',
	'alice has two');
SELECT results_eq($$SELECT CASE state WHEN 'held' THEN uid END, state, holder
	FROM team.guard_begin(tt.guid('Lease'), 1, 'bob', '{[2,1000000]}', 60)$$,
	$$VALUES (2::bigint, 'held', 'alice'), (NULL, 'guard', NULL)$$,
	'who guards is told who holds what');
SELECT is(pg_temp.take('carol', '{[5,5]}'), '5 held bob',
	'nobody else claims what is guarded');
SELECT is(pg_temp.take('carol', '{[1,1],[5,6]}'),
	'1 held alice, 5 held bob, 6 held bob', 'nor several');
SELECT is(pg_temp.take('bob', '{[5,5]}'), '5 granted bob', 'he himself does');
SELECT is(pg_temp.take('alice', '{[2,2]}'), '2 renewed alice',
	'and who had it already');
SELECT is((SELECT count(*) FROM team.sync_claims(tt.guid('Lease'), 1, 0) WHERE uid > 0),
	3::bigint, 'a guard is no claim');
SELECT is(team.guard_end(ARRAY(SELECT id FROM team.guard)), 1::bigint,
	'it ends');
SELECT is(pg_temp.take('carol', '{[6,6]}'), '6 granted carol',
	'and then it is over');
SELECT throws_ok($$SELECT * FROM team.guard_begin(tt.guid('Lease'), 1, 'bob',
	'{[1,1]}', 0)$$, '22023', NULL, 'one without time is none');

-- Renewing.
UPDATE team.claim SET until = until - interval '5 minutes';
SELECT results_eq($$SELECT uid, until - extract(epoch FROM now())::bigint > 590
	FROM team.claim_renew((SELECT a FROM n), tt.guid('Lease'), 1, 'alice',
		'{[1,10]}', 600) ORDER BY uid$$,
	$$VALUES (1::bigint, true), (2, true)$$, 'one''s own are renewed');

-- Taking over and handing over.
SELECT is(pg_temp.give(NULL, 'erin', '{[1,1],[5,5],[9,9]}'),
	'1 taken alice, 5 taken bob, 9 granted erin', 'from whoever has them');
SELECT results_eq($$SELECT colleague, kind, holder, messages FROM team.notices()
	ORDER BY 1$$, $$VALUES ('alice', 'taken', 'erin', 1::bigint),
	('bob', 'taken', 'erin', 1)$$, 'who had them is to be told');
SELECT is(pg_temp.give('erin', 'bob', '{[1,2],[6,6]}'),
	'1 taken erin, 2 held alice, 6 held carol', 'from one only');
SELECT is((SELECT count(*) FROM team.notices()), 2::bigint,
	'who hands over isn''t told');
SELECT is(pg_temp.give('erin', 'bob', '{[1,1]}'), '1 renewed bob',
	'who has it already keeps it');
SELECT is(pg_temp.give(NULL, 'bob', '{}'), NULL, 'no message, no answer');

-- Giving back.
SELECT results_eq($$SELECT uid, name, holder
	FROM team.claim_logout((SELECT a FROM n), 'alice', 'sess-alice')$$,
	$$VALUES (2::bigint, 'Team/Lease', 'alice')$$,
	'with the session goes what it claimed');
SELECT is_empty($$SELECT * FROM team.claim_logout((SELECT a FROM n), 'alice',
	'another')$$, 'but not what another did');
SELECT results_eq($$SELECT uid, state, holder FROM team.claim_free(
	(SELECT a FROM n), tt.guid('Lease'), 1, '{[1,100]}') ORDER BY uid$$,
	$$VALUES (1::bigint, 'released', 'bob'), (5, 'released', 'erin'),
		 (6, 'released', 'carol'), (9, 'released', 'erin')$$,
	'an administrator frees all');
SELECT results_eq($$SELECT colleague, holder, messages FROM team.notices()
	WHERE kind = 'freed' ORDER BY 1$$, $$VALUES ('bob', '', 1::bigint),
	('carol', '', 1), ('erin', '', 2)$$, 'and all are to be told');
SELECT is((SELECT guid FROM team.mailbox_find('Team/Lease')), tt.guid('Lease'),
	'mailboxes are found by their names');
SELECT * FROM finish();
ROLLBACK;
