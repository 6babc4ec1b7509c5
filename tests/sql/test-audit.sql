-- SPDX-License-Identifier: LGPL-2.1-or-later
-- The view, searching, and what happened to a message.
BEGIN;
SELECT plan(65);

CREATE TEMP TABLE n AS SELECT tt.node('au1') AS a, tt.node('au2') AS b;
GRANT SELECT ON n TO PUBLIC;
CREATE FUNCTION pg_temp.found(p_filter jsonb, p_limit int DEFAULT NULL)
RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(':', seq, action, uid), ' ' ORDER BY o)
	FROM team.audit_search(p_filter, p_limit)
		WITH ORDINALITY s(at, node, seq, colleague, action, mailbox, uid,
			message_id, outcome, session, remote_ip, client,
			detail, o)
	WHERE node LIKE 'au%'
$$;
CREATE FUNCTION pg_temp.shown(p_id text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(':', action, colleague, mailbox, uid), ' '
			  ORDER BY o)
	FROM team.audit_show(p_id)
		WITH ORDINALITY s(at, node, seq, colleague, action, mailbox, uid,
			message_id, outcome, session, remote_ip, client,
			detail, o)
$$;

SELECT columns_are('team', 'audit', ARRAY['at', 'node', 'seq', 'colleague',
	'action', 'mailbox', 'uid', 'message_id', 'outcome', 'session',
	'remote_ip', 'client', 'detail'], 'the view''s columns');

SELECT tt.send(a,
	-- 1
	tt.rec('login', 'alice', NULL, NULL),
	-- 2: Message-IDs of two are known, the third has none
	tt.rec('deliver', NULL, 'Team/INBOX', '{[1,4]}',
	       '{"mids": "1 <one@x>\n2 <two@x>\n3 "}'),
	-- 3
	tt.rec('flag', 'alice', 'Team/INBOX', '{[1,2],[4,4]}',
	       '{"add": "$Todo \\Answered", "remove": "$Old"}'),
	-- 4
	tt.rec('read', 'bob', 'Team/INBOX', '{[1,1]}',
	       '{"p+\\Seen": "{[1,1]}", "ip": "2001:db8::1"}'),
	-- 5: private on some, shared on all
	tt.rec('flag', 'bob', 'Team/INBOX', '{[1,2]}',
	       '{"add": "\\Deleted", "p+\\Flagged": "{[2,2]}",
		 "p-\\Seen": "{[1,1]}", "d.note": "a b"}'),
	-- 6
	tt.rec('copy', 'bob', 'Team/Keep', '{[11,12]}',
	       tt.from_box('Team/INBOX', '{[1,2]}')),
	-- 7
	tt.rec('move', 'carol', 'Team/Done', '{[7,7]}',
	       tt.from_box('Team/Keep', '{[12,12]}')),
	-- 8
	tt.rec('read', 'dave', 'Team/Done', '{[7,7]}', '{"p+\\Seen": "{[7,7]}"}'),
	-- 9
	tt.rec('expunge', 'dave', 'Team/INBOX', '{[2,2]}',
	       '{"outcome": "refused", "d.holder": "alice"}'),
	-- 10: nothing was put anywhere
	tt.rec('move', 'dave', 'Team/Done', NULL,
	       tt.from_box('Team/INBOX', '{[1,2]}') || '{"outcome": "refused"}'),
	-- 11
	tt.rec('open', 'dave', 'Team/Done', NULL)) FROM n;

-- The view: a row for each message.
SELECT is((SELECT count(*) FROM team.audit WHERE node = 'au1' AND seq = 2),
	4::bigint, 'a row for each message');
SELECT is((SELECT string_agg(coalesce(message_id, '-'), ' ' ORDER BY uid)
	   FROM team.audit WHERE node = 'au1' AND seq = 2),
	'<one@x> <two@x> - -', 'with its Message-ID, if it is known');
