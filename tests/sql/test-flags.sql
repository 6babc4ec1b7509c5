-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Private flags: blocks, copies, moves, expunges, and what a node fetches.
BEGIN;
SELECT plan(58);

CREATE TEMP TABLE n AS SELECT tt.node('fl1') AS a, tt.node('fl2') AS b,
	tt.node('fl3') AS c;
CREATE FUNCTION pg_temp.sync(p_node int, p_colleague text, p_box text,
			     p_cursor bigint) RETURNS text
LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', flag, first_uid, last_uid, uids), '; ')
	FROM team.sync_flags(p_node, tt.guid(p_box), 1, p_colleague, p_cursor)
$$;

-- Adding and removing, over the borders of blocks.
SELECT tt.send(a, tt.rec('read', 'alice', 'Box', '{[1,5000]}',
	'{"p+\\Seen": "{[1,5000]}"}')) FROM n;
SELECT is(tt.flagged('alice', 'Box', '\Seen'), '{[1,5001)}',
	'5000 messages are read');
SELECT is((SELECT array_agg(block ORDER BY block) FROM team.flag f
	   JOIN team.mailbox m ON m.id = f.mailbox_id
	   WHERE m.guid = tt.guid('Box')), '{0,1,2,3,4}',
	'they are in five blocks');
SELECT is((SELECT bool_and(f.uids <@ int8range(f.block * 1024::bigint,
					       (f.block + 1) * 1024::bigint))
	   FROM team.flag f), true, 'each block has its own UIDs only');
SELECT is(tt.rev('Box'), 1::bigint, 'that was one change');
SELECT tt.send(a, tt.rec('flag', 'alice', 'Box', '{[1020,1030],[2048,2048]}',
	'{"p-\\Seen": "{[1020,1030],[2048,2048]}"}')) FROM n;
SELECT is(tt.flagged('alice', 'Box', '\Seen'),
	'{[1,1020),[1031,2048),[2049,5001)}', 'some are unread again');
SELECT is((SELECT array_agg(block ORDER BY block) FROM team.flag f
	   JOIN team.mailbox m ON m.id = f.mailbox_id
	   WHERE m.guid = tt.guid('Box') AND f.rev = 2), '{0,1,2}',
	'only three blocks were written');
SELECT is(tt.flagged('bob', 'Box', '\Seen'), '{}',
	'another colleague has read nothing');
SELECT tt.send(a,
	tt.rec('read', 'bob', 'Box', '{[10,10]}', '{"p+\\Seen": "{[10,10]}"}'),
	tt.rec('flag', 'bob', 'Box', '{[10,10]}', '{"p-\\Seen": "{[10,10]}"}'),
	tt.rec('read', 'bob', 'Box', '{[11,11]}', '{"p+\\Seen": "{[11,11]}"}'),
	tt.rec('flag', 'bob', 'Box', '{[12,12]}', '{"p-\\Seen": "{[12,12]}"}'),
	tt.rec('read', 'bob', 'Box', '{[12,12]}', '{"p+\\Seen": "{[12,12]}"}'))
	FROM n;
SELECT is(tt.flagged('bob', 'Box', '\Seen'), '{[11,13)}',
	'in one batch the last change of a message holds');
