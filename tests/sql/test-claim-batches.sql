-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Claims in batches, claims because of drafts, and what happens under a guard.
BEGIN;
SELECT plan(21);

CREATE TEMP TABLE n AS SELECT tt.node('cb1') AS a;
SELECT team.sync_mailbox(tt.guid('One'), 1, 'Team/One'),
	team.sync_mailbox(tt.guid('Two'), 1, 'Team/Two');
SELECT team.colleague_id(c) FROM unnest('{alice,bob,"no, {quote\\s}"}'::text[]) c;
CREATE FUNCTION pg_temp.batch(p_boxes text[], p_colleagues text[],
			      p_uids bigint[], p_drafts boolean[] DEFAULT NULL)
RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(t.n::text, ' ' ORDER BY t.n)
	FROM team.claim_batch((SELECT a FROM n),
		ARRAY(SELECT tt.guid(b) FROM unnest(p_boxes) b),
		array_fill(1::bigint, ARRAY[cardinality(p_boxes)]),
		p_colleagues, array_fill(''::text, ARRAY[cardinality(p_boxes)]),
		p_uids, coalesce(p_drafts,
			array_fill(false, ARRAY[cardinality(p_boxes)])), 600) t
$$;
CREATE FUNCTION pg_temp.try(p_colleague text, p_uids int8multirange,
			    p_draft boolean DEFAULT false)
RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', uid, state, holder), ', ')
	FROM team.claim_try((SELECT a FROM n), tt.guid('One'), 1,
			    p_colleague, 's', p_uids, 600, p_draft)
$$;
CREATE FUNCTION pg_temp.drop(p_colleague text, p_uids int8multirange)
RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', uid, state), ', ')
	FROM team.claim_drop((SELECT a FROM n), tt.guid('One'), 1,
			     p_colleague, p_uids)
$$;

SELECT is(pg_temp.batch('{One,Two,One}', '{alice,bob,bob}', '{1,1,2}'),
	'1 2 3', 'all are granted');
SELECT is(pg_temp.batch('{One,Two,One}', '{bob,alice,alice}', '{1,2,3}'),
	'2 3', 'what somebody has isn''t');
SELECT is(pg_temp.batch('{One,One}', '{bob,alice}', '{4,4}'), '1',
	'the first of two for the same message wins');
SELECT is(pg_temp.batch('{One,None,One}', '{alice,alice,nobody}', '{5,5,6}'),
	'1', 'nothing for mailboxes and colleagues that aren''t known');
SELECT is(pg_temp.batch('{One}', ARRAY['no, {quote\s}'], '{7}'), '1',
	'any name');
SELECT is((SELECT string_agg(concat_ws(' ', uid, holder), ', ')
	FROM team.sync_claims(tt.guid('One'), 1, 0) WHERE uid > 0),
	'1 alice, 2 bob, 3 alice, 4 bob, 5 alice, 7 no, {quote\s}',
	'that''s what stands');
SELECT throws_ok($$SELECT * FROM team.claim_batch(1, '{}', '{}', '{}', '{}',
	'{}', '{}', 0)$$, '22023', NULL, 'claims without time are none');

-- Guards.
SELECT FROM team.guard_begin(tt.guid('One'), 1, 'bob', '{[10,20]}', 60);
SELECT is(pg_temp.batch('{One,One,One}', '{alice,alice,bob}', '{10,21,11}'),
	'2 3', 'what another guards isn''t granted');
SELECT is(pg_temp.try('alice', '{[10,10],[22,22]}'),
	'10 guarded bob, 22 granted alice', 'claim_try says so');
SELECT is((SELECT state FROM team.claim_take((SELECT a FROM n), tt.guid('One'),
	1, 'alice', 's', '{[10,10]}', 600)), 'held', 'claim_take doesn''t');

-- Drafts.
SELECT is(pg_temp.batch('{One}', '{alice}', '{30}', '{t}'), '1',
	'claimed by a draft');
SELECT is(pg_temp.try('alice', '{[31,32]}', true),
	'31 granted alice, 32 granted alice', 'so are several');
SELECT is(pg_temp.try('alice', '{[1,1],[31,31]}', true),
	'1 renewed alice, 31 renewed alice', 'once more');
SELECT is(pg_temp.try('alice', '{[32,32]}', false), '32 renewed alice',
	'now it is more than a draft');
SELECT is(pg_temp.drop('bob', '{[1,50]}'), NULL, 'what he claimed stays');
SELECT is(pg_temp.drop('alice', '{[1,50]}'), '30 released, 31 released',
	'only drafts'' claims end with them');
SELECT is(pg_temp.drop('alice', '{[1,50]}'), NULL, 'once');

-- Many for one colleague.
CREATE FUNCTION pg_temp.many(p_colleague text, p_uids int8multirange)
RETURNS text LANGUAGE sql AS $$
	SELECT uids FROM team.claim_many((SELECT a FROM n), tt.guid('One'), 1,
		p_colleague, 's', p_uids, 600, false)
$$;
SELECT is(pg_temp.many('alice', '{[1,9],[12,40]}'),
	'{[6,7),[8,10),[23,32),[33,41)}',
	'those that nobody claims or guards');
SELECT is(pg_temp.many('alice', '{[1,9]}'), NULL, 'once');
SELECT is(pg_temp.try('alice', '{[8,8]}'), '8 renewed alice', 'they are hers');

-- A mailbox that a claim brought gets its name later.
SELECT FROM team.guard_begin(tt.guid('Late'), 1, 'bob', '{[1,1]}', 60);
SELECT team.ingest((SELECT a FROM n), jsonb_build_array(jsonb_build_object(
	'seq', 1, 'at', (extract(epoch FROM now()) * 1000000)::bigint,
	'action', 'open', 'outcome', 'ok', 'mailbox', tt.guid('Late'),
	'uidvalidity', 1, 'name', 'Team/Late')));
SELECT is((SELECT name FROM team.mailbox WHERE guid = tt.guid('Late')),
	'Team/Late', 'it has the record''s name');

SELECT * FROM finish();
ROLLBACK;
