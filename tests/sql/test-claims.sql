-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Claims: one winner, leases, release, guard, and claims that follow a move.
BEGIN;
SELECT plan(50);

CREATE TEMP TABLE n AS SELECT tt.node('cl1') AS a, tt.node('cl2') AS b;
CREATE FUNCTION pg_temp.take(p_colleague text, p_box text,
			     p_uids int8multirange, p_seconds int DEFAULT 1800)
RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', uid, state, holder), ', ')
	FROM team.claim_take((SELECT a FROM n), tt.guid(p_box), 1, p_colleague,
		'sess', p_uids, p_seconds)
$$;
CREATE FUNCTION pg_temp.release(p_colleague text, p_box text,
				p_uids int8multirange)
RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', uid, state, holder), ', ')
	FROM team.claim_release((SELECT a FROM n), tt.guid(p_box), 1,
		p_colleague, p_uids)
$$;
CREATE FUNCTION pg_temp.guard(p_colleague text, p_box text,
			      p_uids int8multirange)
RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', uid, state, holder), ', ')
	FROM team.claim_guard(tt.guid(p_box), 1, p_colleague, p_uids)
$$;
CREATE FUNCTION pg_temp.lapse() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', name, uid, holder), ', ')
	FROM team.claim_lapse((SELECT a FROM n))
$$;
-- What the node does with the answer: its records come to the log.
CREATE FUNCTION pg_temp.report(p_uid bigint, p_holder text) RETURNS bigint
LANGUAGE sql AS $$
	SELECT tt.send((SELECT a FROM n), tt.rec('lapse', p_holder, 'Team/INBOX',
		int8multirange(int8range(p_uid, p_uid, '[]'))::text,
		jsonb_build_object('d.since', (SELECT date_trunc('second', since)
			FROM team.claim_lapsed WHERE uid = p_uid))))
$$;
SELECT team.sync_mailbox(tt.guid(b), 1, b)
	FROM unnest(ARRAY['Team/INBOX', 'Team/Done']) b;

-- Winning, renewing, losing.
SELECT is(pg_temp.take('alice', 'Team/INBOX', '{[5,5]}'), '5 granted alice',
	'alice claims a message');
SELECT is(tt.rev('Team/INBOX'), 0::bigint, 'which is no new revision of flags');
SELECT is(pg_temp.take('bob', 'Team/INBOX', '{[5,5]}'), '5 held alice',
	'bob is told who has it');
SELECT is((SELECT count(*) FROM team.claim), 1::bigint, 'which changes nothing');
SELECT is(pg_temp.take('bob', 'Team/INBOX', '{[4,6],[9,9]}'),
	'4 granted bob, 5 held alice, 6 granted bob, 9 granted bob',
	'several: each by itself');
SELECT is(pg_temp.take('alice', 'Team/INBOX', '{[5,7]}'),
	'5 renewed alice, 6 held bob, 7 granted alice', 'one''s own is renewed');
SELECT is(pg_temp.take('alice', 'Team/INBOX', '{}'), NULL,
	'no message, no answer');
SELECT results_eq($$SELECT uid, state, holder,
		until - since, since - extract(epoch FROM now())::bigint < 60
	FROM team.claim_take((SELECT b FROM n), tt.guid('Team/INBOX'), 1, 'carol',
			     's', '{[20,20]}', 600)$$,
	$$VALUES (20::bigint, 'granted', 'carol', 600::bigint, true)$$,
	'times are seconds since the epoch, the lease as long as asked for');
SELECT tt.pass('9 min');
SELECT results_eq($$SELECT state, until - since BETWEEN 1139 AND 1150
	FROM team.claim_take((SELECT b FROM n), tt.guid('Team/INBOX'), 1, 'carol',
			     's', '{[20,20]}', 600)$$,
	$$VALUES ('renewed', true)$$,
	'renewing lengthens the lease and keeps its beginning');
SELECT results_eq($$SELECT state, until - since BETWEEN 1139 AND 1150
	FROM team.claim_take((SELECT b FROM n), tt.guid('Team/INBOX'), 1, 'carol',
			     's', '{[20,20]}', 60)$$,
	$$VALUES ('renewed', true)$$, 'it never shortens it');