SELECT results_eq($$SELECT count(*), count(uid), count(mailbox) FROM team.audit
	WHERE node = 'au1' AND seq = 1$$,
	'VALUES (1::bigint, 0::bigint, 0::bigint)',
	'one row without UID if there is no message');
SELECT results_eq($$SELECT count(*), count(uid), min(mailbox) FROM team.audit
	WHERE node = 'au1' AND seq = 11$$,
	$$VALUES (1::bigint, 0::bigint, 'Team/Done')$$,
	'nor one in a mailbox''s record');
SELECT results_eq($$SELECT colleague, action, mailbox, uid, message_id, outcome,
		session, remote_ip, client, detail
	FROM team.audit WHERE node = 'au1' AND seq = 4$$,
	$$VALUES ('bob', 'read', 'Team/INBOX', 1::bigint, '<one@x>', 'ok',
		'sess-bob', '2001:db8::1', 'Tester',
		'{"added": "\\Seen", "private": true, "user": "support",
		  "service": "imap", "tls": "yes"}'::jsonb)$$,
	'all columns of a row');
SELECT results_eq($$SELECT uid, detail->>'added', detail->>'removed',
		detail->'private' FROM team.audit
	WHERE node = 'au1' AND seq = 3 ORDER BY uid$$,
	$$VALUES (1::bigint, '$Todo \Answered', '$Old', 'false'::jsonb),
		(2, '$Todo \Answered', '$Old', 'false'),
		(4, '$Todo \Answered', '$Old', 'false')$$,
	'shared flags, what was added and what removed');
SELECT results_eq($$SELECT uid, detail->>'added', detail->>'removed',
		detail->'private', detail->>'note' FROM team.audit
	WHERE node = 'au1' AND seq = 5 ORDER BY uid$$,
	$$VALUES (1::bigint, '\Deleted', '\Seen', 'true'::jsonb, 'a b'),
		(2, '\Deleted \Flagged', NULL, 'true', 'a b')$$,
	'private flags, for each message its own');
SELECT results_eq($$SELECT mailbox, uid, message_id, detail->>'from',
		detail->'fromuid' FROM team.audit
	WHERE node = 'au1' AND seq = 6 ORDER BY uid$$,
	$$VALUES ('Team/Keep', 11::bigint, '<one@x>', 'Team/INBOX', '1'::jsonb),
		('Team/Keep', 12, '<two@x>', 'Team/INBOX', '2')$$,
	'a copy has both mailboxes and both UIDs');
SELECT results_eq($$SELECT mailbox, uid, message_id, detail->>'from',
		detail->'fromuid' FROM team.audit
	WHERE node = 'au1' AND seq = 7$$,
	$$VALUES ('Team/Done', 7::bigint, '<two@x>', 'Team/Keep', '12'::jsonb)$$,
	'a move of one, too');
SELECT results_eq($$SELECT uid, message_id, outcome, detail->>'holder'
	FROM team.audit WHERE node = 'au1' AND seq = 9$$,
	$$VALUES (2::bigint, '<two@x>', 'refused', 'alice')$$,
	'a refusal names the message');
SELECT results_eq($$SELECT mailbox, uid, message_id, detail->'fromuid'
	FROM team.audit WHERE node = 'au1' AND seq = 10 ORDER BY 4$$,
	$$VALUES ('Team/Done', NULL::bigint, '<one@x>', '1'::jsonb),
		('Team/Done', NULL, '<two@x>', '2')$$,
	'a refused move has the source''s UIDs and no others');
SELECT is((SELECT count(*) FROM team.audit WHERE message_id = '<two@x>'),
	8::bigint, 'the view asked by Message-ID');

-- A Message-ID that comes later is there for all records, earlier ones, too.
SELECT tt.send(a, tt.rec('open', 'alice', 'Team/INBOX', '{[4,4]}',
	'{"mids": "4 <four@x>"}')) FROM n;
SELECT is((SELECT string_agg(action, ' ' ORDER BY seq) FROM team.audit
	   WHERE message_id = '<four@x>'), 'deliver flag open',
	'Message-IDs are bound late');
