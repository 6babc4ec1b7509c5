-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Flags that become private, and shared again: where each colleague starts.
BEGIN;
SELECT plan(44);

CREATE TEMP TABLE n AS SELECT tt.node('ps1') AS a, tt.node('ps2') AS b;
CREATE FUNCTION pg_temp.at(p_second int) RETURNS bigint LANGUAGE sql
RETURN 1700000000000000 + p_second * 1000000::bigint;
CREATE FUNCTION pg_temp.known(p_node int, p_box text, p_flags text,
			      p_keywords text, p_second int) RETURNS text
LANGUAGE sql AS $$
	SELECT flags || '/' || keywords FROM team.private_known(p_node,
		tt.guid(p_box), 1, 'team', p_flags, p_keywords,
		timestamptz 'epoch' + pg_temp.at(p_second) * interval '1 microsecond')
$$;
CREATE FUNCTION pg_temp.change(p_node int, p_box text, p_flags text,
			       p_keywords text, p_second int, p_start text)
RETURNS bigint LANGUAGE sql AS $$
	SELECT tt.send(p_node, tt.rec('settings', 'alice', p_box, NULL,
		jsonb_build_object('d.namespace', 'team', 'd.flags', p_flags,
			'd.keywords', p_keywords,
			'd.since', pg_temp.at(p_second)::text,
			'd.start', p_start)))
$$;
-- what a replica with this cursor has to get, all blocks together
CREATE FUNCTION pg_temp.sync(p_colleague text, p_box text, p_flag text,
			     p_cursor bigint DEFAULT 0) RETURNS text
LANGUAGE sql AS $$
	SELECT range_agg(u)::text FROM team.sync_flags(-1, tt.guid(p_box), 1,
		p_colleague, p_cursor) f, unnest(f.uids::int8multirange) u
	WHERE lower(f.flag) = lower(p_flag)
$$;
CREATE FUNCTION pg_temp.flag(p_who text, p_box text, p_uids text, p_change text)
RETURNS bigint LANGUAGE sql AS $$
	SELECT tt.send(a, tt.rec('flag', p_who, p_box, p_uids,
		jsonb_build_object(p_change, p_uids))) FROM n
$$;

SELECT ok(team.is_private('\Seen', '\Seen \Flagged', '*'), 'a system flag');
SELECT ok(NOT team.is_private('\Draft', '\Seen', '*'), 'none of them');
SELECT ok(team.is_private('MY-x', '', 'Old my-*'), 'a pattern');
SELECT ok(NOT team.is_private('my_x', '', 'my-* my%'), 'no wildcards of SQL''s');
SELECT ok(team.is_private('a_b', '', 'a?b'), 'one character');
SELECT is(team.sequence_uids('1:3,7'), '{[1,4),[7,8)}', 'a sequence set');
SELECT is(team.sequence_uids(''), '{}', 'an empty one');

-- The first time there is nothing to start from.
SELECT is(pg_temp.known(a, 'P', '\Seen', 'my-*', 10), NULL, 'first seen') FROM n;
SELECT is(pg_temp.known(a, 'P', '\Seen', 'my-*', 20), NULL, 'the same') FROM n;
SELECT is(pg_temp.known(a, 'P', '\Seen \Flagged', 'my-*', 5), NULL,
	'older settings don''t count') FROM n;
SELECT is(pg_temp.known(a, 'P', '\Seen \Flagged', 'my-*', 30), '\Seen/my-*',
	'what was private before') FROM n;
SELECT pg_temp.flag('alice', 'P', '{[1,1]}', 'p+\Seen');

-- \Flagged and invoice become private.
SELECT pg_temp.change(a, 'P', '\Seen \Flagged', 'my-* invoice', 30,
	E'\\Seen 5\n\\Flagged 1:3,2000\ninvoice 2') FROM n;
SELECT is(pg_temp.known(a, 'P', '\Seen \Flagged', 'my-* invoice', 31), NULL,
	'it is known') FROM n;
SELECT is(pg_temp.sync('alice', 'P', '\Flagged'), '{[1,4),[2000,2001)}',
	'who was there starts from what was shared');
