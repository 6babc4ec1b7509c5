-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: retention. Whole months go, only from the beginning of every
-- node's log, and only after the node signed that they may. Of what went, the
-- leaves' hashes stay: with them older checkpoints can be proved to be the
-- beginning of today's log. They say nothing about anybody, since the salts
-- that stood in the records are gone with them.

CREATE TABLE team.cut (
	node int NOT NULL REFERENCES team.node,
	first bigint NOT NULL,
	last bigint NOT NULL,
	before timestamptz NOT NULL,
	signed bigint,
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	by text NOT NULL DEFAULT session_user,
	PRIMARY KEY (node, last)
);
COMMENT ON TABLE team.cut IS
	'Which records retention dropped, when and by which role';
COMMENT ON COLUMN team.cut.before IS 'All of them are older than this';
COMMENT ON COLUMN team.cut.signed IS
	'The node''s note (team.note.id) that allowed it and has the tree at the cut; NULL: the records have no leaves, or the node was given up';

CREATE TABLE team.dropped_leaves (
	node int NOT NULL REFERENCES team.node,
	first bigint NOT NULL,
	leaves bytea NOT NULL,
	PRIMARY KEY (node, first)
);
COMMENT ON TABLE team.dropped_leaves IS
	'Hashes of the leaves of records that were dropped, 32 bytes each, of up to 1024 records from the first on';

CREATE TRIGGER cut_append_only
	BEFORE UPDATE OR DELETE OR TRUNCATE ON team.cut
	FOR EACH STATEMENT EXECUTE FUNCTION team.record_refuse();
CREATE TRIGGER dropped_leaves_append_only
	BEFORE UPDATE OR DELETE OR TRUNCATE ON team.dropped_leaves
	FOR EACH STATEMENT EXECUTE FUNCTION team.record_refuse();

