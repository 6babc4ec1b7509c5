-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: reading the log.

CREATE FUNCTION team.expand(p_uids int8multirange,
			    p_from_uids int8multirange)
RETURNS TABLE (uid bigint, from_uid bigint)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
	SELECT p.uid, p.from_uid FROM ROWS FROM (
		unnest(ARRAY(SELECT generate_series(lower(u), upper(u) - 1)
			     FROM unnest(p_uids) u)),
		unnest(ARRAY(SELECT generate_series(lower(u), upper(u) - 1)
			     FROM unnest(p_from_uids) u))
		) AS p(uid, from_uid)
	WHERE p.uid IS NOT NULL;
END;
COMMENT ON FUNCTION team.expand(int8multirange, int8multirange) IS
	'The UIDs one by one, each with its source''s';

CREATE FUNCTION team.paired(p_uids int8multirange, p_others int8multirange,
			    p_uid bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT lower(o.u) + n.nth - 1 - o.before
	FROM (SELECT sum(least(upper(u) - 1, p_uid) - lower(u) + 1)::bigint
			AS nth
	      FROM unnest(p_uids) u WHERE lower(u) <= p_uid) n,
	     (SELECT u, (sum(upper(u) - lower(u)) OVER (ORDER BY lower(u)) -
			 (upper(u) - lower(u)))::bigint AS before
	      FROM unnest(p_others) u) o
	WHERE n.nth > o.before AND n.nth <= o.before + upper(o.u) - lower(o.u);
END;
COMMENT ON FUNCTION team.paired(int8multirange, int8multirange, bigint) IS
	'If the UID is the n-th of one set, the n-th of the other';

CREATE FUNCTION team.audit_detail(
	p_detail jsonb, p_added text, p_removed text, p_private_added text,
	p_private_removed text, p_private team.private_change[], p_uid bigint,
	p_from text, p_from_uid bigint, p_user text, p_service text,
	p_tls text) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT coalesce(p_detail, '{}') || jsonb_strip_nulls(
		jsonb_build_object(
		'added', nullif(concat_ws(' ', p_added, p_private_added,
					  part.added), ''),
		'removed', nullif(concat_ws(' ', p_removed, p_private_removed,
					    part.removed), ''),
		'private', CASE
			WHEN coalesce(p_private_added, p_private_removed,
				      part.added, part.removed) IS NOT NULL
				THEN true
			WHEN coalesce(p_added, p_removed) IS NOT NULL
				THEN false END,
		'from', p_from, 'fromuid', p_from_uid, 'user', p_user,
		'service', p_service, 'tls', p_tls))
	FROM (SELECT string_agg(c.flag, ' ') FILTER (WHERE c.added) AS added,
		string_agg(c.flag, ' ') FILTER (WHERE NOT c.added) AS removed
	      FROM unnest(p_private) c WHERE c.uids @> p_uid) part;
END;
COMMENT ON FUNCTION team.audit_detail(jsonb, text, text, text, text, team.private_change[], bigint, text, bigint, text, text, text) IS
	'The column detail of team.audit';

-- The arms let the planner go from a Message-ID to the records of that message
-- by an index, without taking sets of thousands of messages apart: records of
-- one message or none; of several, those with a known Message-ID and the
-- others; copies of several, where each has its source.
CREATE VIEW team.audit AS
	SELECT r.at, n.name AS node, r.seq, c.name AS colleague, r.action,
		coalesce(r.mailbox, b.name) AS mailbox,
		CASE WHEN NOT r.source_only THEN r.uid END AS uid,
		m.message_id, r.outcome, r.session, r.ip AS remote_ip, r.client,
		team.audit_detail(r.detail, r.added, r.removed,
			r.private_added, r.private_removed, r.private,
			r.uid, coalesce(r.from_mailbox, f.name),
			CASE WHEN r.source_only THEN r.uid ELSE r.from_uid END,
			r.username, r.service, r.tls) AS detail
	FROM team.record r
	LEFT JOIN team.node n ON n.id = r.node
	LEFT JOIN team.colleague c ON c.id = r.colleague_id
	LEFT JOIN team.mailbox b ON b.id = r.mailbox_id
	LEFT JOIN team.mailbox f ON f.id = r.from_mailbox_id
	LEFT JOIN team.message m ON m.mailbox_id = r.msg_mailbox_id AND
		m.uid = r.uid
	WHERE r.uids IS NULL
	UNION ALL
	SELECT r.at, n.name, r.seq, c.name, r.action,
		coalesce(r.mailbox, b.name),
		CASE WHEN NOT r.source_only THEN m.uid END,
		m.message_id, r.outcome, r.session, r.ip, r.client,
		team.audit_detail(r.detail, r.added, r.removed,
			r.private_added, r.private_removed, r.private,
			m.uid, coalesce(r.from_mailbox, f.name),
			CASE WHEN r.source_only THEN m.uid END,
			r.username, r.service, r.tls)
	FROM team.record r
	-- The first three conditions are for indexes, the fourth says it all.
	JOIN team.message m ON m.mailbox_id = r.msg_mailbox_id AND
		m.uid BETWEEN lower(r.uids) AND upper(r.uids) - 1 AND
		team.place(r.msg_mailbox_id, r.uids) @>
			((m.mailbox_id::bigint << 32) + m.uid) AND
		r.uids @> m.uid
	LEFT JOIN team.node n ON n.id = r.node
	LEFT JOIN team.colleague c ON c.id = r.colleague_id
	LEFT JOIN team.mailbox b ON b.id = r.mailbox_id
	LEFT JOIN team.mailbox f ON f.id = r.from_mailbox_id
	WHERE r.uids IS NOT NULL AND r.from_uids IS NULL
	UNION ALL
	SELECT r.at, n.name, r.seq, c.name, r.action,
		coalesce(r.mailbox, b.name),
		CASE WHEN NOT r.source_only THEN p.uid END,
		NULL::text, r.outcome, r.session, r.ip, r.client,
		team.audit_detail(r.detail, r.added, r.removed,
			r.private_added, r.private_removed, r.private,
			p.uid, coalesce(r.from_mailbox, f.name),
			CASE WHEN r.source_only THEN p.uid END,
			r.username, r.service, r.tls)
	FROM team.record r
	CROSS JOIN LATERAL team.expand(r.uids, NULL) p
	LEFT JOIN team.node n ON n.id = r.node
	LEFT JOIN team.colleague c ON c.id = r.colleague_id
	LEFT JOIN team.mailbox b ON b.id = r.mailbox_id
	LEFT JOIN team.mailbox f ON f.id = r.from_mailbox_id
	WHERE r.uids IS NOT NULL AND r.from_uids IS NULL AND NOT EXISTS (
		SELECT FROM team.message m
		WHERE m.mailbox_id = r.msg_mailbox_id AND m.uid = p.uid)
	UNION ALL
	SELECT r.at, n.name, r.seq, c.name, r.action,
		coalesce(r.mailbox, b.name),
		CASE WHEN NOT r.source_only THEN p.uid END,
		m.message_id, r.outcome, r.session, r.ip, r.client,
		team.audit_detail(r.detail, r.added, r.removed,
			r.private_added, r.private_removed, r.private,
			p.uid, coalesce(r.from_mailbox, f.name),
			p.from_uid,
			r.username, r.service, r.tls)
	FROM team.record r
	CROSS JOIN LATERAL team.expand(r.uids, r.from_uids) p
	LEFT JOIN team.node n ON n.id = r.node
	LEFT JOIN team.colleague c ON c.id = r.colleague_id
	LEFT JOIN team.mailbox b ON b.id = r.mailbox_id
	LEFT JOIN team.mailbox f ON f.id = r.from_mailbox_id
	LEFT JOIN team.message m ON m.mailbox_id = r.msg_mailbox_id AND
		m.uid = p.uid AND r.uids @> m.uid AND
		team.place(r.msg_mailbox_id, r.uids) @>
			((m.mailbox_id::bigint << 32) + m.uid)
	WHERE r.uids IS NOT NULL AND r.from_uids IS NOT NULL;
COMMENT ON VIEW team.audit IS
	'The audit log: a row for each message, or one with uid NULL if the record names none';
COMMENT ON COLUMN team.audit.seq IS 'Number of the record in the node''s journal';
COMMENT ON COLUMN team.audit.mailbox IS
	'The mailbox''s name as the colleague saw it then; of a copy or move the destination';
COMMENT ON COLUMN team.audit.detail IS
	'added, removed: flags, space separated; private: whether they are the colleague''s own; from, fromuid: the source of a copy or move; user: whose mail it is; service, tls; and what else the action has to say';

CREATE FUNCTION team.message_places(p_message_id text)
RETURNS TABLE (mailbox_id int, uid bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT m.mailbox_id, m.uid
	FROM btrim(p_message_id, E' \t\r\n') g(id)
	JOIN team.message m ON m.message_id = ANY (ARRAY[
		g.id, '<' || g.id || '>', btrim(g.id, '<>'),
		'<' || btrim(g.id, '<>') || '>'])
$$;
COMMENT ON FUNCTION team.message_places(text) IS
	'Where messages with this Message-ID are or were, given with or without angle brackets';

CREATE FUNCTION team.message_trail(p_message_id text)
RETURNS TABLE (mailbox_id int, uid bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE place AS (
		SELECT p.mailbox_id, p.uid
		FROM team.message_places(p_message_id) p
		UNION
		SELECT n.mailbox_id, n.uid FROM place p
		CROSS JOIN LATERAL (
			SELECT r.mailbox_id, r.uid FROM team.record r
			WHERE r.from_mailbox_id = p.mailbox_id AND
				r.from_uid = p.uid AND r.outcome = 'ok'
			UNION ALL
			SELECT r.mailbox_id,
				team.paired(r.from_uids, r.uids, p.uid)
			FROM team.record r
			WHERE team.place(r.from_mailbox_id, r.from_uids) @>
					((p.mailbox_id::bigint << 32) + p.uid) AND
				r.from_uids IS NOT NULL AND
				r.from_uids @> p.uid AND r.outcome = 'ok'
			UNION ALL
			SELECT r.from_mailbox_id, r.from_uid FROM team.record r
			WHERE r.msg_mailbox_id = p.mailbox_id AND
				r.uid = p.uid AND r.outcome = 'ok'
			UNION ALL
			SELECT r.from_mailbox_id,
				team.paired(r.uids, r.from_uids, p.uid)
			FROM team.record r
			WHERE team.place(r.msg_mailbox_id, r.uids) @>
					((p.mailbox_id::bigint << 32) + p.uid) AND
				r.uids IS NOT NULL AND r.from_uids IS NOT NULL AND
				r.uids @> p.uid AND r.outcome = 'ok'
			) n
		WHERE n.mailbox_id IS NOT NULL AND n.uid IS NOT NULL
	)
	SELECT mailbox_id, uid FROM place
$$;
COMMENT ON FUNCTION team.message_trail(text) IS
	'Where the message is or was, through copies and moves in both directions, also where its Message-ID was never seen';

CREATE FUNCTION team.audit_query(p_source text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('SELECT r.at, n.name, r.seq, c.name, r.action,
			coalesce(r.mailbox, b.name),
			CASE WHEN NOT r.source_only THEN r.one END,
			m.message_id, r.outcome, r.session, r.ip, r.client,
			team.audit_detail(r.detail, r.added, r.removed,
				r.private_added, r.private_removed, r.private,
				r.one, coalesce(r.from_mailbox, f.name),
				CASE WHEN r.source_only THEN r.one
				     ELSE r.from_one END,
				r.username, r.service, r.tls)
		FROM (%s) r
		LEFT JOIN team.node n ON n.id = r.node
		LEFT JOIN team.colleague c ON c.id = r.colleague_id
		LEFT JOIN team.mailbox b ON b.id = r.mailbox_id
		LEFT JOIN team.mailbox f ON f.id = r.from_mailbox_id
		LEFT JOIN team.message m ON m.mailbox_id = r.msg_mailbox_id AND
			m.uid = r.one', p_source)
$$;
COMMENT ON FUNCTION team.audit_query(text) IS
	'A query with the columns of team.audit for records and their messages (one, from_one) out of another query';

CREATE FUNCTION team.audit_source_places(p_mailboxes text, p_uids text,
					 p_where text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('SELECT r.*, p.uid AS one, r.from_uid AS from_one
		FROM unnest(%1$s, %2$s) p(mailbox_id, uid)
		JOIN team.record r ON r.msg_mailbox_id = p.mailbox_id AND
			r.uid = p.uid WHERE %3$s
		UNION ALL
		SELECT r.*, p.uid,
			team.paired(r.uids, r.from_uids, p.uid)
		FROM unnest(%1$s, %2$s) p(mailbox_id, uid)
		JOIN team.record r ON r.uids @> p.uid AND
			team.place(r.msg_mailbox_id, r.uids) @>
				((p.mailbox_id::bigint << 32) + p.uid)
		WHERE r.uids IS NOT NULL AND %3$s',
		p_mailboxes, p_uids, p_where)
$$;
COMMENT ON FUNCTION team.audit_source_places(text, text, text) IS
	'Source for team.audit_query: the records of the messages at these places';

CREATE FUNCTION team.audit_show(p_message_id text)
RETURNS SETOF team.audit
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
	v_mailboxes int[];
	v_uids bigint[];
BEGIN
	SELECT array_agg(t.mailbox_id), array_agg(t.uid)
		INTO v_mailboxes, v_uids
		FROM team.message_trail(p_message_id) t;
	RETURN QUERY EXECUTE team.audit_query(
			team.audit_source_places('$1', '$2', 'true'))
		|| ' ORDER BY r.at, r.node, r.seq, r.one'
		USING v_mailboxes, v_uids;
END
$$;
COMMENT ON FUNCTION team.audit_show(text) IS
	'What happened to the message, in order of time, through copies and moves';

CREATE FUNCTION team.filter_time(p_key text, p_value text) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF p_value ~ '^[0-9]{9,11}$' THEN
		RETURN to_timestamp(p_value::bigint);
	END IF;
	RETURN p_value::timestamptz;
EXCEPTION WHEN data_exception THEN
	RAISE EXCEPTION '%: "%" is not a time', p_key, left(p_value, 100)
		USING ERRCODE = 'invalid_parameter_value',
		HINT = 'Write it as 2026-11-23 14:05:00+01, or in seconds since the epoch.';
END
$$;
COMMENT ON FUNCTION team.filter_time(text, text) IS
	'A time as PostgreSQL reads it, or seconds since the epoch';

CREATE FUNCTION team.audit_search(p_filter jsonb, p_limit int)
RETURNS SETOF team.audit
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
	v_key text;
	v_where text := 'true';
	v_source text;
	v_order text;
	v_colleague int;
	v_places int[];
	v_mailboxes int[];
	v_uids bigint[];
BEGIN
	FOR v_key IN SELECT jsonb_object_keys(coalesce(p_filter, '{}')) LOOP
		IF v_key <> ALL ('{colleague,action,mailbox,message_id,outcome,ip,since,until,order}') THEN
			RAISE EXCEPTION 'the log can''t be searched by "%"',
				left(v_key, 100)
				USING ERRCODE = 'invalid_parameter_value';
		END IF;
	END LOOP;
	IF p_filter ? 'colleague' THEN
		SELECT c.id INTO v_colleague FROM team.colleague c
			WHERE c.name = team.short(p_filter->>'colleague');
		IF v_colleague IS NULL THEN
			RETURN;
		END IF;
		v_where := v_where || format(' AND r.colleague_id = %s', v_colleague);
	END IF;
	IF p_filter ? 'action' THEN
		v_where := v_where || format(' AND r.action = ANY (%L)',
			array_remove(regexp_split_to_array(
				p_filter->>'action', '[ ,]+'), ''));
	END IF;
	IF p_filter ? 'outcome' THEN
		v_where := v_where || format(' AND r.outcome = ANY (%L)',
			array_remove(regexp_split_to_array(
				p_filter->>'outcome', '[ ,]+'), ''));
	END IF;
	IF p_filter ? 'ip' THEN
		v_where := v_where || format(' AND r.ip = %L', p_filter->>'ip');
	END IF;
	IF p_filter ? 'since' THEN
		v_where := v_where || format(' AND r.at >= %L::timestamptz',
			team.filter_time('since', p_filter->>'since'));
	END IF;
	IF p_filter ? 'until' THEN
		v_where := v_where || format(' AND r.at < %L::timestamptz',
			team.filter_time('until', p_filter->>'until'));
	END IF;
	IF p_filter ? 'mailbox' THEN
		SELECT array_agg(m.id) INTO v_places FROM team.mailbox m
			WHERE m.guid = p_filter->>'mailbox' OR m.id IN (
				SELECT n.mailbox_id FROM team.mailbox_name n
				WHERE n.name = team.short(p_filter->>'mailbox'));
		-- What left the mailbox happened in it, too. Records of a
		-- mailbox that couldn't be opened have nothing but a name.
		v_where := v_where || format(' AND (r.mailbox_id = ANY (%1$L) OR
			r.from_mailbox_id = ANY (%1$L) OR
			r.mailbox_id IS NULL AND r.mailbox = %2$L)',
			coalesce(v_places, '{}'), p_filter->>'mailbox');
	END IF;
	CASE coalesce(p_filter->>'order', 'desc')
	WHEN 'desc' THEN v_order := 'r.at DESC, r.node DESC, r.seq DESC';
	WHEN 'asc' THEN v_order := 'r.at, r.node, r.seq';
	ELSE
		RAISE EXCEPTION 'order: "%" is neither asc nor desc',
			left(p_filter->>'order', 100)
			USING ERRCODE = 'invalid_parameter_value';
	END CASE;

	IF p_filter ? 'message_id' THEN
		SELECT array_agg(t.mailbox_id), array_agg(t.uid)
			INTO v_mailboxes, v_uids
			FROM team.message_places(p_filter->>'message_id') t;
		v_source := team.audit_source_places('$1', '$2', v_where);
	ELSE
		-- Every record has a row at least: no more are needed.
		v_source := format('SELECT l.*, p.uid AS one,
				p.from_uid AS from_one
			FROM (SELECT * FROM team.record r WHERE %s
			      ORDER BY %s LIMIT $3) l
			CROSS JOIN LATERAL (
				SELECT l.uid, l.from_uid WHERE l.uids IS NULL
				UNION ALL
				SELECT e.uid, e.from_uid
				FROM team.expand(l.uids, l.from_uids) e
				WHERE l.uids IS NOT NULL) p', v_where, v_order);
	END IF;
	RETURN QUERY EXECUTE team.audit_query(v_source) ||
			format(' ORDER BY %s, r.one LIMIT $3', v_order)
		USING v_mailboxes, v_uids, p_limit;
END
$$;
COMMENT ON FUNCTION team.audit_search(jsonb, int) IS
	'Searches the log, newest first. Filter: colleague, action, mailbox (name or GUID), message_id, outcome, ip, since, until (exclusive), order (asc or desc); several actions or outcomes with commas. p_limit rows at most, NULL: all';

CREATE FUNCTION team.status()
RETURNS TABLE (key text, value text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'schema_version', max(version)::text FROM team.migration
	UNION ALL
	SELECT 'database', current_database()::text
	UNION ALL
	SELECT 'server_version', current_setting('server_version')
	UNION ALL
	SELECT 'mailboxes', count(*)::text FROM team.mailbox
	UNION ALL
	SELECT 'colleagues', count(*)::text FROM team.colleague
	UNION ALL
	SELECT 'claims', count(*)::text FROM team.claim
		WHERE until > clock_timestamp()
	UNION ALL
	SELECT 'records', coalesce(sum(hwm), 0)::text FROM team.node
	UNION ALL
	(SELECT 'node ' || name, format('record %s, seen %s', hwm,
		to_char(last_seen AT TIME ZONE 'UTC',
			'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
	FROM team.node ORDER BY name)
$$;
COMMENT ON FUNCTION team.status() IS
	'What doveadm team status shows of the database';

REVOKE ALL ON ALL TABLES IN SCHEMA team FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA team FROM PUBLIC;
GRANT EXECUTE ON FUNCTION team.audit_search(jsonb, int),
	team.audit_show(text), team.status() TO team_service;
GRANT SELECT ON team.audit TO team_auditor;
-- What the view itself is made of; they read nothing.
GRANT EXECUTE ON FUNCTION team.expand(int8multirange, int8multirange),
	team.place(int, int8multirange),
	team.audit_detail(jsonb, text, text, text, text, team.private_change[],
		bigint, text, bigint, text, text, text)
	TO team_auditor;