SELECT is(pg_temp.sync('nobody yet', 'P', '\Flagged'), '{[1,4),[2000,2001)}',
	'so does who comes later');
SELECT is(pg_temp.sync('bob', 'P', 'Invoice'), '{[2,3)}', 'keywords, too');
SELECT is(pg_temp.sync('alice', 'P', '\Seen'), '{[1,2)}',
	'what was private stays as it was');
SELECT pg_temp.flag('alice', 'P', '{[2,2]}', 'p-\Flagged');
SELECT pg_temp.flag('bob', 'P', '{[4,4]}', 'p+\Flagged');
SELECT is(pg_temp.sync('alice', 'P', '\Flagged'), '{[1,2),[3,4),[2000,2001)}',
	'the first change begins with the start');
SELECT is(pg_temp.sync('bob', 'P', '\Flagged'), '{[1,5),[2000,2001)}',
	'for each colleague');
SELECT is(pg_temp.sync('carol', 'P', '\Flagged'), '{[1,4),[2000,2001)}',
	'and changes nobody else''s');
SELECT pg_temp.change(a, 'P', '\Seen \Flagged', 'my-* invoice', 32,
	E'\\Flagged 9') FROM n;
SELECT is(pg_temp.sync('carol', 'P', '\Flagged'), '{[1,4),[2000,2001)}',
	'only the first who says so is heard');

-- Another node gets the same settings a while later.
SELECT is(pg_temp.known(b, 'P', '\Seen', 'my-*', 33), NULL,
	'another node has the old settings') FROM n;
SELECT pg_temp.change(b, 'P', '\Seen \Flagged', 'my-* invoice', 40,
	E'\\Flagged 9') FROM n;
SELECT is(pg_temp.sync('bob', 'P', '\Flagged'), '{[1,5),[2000,2001)}',
	'and joins what has begun');

-- Copies, expunges.
SELECT tt.send(a, tt.rec('copy', 'alice', 'Q', '{[11,13]}',
	tt.from_box('P', '{[1,3]}'))) FROM n;
SELECT is(pg_temp.sync('alice', 'Q', '\Flagged'), '{[11,12),[13,14)}',
	'a copy has what the original had, for who changed it');
SELECT is(pg_temp.sync('carol', 'Q', '\Flagged'), '{[11,14)}',
	'and for who didn''t');
SELECT is(pg_temp.sync('bob', 'Q', 'invoice'), '{[12,13)}', 'keywords, too');
SELECT pg_temp.flag('dave', 'R', '{[1,1]}', 'p+\Flagged');
SELECT pg_temp.change(a, 'R', '\Seen', '', 50, '') FROM n;
SELECT pg_temp.change(a, 'R', '\Seen \Flagged', '', 51, E'\\Flagged 5') FROM n;
SELECT pg_temp.flag('dave', 'R', '{[5,5]}', 'p-\Flagged');
SELECT tt.send(a, tt.rec('move', 'bob', 'R', '{[6,9]}',
	tt.from_box('P', '{[1,4]}'))) FROM n;
SELECT is(pg_temp.sync('dave', 'R', '\Flagged'), '{[6,9)}',
	'moved to where others had begun');
SELECT is(pg_temp.sync('bob', 'R', '\Flagged'), '{[5,10)}',
	'with a row in the source only');
SELECT is(pg_temp.sync('carol', 'R', '\Flagged'), '{[5,9)}', 'with none');
SELECT is(pg_temp.sync('carol', 'P', '\Flagged'), '{[2000,2001)}',
	'what was moved away is gone there');
SELECT tt.send(a, tt.rec('expunge', 'bob', 'P', '{[2000,2000]}')) FROM n;
SELECT is(pg_temp.sync('carol', 'P', '\Flagged'), NULL, 'so is what was expunged');

-- Shared again, and private once more: everybody starts anew.
CREATE TEMP TABLE r AS SELECT tt.rev('R') AS rev;
SELECT pg_temp.change(a, 'R', '\Seen', '', 60, NULL) FROM n;
SELECT is(pg_temp.known(a, 'R', '\Seen \Flagged', '', 55), NULL,
	'a session from before it was shared again') FROM n;
