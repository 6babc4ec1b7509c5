-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: pages of the log that are no longer than was asked for. Those
-- of 0022 end with a complete record, which may be of all messages of a folder;
-- services that know no others go on to take them.

CREATE FUNCTION team.some_uids(p_uids int8multirange, p_skip bigint,
			       p_count bigint) RETURNS int8multirange
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT coalesce(range_agg(int8range(
			lower(o.u) + greatest(p_skip - o.before, 0)::bigint,
			least(upper(o.u), lower(o.u) +
			      (p_skip + p_count - o.before)::bigint))), '{}')
	FROM (SELECT u, sum(upper(u) - lower(u)) OVER (ORDER BY u) -
			(upper(u) - lower(u)) AS before
	      FROM unnest(p_uids) u) o
	WHERE o.before + upper(o.u) - lower(o.u) > p_skip AND
		(o.before < p_skip + p_count) IS NOT FALSE;
END;
COMMENT ON FUNCTION team.some_uids(int8multirange, bigint, bigint) IS
	'So many of the UIDs (NULL: all), leaving out the first ones';

-- Sets that are small anyway aren't worth the work.
CREATE FUNCTION team.expand_some(p_uids int8multirange,
				 p_from_uids int8multirange,
				 p_skip bigint, p_count bigint)
RETURNS TABLE (uid bigint, from_uid bigint)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
	SELECT e.uid, e.from_uid FROM team.expand(
		CASE WHEN p_skip > 0 OR upper(p_uids) - lower(p_uids) > p_count
		THEN team.some_uids(p_uids, p_skip, p_count)
		ELSE p_uids END,
		CASE WHEN p_skip > 0 OR upper(p_uids) - lower(p_uids) > p_count
		THEN team.some_uids(p_from_uids, p_skip, p_count)
		ELSE p_from_uids END) e;
END;
COMMENT ON FUNCTION team.expand_some(int8multirange, int8multirange, bigint, bigint) IS
	'Like team.expand, so many of the UIDs, leaving out the first ones';

CREATE FUNCTION team.audit_page(p_filter jsonb, p_rows int,
				p_seen bigint)
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
	v_after record;
	-- how many rows of a record are left out
	v_skip text := '0';
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
		SELECT team.filter_time('after', a[1]) AS at, n.id AS node,
				a[2]::bigint AS seq
			INTO v_after
			FROM regexp_match(p_filter->>'after',
				'^([^|]+)\|([0-9]{1,18})\|(.+)$') a
			JOIN team.node n ON n.name = a[3];
		IF NOT FOUND THEN
			RAISE EXCEPTION 'after: there is no such record'
				USING ERRCODE = 'invalid_parameter_value';
		END IF;
		-- A message's records are all in one page.
		IF p_seen > 0 AND NOT p_filter ? 'message_id' THEN
			v_skip := format('CASE WHEN r.node = %s AND
					r.seq = %s THEN %s ELSE 0 END',
				v_after.node, v_after.seq, p_seen);
		END IF;
		v_where := v_where || format(' AND (r.at, r.node, r.seq) %s%s
				(%L::timestamptz, %s, %s)',
			CASE WHEN v_months = 'm.begins' THEN '>' ELSE '<' END,
			CASE WHEN v_skip <> '0' THEN '=' END,
			v_after.at, v_after.node, v_after.seq);
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
		-- Each way by the index that suits it. One more, since of the
		-- first one nothing may be left.
		SELECT format('SELECT * FROM (%s) r ORDER BY %s LIMIT %L',
				string_agg(format('(SELECT * FROM team.record r
					WHERE r.at >= %L AND r.at < %L AND
						%s AND %s
					ORDER BY %s LIMIT %L)', v_month.begins,
					v_month.ends, v_where, w, v_order,
					v_rest + 1), ' UNION ALL '),
				v_order, v_rest + 1)
			INTO v_source FROM unnest(v_ways) w;
		-- what follows takes long to plan
		EXECUTE format('SELECT count(*) FROM (SELECT FROM (%s) l LIMIT 1) l',
			v_source) INTO v_count;
		CONTINUE WHEN v_count = 0;
		-- The limit comes before the rest of what makes a row: thousands
		-- of records may be of all messages of a folder.
		RETURN QUERY EXECUTE team.audit_query(format('
				SELECT r.*, p.uid AS one, p.from_uid AS from_one
				FROM (%s) r CROSS JOIN LATERAL (
					SELECT r.uid, r.from_uid
					WHERE r.uids IS NULL AND %s = 0
					UNION ALL
					SELECT e.uid, e.from_uid
					FROM team.expand_some(r.uids,
						r.from_uids, %s, %L) e
					WHERE r.uids IS NOT NULL) p
				ORDER BY %s, p.uid LIMIT %L',
				v_source, v_skip, v_skip, v_rest, v_order,
				v_rest)) ||
				format(' ORDER BY %s, r.one', v_order);
		GET DIAGNOSTICS v_count = ROW_COUNT;
		v_rest := v_rest - v_count;
		EXIT WHEN v_rest <= 0;
	END LOOP;
END
$$;
COMMENT ON FUNCTION team.audit_page(jsonb, int, bigint) IS
	'Searches the log like team.audit_search, for so many rows, or with a message_id for all of them. Fewer rows are the last ones; the filter''s "after" goes on behind a record: its at, seq and node''s name with | between them. p_seen is how many of its rows were seen, 0 for all';

CREATE OR REPLACE FUNCTION team.audit_search(p_filter jsonb, p_limit int)
RETURNS SETOF team.audit
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT * FROM team.audit_page(p_filter, p_limit, 0) LIMIT p_limit
$$;

REVOKE ALL ON FUNCTION team.some_uids(int8multirange, bigint, bigint),
	team.expand_some(int8multirange, int8multirange, bigint, bigint),
	team.audit_page(jsonb, int, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION team.audit_page(jsonb, int, bigint) TO team_service;
