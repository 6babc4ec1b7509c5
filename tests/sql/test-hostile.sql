-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Values that don't fit hold up no queue and lose no record; strings are only
-- strings.
BEGIN;
SELECT plan(41);

CREATE TEMP TABLE n AS SELECT tt.node('ho1') AS a;
CREATE FUNCTION pg_temp.bad(p_seq bigint) RETURNS text LANGUAGE sql AS $$
	SELECT detail->>'invalid' FROM team.record, n
	WHERE node = a AND seq = p_seq
$$;

-- 1 to 21: each with something wrong, in one batch with good ones.
SELECT is(tt.send(a,
	tt.rec('read', 'alice', 'Box', '{[1,1]}', '{"p+\\Seen": "{[1,1]}"}'),
	tt.rec('read', 'alice', 'Box', '2:5', '{"p+\\Seen": "2:5"}'),
	tt.rec('read', 'alice', 'Box', '{[5,2]}'),
	tt.rec('read', 'alice', 'Box', '{[6,6]}', '{"p+\\Seen": "x"}'),
	tt.rec('read', 'alice', 'Box', '{[1,)}'),
	tt.rec('read', 'alice', 'Box', '{[0,0]}'),
	tt.rec('read', 'alice', 'Box', '{[4294967296,4294967296]}'),
	tt.rec('read', 'alice', 'Box', '{[1,4294967295]}'),
	tt.rec('read', 'alice', 'Box', '{[7,7]}',
	       '{"p+\\Seen": "{[1,4294967295]}"}'),
	tt.rec('read', 'alice', 'Box', '{[8,8]}', '{"mailbox": "../etc"}'),
	tt.rec('read', 'alice', 'Box', '{[8,8]}', '{"uidvalidity": -1}'),
	tt.rec('read', 'alice', 'Box', '{[8,8]}', '{"uidvalidity": "many"}'),
	tt.rec('read', 'alice', 'Box', '{[8,8]}', '{"at": "yesterday"}'),
	tt.rec('read', 'alice', 'Box', '{[8,8]}', '{"at": 0}'),
	tt.rec('read', 'alice', 'Box', '{[8,8]}', '{"at": 9000000000000000000}'),
	tt.rec('copy', 'alice', 'Box', '{[8,9]}', tt.from_box('Src', '{[1,1]}')),
	tt.rec('copy', 'alice', 'Box', '{[8,9]}', tt.from_box('Src', NULL)),
	tt.rec('move', 'alice', 'Box', '{[8,9]}',
	       tt.from_box('Src', '{[1,2]}') || '{"fromvalidity": "?"}'),
	tt.rec('read', 'alice', 'Box', '[]'),
	'{"at": null}'::jsonb,
	tt.rec('read', 'bob', 'Box', '{[20,20]}', '{"p+\\Seen": "{[20,20]}"}')
	), 21::bigint, 'the batch is taken') FROM n;
SELECT is((SELECT count(*) FROM team.record, n WHERE node = a), 21::bigint,
	'every record is in the log');
SELECT is((SELECT count(*) FROM team.record, n
	   WHERE node = a AND detail ? 'invalid'), 19::bigint,
	'those that don''t fit say what is wrong');
SELECT is(tt.flagged('alice', 'Box', '\Seen'), '{[1,2)}',
	'they have no effect, the good ones do');
SELECT is(tt.flagged('bob', 'Box', '\Seen'), '{[20,21)}',
	'also those after them');
SELECT matches(pg_temp.bad(2), 'malformed multirange', 'an IMAP set');
SELECT matches(pg_temp.bad(3), 'lower bound', 'a range backwards');
SELECT matches(pg_temp.bad(5), 'check constraint', 'a range without end');
SELECT matches(pg_temp.bad(8), 'check constraint', 'more messages than there can be');
SELECT matches(pg_temp.bad(9), 'check constraint', 'flags on more messages than there can be');
SELECT matches(pg_temp.bad(14), 'out of range', 'a clock in 1970');
SELECT matches(pg_temp.bad(16), 'copied', 'a copy that doesn''t pair');
SELECT is((SELECT uid FROM team.record, n WHERE node = a AND seq = 4),
	6::bigint, 'what can be read is where it belongs');