SELECT pg_temp.change(a, 'R', '\Seen \Flagged', '', 61, E'\\Flagged 7') FROM n;
SELECT is(pg_temp.sync('dave', 'R', '\Flagged'), '{[7,8)}', 'with flags of one''s own');
SELECT is(pg_temp.sync('bob', 'R', '\Flagged', (SELECT rev FROM r)), '{[7,8)}',
	'a replica from before is told');
SELECT is(pg_temp.sync('erin', 'R', '\Flagged'), '{[7,8)}', 'and without');

-- Keywords that nobody has now, but some had when they were private.
SELECT pg_temp.change(a, 'K', '', 'my-*', 70, NULL) FROM n;
SELECT pg_temp.flag('bob', 'K', '{[3,3]}', 'p+my-old');
SELECT pg_temp.change(a, 'K', '', '', 71, NULL) FROM n;
SELECT pg_temp.change(a, 'K', '', 'my-*', 72, NULL) FROM n;
SELECT is(pg_temp.sync('bob', 'K', 'my-old'), NULL, 'are gone');

-- A change of which nobody knows whether it happened doesn't undo the start.
SELECT pg_temp.change(a, 'G', '', '', 80, NULL) FROM n;
SELECT pg_temp.change(a, 'G', '\Flagged', '', 81, E'\\Flagged 4') FROM n;
SELECT tt.send(a, tt.rec('gap', 'bob', 'G', '{[9,9]}',
	'{"p+\\Flagged": "{[9,9]}", "outcome": "failed"}')) FROM n;
SELECT is(pg_temp.sync('bob', 'G', '\Flagged'), '{[4,5)}', 'gap');

SELECT is((SELECT string_agg(colleague || uids, ' ' ORDER BY colleague)
	FROM team.flags(NULL, 'R')
	WHERE flag = '\Flagged'), 'alice{[7,8)} bob{[7,8)} dave{[7,8)}',
	'an export has it for those who have flags there');
SELECT tt.send(a, tt.rec('delete', 'bob', 'R', NULL)) FROM n;
SELECT is(pg_temp.sync('erin', 'R', '\Flagged'), NULL, 'a deleted mailbox has none');

-- Too much for one record.
CREATE FUNCTION pg_temp.part(p_second int, p_part int, p_parts int, p_start text)
RETURNS bigint LANGUAGE sql AS $$
	SELECT tt.send(a, tt.rec('settings', 'alice', 'S', NULL,
		jsonb_build_object('d.namespace', 'team', 'd.flags', '\Seen \Flagged',
			'd.since', pg_temp.at(p_second)::text, 'd.part', p_part::text,
			'd.parts', p_parts::text, 'd.start', p_start))) FROM n
$$;
SELECT pg_temp.change(a, 'S', '\Seen', '', 60, '') FROM n;
SELECT pg_temp.part(61, 2, 3, '\Flagged 3000');
SELECT pg_temp.part(61, 1, 3, '\Flagged 1,7');
SELECT is(pg_temp.sync('alice', 'S', '\Flagged'), NULL, 'some of it is nothing');
SELECT is(pg_temp.known(a, 'S', '\Seen \Flagged', '', 62), '\Seen/',
	'whoever comes next says it again') FROM n;
SELECT pg_temp.part(62, 1, 2, '\Flagged 2,8');
SELECT is(pg_temp.sync('alice', 'S', '\Flagged'), NULL,
	'parts of two sessions aren''t one whole');
SELECT pg_temp.part(62, 2, 2, E'\\Flagged 3000\n\\Draft 1');
SELECT is(pg_temp.sync('alice', 'S', '\Flagged'), '{[2,3),[8,9),[3000,3001)}',
	'all parts are');
SELECT is((SELECT count(*) FROM team.private_part), 0::bigint,
	'none of them is kept');
SELECT pg_temp.part(61, 3, 3, '\Flagged 9');
SELECT is(pg_temp.sync('bob', 'S', '\Flagged'), '{[2,3),[8,9),[3000,3001)}',
	'what comes later is too late');

SELECT * FROM finish();
ROLLBACK;
