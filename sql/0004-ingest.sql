-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: what the nodes' journals ship: the log and its effects on
-- private flags and claims. A batch costs a fixed number of statements,
-- however many records it has.

CREATE FUNCTION team.fold(p_state int8multirange, p_uids int8multirange,
			  p_in boolean) RETURNS int8multirange
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN CASE WHEN p_in THEN p_state + p_uids ELSE p_state - p_uids END;
END
$$;
CREATE AGGREGATE team.fold(int8multirange, boolean) (
	SFUNC = team.fold, STYPE = int8multirange, INITCOND = '{}'
);
COMMENT ON FUNCTION team.fold(int8multirange, int8multirange, boolean) IS
	'Step of the aggregate team.fold';
COMMENT ON AGGREGATE team.fold(int8multirange, boolean) IS
	'Adds and takes away sets in the order given';

CREATE FUNCTION team.blocks(p_uids int8multirange)
RETURNS TABLE (block int, uids int8multirange)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT b::int, range_agg(u * int8range(b << 10, (b + 1) << 10))
	FROM unnest(p_uids) u,
		generate_series(lower(u) >> 10, (upper(u) - 1) >> 10) b
	GROUP BY b;
END;
COMMENT ON FUNCTION team.blocks(int8multirange) IS
	'The set cut into blocks of 1024 UIDs';

CREATE TYPE team.effect AS (
	kind text,
	mailbox_id int,
	colleague_id int,
	uids int8multirange,
	from_mailbox_id int,
	from_uids int8multirange,
	private_added text,
	private_removed text,
	private team.private_change[],
	mids text
);
COMMENT ON TYPE team.effect IS
	'What a record does to flags and claims. kind: flags copy move expunge delete';

