-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- What the SQL tests share: short ways to make records and to look at state.

CREATE SCHEMA tt;
GRANT USAGE ON SCHEMA tt TO PUBLIC;

-- A mailbox's GUID in the tests is made of its name.
CREATE FUNCTION tt.guid(p_box text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN md5(p_box);

CREATE FUNCTION tt.node(p_name text) RETURNS int LANGUAGE sql
RETURN (SELECT node_id FROM team.hello(p_name));

CREATE FUNCTION tt.rec(p_action text, p_colleague text, p_box text,
		       p_uids text, p_more jsonb DEFAULT '{}')
RETURNS jsonb LANGUAGE sql STABLE
RETURN jsonb_strip_nulls(jsonb_build_object(
	'at', (extract(epoch FROM now()) * 1000000)::bigint,
	'action', p_action, 'outcome', 'ok', 'colleague', p_colleague,
	'user', 'support', 'session', 'sess-' || p_colleague,
	'service', 'imap', 'ip', '192.0.2.1', 'tls', 'yes',
	'client', 'Tester', 'mailbox', tt.guid(p_box),
	'uidvalidity', CASE WHEN p_box IS NOT NULL THEN 1 END,
	'name', p_box, 'uids', p_uids)) || p_more;

CREATE FUNCTION tt.from_box(p_box text, p_uids text) RETURNS jsonb
LANGUAGE sql STABLE
RETURN jsonb_build_object('from', tt.guid(p_box), 'fromvalidity', 1,
	'fromname', p_box, 'fromuids', p_uids);

-- Numbers the records as the node's next and ingests them; "at" rises with
-- them, so that their order in time is their order here.
CREATE FUNCTION tt.send(p_node int, VARIADIC p_records jsonb[])
RETURNS bigint LANGUAGE sql
RETURN team.ingest(p_node, (
	SELECT jsonb_agg(r || jsonb_build_object('seq', h.hwm + n) ||
			CASE WHEN jsonb_typeof(r->'at') = 'number' THEN
				jsonb_build_object('at',
					(r->>'at')::bigint + h.hwm + n)
			     ELSE '{}' END ORDER BY n)
	FROM unnest(p_records) WITH ORDINALITY a(r, n),
		(SELECT hwm FROM team.node WHERE id = p_node) h));

-- Which messages have the flag, blocks put together.
CREATE FUNCTION tt.flagged(p_colleague text, p_box text, p_flag text)
RETURNS int8multirange LANGUAGE sql STABLE
RETURN (SELECT coalesce(range_agg(u), '{}')
	FROM team.flag f
	JOIN team.colleague c ON c.id = f.colleague_id
	JOIN team.mailbox m ON m.id = f.mailbox_id,
	unnest(f.uids) u
	WHERE c.name = p_colleague AND m.guid = tt.guid(p_box) AND
		f.flag = p_flag);

-- The holder of the message and for how long yet, whatever the time is.
CREATE FUNCTION tt.holder(p_box text, p_uid bigint) RETURNS text
LANGUAGE sql STABLE
RETURN (SELECT h.name FROM team.claim c
	JOIN team.colleague h ON h.id = c.colleague_id
	JOIN team.mailbox m ON m.id = c.mailbox_id
	WHERE m.guid = tt.guid(p_box) AND c.uid = p_uid);

-- Lets time pass for all claims.
CREATE FUNCTION tt.pass(p_time interval) RETURNS void LANGUAGE sql
AS $$
	UPDATE team.claim SET since = since - p_time, until = until - p_time
$$;

CREATE FUNCTION tt.rev(p_box text) RETURNS bigint LANGUAGE sql STABLE
RETURN (SELECT rev FROM team.mailbox WHERE guid = tt.guid(p_box));