CREATE FUNCTION team.months_before(p_before timestamptz)
RETURNS TABLE (name text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT c.relname::text
	FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
	WHERE i.inhparent = 'team.record'::regclass AND
		c.relname ~ '^record_[0-9]{6}$' AND
		to_date(substr(c.relname, 8), 'YYYYMM') <
			date_trunc('month', p_before AT TIME ZONE 'UTC')
	ORDER BY 1
$$;
COMMENT ON FUNCTION team.months_before(timestamptz) IS
	'The log''s partitions of whole months (UTC) before the time';

CREATE FUNCTION team.retain_nodes(p_before timestamptz)
RETURNS TABLE (node_id int, node text, first bigint, last bigint,
	       next bigint, signed bigint, leafless boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off
AS $$
	SELECT n.id, n.name, f.seq, l.seq, x.seq, s.id, l.leaf IS NULL
	FROM team.node n
	CROSS JOIN LATERAL (
		SELECT r.seq FROM team.record r
		WHERE r.node = n.id AND r.at < p_before
		ORDER BY r.seq LIMIT 1) f
	CROSS JOIN LATERAL (
		SELECT r.seq, r.leaf FROM team.record r
		WHERE r.node = n.id AND r.at < p_before
		ORDER BY r.seq DESC LIMIT 1) l
	LEFT JOIN LATERAL (
		SELECT r.seq FROM team.record r
		WHERE r.node = n.id AND r.at >= p_before
		ORDER BY r.seq LIMIT 1) x ON true
	LEFT JOIN LATERAL (
		SELECT t.id FROM team.note t
		CROSS JOIN LATERAL regexp_match(t.note,
			'^[^\n]*\n[^\n]*\n([0-9]{1,18})[^\n]*\nfirst ([0-9]{1,18})\n') cut
		WHERE t.node = n.id AND t.kind = 'cut' AND
			cut[1]::bigint + cut[2]::bigint - 1 = l.seq
		ORDER BY t.id LIMIT 1) s ON true
	ORDER BY n.name
$$;
COMMENT ON FUNCTION team.retain_nodes(timestamptz) IS
	'Per node the first and last record before the time, the first that isn''t, and the note in which the node signed that all up to the last may go';

CREATE FUNCTION team.retain_plan(p_keep interval)
RETURNS TABLE (before timestamptz, months int, node text, first bigint,
	       last bigint, signed boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
	v_before timestamptz := date_trunc('month', now() - p_keep);
	v_months int;
BEGIN
	LOOP
		SELECT count(*) INTO v_months FROM team.months_before(v_before);
		EXIT WHEN v_months = 0;
		-- A clock that was set back at the turn of a month left an older
		-- record behind a newer one: then one month less goes.
		EXIT WHEN NOT EXISTS (SELECT FROM team.retain_nodes(v_before) n
				      WHERE n.next < n.last);
		v_before := v_before - interval '1 month';
	END LOOP;
	RETURN QUERY SELECT v_before, v_months, n.node, n.first, n.last,
			n.signed IS NOT NULL OR n.leafless
		FROM (SELECT 1) one
		LEFT JOIN team.retain_nodes(v_before) n ON true
		WHERE v_months > 0;
END
$$;
COMMENT ON FUNCTION team.retain_plan(interval) IS
	'What retention would drop to keep that long: whole months before a time, and per node which records; a row without node if they are empty';

CREATE FUNCTION team.forget_messages(p_before timestamptz) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
	WITH gone AS (
		SELECT r.mailbox_id, r.uid, r.uids FROM team.record r
		WHERE r.at < p_before AND r.outcome = 'ok' AND
			r.action = 'expunge'
		UNION ALL
		SELECT r.from_mailbox_id, r.from_uid, r.from_uids
		FROM team.record r
		WHERE r.at < p_before AND r.outcome = 'ok' AND
			r.action = 'move'
		UNION ALL
		SELECT r.mailbox_id, NULL, '{[1,4294967295]}'
		FROM team.record r
		WHERE r.at < p_before AND r.outcome = 'ok' AND
			r.action = 'delete'
	), message AS (
		SELECT m.mailbox_id, m.uid FROM gone g
		JOIN team.message m ON m.mailbox_id = g.mailbox_id AND
			m.uid = g.uid
		UNION
		SELECT m.mailbox_id, m.uid FROM gone g
		CROSS JOIN LATERAL unnest(g.uids) u
		JOIN team.message m ON m.mailbox_id = g.mailbox_id AND
			m.uid BETWEEN lower(u) AND upper(u) - 1
	)
	DELETE FROM team.message m USING message g
	WHERE m.mailbox_id = g.mailbox_id AND m.uid = g.uid AND NOT EXISTS (
		SELECT FROM team.record r
		WHERE r.at >= p_before AND r.uid = m.uid AND
			r.msg_mailbox_id = m.mailbox_id
		UNION ALL
		SELECT FROM team.record r
		WHERE r.at >= p_before AND r.from_uid = m.uid AND
			r.from_mailbox_id = m.mailbox_id
		UNION ALL
		SELECT FROM team.record r
		WHERE r.at >= p_before AND r.uids IS NOT NULL AND
			team.place(r.msg_mailbox_id, r.uids) @>
				((m.mailbox_id::bigint << 32) + m.uid)
		UNION ALL
		SELECT FROM team.record r
		WHERE r.at >= p_before AND r.from_uids IS NOT NULL AND
			team.place(r.from_mailbox_id, r.from_uids) @>
				((m.mailbox_id::bigint << 32) + m.uid))
$$;
COMMENT ON FUNCTION team.forget_messages(timestamptz) IS
	'Removes Message-IDs of messages that were gone before the time and that no later record speaks of';

CREATE FUNCTION team.retain(p_before timestamptz, p_given_up text[])
RETURNS TABLE (months int, records bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
AS $$
DECLARE
	v_month text;
	v_names text;
BEGIN
	IF p_before > now() OR p_before <> date_trunc('month', p_before) THEN
		RAISE EXCEPTION '% isn''t the beginning of a month that is over',
			p_before USING ERRCODE = 'invalid_parameter_value';
	END IF;
	SELECT string_agg(n.node, ', ') INTO v_names
		FROM team.retain_nodes(p_before) n WHERE n.next < n.last;
	IF v_names IS NOT NULL THEN
		RAISE EXCEPTION 'records from before % stand behind later ones (%)',
			p_before, v_names
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
	SELECT string_agg(n.node, ', ') INTO v_names
		FROM team.retain_nodes(p_before) n
		WHERE n.signed IS NULL AND NOT n.leafless AND
			n.node <> ALL (coalesce(p_given_up, '{}'));
	IF v_names IS NOT NULL THEN
		RAISE EXCEPTION 'the cut isn''t signed by %', v_names
			USING ERRCODE = 'object_not_in_prerequisite_state',
			HINT = 'doveadm team audit retain on that node signs it.';
	END IF;

	INSERT INTO team.dropped_leaves (node, first, leaves)
	SELECT r.node, min(r.seq), string_agg(r.leaf, '' ORDER BY r.seq)
	FROM (SELECT r.node, r.seq, r.leaf, r.seq - row_number()
			OVER (PARTITION BY r.node ORDER BY r.seq) AS run
	      FROM team.record r
	      WHERE r.at < p_before AND r.leaf IS NOT NULL) r
	GROUP BY r.node, r.run, r.seq / 1024;
	PERFORM team.forget_messages(p_before);
	INSERT INTO team.cut (node, first, last, before, signed)
		SELECT n.node_id, n.first, n.last, p_before, n.signed
		FROM team.retain_nodes(p_before) n;
	SELECT coalesce(sum(n.last - n.first + 1), 0) INTO records
		FROM team.retain_nodes(p_before) n;

	-- Whoever waits for this lock keeps the service's records waiting.
	PERFORM set_config('lock_timeout', '10s', true);
	months := 0;
	FOR v_month IN SELECT m.name FROM team.months_before(p_before) m LOOP
		EXECUTE format('DROP TABLE team.%I', v_month);
		months := months + 1;
	END LOOP;
	RETURN NEXT;
END
$$;
COMMENT ON FUNCTION team.retain(timestamptz, text[]) IS
	'Drops the log''s months before the time, which has to be the beginning of one. Raises unless every node signed it, but for those that were given up';

CREATE FUNCTION team.export_leaves(p_node text, p_after bigint)
RETURNS TABLE (first bigint, leaves text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT l.first, encode(l.leaves, 'hex')
	FROM team.dropped_leaves l JOIN team.node n ON n.id = l.node
	WHERE n.name = team.short(p_node) AND
		l.first + length(l.leaves) / 32 > p_after + 1
	ORDER BY l.first
$$;
COMMENT ON FUNCTION team.export_leaves(text, bigint) IS
	'Hashes of the leaves of dropped records from those on that are behind a number';

CREATE VIEW team.cuts AS
	SELECT n.name AS node, c.first, c.last, c.before, c.at, c.by, t.note
	FROM team.cut c
	JOIN team.node n ON n.id = c.node
	LEFT JOIN team.note t ON t.node = c.node AND t.id = c.signed;
COMMENT ON VIEW team.cuts IS
	'Which records retention dropped, when, by which role, and what the node signed about it';

-- Months are made ahead, so that the first record of one never waits.
CREATE FUNCTION team.make_months_ahead() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	FOR i IN 0..3 LOOP
		PERFORM team.make_partition(clock_timestamp() +
					    i * interval '1 month');
	END LOOP;
END
$$;
COMMENT ON FUNCTION team.make_months_ahead() IS
	'Makes the log''s partitions of this month and the next three, as far as they are missing';

CREATE OR REPLACE FUNCTION team.make_partitions(p_at timestamptz[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
	v_at timestamptz;
	v_first timestamptz;
	v_last timestamptz;
BEGIN
	SELECT min(a), max(a) INTO v_first, v_last FROM unnest(p_at) a;
	-- A clock that's that wrong would make partitions for ever.
	IF v_first < '2000-01-01' OR v_last > '2100-01-01' THEN
		RAISE EXCEPTION 'a time is out of range'
			USING ERRCODE = 'datetime_field_overflow';
	END IF;
	PERFORM team.make_partition(v_first);
	-- One look at each batch: when the month after next is missing, a new
	-- month has begun.
	IF to_regclass('team.record_' || to_char(clock_timestamp() +
			interval '2 months', 'YYYYMM')) IS NULL THEN
		PERFORM team.make_months_ahead();
	END IF;
	IF date_trunc('month', v_first) <> date_trunc('month', v_last) THEN
		FOR v_at IN
			SELECT DISTINCT date_trunc('month', a)
			FROM unnest(p_at) a
		LOOP
			PERFORM team.make_partition(v_at);
		END LOOP;
	END IF;
END
$$;
COMMENT ON FUNCTION team.make_partitions(timestamptz[]) IS
	'Makes partitions for the months of the times and for months ahead';

SELECT team.make_months_ahead();

REVOKE ALL ON team.cut, team.dropped_leaves, team.cuts FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA team FROM PUBLIC;
GRANT EXECUTE ON FUNCTION team.export_leaves(text, bigint) TO team_service;
GRANT SELECT ON team.cuts TO team_auditor;