SELECT throws_ok($$SELECT pg_temp.take('alice', 'Team/INBOX', '{[1,1]}', 0)$$,
	'22023', NULL, 'a claim of no time is refused');
SELECT throws_ok($$SELECT pg_temp.take('alice', 'Team/INBOX', '{[1,)}')$$,
	'22023', NULL, 'a set without end is refused');
SELECT throws_ok($$SELECT pg_temp.take('alice', 'Team/INBOX', '{[0,1]}')$$,
	'22023', NULL, 'UID 0 is refused');
SELECT throws_ok($$SELECT pg_temp.take('alice', 'Team/INBOX', NULL)$$,
	'22023', NULL, 'NULL is no set');
SELECT throws_ok($$SELECT pg_temp.take('', 'Team/INBOX', '{[1,1]}')$$,
	'22023', NULL, 'a claim needs a holder');

-- Guard and list.
SELECT is(pg_temp.guard('bob', 'Team/INBOX', '{[1,100]}'),
	'5 held alice, 7 held alice, 20 held carol',
	'the guard names what others hold');
SELECT is(pg_temp.guard('alice', 'Team/INBOX', '{[5,5]}'), NULL,
	'one''s own claim is no obstacle');
SELECT is(pg_temp.guard('bob', 'Team/Done', '{[1,100]}'), NULL,
	'other mailboxes don''t count');
SELECT is((SELECT string_agg(concat_ws(' ', uid, holder), ', ')
	   FROM team.sync_claims(tt.guid('Team/INBOX'), 1, 0) WHERE uid > 0),
	'4 bob, 5 alice, 6 bob, 7 alice, 9 bob, 20 carol',
	'the node fetches all of the mailbox''s claims');
SELECT tt.send(a, tt.rec('append', 'alice', 'Team/INBOX', '{[5,5]}',
	'{"mids": "5 <five@x>"}')) FROM n;
SELECT is((SELECT string_agg(concat_ws(' ', mailbox, uid, message_id, holder),
		', ') FROM team.claims('Team/INBOX')),
	'Team/INBOX 4 bob, Team/INBOX 5 <five@x> alice, Team/INBOX 6 bob, Team/INBOX 7 alice, Team/INBOX 9 bob, Team/INBOX 20 carol',
	'the list shows mailbox, message and holder');
SELECT is((SELECT count(*) FROM team.claims(NULL)), 6::bigint,
	'the list of all mailboxes');
SELECT is((SELECT count(*) FROM team.claims('Team/Done')), 0::bigint,
	'the list of another mailbox');

-- Giving back.
SELECT is(pg_temp.release('alice', 'Team/INBOX', '{[5,8]}'),
	'5 released alice, 6 held bob, 7 released alice, 8 none',
	'only one''s own are given back');
SELECT is(pg_temp.take('bob', 'Team/INBOX', '{[5,5]}'), '5 granted bob',
	'then the message is free');

-- Lapsing.
SELECT tt.pass('20 min');
SELECT is(pg_temp.guard('alice', 'Team/INBOX', '{[1,100]}'),
	'4 held bob, 5 held bob, 6 held bob, 9 held bob',
	'carol''s time is up: the guard doesn''t count her');
SELECT is((SELECT count(*) FROM team.sync_claims(tt.guid('Team/INBOX'), 1, 0)
	WHERE uid > 0), 5::bigint, 'the node has it until it is reported');
SELECT is((SELECT count(*) FROM team.claims('')), 4::bigint,
	'nor does the list');
SELECT is(pg_temp.release('carol', 'Team/INBOX', '{[20,20]}'), '20 none',
	'there is nothing to give back');
SELECT is(pg_temp.lapse(), 'Team/INBOX 20 carol', 'it is to be reported');
SELECT is(pg_temp.lapse(), 'Team/INBOX 20 carol',
	'again, as long as the log doesn''t have it');
SELECT is_empty($$SELECT * FROM team.claim_lapse((SELECT b FROM n))$$,
	'but not by another node');