SELECT tt.send(a, tt.rec('read', 'alice', 'Team/INBOX', '{[4,4]}',
	'{"mids": "4 <other@x>"}')) FROM n;
SELECT is((SELECT count(*) FROM team.audit WHERE message_id = '<other@x>'),
	0::bigint, 'and don''t change any more');
SELECT is((SELECT known FROM team.sync_mailbox(tt.guid('Team/INBOX'), 1,
					       'Team/INBOX')), '{[1,5)}',
	'the node is told which are known, those without one, too');
SELECT is((SELECT known FROM team.sync_mailbox(tt.guid('Team/Keep'), 1,
					       'Team/Keep')), '{[11,13)}',
	'a copy''s is known from the source');
SELECT tt.send(a, tt.rec('append', 'alice', 'Team/Keep', '{[50,50]}',
	'{"mids": "50 <never@x>", "outcome": "failed"}'),
	tt.rec('expunge', 'alice', 'Team/Keep', '{[51,51]}',
	'{"mids": "51 <refused@x>", "outcome": "refused"}')) FROM n;
SELECT is((SELECT known FROM team.sync_mailbox(tt.guid('Team/Keep'), 1,
					       'Team/Keep')), '{[11,13),[51,52)}',
	'of what was never put there nothing is learnt, of what was refused it is');

-- What happened to the message.
SELECT is(pg_temp.shown('<one@x>'),
	'deliver:Team/INBOX:1 flag:alice:Team/INBOX:1 read:bob:Team/INBOX:1 flag:bob:Team/INBOX:1 copy:bob:Team/Keep:11 move:dave:Team/Done',
	'shown in order of time');
SELECT is(pg_temp.shown('two@x'),
	'deliver:Team/INBOX:2 flag:alice:Team/INBOX:2 flag:bob:Team/INBOX:2 copy:bob:Team/Keep:12 move:carol:Team/Done:7 read:dave:Team/Done:7 expunge:dave:Team/INBOX:2 move:dave:Team/Done',
	'through a copy and a move, the ID given without brackets');
SELECT is(pg_temp.shown(' <two@x> '), pg_temp.shown('two@x'),
	'or with spaces around');
SELECT is(pg_temp.shown('TWO@x'), NULL, 'but exactly');
SELECT is(pg_temp.shown('%'), NULL, 'no patterns');
SELECT is(pg_temp.shown(''), NULL, 'nothing is not every message without one');
-- Stored without brackets, asked with them.
SELECT tt.send(a, tt.rec('append', 'alice', 'Odd', '{[1,1]}',
	'{"mids": "1 bare@x"}')) FROM n;
SELECT is(pg_temp.shown('<bare@x>'), 'append:alice:Odd:1',
	'brackets that the message doesn''t have');
-- The Message-ID is known of the last copy only.
SELECT tt.send(a,
	tt.rec('read', 'alice', 'L1', '{[1,3]}', '{"p+\\Seen": "{[1,3]}"}'),
	tt.rec('move', 'alice', 'L2', '{[5,7]}', tt.from_box('L1', '{[1,3]}')),
	tt.rec('move', 'alice', 'L3', '{[9,9]}', tt.from_box('L2', '{[6,6]}')),
	tt.rec('flag', 'bob', 'L3', '{[9,9]}', '{"add": "$Todo", "mids": "9 <late@x>"}'),
	tt.rec('copy', 'bob', 'L4', '{[1,1]}', tt.from_box('L3', '{[9,9]}')))
	FROM n;
SELECT is(pg_temp.shown('<late@x>'),
	'read:alice:L1:2 move:alice:L2:6 move:alice:L3:9 flag:bob:L3:9 copy:bob:L4:1',
	'the message is followed backwards where its ID wasn''t known');
