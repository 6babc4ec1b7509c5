-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: reading the log in pages, so that answers of any length need
-- no more memory than a page does.

CREATE OR REPLACE FUNCTION team.audit_query(p_source text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
-- Each message is looked up: the planner would rather read all of them, anew
-- for every page.
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
		LEFT JOIN LATERAL (
			SELECT g.message_id FROM team.message g
			WHERE g.mailbox_id = r.msg_mailbox_id AND g.uid = r.one
			LIMIT 1) m ON true', p_source)
$$;

CREATE FUNCTION team.audit_page(p_filter jsonb, p_rows int)
RETURNS SETOF team.audit
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
	v_key text;
	v_where text := 'r.action <> ''private''';
	-- one of these besides; what one finds no other one does
	v_ways text[] := '{true}';
	v_source text;
	v_order text;
	v_colleague int;
	v_places int[];
	v_mailboxes int[];
	v_uids bigint[];
	v_months text;
	v_month record;
	v_rest bigint := p_rows;
	v_count bigint;
BEGIN
	FOR v_key IN SELECT jsonb_object_keys(coalesce(p_filter, '{}')) LOOP
		IF v_key <> ALL ('{colleague,action,mailbox,message_id,outcome,ip,since,until,order,after}') THEN
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
		v_ways := ARRAY(SELECT format('r.mailbox_id = %s', p)
				FROM unnest(v_places) p) ||
			ARRAY(SELECT format('r.from_mailbox_id = %s AND
				(r.mailbox_id = ANY (%L)) IS NOT TRUE',
				p, v_places) FROM unnest(v_places) p) ||
			format('r.mailbox_id IS NULL AND r.mailbox = %L AND
				(r.from_mailbox_id = ANY (%L)) IS NOT TRUE',
				p_filter->>'mailbox', coalesce(v_places, '{}'));
	END IF;
	CASE coalesce(p_filter->>'order', 'desc')
	WHEN 'desc' THEN
		v_order := 'r.at DESC, r.node DESC, r.seq DESC';
		v_months := 'm.begins DESC';
	WHEN 'asc' THEN
		v_order := 'r.at, r.node, r.seq';
		v_months := 'm.begins';
	ELSE
		RAISE EXCEPTION 'order: "%" is neither asc nor desc',
			left(p_filter->>'order', 100)
			USING ERRCODE = 'invalid_parameter_value';
	END CASE;
	IF p_filter ? 'after' THEN
		SELECT v_where || format(' AND (r.at, r.node, r.seq) %s (%L::timestamptz, %s, %s)',
				CASE WHEN v_months = 'm.begins' THEN '>' ELSE '<' END,
				team.filter_time('after', a[1]), n.id, a[2]::bigint)
			INTO v_where
			FROM regexp_match(p_filter->>'after',
				'^([^|]+)\|([0-9]{1,18})\|(.+)$') a
			JOIN team.node n ON n.name = a[3];
		IF NOT FOUND THEN
			RAISE EXCEPTION 'after: there is no such record'
				USING ERRCODE = 'invalid_parameter_value';
		END IF;
	END IF;

	IF p_filter ? 'message_id' THEN
		SELECT array_agg(t.mailbox_id), array_agg(t.uid)
			INTO v_mailboxes, v_uids
			FROM team.message_places(p_filter->>'message_id') t;
		RETURN QUERY EXECUTE team.audit_query(
				team.audit_source_places('$1', '$2', format(
					'%s AND (%s)', v_where,
					array_to_string(v_ways, ' OR ')))) ||
				format(' ORDER BY %s, r.one', v_order)
			USING v_mailboxes, v_uids;
		RETURN;
	END IF;
	-- Month by month, each with the plan that suits it: for all at once the
	-- planner takes the same index, and reads through a month in which the
	-- colleague did nothing.
	FOR v_month IN EXECUTE format('
		SELECT m.begins AT TIME ZONE ''UTC'' AS begins,
			(m.begins + interval ''1 month'') AT TIME ZONE ''UTC''
				AS ends
		FROM (SELECT to_date(substr(name, 8), ''YYYYMM'')::timestamp
				AS begins
		      FROM team.months_before(''infinity'')) m
		ORDER BY %s', v_months)
	LOOP
		-- Each way by the index that suits it.
		SELECT format('SELECT * FROM (%s) r ORDER BY %s LIMIT %L',
				string_agg(format('(SELECT * FROM team.record r
					WHERE r.at >= %L AND r.at < %L AND
						%s AND %s
					ORDER BY %s LIMIT %L)', v_month.begins,
					v_month.ends, v_where, w, v_order,
					v_rest), ' UNION ALL '),
				v_order, v_rest)
			INTO v_source FROM unnest(v_ways) w;
		-- what follows takes long to plan
		EXECUTE format('SELECT count(*) FROM (SELECT FROM (%s) l LIMIT 1) l',
			v_source) INTO v_count;
		CONTINUE WHEN v_count = 0;
		RETURN QUERY EXECUTE team.audit_query(format('
				SELECT l.*, p.uid AS one, p.from_uid AS from_one
				FROM (%s) l CROSS JOIN LATERAL (
					SELECT l.uid, l.from_uid
					WHERE l.uids IS NULL
					UNION ALL
					SELECT e.uid, e.from_uid
					FROM team.expand(l.uids, l.from_uids) e
					WHERE l.uids IS NOT NULL) p', v_source)) ||
				format(' ORDER BY %s, r.one', v_order);
		-- Every record has a row at least: no more are needed.
		GET DIAGNOSTICS v_count = ROW_COUNT;
		v_rest := v_rest - v_count;
		EXIT WHEN v_rest <= 0;
	END LOOP;
END
$$;
COMMENT ON FUNCTION team.audit_page(jsonb, int) IS
	'Searches the log like team.audit_search, for about so many rows: the last record is complete. Fewer rows are the last ones; the filter''s "after" goes on behind a record: its at, seq and node''s name with | between them';

CREATE OR REPLACE FUNCTION team.audit_search(p_filter jsonb, p_limit int)
RETURNS SETOF team.audit
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT * FROM team.audit_page(p_filter, p_limit) LIMIT p_limit
$$;

-- As the owner, who isn't limited: through team.export the planner would sort
-- the whole log for every page.
CREATE OR REPLACE FUNCTION team.export_records(p_node text, p_after bigint,
					       p_limit int)
RETURNS SETOF team.export
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT * FROM team.export_all e
	WHERE e.node_id = (SELECT n.id FROM team.node n
			   WHERE n.name = team.short(p_node)) AND
		e.seq > p_after
	ORDER BY e.seq LIMIT p_limit
$$;

REVOKE ALL ON FUNCTION team.audit_page(jsonb, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION team.audit_page(jsonb, int) TO team_service;

-- What the views for auditors are made of looks expensive, since the planner
-- can't know that one of two arms is never gone: to compile it takes seconds,
-- where the query itself takes milliseconds.
DO $$
BEGIN
	EXECUTE format('ALTER DATABASE %I SET jit = off', current_database());
EXCEPTION WHEN insufficient_privilege THEN
	RAISE WARNING 'auditors'' queries are slow with JIT: as the owner of the database, ALTER DATABASE % SET jit = off',
		current_database();
END
$$;
