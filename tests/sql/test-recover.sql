-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Flags and claims of messages whose mailbox has another UIDVALIDITY now.
BEGIN;
SELECT plan(20);

CREATE TEMP TABLE n AS SELECT tt.node('rc1') AS a;
-- The same name and GUID, UIDVALIDITY 1 and then 2.
CREATE FUNCTION pg_temp.flagged(p_validity bigint, p_colleague text, p_flag text)
RETURNS int8multirange LANGUAGE sql STABLE
RETURN (SELECT coalesce(range_agg(u), '{}') FROM team.flag f
	JOIN team.colleague c ON c.id = f.colleague_id
	JOIN team.mailbox m ON m.id = f.mailbox_id, unnest(f.uids) u
	WHERE c.name = p_colleague AND m.guid = tt.guid('Rec') AND
		m.uidvalidity = p_validity AND f.flag = p_flag);
CREATE FUNCTION pg_temp.lost(p_guid text, p_validity bigint, p_name text)
RETURNS boolean LANGUAGE sql
RETURN (SELECT lost FROM team.sync_mailbox(p_guid, p_validity, p_name));

SELECT is(pg_temp.lost(tt.guid('Rec'), 1, 'Rec'), false,
	'a mailbox that is all new has lost nothing');
SELECT tt.send(a, tt.rec('read', 'alice', 'Rec', '{[1,3]}', '{"p+\\Seen": "{[1,3]}"}'),
	tt.rec('flag', 'alice', 'Rec', '{[3,3]}', '{"p+my-x": "{[3,3]}"}'),
	tt.rec('read', 'bob', 'Rec', '{[2000,2000]}', '{"p+\\Seen": "{[2000,2000]}"}'))
	FROM n;
SELECT team.claim_take((SELECT a FROM n), tt.guid('Rec'), 1, 'bob', 's', '{[2,2]}', 600);
SELECT is((SELECT uids FROM team.unidentified(tt.guid('Rec'), 1, '{[1,3],[2000,2000]}')),
	'1:3,2000', 'no message is identified yet');
SELECT team.identify(tt.guid('Rec'), 1, E'1 g1\n2 g2\nx y\n0 g\n99999999999 g\n3 g3');
SELECT is((SELECT uids FROM team.unidentified(tt.guid('Rec'), 1, '{[1,3],[2000,2000]}')),
	'2000', 'then those that were told are');
SELECT team.identify(tt.guid('Rec'), 1, E'2000 g with blanks');
SELECT is_empty($$SELECT * FROM team.unidentified(tt.guid('Rec'), 1, '{[1,3],[2000,2000]}')$$,
	'none is left');

SELECT is(pg_temp.lost(tt.guid('Rec'), 2, 'Rec'), true,
	'another UIDVALIDITY: something may be found');
SELECT is(team.recover(tt.guid('Rec'), 2, E'10 g3\n11 new\n12 g2', false), 2::bigint,
	'two messages are the same');
SELECT is(pg_temp.lost(tt.guid('Rec'), 2, 'Rec'), true, 'the rest is to come');
SELECT is(team.recover(tt.guid('Rec'), 2, E'3000 g with blanks', true), 1::bigint,
	'a part may come later');
SELECT is(pg_temp.lost(tt.guid('Rec'), 2, 'Rec'), false, 'then that is all');
SELECT is(pg_temp.flagged(2, 'alice', '\Seen'), '{[10,11),[12,13)}',
	'flags are with the messages');
SELECT is(pg_temp.flagged(2, 'alice', 'my-x'), '{[10,11)}', 'keywords as well');
SELECT is(pg_temp.flagged(2, 'bob', '\Seen'), '{[3000,3001)}',
	'those of others, too, in other blocks');
SELECT is((SELECT array_agg(c.uid || ' ' || m.uidvalidity) FROM team.claim c
	   JOIN team.mailbox m ON m.id = c.mailbox_id WHERE m.guid = tt.guid('Rec')),
	'{"12 2"}', 'a claim is in its new place only');
SELECT is((SELECT count(*) FROM team.sync_flags(-1, tt.guid('Rec'), 2, 'alice', 0)), 2::bigint,
	'every node fetches them');
SELECT is(team.recover(tt.guid('Rec'), 2, E'13 g1', true), 0::bigint,
	'what was looked for once is not looked for again');
SELECT is(pg_temp.flagged(1, 'alice', '\Seen'), '{[1,4)}', 'the old state is kept');

-- Everything is new but the name.
SELECT is(pg_temp.lost(tt.guid('Other'), 7, 'Rec'), true,
	'another GUID under the same name: something may be found');
SELECT is(pg_temp.lost(tt.guid('Third'), 7, 'Elsewhere'), false,
	'but nothing under another name');

-- What is expunged is forgotten.
SELECT tt.send(a, tt.rec('expunge', 'alice', 'Rec', '{[1,2]}')) FROM n;
SELECT is((SELECT array_agg(g.uid ORDER BY g.uid) FROM team.message_guid g
	   JOIN team.mailbox m ON m.id = g.mailbox_id
	   WHERE m.guid = tt.guid('Rec') AND m.uidvalidity = 1), '{3,2000}',
	'an expunged message is not identified any more');
SELECT tt.send(a, tt.rec('move', 'alice', 'Rec2', '{[5,5]}',
	tt.from_box('Rec', '{[3,3]}'))) FROM n;
SELECT is((SELECT array_agg(g.uid) FROM team.message_guid g
	   JOIN team.mailbox m ON m.id = g.mailbox_id WHERE m.guid = tt.guid('Rec2')), '{5}',
	'a moved one is');

SELECT * FROM finish();
ROLLBACK;