-- Copied before its Message-ID was known.
SELECT tt.send(a,
	tt.rec('copy', 'alice', 'K2', '{[5,6]}', tt.from_box('K1', '{[1,2]}')),
	tt.rec('flag', 'alice', 'K2', '{[6,6]}', '{"add": "$Todo"}'),
	tt.rec('read', 'alice', 'K1', '{[2,2]}', '{"mids": "2 <k@x>"}')) FROM n;
SELECT is(pg_temp.shown('<k@x>'),
	'copy:alice:K2:6 flag:alice:K2:6 read:alice:K1:2',
	'and forwards');
SELECT tt.send(a,
	tt.rec('append', 'alice', 'R1', '{[1,1]}', '{"mids": "1 <round@x>"}'),
	tt.rec('copy', 'alice', 'R2', '{[1,1]}', tt.from_box('R1', '{[1,1]}')),
	tt.rec('copy', 'alice', 'R1', '{[2,2]}', tt.from_box('R2', '{[1,1]}')))
	FROM n;
SELECT is(pg_temp.shown('round@x'),
	'append:alice:R1:1 copy:alice:R2:1 copy:alice:R1:2',
	'round in a circle ends');

-- Searching. Everything so far is the first hour.
SELECT tt.send(b, tt.rec('login', 'sam', NULL, NULL,
	'{"at": 1700000000000000, "ip": "203.0.113.9"}'),
	tt.rec('append', 'sam', 'Old', '{[1,3]}', '{"at": 1700000100000000}'),
	tt.rec('flag', 'sam', 'Old', '{[2,2]}',
	       '{"at": 1700000200000000, "outcome": "failed"}'),
	tt.rec('logout', 'sam', NULL, NULL, '{"at": 1700000300000000}')) FROM n;
SELECT is(pg_temp.found('{"colleague": "sam"}'),
	'4:logout 3:flag:2 2:append:1 2:append:2 2:append:3 1:login',
	'by colleague, newest first');
SELECT is(pg_temp.found('{"colleague": "sam", "order": "asc"}'),
	'1:login 2:append:1 2:append:2 2:append:3 3:flag:2 4:logout',
	'oldest first');
SELECT is(pg_temp.found('{"colleague": "sam"}', 3),
	'4:logout 3:flag:2 2:append:1', 'no more rows than asked for');
SELECT is(pg_temp.found('{"colleague": "sam"}', 0), NULL, 'none at all');
SELECT is(pg_temp.found('{"colleague": "nobody"}'), NULL,
	'an unknown colleague did nothing');
SELECT is(pg_temp.found('{"colleague": "sam", "action": "login"}'), '1:login',
	'by action');
SELECT is(pg_temp.found('{"colleague": "sam", "action": "login,logout"}'),
	'4:logout 1:login', 'by several');
SELECT is(pg_temp.found('{"colleague": "sam", "outcome": "failed"}'),
	'3:flag:2', 'by outcome');
SELECT is(pg_temp.found('{"ip": "203.0.113.9"}'), '1:login', 'by address');
SELECT is(pg_temp.found('{"mailbox": "Old", "order": "asc"}'),
	'2:append:1 2:append:2 2:append:3 3:flag:2', 'by mailbox');
SELECT is(pg_temp.found(jsonb_build_object('mailbox', tt.guid('Old'))),
	pg_temp.found('{"mailbox": "Old"}'), 'by its GUID');
SELECT is(pg_temp.found('{"mailbox": "Team/Keep", "action": "copy,move", "order": "asc"}'),
	'6:copy:11 6:copy:12 7:move:7', 'what left the mailbox, too');
SELECT is(pg_temp.found('{"message_id": "two@x", "action": "move"}'),
	'10:move 7:move:7', 'by Message-ID');
SELECT is(pg_temp.found('{"message_id": "<two@x>", "order": "asc"}', 2),
	'2:deliver:2 3:flag:2', 'by Message-ID with a limit');
SELECT is(pg_temp.found('{"since": "2023-11-14 22:15:01+00", "until": "2023-11-14 22:18:20+00"}'),
	'3:flag:2', 'by time, from since up to before until');