CREATE FUNCTION team.store_message_ids(p_effects team.effect[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	WITH pair AS (
		SELECT e.mailbox_id, p[1]::bigint AS uid, p[2] AS message_id
		FROM unnest(p_effects) e,
			string_to_table(e.mids, E'\n') l,
			regexp_match(l, '^([1-9][0-9]{0,9})(?: +(.*))?$') p
		WHERE e.mids IS NOT NULL AND e.mailbox_id IS NOT NULL
	), new AS (
		INSERT INTO team.message (mailbox_id, uid, message_id)
		SELECT mailbox_id, uid, nullif(message_id, '') FROM pair
		WHERE uid <= 4294967295
		ON CONFLICT DO NOTHING
		RETURNING mailbox_id, uid
	)
	INSERT INTO team.message_block AS b (mailbox_id, block, uids)
	SELECT mailbox_id, uid >> 10, range_agg(int8range(uid, uid + 1))
	FROM new GROUP BY 1, 2 ORDER BY 1, 2
	ON CONFLICT (mailbox_id, block) DO UPDATE
		SET uids = b.uids + excluded.uids;
END
$$;
COMMENT ON FUNCTION team.store_message_ids(team.effect[]) IS
	'Enters the messages that the records name with their Message-IDs';

CREATE FUNCTION team.apply_flags(p_node int, p_effects team.effect[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_told record;
BEGIN
	-- All changes of a block become one: many records of a batch may be
	-- of one message each in the same block.
	WITH change AS (
		SELECT e.n, e.mailbox_id, e.colleague_id, c.flag, c.added,
			b.block, b.uids
		FROM unnest(p_effects) WITH ORDINALITY
			AS e(kind, mailbox_id, colleague_id, uids,
			     from_mailbox_id, from_uids, private_added,
			     private_removed, private, mids, n)
		CROSS JOIN LATERAL (
			SELECT f AS flag, false AS added, e.uids AS uids
			FROM string_to_table(e.private_removed, ' ') f
			UNION ALL
			SELECT f, true, e.uids
			FROM string_to_table(e.private_added, ' ') f
			UNION ALL
			SELECT p.flag, p.added, p.uids
			FROM unnest(e.private) p) c
		CROSS JOIN LATERAL team.blocks(c.uids) b
		WHERE e.mailbox_id IS NOT NULL AND
			e.colleague_id IS NOT NULL
	), net AS (
		SELECT mailbox_id, colleague_id, team.short(flag) AS flag,
			block, team.fold(uids, added ORDER BY n, added) AS plus,
			team.fold(uids, NOT added ORDER BY n, added) AS minus
		FROM change GROUP BY 1, 2, 3, 4
	), revised AS MATERIALIZED (
		SELECT net.*, m.rev FROM net
		JOIN team.mailbox m ON m.id = net.mailbox_id
	), updated AS (
		UPDATE team.flag f SET
			uids = f.uids - s.minus + s.plus, rev = s.rev,
			node = p_node,
			other_rev = CASE WHEN f.node = p_node THEN f.other_rev
					 ELSE f.rev END
		FROM revised s
		WHERE f.mailbox_id = s.mailbox_id AND
			f.colleague_id = s.colleague_id AND
			f.flag = s.flag AND f.block = s.block
		RETURNING f.mailbox_id, f.colleague_id, f.flag, f.block
	)
	-- the mailbox's row is locked: nobody else inserts meanwhile
	INSERT INTO team.flag
		(mailbox_id, colleague_id, flag, block, uids, rev, node)
	SELECT s.mailbox_id, s.colleague_id, s.flag, s.block, s.plus, s.rev,
		p_node
	FROM revised s
	WHERE NOT EXISTS (
		SELECT FROM updated u
		WHERE u.mailbox_id = s.mailbox_id AND
			u.colleague_id = s.colleague_id AND
			u.flag = s.flag AND u.block = s.block);

	FOR v_told IN
		SELECT DISTINCT e.mailbox_id, c.name
		FROM unnest(p_effects) e
		JOIN team.colleague c ON c.id = e.colleague_id
		WHERE e.mailbox_id IS NOT NULL AND
			(e.private_added IS NOT NULL OR
			 e.private_removed IS NOT NULL OR
			 e.private IS NOT NULL)
	LOOP
		PERFORM team.mailbox_changed(p_node, v_told.mailbox_id,
					     'flags ' || v_told.name);
	END LOOP;
END
$$;
COMMENT ON FUNCTION team.apply_flags(int, team.effect[]) IS
	'Applies the records'' private flags in their order';

CREATE FUNCTION team.pair_runs(p_from int8multirange, p_uids int8multirange)
RETURNS TABLE (first_from bigint, last_from bigint, shift bigint)
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF team.uid_count(p_from) IS DISTINCT FROM team.uid_count(p_uids) THEN
		RAISE EXCEPTION '% messages were copied to %',
			team.uid_count(p_from), team.uid_count(p_uids)
			USING ERRCODE = 'data_exception';
	END IF;
	-- In a run both ascend together: UID minus position stays the same.
	RETURN QUERY
		SELECT min(p.f), max(p.f), min(p.t) - min(p.f)
		FROM ROWS FROM (
			unnest(ARRAY(SELECT generate_series(lower(u), upper(u) - 1)
				     FROM unnest(p_from) u)),
			unnest(ARRAY(SELECT generate_series(lower(u), upper(u) - 1)
				     FROM unnest(p_uids) u))
			) WITH ORDINALITY AS p(f, t, n)
		GROUP BY p.f - p.n, p.t - p.n;
END
$$;
COMMENT ON FUNCTION team.pair_runs(int8multirange, int8multirange) IS
	'Pairs the n-th of one set with the n-th of the other: runs that are shifted alike';

CREATE FUNCTION team.apply_copy(p_effect team.effect) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_from int := p_effect.from_mailbox_id;
	v_to int := p_effect.mailbox_id;
	v_rev bigint;
	v_colleague int;
BEGIN
	SELECT m.rev INTO v_rev FROM team.mailbox m WHERE m.id = v_to;

	-- Every colleague's flags. Node 0: the copying node, too, has to fetch
	-- them for all the colleagues but the one who copied.
	INSERT INTO team.flag AS f
		(mailbox_id, colleague_id, flag, block, uids, rev, node)
		WITH part AS (
			SELECT s.colleague_id, s.flag, r.shift, u
			FROM team.pair_runs(p_effect.from_uids,
					    p_effect.uids) r
			CROSS JOIN LATERAL generate_series(
				(r.first_from >> 10)::int,
				(r.last_from >> 10)::int) b
			JOIN team.flag s
				ON s.mailbox_id = v_from AND s.block = b
			CROSS JOIN LATERAL unnest(s.uids * int8multirange(
				int8range(r.first_from, r.last_from, '[]'))) u
		), copied AS (
			SELECT colleague_id, flag,
				range_agg(int8range(lower(u) + shift,
						    upper(u) + shift)) AS uids
			FROM part GROUP BY 1, 2
		)
		SELECT v_to, c.colleague_id, c.flag, b.block, b.uids, v_rev, 0
		FROM copied c CROSS JOIN LATERAL team.blocks(c.uids) b
	ON CONFLICT (mailbox_id, colleague_id, flag, block) DO UPDATE SET
		uids = f.uids + excluded.uids, rev = v_rev, node = 0,
		other_rev = CASE WHEN f.node = 0 THEN f.other_rev
				 ELSE f.rev END;

	FOR v_colleague IN
		SELECT DISTINCT f.colleague_id FROM team.flag f
		WHERE f.mailbox_id = v_to AND f.node = 0 AND f.rev = v_rev AND
			f.block = ANY (ARRAY(SELECT b.block
				FROM team.blocks(p_effect.uids) b)) AND
			f.uids && p_effect.uids
	LOOP
		PERFORM team.mailbox_changed(0, v_to, 'flags ' || c.name)
			FROM team.colleague c WHERE c.id = v_colleague;
	END LOOP;

	-- The copy has the original's Message-ID.
	WITH new AS (
		INSERT INTO team.message (mailbox_id, uid, message_id)
		SELECT v_to, g.uid + r.shift, g.message_id
		FROM team.pair_runs(p_effect.from_uids, p_effect.uids) r
		JOIN team.message g ON g.mailbox_id = v_from AND
			g.uid BETWEEN r.first_from AND r.last_from
		ON CONFLICT DO NOTHING
		RETURNING uid
	)
	INSERT INTO team.message_block AS b (mailbox_id, block, uids)
	SELECT v_to, uid >> 10, range_agg(int8range(uid, uid + 1))
	FROM new GROUP BY 2
	ON CONFLICT (mailbox_id, block) DO UPDATE
		SET uids = b.uids + excluded.uids;
END
$$;
COMMENT ON FUNCTION team.apply_copy(team.effect) IS
	'Carries all colleagues'' private flags and the Message-IDs to the copies';

CREATE FUNCTION team.move_claims(p_effect team.effect) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	WITH gone AS (
		DELETE FROM team.claim c
		WHERE c.mailbox_id = p_effect.from_mailbox_id AND
			p_effect.from_uids @> c.uid
		RETURNING c.*)
	INSERT INTO team.claim AS c (mailbox_id, uid, colleague_id, node,
				     session, since, until)
		SELECT p_effect.mailbox_id, g.uid + r.shift, g.colleague_id,
			g.node, g.session, g.since, g.until
		FROM gone g
		JOIN team.pair_runs(p_effect.from_uids, p_effect.uids) r
			ON g.uid BETWEEN r.first_from AND r.last_from
		ON CONFLICT (mailbox_id, uid) DO UPDATE
			SET colleague_id = excluded.colleague_id,
			node = excluded.node, session = excluded.session,
			since = excluded.since, until = excluded.until;
	IF FOUND THEN
		PERFORM team.mailbox_changed(0, p_effect.from_mailbox_id,
					     'claims');
		PERFORM team.mailbox_changed(0, p_effect.mailbox_id, 'claims');
	END IF;
END
$$;
COMMENT ON FUNCTION team.move_claims(team.effect) IS
	'Lets the claims follow their messages to another mailbox';

CREATE FUNCTION team.apply_expunge(p_mailbox_id int, p_uids int8multirange)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM team.claim c
		WHERE c.mailbox_id = p_mailbox_id AND p_uids @> c.uid;
	IF FOUND THEN
		PERFORM team.mailbox_changed(0, p_mailbox_id, 'claims');
	END IF;
	-- No new revision: nobody needs to fetch flags of messages that are
	-- gone. The rows stay, other nodes may not know yet what left them.
	UPDATE team.flag f SET uids = f.uids - p_uids
		WHERE f.mailbox_id = p_mailbox_id AND f.uids && p_uids AND
			f.block = ANY (ARRAY(SELECT b.block
				FROM team.blocks(p_uids) b));
END
$$;
COMMENT ON FUNCTION team.apply_expunge(int, int8multirange) IS
	'Removes all colleagues'' private flags and the claims of messages that are gone';

CREATE FUNCTION team.apply_effects(p_node int, p_effects team.effect[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_run record;
	v_effect team.effect;
	v_gone record;
BEGIN
	-- The locks of all mailboxes in one order, before anything is written.
	PERFORM FROM team.mailbox m
		WHERE m.id IN (SELECT e.mailbox_id FROM unnest(p_effects) e
			       WHERE e.kind IS NOT NULL
			       UNION ALL
			       SELECT e.from_mailbox_id FROM unnest(p_effects) e
			       WHERE e.kind IS NOT NULL)
		ORDER BY m.id FOR NO KEY UPDATE;
	UPDATE team.mailbox m SET rev = m.rev + 1
		WHERE m.id IN (SELECT e.mailbox_id FROM unnest(p_effects) e
			       WHERE e.kind IS NOT NULL
			       UNION ALL
			       SELECT e.from_mailbox_id FROM unnest(p_effects) e
			       WHERE e.kind = 'move');
	PERFORM team.store_message_ids(p_effects);

	-- Neighbours of a kind are done together, copies one by one.
	FOR v_run IN
		SELECT min(g.kind) AS kind, min(g.n) AS first, max(g.n) AS last
		FROM (
			SELECT k.kind, k.n, count(*) FILTER (
				WHERE k.kind IN ('copy', 'move') OR
					k.kind <> k.before)
				OVER (ORDER BY k.n) AS run
			FROM (
				SELECT e.kind, e.n, lag(e.kind)
					OVER (ORDER BY e.n) AS before
				FROM unnest(p_effects) WITH ORDINALITY
					AS e(kind, mailbox_id, colleague_id,
					     uids, from_mailbox_id, from_uids,
					     private_added, private_removed,
					     private, mids, n)
				WHERE e.kind IS NOT NULL) k) g
		GROUP BY g.run ORDER BY g.run
	LOOP
		CASE v_run.kind
		WHEN 'flags' THEN
			PERFORM team.apply_flags(p_node,
				p_effects[v_run.first:v_run.last]);
		WHEN 'copy', 'move' THEN
			v_effect := p_effects[v_run.first];
			PERFORM team.apply_copy(v_effect);
			IF v_run.kind = 'move' THEN
				PERFORM team.move_claims(v_effect);
				PERFORM team.apply_expunge(
					v_effect.from_mailbox_id,
					v_effect.from_uids);
			END IF;
			PERFORM team.apply_flags(p_node, ARRAY[v_effect]);
		WHEN 'expunge' THEN
			FOR v_gone IN
				SELECT e.mailbox_id,
					range_agg(u) AS uids
				FROM unnest(p_effects[v_run.first:v_run.last]) e
				CROSS JOIN LATERAL unnest(e.uids) u
				WHERE e.kind = 'expunge'
				GROUP BY 1 ORDER BY 1
			LOOP
				PERFORM team.apply_expunge(v_gone.mailbox_id,
							   v_gone.uids);
			END LOOP;
		WHEN 'delete' THEN
			FOR v_gone IN
				SELECT DISTINCT e.mailbox_id
				FROM unnest(p_effects[v_run.first:v_run.last]) e
				WHERE e.kind = 'delete'
			LOOP
				DELETE FROM team.claim c
					WHERE c.mailbox_id = v_gone.mailbox_id;
				DELETE FROM team.flag f
					WHERE f.mailbox_id = v_gone.mailbox_id;
			END LOOP;
		END CASE;
	END LOOP;
END
$$;
COMMENT ON FUNCTION team.apply_effects(int, team.effect[]) IS
	'Carries out what the records did to flags and claims, in their order';

CREATE FUNCTION team.ingest_names(p_records jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_at timestamptz;
	v_day CONSTANT bigint := 86400000000;
	v_times bigint[];
BEGIN
	-- In the order of the names, so that two nodes which both bring new
	-- ones wait for each other in one direction only.
	WITH rec AS MATERIALIZED (
		SELECT * FROM jsonb_to_recordset(p_records) AS r(
			at bigint, colleague text,
			mailbox text, uidvalidity bigint, name text,
			"from" text, fromvalidity bigint, fromname text)
	), new_colleague AS (
		INSERT INTO team.colleague (name)
		SELECT n.name FROM (
			SELECT DISTINCT team.short(r.colleague) AS name
			FROM rec r WHERE r.colleague <> '') n
		WHERE NOT EXISTS (SELECT FROM team.colleague c
				  WHERE c.name = n.name)
		ORDER BY n.name
		ON CONFLICT DO NOTHING
	), new_mailbox AS (
		INSERT INTO team.mailbox (guid, uidvalidity, name)
		SELECT n.guid, n.uidvalidity, n.name FROM (
			SELECT b.guid, coalesce(b.uidvalidity, 0)
					AS uidvalidity,
				coalesce(max(team.short(b.name)), '') AS name
			FROM (SELECT r.mailbox, r.uidvalidity, r.name
			      FROM rec r
			      UNION ALL
			      SELECT r."from", r.fromvalidity, r.fromname
			      FROM rec r) b(guid, uidvalidity, name)
			WHERE b.guid <> ''
			GROUP BY 1, 2) n
		WHERE NOT EXISTS (SELECT FROM team.mailbox m
				  WHERE m.guid = n.guid AND
					m.uidvalidity = n.uidvalidity)
		ORDER BY 1, 2
		ON CONFLICT DO NOTHING
	)
	SELECT array_agg(DISTINCT r.at / v_day * v_day) INTO v_times FROM rec r;
	-- A clock that's that wrong would make partitions for ever.
	IF v_times[1] < 946684800000000 OR
			v_times[array_upper(v_times, 1)] > 4102444800000000 THEN
		RAISE EXCEPTION 'a time is out of range'
			USING ERRCODE = 'datetime_field_overflow';
	END IF;

	FOR v_at IN
		SELECT DISTINCT date_trunc('month', t.at AT TIME ZONE 'UTC')
			AT TIME ZONE 'UTC'
		FROM (SELECT to_timestamp(a / 1000000) AS at
		      FROM unnest(v_times) a
		      UNION ALL
		      SELECT clock_timestamp() + interval '7 days') t
	LOOP
		PERFORM team.make_partition(v_at);
	END LOOP;
END
$$;
COMMENT ON FUNCTION team.ingest_names(jsonb) IS
	'Enters the colleagues and mailboxes that the records name, and makes partitions for their months and, some days ahead, the next';

CREATE FUNCTION team.uid_set(p_uid bigint) RETURNS int8multirange
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN p_uid IS NOT NULL
	    THEN int8multirange(int8range(p_uid, p_uid + 1)) END;
COMMENT ON FUNCTION team.uid_set(bigint) IS 'The set of this one UID, or NULL';

CREATE FUNCTION team.ingest_rows(p_node int, p_records jsonb,
				 p_effects boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_effects team.effect[];
BEGIN
	PERFORM team.ingest_names(p_records);

	WITH ins AS (
		INSERT INTO team.record AS i (
			at, node, seq, action, outcome, colleague_id, username,
			session, service, ip, tls, client, mailbox_id, mailbox,
			msg_mailbox_id, source_only, uid, uids, mids, added,
			removed, private_added, private_removed, private,
			from_mailbox_id, from_mailbox, from_uid, from_uids,
			detail)
		SELECT timestamptz 'epoch' + r.at * interval '1 microsecond',
			p_node, r.seq, coalesce(r.action, ''),
			coalesce(r.outcome, ''), c.id, r.user, r.session,
			r.service, r.ip, r.tls, r.client, m.id, r.name,
			CASE WHEN s.only THEN f.id ELSE m.id END, s.only,
			CASE WHEN upper(s.uids) - lower(s.uids) = 1
				THEN lower(s.uids) END,
			CASE WHEN upper(s.uids) - lower(s.uids) = 1 OR
					isempty(s.uids)
				THEN NULL ELSE s.uids END,
			r.mids, r.add, r.remove, k.private_added,
			k.private_removed, k.private, f.id, r.fromname,
			CASE WHEN s.only THEN NULL
				WHEN upper(r.fromuids) - lower(r.fromuids) = 1
				THEN lower(r.fromuids) END,
			CASE WHEN s.only OR isempty(r.fromuids) OR
					upper(r.fromuids) - lower(r.fromuids) = 1
				THEN NULL ELSE r.fromuids END,
			CASE WHEN octet_length(r.colleague) > 1024
				THEN coalesce(k.detail, '{}') ||
					jsonb_build_object('colleague',
							   r.colleague)
				ELSE k.detail END
		FROM ROWS FROM (
			jsonb_to_recordset(p_records) AS (
				seq bigint, at bigint, action text,
				outcome text, colleague text, "user" text,
				session text, service text, ip text, tls text,
				client text, mailbox text, uidvalidity bigint,
				name text, uids int8multirange, mids text,
				"add" text, remove text, "from" text,
				fromvalidity bigint, fromname text,
				fromuids int8multirange),
			jsonb_array_elements(p_records)) AS r(
				seq, at, action, outcome, colleague, "user",
				session, service, ip, tls, client, mailbox,
				uidvalidity, name, uids, mids, "add", remove,
				"from", fromvalidity, fromname, fromuids, raw)
		LEFT JOIN team.colleague c ON c.name = team.short(r.colleague)
		LEFT JOIN team.mailbox m ON m.guid = r.mailbox AND
			m.uidvalidity = coalesce(r.uidvalidity, 0)
		LEFT JOIN team.mailbox f ON f.guid = r."from" AND
			f.uidvalidity = coalesce(r.fromvalidity, 0)
		CROSS JOIN LATERAL (
			SELECT o.only, CASE WHEN o.only THEN r.fromuids
					    ELSE r.uids END AS uids
			FROM (SELECT coalesce(r.fromuids <> '{}', false) AND
				coalesce(isempty(r.uids), true) AS only) o) s
		CROSS JOIN LATERAL (
			SELECT string_agg(e.flag, ' ') FILTER (
					WHERE e.kind = 'p+' AND e.alike)
					AS private_added,
				string_agg(e.flag, ' ') FILTER (
					WHERE e.kind = 'p-' AND e.alike)
					AS private_removed,
				array_agg(ROW(e.flag, e.kind = 'p+', CASE
					WHEN e.kind <> 'd.' AND NOT e.alike
					THEN e.value::int8multirange END
					)::team.private_change)
					FILTER (WHERE e.kind <> 'd.' AND
						NOT e.alike) AS private,
				jsonb_object_agg(e.flag, e.value) FILTER (
					WHERE e.kind = 'd.') AS detail
			FROM (SELECT left(x.key, 2) AS kind,
					substr(x.key, 3) AS flag, x.value,
					x.value = r.raw->>'uids' AND
					x.key !~ ' |^..$' AS alike
			      FROM jsonb_each_text(r.raw) x
			      WHERE left(x.key, 2) IN ('p+', 'p-', 'd.')) e
			) k
		RETURNING *
	), new_name AS (
		INSERT INTO team.mailbox_name (name, mailbox_id)
		SELECT n.name, n.id FROM (
			SELECT DISTINCT team.short(i.mailbox) AS name,
				i.mailbox_id AS id
			FROM ins i WHERE i.mailbox <> '' AND
				i.mailbox_id IS NOT NULL
			UNION
			SELECT DISTINCT team.short(i.from_mailbox),
				i.from_mailbox_id
			FROM ins i WHERE i.from_mailbox <> '' AND
				i.from_mailbox_id IS NOT NULL) n
		WHERE NOT EXISTS (SELECT FROM team.mailbox_name o
				  WHERE o.name = n.name AND
					o.mailbox_id = n.id)
		ORDER BY 1, 2
		ON CONFLICT DO NOTHING
	), effect AS (
		SELECT i.*, CASE
			WHEN i.outcome <> 'ok' OR i.mailbox_id IS NULL
				THEN NULL
			WHEN i.action IN ('copy', 'move') AND
				i.from_mailbox_id IS NOT NULL AND
				NOT i.source_only THEN i.action
			WHEN i.action IN ('expunge', 'delete') THEN i.action
			WHEN i.private_added IS NOT NULL OR
				i.private_removed IS NOT NULL OR
				i.private IS NOT NULL THEN 'flags'
			END AS kind,
			-- What was refused names messages that are there, what
			-- was not put anywhere doesn't.
			CASE WHEN i.outcome = 'ok' OR i.action NOT IN
				('append', 'deliver', 'copy', 'move', 'draft')
				THEN i.mids END AS new_mids
		FROM ins i
		WHERE p_effects
	)
	SELECT array_agg(ROW(e.kind, e.mailbox_id, e.colleague_id,
			coalesce(e.uids, team.uid_set(e.uid)),
			e.from_mailbox_id,
			coalesce(e.from_uids, team.uid_set(e.from_uid)),
			CASE WHEN e.kind IS NOT NULL THEN e.private_added END,
			CASE WHEN e.kind IS NOT NULL THEN e.private_removed END,
			CASE WHEN e.kind IS NOT NULL THEN e.private END,
			e.new_mids)::team.effect ORDER BY e.seq)
		INTO v_effects
		FROM effect e
		WHERE e.kind IS NOT NULL OR e.new_mids IS NOT NULL;

	IF v_effects IS NOT NULL THEN
		PERFORM team.apply_effects(p_node, v_effects);
	END IF;
END
$$;
COMMENT ON FUNCTION team.ingest_rows(int, jsonb, boolean) IS
	'Writes records to the log and carries out their effects; raises if a value doesn''t fit';

CREATE FUNCTION team.is_uidvalidity(p_value text) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN CASE WHEN p_value IS NULL THEN true
	    WHEN p_value ~ '^[0-9]{1,10}$' THEN p_value::bigint <= 4294967295
	    ELSE false END;
COMMENT ON FUNCTION team.is_uidvalidity(text) IS
	'Whether the text is a UIDVALIDITY, or missing';

CREATE FUNCTION team.ingest_odd(p_node int, p_record jsonb, p_error text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_row jsonb := jsonb_strip_nulls(jsonb_build_object(
		'seq', p_record->'seq',
		'action', p_record->>'action', 'outcome', p_record->>'outcome',
		'colleague', p_record->>'colleague', 'user', p_record->>'user',
		'session', p_record->>'session',
		'service', p_record->>'service', 'ip', p_record->>'ip',
		'tls', p_record->>'tls', 'client', p_record->>'client',
		'name', p_record->>'name', 'fromname', p_record->>'fromname',
		'd.invalid', p_error, 'd.record', p_record::text));
	v_at text := p_record->>'at';
	v_key text;
BEGIN
	IF v_at ~ '^[0-9]{15,16}$' AND v_at::bigint
			BETWEEN 946684800000000 AND 4102444800000000 THEN
		v_row := v_row || jsonb_build_object('at', v_at::bigint);
	ELSE
		v_row := v_row || jsonb_build_object('at',
			floor(extract(epoch FROM clock_timestamp()) * 1000000));
	END IF;
	IF p_record->>'mailbox' ~ '^[0-9a-f]{32}$' AND
			team.is_uidvalidity(p_record->>'uidvalidity') THEN
		v_row := v_row || jsonb_build_object(
			'mailbox', p_record->>'mailbox',
			'uidvalidity', coalesce(p_record->>'uidvalidity', '0'));
	END IF;
	IF p_record->>'from' ~ '^[0-9a-f]{32}$' AND
			team.is_uidvalidity(p_record->>'fromvalidity') THEN
		v_row := v_row || jsonb_build_object(
			'from', p_record->>'from',
			'fromvalidity', coalesce(p_record->>'fromvalidity', '0'));
	END IF;
	FOREACH v_key IN ARRAY ARRAY['uids', 'fromuids'] LOOP
		BEGIN
			IF team.uids_valid((p_record->>v_key)::int8multirange) AND
					p_record->>v_key IS NOT NULL THEN
				v_row := v_row || jsonb_build_object(
					v_key, p_record->>v_key);
			END IF;
		EXCEPTION WHEN data_exception OR syntax_error THEN
			NULL;
		END;
	END LOOP;
	PERFORM team.ingest_rows(p_node, jsonb_build_array(v_row), false);
END
$$;
COMMENT ON FUNCTION team.ingest_odd(int, jsonb, text) IS
	'Writes a record that doesn''t fit to the log as far as it can be read, whole in detail with what is wrong; it has no effects';

CREATE FUNCTION team.is_outage(p_sqlstate text) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN left(p_sqlstate, 2) IN ('08', '25', '40', '53', '55', '57', '58', 'F0',
			       'XX');
COMMENT ON FUNCTION team.is_outage(text) IS
	'Whether the error is the server''s state (trying again helps) rather than the data''s';

CREATE FUNCTION team.ingest_each(p_node int, p_records jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_record jsonb;
	v_error text;
BEGIN
	FOR v_record IN SELECT jsonb_array_elements(p_records) LOOP
		BEGIN
			v_error := NULL;
			PERFORM team.ingest_rows(p_node,
				jsonb_build_array(v_record), true);
		EXCEPTION WHEN OTHERS THEN
			IF team.is_outage(SQLSTATE) THEN
				RAISE;
			END IF;
			v_error := SQLERRM;
		END;
		IF v_error IS NOT NULL THEN
			PERFORM team.ingest_odd(p_node, v_record, v_error);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION team.ingest_each(int, jsonb) IS
	'Ingests one by one, so that a record which doesn''t fit holds up no other';

-- The planner can't know how many records an array holds and takes fright at
-- the products of its guesses: it would compile, and read whole tables. Every
-- look-up here has an index and is worth using it.
CREATE FUNCTION team.ingest(p_node int, p_records jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
	v_hwm bigint;
	v_seqs bigint[];
	v_count int;
	v_new jsonb := p_records;
BEGIN
	SELECT n.hwm INTO v_hwm FROM team.node n WHERE n.id = p_node
		FOR UPDATE;
	IF v_hwm IS NULL THEN
		RAISE EXCEPTION 'node % is not known: call team.hello first',
			p_node USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF jsonb_typeof(p_records) IS DISTINCT FROM 'array' THEN
		RAISE EXCEPTION 'the records are no array'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	SELECT array_agg(CASE WHEN e->>'seq' ~ '^[1-9][0-9]{0,17}$'
			 THEN (e->>'seq')::bigint END ORDER BY n)
		INTO v_seqs
		FROM jsonb_array_elements(p_records) WITH ORDINALITY a(e, n);
	v_count := coalesce(array_length(v_seqs, 1), 0);
	IF v_count = 0 THEN
		RETURN v_hwm;
	END IF;
	IF EXISTS (SELECT FROM unnest(v_seqs) WITH ORDINALITY a(seq, n)
		   WHERE seq IS NULL OR seq IS DISTINCT FROM v_seqs[1] + n - 1) THEN
		RAISE EXCEPTION 'node %: the records'' numbers don''t follow one another',
			p_node USING ERRCODE = 'TE001',
			HINT = 'The journal or the service is broken; nothing was taken.';
	END IF;
	IF v_seqs[v_count] <= v_hwm THEN
		RETURN v_hwm;
	END IF;
	IF v_seqs[1] > v_hwm + 1 THEN
		RAISE EXCEPTION 'node %: record % came after %, those between are missing',
			p_node, v_seqs[1], v_hwm USING ERRCODE = 'TE001',
			HINT = 'The journal lost records, or the database was set back to an older state.';
	END IF;
	IF v_seqs[1] <= v_hwm THEN
		SELECT jsonb_agg(e ORDER BY n) INTO v_new
			FROM jsonb_array_elements(p_records)
				WITH ORDINALITY a(e, n)
			WHERE v_seqs[n::int] > v_hwm;
	END IF;

	BEGIN
		PERFORM team.ingest_rows(p_node, v_new, true);
	EXCEPTION WHEN OTHERS THEN
		IF team.is_outage(SQLSTATE) THEN
			RAISE;
		END IF;
		PERFORM team.ingest_each(p_node, v_new);
	END;

	UPDATE team.node n SET hwm = v_seqs[v_count],
			last_seen = clock_timestamp()
		WHERE n.id = p_node;
	RETURN v_seqs[v_count];
END
$$;
COMMENT ON FUNCTION team.ingest(int, jsonb) IS
	'Takes over the records after the node''s high-water mark, each exactly once, with their effects; returns the new mark. Raises TE001 if records are missing';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA team FROM PUBLIC;
GRANT EXECUTE ON FUNCTION team.ingest(int, jsonb) TO team_service;