SELECT is((SELECT (detail->>'record')::jsonb->>'uids' FROM team.record, n
	   WHERE node = a AND seq = 2), '2:5', 'the rest is kept as it came');
SELECT is((SELECT count(*) FROM team.audit WHERE node = 'ho1'), 24::bigint,
	'and the view shows it all');
SELECT is((SELECT count(*) FROM team.record, n WHERE node = a AND
	at BETWEEN now() - interval '1 day' AND now() + interval '1 day'),
	21::bigint, 'a time that is none becomes the present');

-- Strings are only strings. Each goes wherever a string can go.
CREATE TEMP TABLE s (id serial, s text);
INSERT INTO s (s) VALUES
	($$'; DROP TABLE team.record; --$$), ($$"$$), ($$\$$), ($$%s%I$1$$),
	('{}'), ($$a b	c$$), (E'line\nline'), ('Tëam/收件箱 📥'),
	(U&'\FFFD\200B\202E'), ('$body$'), (repeat('long ', 1000)),
	('<x@y>" OR ""="'), ('NULL'), (E'\x01\x1f'), ('--'), ('/*');
SELECT is(tt.send((SELECT a FROM n), VARIADIC ARRAY(
		SELECT tt.rec('flag', s, 'Box', '{[30,30]}',
			jsonb_build_object('name', s, 'user', s, 'session', s,
				'service', s, 'ip', s, 'tls', s, 'client', s,
				'add', s, 'remove', s, 'd.text', s,
				'fromname', s, 'p+' || s, '{[30,30]}',
				'outcome', 'ok', 'd.' || s, 'x'))
		FROM s ORDER BY id)), 21::bigint + (SELECT count(*) FROM s),
	'odd strings are taken');
SELECT is((SELECT count(*) FROM team.record, n
	   WHERE node = a AND seq > 21 AND detail ? 'invalid'), 0::bigint,
	'as nothing odd');
SELECT is_empty($$SELECT s.id FROM s LEFT JOIN team.record r
	ON r.seq = 21 + s.id AND r.node = (SELECT a FROM n) AND
		r.username = s AND r.session = s AND r.service = s AND
		r.ip = s AND r.client = s AND r.mailbox = s AND r.added = s AND
		r.removed = s AND r.detail->>'text' = s WHERE r.seq IS NULL$$,
	'and kept as they are');
SELECT is_empty($$SELECT s.id FROM s LEFT JOIN team.audit a
	ON a.node = 'ho1' AND a.seq = 21 + s.id AND
		a.colleague = team.short(s) AND a.detail->>'tls' = s
	WHERE a.seq IS NULL$$, 'the view shows them');
SELECT is_empty($$SELECT s.id FROM s WHERE (SELECT count(*) FROM
	team.audit_search(jsonb_build_object('colleague', s, 'mailbox', s,
		'ip', s, 'since', '2000-01-01'), 10)) <> 1$$,
	'they can be searched for');
SELECT is_empty($$SELECT s.id FROM s,
	team.audit_search(jsonb_build_object('action', s, 'outcome', s), 10)$$,
	'or not found');
SELECT is_empty($$SELECT s.id FROM s, team.audit_show(s)$$,
	'no message has these IDs');
SELECT is_empty($$SELECT s.id FROM s WHERE tt.flagged(team.short(s), 'Box',
		team.short(s)) <> '{[30,31)}'$$,
	'they are flags and colleagues like any others');
SELECT is((SELECT count(*) FROM s, team.sync_flags(1, tt.guid('Box'), 1, s, 0)),
	(SELECT count(*) FROM s), 'and can be fetched');
SELECT is((SELECT string_agg(state, ' ') FROM s CROSS JOIN LATERAL team.claim_take(1,
	tt.guid('Box'), 1, s, s, int8multirange(int8range(s.id, s.id, '[]')), 60)),
	(SELECT string_agg('granted', ' ') FROM s), 'can claim');
SELECT is((SELECT count(*) FROM s CROSS JOIN LATERAL team.claims(s)),
	(SELECT count(*) * count(*) FROM s), 'and list claims by any name');
SELECT lives_ok('SELECT team.sync_mailbox(tt.guid(s), 1, s) FROM s',
	'mailboxes may have these names');

-- Message-IDs.
SELECT tt.send(a, tt.rec('append', 'alice', 'Mid', '{[1,9]}',
	jsonb_build_object('mids', concat_ws(E'\n', '1 <a b@x>', '2',
		'x <no@uid>', '3  <two@spaces>', '99999999999 <big@x>',
		'4294967296 <big2@x>', '0 <zero@x>', '', '4 ' || repeat('y', 5000),
		'5 ''; --', '1 <again@x>', '6 >odd<')))) FROM n;
SELECT results_eq($$SELECT uid, left(message_id, 20), length(message_id)
	FROM team.message g JOIN team.mailbox m ON m.id = g.mailbox_id
	WHERE m.guid = tt.guid('Mid') ORDER BY uid$$,
	$$VALUES (1::bigint, '<a b@x>', 7), (2, NULL, NULL),
		(3, '<two@spaces>', 12),
		(4, repeat('y', 20), 5000), (5, '''; --', 5), (6, '>odd<', 5)$$,
	'Message-IDs: what can be read is stored as given');
SELECT is((SELECT count(*) FROM team.audit_show(repeat('y', 5000))), 1::bigint,
	'one of any length is found');
SELECT is((SELECT count(*) FROM team.audit_show('''; --')), 1::bigint,
	'or one with quotes');
SELECT is((SELECT count(*) FROM team.record, n
	   WHERE node = a AND detail ? 'invalid'), 19::bigint,
	'they make no record invalid');

-- Other shapes of JSON.
SELECT is(tt.send(a, '{}'::jsonb,
	'{"at": {"a": 1}, "action": ["x"], "colleague": {"b": 2}, "uids": 5}',
	'{"d.list": [1, 2], "d.obj": {"a": null}, "d.": "", "p+": "{}", "p-": "{[1,1]}"}'
	), (SELECT max(seq) + 3 FROM team.record, n WHERE node = a),
	'records of nothing, of the wrong types, of odd keys') FROM n;
SELECT is((SELECT count(*) FROM team.audit WHERE node = 'ho1' AND action = '["x"]'),
	1::bigint, 'are in the log');

-- Sessions of other settings.
SET LOCAL TimeZone = 'Asia/Kathmandu';
SET LOCAL DateStyle = 'SQL, DMY';
SET LOCAL IntervalStyle = 'iso_8601';
SET LOCAL search_path = pg_temp, tt, public;
CREATE FUNCTION pg_temp.lower(int8multirange) RETURNS bigint LANGUAGE sql AS 'SELECT 666::bigint';
SELECT is(tt.send(a, tt.rec('read', 'alice', 'Box', '{[40,40]}',
	'{"at": 1701388799000000, "p+\\Seen": "{[40,40]}"}')), (SELECT hwm + 1
	FROM team.node WHERE id = a), 'another time zone and another search_path') FROM n;
SELECT is((SELECT r.tableoid::regclass::text FROM team.record r, n
	   WHERE node = a ORDER BY seq DESC LIMIT 1), 'team.record_202311',
	'months are UTC''s');
SELECT is(tt.flagged('alice', 'Box', '\Seen'), '{[1,2),[40,41)}',
	'functions in pg_temp aren''t used');
RESET search_path;
SELECT is((SELECT count(*) FROM team.audit_search('{"since": "2023-11-30 23:59:00+00", "until": "2023-12-01 00:00:00+00"}', 10)),
	1::bigint, 'searching by time there');

-- A colleague whose name is too long for an index.
SELECT is((SELECT colleague FROM team.audit WHERE node = 'ho1' AND
	seq = 21 + (SELECT id FROM s WHERE s LIKE 'long %') LIMIT 1),
	(SELECT left(s, 200) || '...' || md5(s) FROM s WHERE s LIKE 'long %'),
	'a name of 5000 characters is shortened, not mixed up');
SELECT is((SELECT detail->>'colleague' FROM team.audit WHERE node = 'ho1' AND
	seq = 21 + (SELECT id FROM s WHERE s LIKE 'long %') LIMIT 1),
	(SELECT s FROM s WHERE s LIKE 'long %'), 'and stands whole in detail');
SELECT throws_ok($$SELECT team.sync_mailbox('no guid', 1, 'x')$$, '23514', NULL,
	'asking for a mailbox that can''t be one is an error');

SELECT * FROM finish();
ROLLBACK;