SELECT is(pg_temp.found('{"since": "1700000200", "until": "2023-11-15"}'),
	'4:logout 3:flag:2', 'by time in seconds');
SELECT is((SELECT count(*) FROM team.audit_search('{}', NULL) WHERE node LIKE 'au%'),
	(SELECT count(*) FROM team.audit WHERE node LIKE 'au%'),
	'no filter finds as many as the view');
SELECT is_empty($$(SELECT * FROM team.audit_search(NULL, NULL)
		   EXCEPT SELECT * FROM team.audit)
	UNION ALL (SELECT * FROM team.audit
		   EXCEPT SELECT * FROM team.audit_search(NULL, NULL))$$,
	'and the very same rows');
SELECT throws_ok($$SELECT team.audit_search('{"colour": "red"}', 1)$$, '22023',
	NULL, 'an unknown filter is refused');
SELECT throws_ok($$SELECT team.audit_search('{"since": "soon"}', 1)$$, '22023',
	NULL, 'what is no time is refused');
SELECT throws_ok($$SELECT team.audit_search('{"order": "up"}', 1)$$, '22023',
	NULL, 'what is no order is refused');

-- Pages as the service takes them, each going on behind the last one's end.
CREATE FUNCTION pg_temp.paged(p_filter jsonb, p_rows int)
RETURNS SETOF team.audit LANGUAGE plpgsql AS $$
DECLARE
	v_row team.audit;
	v_after text;
	v_last text;
	v_seen bigint := 0;
	v_count int;
BEGIN
	LOOP
		v_count := 0;
		FOR v_row IN SELECT * FROM team.audit_page(p_filter ||
			CASE WHEN v_after IS NULL THEN '{}' ELSE
			     jsonb_build_object('after', v_after) END,
			p_rows, v_seen) LOOP
			RETURN NEXT v_row;
			v_count := v_count + 1;
			v_last := v_after;
			v_after := concat_ws('|', v_row.at, v_row.seq, v_row.node);
			v_seen := CASE WHEN v_last = v_after THEN v_seen ELSE 0 END + 1;
		END LOOP;
		IF v_count > p_rows THEN
			RAISE EXCEPTION 'a page of % rows', v_count;
		END IF;
		EXIT WHEN v_count < p_rows;
	END LOOP;
END
$$;
SELECT results_eq(format('SELECT * FROM pg_temp.paged(%L, %s)', f, rows),
	format('SELECT * FROM team.audit_search(%L, NULL)', f),
	format('pages of %s rows: %s', rows, f))
FROM unnest(ARRAY['{}', '{"order": "asc"}', '{"mailbox": "Team/INBOX"}',
	'{"colleague": "bob", "order": "asc"}']::jsonb[]) f, unnest(ARRAY[1, 2, 3]) rows;

-- A mailbox that was renamed is found by either name.
SELECT tt.send(a, tt.rec('flag', 'sam', 'Name1', '{[1,1]}', '{"add": "x"}'))
	FROM n;
SELECT tt.send(a, tt.rec('flag', 'sam', 'Name1', '{[2,2]}', '{"add": "x", "name": "Name2"}')) FROM n;
SELECT is(pg_temp.found('{"mailbox": "Name1"}'), pg_temp.found('{"mailbox": "Name2"}'),
	'a renamed mailbox is found by both names');
SELECT isnt(pg_temp.found('{"mailbox": "Name1"}'), NULL, 'indeed');
SELECT is((SELECT name FROM team.mailbox WHERE guid = tt.guid('Name1')),
	'Name1', 'its present name is what it was first seen as');
SELECT team.sync_mailbox(tt.guid('Name1'), 1, 'Name2');
SELECT is((SELECT name FROM team.mailbox WHERE guid = tt.guid('Name1')),
	'Name2', 'until somebody opens it');

SELECT * FROM finish();
ROLLBACK;