SELECT pg_temp.report(20, 'carol');
SELECT is(pg_temp.lapse(), NULL, 'then no more');
UPDATE team.claim_lapsed SET reported = false, handed = now() - interval '2 hours';
SELECT is((SELECT holder FROM team.claim_lapse((SELECT b FROM n))), 'carol',
	'by another one if the node is away');
SELECT tt.pass('20 min');
SELECT is(pg_temp.take('alice', 'Team/INBOX', '{[4,5]}'),
	'4 granted alice, 5 granted alice', 'a lapsed claim is up for anybody');
SELECT is(pg_temp.take('bob', 'Team/INBOX', '{[6,6]}'), '6 granted bob',
	'for its former holder as a new one');
SELECT is(pg_temp.lapse(),
	'Team/INBOX 4 bob, Team/INBOX 6 bob, Team/INBOX 9 bob, Team/INBOX 5 bob',
	'all that lapsed are reported, in the order in which they ended');
SELECT is(tt.holder('Team/INBOX', 4), 'alice', 'the new ones stay');
SELECT results_eq($$SELECT colleague, kind, holder, messages FROM team.notices()$$,
	$$VALUES ('bob', 'lapsed', 'alice', 2::bigint)$$,
	'who lost them to somebody else is to be told, not who took his own again');
SELECT is(pg_temp.take('carol', 'Team/INBOX', '{[9,9]}'), '9 granted carol',
	'one that lapsed a while ago');
SELECT is((SELECT count(*) FROM team.notices()), 2::bigint, 'the same');
SELECT pg_temp.release('carol', 'Team/INBOX', '{[9,9]}');
SELECT pg_temp.take('alice', 'Team/INBOX', '{[9,9]}');
SELECT is((SELECT count(*) FROM team.notices()), 2::bigint,
	'who gave it back needn''t know who has it next');
SELECT pg_temp.release('alice', 'Team/INBOX', '{[9,9]}');
SELECT is_empty($$SELECT * FROM team.notice_tell('alice',
	ARRAY(SELECT id FROM team.notices()))$$, 'nobody else can be told');
SELECT is((SELECT count(*) FROM team.notice_tell('bob',
	ARRAY(SELECT id FROM team.notices()))), 2::bigint, 'he is told');
SELECT is_empty($$SELECT * FROM team.notices()$$, 'once');

-- Claims follow their messages, and go with them.
SELECT tt.send(a, tt.rec('copy', 'alice', 'Team/Done', '{[1,2]}',
	tt.from_box('Team/INBOX', '{[4,5]}'))) FROM n;
SELECT is(tt.holder('Team/Done', 1), NULL, 'a copy is nobody''s');
SELECT tt.send(a, tt.rec('move', 'alice', 'Team/Done', '{[11,13]}',
	tt.from_box('Team/INBOX', '{[3,4],[6,6]}'))) FROM n;
SELECT is((SELECT string_agg(concat_ws(' ', mailbox, uid, holder), ', ')
	   FROM team.claims('')),
	'Team/Done 12 alice, Team/Done 13 bob, Team/INBOX 5 alice',
	'a move takes the claims along');
SELECT is(pg_temp.take('bob', 'Team/Done', '{[12,12]}'), '12 held alice',
	'and they hold there');
SELECT tt.send(a, tt.rec('expunge', 'bob', 'Team/Done', '{[13,13]}'),
	tt.rec('expunge', 'bob', 'Team/Done', '{[12,12]}',
	       '{"outcome": "refused"}')) FROM n;
SELECT is((SELECT string_agg(concat_ws(' ', uid, holder), ', ')
	   FROM team.claims('Team/Done')), '12 alice',
	'an expunged message''s claim goes, a refused expunge''s stays');
SELECT tt.send(a, tt.rec('delete', 'bob', 'Team/Done', NULL)) FROM n;
SELECT is((SELECT string_agg(concat_ws(' ', uid, holder), ', ')
	   FROM team.claims('')), '5 alice',
	'a mailbox that is deleted leaves none');
SELECT is((SELECT value FROM team.status() WHERE key = 'claims'), '1',
	'status counts the live ones');

SELECT * FROM finish();
ROLLBACK;