SELECT tt.send(a, tt.rec('flag', 'bob', 'Box', '{[1,20]}',
	'{"p+\\Flagged": "{[1,3]}", "p-\\Seen": "{[11,11]}",
	  "p+$Important": "{[1,20]}"}')) FROM n;
SELECT is(tt.flagged('bob', 'Box', '\Flagged'), '{[1,4)}',
	'a record can set a flag on some of its messages');
SELECT is(tt.flagged('bob', 'Box', '\Seen'), '{[12,13)}', 'clear another');
SELECT is(tt.flagged('bob', 'Box', '$Important'), '{[1,21)}',
	'and set a third on all');
SELECT tt.send(a, tt.rec('flag', 'bob', 'Box', '{[30,30]}',
	'{"p+\\Seen": "{[30,30]}", "outcome": "refused"}'),
	tt.rec('flag', 'bob', 'Box', '{[31,31]}',
	'{"p+\\Seen": "{[31,31]}", "outcome": "failed"}')) FROM n;
SELECT is(tt.flagged('bob', 'Box', '\Seen'), '{[12,13)}',
	'what was refused or failed changes nothing');
SELECT is(tt.rev('Box'), 4::bigint, 'and is no new revision');

-- What a node fetches. A: the node that made the changes.
SELECT is((SELECT rev FROM team.sync_mailbox(tt.guid('S'), 1, 'S')), 0::bigint,
	'a new mailbox starts at 0');
SELECT tt.send(a, tt.rec('read', 'alice', 'S', '{[1,2]}',
	'{"p+\\Seen": "{[1,2]}"}')) FROM n;
SELECT is(pg_temp.sync(a, 'alice', 'S', 0), '\Seen 1 1023 {[1,3)}',
	'cursor 0: a node gets its own changes, too') FROM n;
SELECT is(pg_temp.sync(b, 'alice', 'S', 0), '\Seen 1 1023 {[1,3)}',
	'cursor 0: so does another node') FROM n;
SELECT is(pg_temp.sync(a, 'bob', 'S', 0), NULL,
	'another colleague gets nothing') FROM n;
SELECT tt.send(a, tt.rec('read', 'alice', 'S', '{[2000,2000]}',
	'{"p+\\Seen": "{[2000,2000]}"}')) FROM n;
SELECT is(pg_temp.sync(a, 'alice', 'S', 1), NULL,
	'its own change isn''t sent back to the node') FROM n;
SELECT is(pg_temp.sync(b, 'alice', 'S', 1), '\Seen 1024 2047 {[2000,2001)}',
	'another node gets the block that changed') FROM n;
SELECT is(pg_temp.sync(b, 'alice', 'S', 2), NULL,
	'at the newest revision there is nothing') FROM n;
SELECT tt.send(b, tt.rec('flag', 'alice', 'S', '{[1,1]}',
	'{"p-\\Seen": "{[1,1]}"}')) FROM n;
SELECT is(pg_temp.sync(a, 'alice', 'S', 2), '\Seen 1 1023 {[2,3)}',
	'a change by another node is sent') FROM n;
SELECT is(pg_temp.sync(b, 'alice', 'S', 2), NULL, 'but not back to it') FROM n;
-- A writes into the block before it has fetched B's change.
SELECT tt.send(a, tt.rec('read', 'alice', 'S', '{[5,5]}',
	'{"p+\\Seen": "{[5,5]}"}')) FROM n;
SELECT is(pg_temp.sync(a, 'alice', 'S', 2), '\Seen 1 1023 {[2,3),[5,6)}',
	'another node''s change isn''t lost behind one''s own') FROM n;
SELECT is(pg_temp.sync(a, 'alice', 'S', 3), NULL,
	'unless it is there already') FROM n;
SELECT tt.send(a, tt.rec('read', 'alice', 'S', '{[6,6]}',
	'{"p+\\Seen": "{[6,6]}"}')) FROM n;
SELECT is(pg_temp.sync(a, 'alice', 'S', 2), '\Seen 1 1023 {[2,3),[5,7)}',
	'nor behind two') FROM n;
SELECT is(pg_temp.sync(c, 'alice', 'S', 4), '\Seen 1 1023 {[2,3),[5,7)}',
	'a third node gets all') FROM n;
-- B knows revision 3. A's are newer, then B writes again.
SELECT tt.send(b, tt.rec('read', 'alice', 'S', '{[7,7]}',
	'{"p+\\Seen": "{[7,7]}"}')) FROM n;
SELECT is(pg_temp.sync(b, 'alice', 'S', 3), '\Seen 1 1023 {[2,3),[5,8)}',
	'a node that writes still gets what came from others before') FROM n;
SELECT is(pg_temp.sync(b, 'alice', 'S', 5), NULL,
	'and not what it had seen of them') FROM n;
SELECT is((SELECT rev FROM team.sync_mailbox(tt.guid('S'), 1, 'S')), 6::bigint,
	'the cursor is the mailbox''s revision');

-- Copies carry everybody's flags.
SELECT tt.send(a,
	tt.rec('read', 'alice', 'Src', '{[1,10]}', '{"p+\\Seen": "{[1,10]}"}'),
	tt.rec('flag', 'bob', 'Src', '{[3,3],[9,9]}',
	       '{"p+\\Flagged": "{[3,3],[9,9]}"}'),
	tt.rec('read', 'bob', 'Src', '{[4,4]}', '{"p+\\Seen": "{[4,4]}"}')) FROM n;
SELECT tt.send(a, tt.rec('copy', 'carol', 'Dst', '{[1023,1026]}',
	tt.from_box('Src', '{[3,4],[9,10]}'))) FROM n;
SELECT is(tt.flagged('alice', 'Dst', '\Seen'), '{[1023,1027)}',
	'copy: alice''s read messages, over the border of a block');
SELECT is(tt.flagged('bob', 'Dst', '\Flagged'), '{[1023,1024),[1025,1026)}',
	'copy: bob''s flags, the n-th to the n-th');
SELECT is(tt.flagged('bob', 'Dst', '\Seen'), '{[1024,1025)}',
	'copy: bob''s read message');
SELECT is(tt.flagged('bob', 'Src', '\Flagged'), '{[3,4),[9,10)}',
	'copy: the source keeps its flags');
SELECT is(pg_temp.sync(a, 'bob', 'Dst', 0) IS NOT NULL AND
	pg_temp.sync(a, 'bob', 'Dst', tt.rev('Dst') - 1) IS NOT NULL, true,
	'copy: the copying node, too, has to fetch what others have') FROM n;
SELECT tt.send(a, tt.rec('move', 'carol', 'Dst', '{[2000,2001]}',
	tt.from_box('Src', '{[9,10]}'))) FROM n;
SELECT is(tt.flagged('bob', 'Dst', '\Flagged'),
	'{[1023,1024),[1025,1026),[2000,2001)}', 'move: bob''s flag moves');
SELECT is(tt.flagged('bob', 'Src', '\Flagged'), '{[3,4)}',
	'move: and leaves the source');
SELECT is(tt.flagged('alice', 'Dst', '\Seen'), '{[1023,1027),[2000,2002)}',
	'move: so does alice''s');
SELECT tt.send(a, tt.rec('move', 'bob', 'Src', '{[21,22]}',
	tt.from_box('Src', '{[3,4]}'))) FROM n;
SELECT is(tt.flagged('bob', 'Src', '\Flagged'), '{[21,22)}',
	'a move within the mailbox');
SELECT tt.send(a, tt.rec('copy', 'carol', 'Fail', '{[1,2]}',
	tt.from_box('Dst', '{[2000,2001]}') || '{"outcome": "failed"}'),
	tt.rec('move', 'carol', 'Fail', NULL,
	tt.from_box('Dst', '{[2000,2001]}') || '{"outcome": "refused"}')) FROM n;
SELECT is(tt.flagged('alice', 'Fail', '\Seen'), '{}',
	'a copy that failed carries nothing');
SELECT is(tt.flagged('bob', 'Dst', '\Flagged'),
	'{[1023,1024),[1025,1026),[2000,2001)}',
	'a move that was refused takes nothing away');
-- In one batch: flag, move on twice, flag there.
SELECT tt.send(a,
	tt.rec('flag', 'dave', 'H1', '{[1,1]}', '{"p+\\Flagged": "{[1,1]}"}'),
	tt.rec('move', 'erin', 'H2', '{[8,8]}', tt.from_box('H1', '{[1,1]}')),
	tt.rec('read', 'dave', 'H2', '{[8,8]}', '{"p+\\Seen": "{[8,8]}"}'),
	tt.rec('move', 'erin', 'H3', '{[9,9]}', tt.from_box('H2', '{[8,8]}')))
	FROM n;
SELECT is(concat(tt.flagged('dave', 'H3', '\Flagged'),
		 tt.flagged('dave', 'H3', '\Seen')),
	'{[9,10)}{[9,10)}', 'records of a batch work on one another');

-- Expunged messages take their flags along, nobody has to fetch that.
SELECT tt.send(a, tt.rec('read', 'alice', 'Ex', '{[1,3000]}',
	'{"p+\\Seen": "{[1,3000]}"}'),
	tt.rec('flag', 'bob', 'Ex', '{[5,5]}', '{"p+\\Flagged": "{[5,5]}"}'))
	FROM n;
SELECT tt.send(a, tt.rec('expunge', 'carol', 'Ex', '{[5,6],[1000,1100]}'),
	tt.rec('expunge', 'carol', 'Ex', '{[2999,2999]}'),
	tt.rec('expunge', 'carol', 'Ex', '{[7,7]}', '{"outcome": "refused"}'))
	FROM n;
SELECT is(tt.flagged('alice', 'Ex', '\Seen'),
	'{[1,5),[7,1000),[1101,2999),[3000,3001)}',
	'expunge: gone, but only what was done');
SELECT is(tt.flagged('bob', 'Ex', '\Flagged'), '{}',
	'expunge: for everybody');
SELECT is(pg_temp.sync(b, 'alice', 'Ex', 1), NULL,
	'expunge: no flags to fetch') FROM n;
SELECT tt.send(a, tt.rec('delete', 'carol', 'Ex', NULL)) FROM n;
SELECT is((SELECT count(*) FROM team.flag f JOIN team.mailbox m
	   ON m.id = f.mailbox_id WHERE m.guid = tt.guid('Ex')), 0::bigint,
	'a mailbox that is deleted leaves no flags');

-- Many colleagues and sparse sets.
SELECT tt.send(a, tt.rec('read', 'alice', 'Sp',
	(SELECT range_agg(int8range(i * 2, i * 2, '[]'))::text
	 FROM generate_series(1, 5000) i),
	jsonb_build_object('p+\Seen',
		(SELECT range_agg(int8range(i * 2, i * 2, '[]'))::text
		 FROM generate_series(1, 5000) i)))) FROM n;
SELECT is(team.uid_count(tt.flagged('alice', 'Sp', '\Seen')), 5000::bigint,
	'every other message');
SELECT tt.send(a, tt.rec('copy', 'bob', 'Sp2', '{[1,5000]}',
	tt.from_box('Sp', (SELECT range_agg(int8range(i * 2, i * 2, '[]'))::text
		FROM generate_series(1, 5000) i)))) FROM n;
SELECT is(tt.flagged('alice', 'Sp2', '\Seen'), '{[1,5001)}',
	'copied side by side');

-- Keywords in other spellings.
SELECT tt.send(a, tt.rec('flag', 'alice', 'Kw', '{[1,3000]}',
	'{"p+my-Word": "{[1,3000]}"}')) FROM n;
SELECT tt.send(b, tt.rec('flag', 'alice', 'Kw', '{[2,2],[2000,2000]}',
	'{"p-MY-WORD": "{[2,2],[2000,2000]}"}'),
	tt.rec('flag', 'alice', 'Kw', '{[4000,4000]}',
	'{"p+my-word": "{[4000,4000]}"}'),
	tt.rec('flag', 'alice', 'Kw', '{[1,1],[5000,5000]}',
	'{"p+My-New": "{[1,1]}", "p+my-new": "{[5000,5000]}"}')) FROM n;
SELECT is(tt.flagged('alice', 'Kw', 'my-Word'),
	'{[1,2),[3,2000),[2001,3001),[4000,4001)}',
	'a keyword is the same in any spelling');
SELECT is((SELECT count(DISTINCT f.flag) FROM team.flag f
	   JOIN team.mailbox m ON m.id = f.mailbox_id
	   WHERE m.guid = tt.guid('Kw')), 2::bigint,
	'and is stored in one, new ones too');
SELECT tt.send(b, tt.rec('flag', 'alice', 'Kw2', '{[1,1]}',
	'{"p+MY-word": "{[1,1]}"}'),
	tt.rec('copy', 'bob', 'Kw2', '{[2,2]}', tt.from_box('Kw', '{[4000,4000]}')))
	FROM n;
SELECT is(tt.flagged('alice', 'Kw2', 'MY-word'), '{[1,3)}',
	'a copy takes over the spelling of where it goes');

-- Nobody knows whether it happened.
SELECT is(pg_temp.sync(-1, 'alice', 'Kw2', tt.rev('Kw2')), NULL,
	'nothing is new');
CREATE TEMP TABLE r AS SELECT tt.rev('Kw2') AS rev;
SELECT tt.send(a, tt.rec('gap', 'alice', 'Kw2', '{[1,2]}',
	'{"outcome": "failed", "p-MY-WORD": "{[1,2]}", "p+\\Seen": "{[2,2]}"}'))
	FROM n;
SELECT is(tt.flagged('alice', 'Kw2', 'MY-word'), '{[1,3)}',
	'a gap changes no flags');
SELECT is((SELECT pg_temp.sync(-1, 'alice', 'Kw2', rev) FROM r),
	'MY-word 1 1023 {[1,3)}; \Seen 1 1023 {}',
	'but they have to be fetched');
SELECT is((SELECT pg_temp.sync(-1, 'bob', 'Kw2', rev) FROM r), NULL,
	'by that colleague');

-- What was saved has no numbers that anybody knows.
CREATE TEMP TABLE r2 AS SELECT tt.rev('Kw2') AS rev;
SELECT tt.send(a, tt.rec('gap', 'alice', 'Kw2', NULL,
	'{"outcome": "failed", "d.unresolved": "append"}')) FROM n;
SELECT is((SELECT pg_temp.sync(-1, 'alice', 'Kw2', rev) FROM r2),
	' 1 1023 {}; MY-word 1 1023 {[1,3)}; \Seen 1 1023 {}',
	'all flags have to be fetched, others are not in force');
SELECT is(pg_temp.sync(-1, 'alice', 'Kw2', tt.rev('Kw2')), NULL, 'once');
SELECT is((SELECT pg_temp.sync(-1, 'bob', 'Kw2', rev) FROM r2), NULL,
	'by nobody else');
SELECT is(pg_temp.sync(-1, 'alice', 'Kw2', 0),
	'MY-word 1 1023 {[1,3)}; \Seen 1 1023 {}',
	'who fetches all anyway needn''t be told');

SELECT * FROM finish();
ROLLBACK;
