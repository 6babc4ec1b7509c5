-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: taking over records in batches of thousands. The service takes
-- them apart and sends arrays, in which texts are numbers of words of the
-- batch; what becomes of flags and claims is done for many records at once, in
-- steps inside which their order doesn't matter. Records as JSON go the same
-- way one step each: so goes a batch again that holds something odd.

DROP FUNCTION team.apply_effects(int, team.effect[]),
	team.apply_flags(int, team.effect[]), team.apply_copy(team.effect),
	team.move_claims(team.effect), team.apply_expunge(int, int8multirange),
	team.store_message_ids(team.effect[]), team.ingest_names(jsonb);
DROP AGGREGATE team.fold(int8multirange, boolean);
DROP FUNCTION team.fold(int8multirange, int8multirange, boolean);
DROP TYPE team.effect;

-- Mailboxes' rows are never deleted, and the messages that are entered are of
-- mailboxes that were just looked up.
ALTER TABLE team.message DROP CONSTRAINT message_mailbox_id_fkey;

CREATE TYPE team.effect AS (
	kind text,
	mailbox_id int,
	colleague_id int,
	uid bigint,
	uids int8multirange,
	from_mailbox_id int,
	from_uid bigint,
	from_uids int8multirange,
	private_added text,
	private_removed text,
	private team.private_change[]
);
COMMENT ON TYPE team.effect IS
	'What a record does to flags and claims. kind: flags copy move expunge delete; one message in uid and from_uid, several in uids and from_uids';

CREATE OR REPLACE FUNCTION team.blocks(p_uids int8multirange)
RETURNS TABLE (block int, uids int8multirange)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 10
BEGIN ATOMIC
	SELECT b::int, range_agg(u * int8range(b << 10, (b + 1) << 10))
	FROM unnest(p_uids) u,
		generate_series(lower(u) >> 10, (upper(u) - 1) >> 10) b
	GROUP BY b;
END;

CREATE FUNCTION team.enter_messages(p_mailboxes int[], p_uids bigint[],
				    p_message_ids text[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	WITH new AS (
		INSERT INTO team.message (mailbox_id, uid, message_id)
		SELECT m, u, nullif(i, '')
		FROM unnest(p_mailboxes, p_uids, p_message_ids) p(m, u, i)
		ON CONFLICT DO NOTHING
		RETURNING mailbox_id, uid
	)
	INSERT INTO team.message_block AS b (mailbox_id, block, uids)
	SELECT mailbox_id, uid >> 10, range_agg(int8range(uid, uid + 1))
	FROM new GROUP BY 1, 2 ORDER BY 1, 2
	ON CONFLICT (mailbox_id, block) DO UPDATE
		SET uids = b.uids + excluded.uids
$$;
COMMENT ON FUNCTION team.enter_messages(int[], bigint[], text[]) IS
	'Enters messages with their Message-IDs, those that aren''t known yet';

CREATE FUNCTION team.apply_flags(p_node int, p_effects team.effect[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_told record;
BEGIN
	FOR v_told IN
	WITH change AS (
		SELECT e.mailbox_id, e.colleague_id, team.short(c.flag) AS flag,
			c.added, b.block, b.uids AS run
		FROM unnest(p_effects) e
		CROSS JOIN LATERAL (
			SELECT f AS flag, false AS added, e.uids AS uids
			FROM string_to_table(e.private_removed, ' ') f
			UNION ALL
			SELECT f, true, e.uids
			FROM string_to_table(e.private_added, ' ') f
			UNION ALL
			SELECT p.flag, p.added, p.uids
			FROM unnest(e.private) p) c
		CROSS JOIN LATERAL (
			SELECT (e.uid >> 10)::int AS block,
				int8range(e.uid, e.uid + 1) AS uids
			WHERE c.uids IS NULL AND e.uid IS NOT NULL
			UNION ALL
			SELECT s.block, u FROM team.blocks(c.uids) s,
				unnest(s.uids) u
			WHERE c.uids IS NOT NULL) b
		WHERE e.mailbox_id IS NOT NULL AND e.colleague_id IS NOT NULL
	), net AS (
		SELECT c.mailbox_id, c.colleague_id,
			min(min(c.flag)) OVER (PARTITION BY c.mailbox_id,
				c.colleague_id, lower(c.flag)) AS flag, c.block,
			coalesce(range_agg(c.run) FILTER (WHERE c.added), '{}')
				AS plus,
			coalesce(range_agg(c.run) FILTER (WHERE NOT c.added),
				 '{}') AS minus
		FROM change c
		GROUP BY c.mailbox_id, c.colleague_id, lower(c.flag), c.block
	), named AS (
		SELECT n.mailbox_id, n.colleague_id,
			CASE WHEN n.flag LIKE '\\%' THEN n.flag
			ELSE team.flag_name(n.mailbox_id, n.colleague_id, n.flag)
			END AS flag, n.block, n.plus, n.minus, m.rev
		FROM net n JOIN team.mailbox m ON m.id = n.mailbox_id
	), stored AS (
		-- the mailbox's row is locked: nobody else writes meanwhile
		INSERT INTO team.flag AS f (mailbox_id, colleague_id, flag,
					    block, uids, rev, node)
		SELECT n.mailbox_id, n.colleague_id, n.flag, n.block,
			coalesce(o.uids - n.minus, '{}') + n.plus, n.rev, p_node
		FROM named n
		LEFT JOIN team.flag o ON o.mailbox_id = n.mailbox_id AND
			o.colleague_id = n.colleague_id AND
			o.flag = n.flag AND o.block = n.block
		ON CONFLICT (mailbox_id, colleague_id, flag, block) DO UPDATE
		SET uids = excluded.uids, rev = excluded.rev, node = p_node,
			other_rev = CASE WHEN f.node = p_node THEN f.other_rev
					 ELSE f.rev END
		RETURNING f.mailbox_id, f.colleague_id
	)
	SELECT s.mailbox_id, c.name
	FROM (SELECT DISTINCT mailbox_id, colleague_id FROM stored) s
	JOIN team.colleague c ON c.id = s.colleague_id
	LOOP
		PERFORM team.mailbox_changed(p_node, v_told.mailbox_id,
					     'flags ' || v_told.name);
	END LOOP;
END
$$;
COMMENT ON FUNCTION team.apply_flags(int, team.effect[]) IS
	'Applies the records'' private flags. No two of them may add and remove the same flag of a message';

CREATE TYPE team.copied_run AS (
	kind text,
	from_id int,
	to_id int,
	first_from bigint,
	last_from bigint,
	shift bigint
);
COMMENT ON TYPE team.copied_run IS
	'Messages that were copied or moved, neighbours that stay neighbours: shift is by what the UIDs rise';

CREATE FUNCTION team.copied_runs(p_effects team.effect[])
RETURNS team.copied_run[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT array_agg(ROW(r.*)::team.copied_run) FROM (
		SELECT e.kind, e.from_mailbox_id, e.mailbox_id, e.from_uid,
			e.from_uid, e.uid - e.from_uid
		FROM unnest(p_effects) e
		WHERE e.uid IS NOT NULL AND e.from_uid IS NOT NULL
		UNION ALL
		SELECT e.kind, e.from_mailbox_id, e.mailbox_id, p.first_from,
			p.last_from, p.shift
		FROM unnest(p_effects) e
		CROSS JOIN LATERAL team.pair_runs(
			coalesce(e.from_uids, team.uid_set(e.from_uid)),
			coalesce(e.uids, team.uid_set(e.uid))) p
		WHERE e.uid IS NULL OR e.from_uid IS NULL) r
$$;
COMMENT ON FUNCTION team.copied_runs(team.effect[]) IS
	'Which messages went where';

CREATE FUNCTION team.copy_flags(p_runs team.copied_run[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_told record;
BEGIN
	-- Node 0: the copying node, too, has to fetch them for all the
	-- colleagues but the one who copied.
	FOR v_told IN
	WITH part AS (
		SELECT r.to_id, s.colleague_id, s.flag,
			int8range(lower(u) + r.shift, upper(u) + r.shift) AS uids
		FROM unnest(p_runs) r
		CROSS JOIN LATERAL generate_series((r.first_from >> 10)::int,
			(r.last_from >> 10)::int) b
		JOIN team.flag s ON s.mailbox_id = r.from_id AND s.block = b
		CROSS JOIN LATERAL unnest(s.uids * int8multirange(
			int8range(r.first_from, r.last_from, '[]'))) u
	), copied AS (
		SELECT p.to_id, p.colleague_id, min(p.flag) AS flag,
			range_agg(p.uids) AS uids
		FROM part p GROUP BY 1, 2, lower(p.flag)
	), stored AS (
		INSERT INTO team.flag AS f (mailbox_id, colleague_id, flag,
					    block, uids, rev, node)
		SELECT c.to_id, c.colleague_id,
			team.flag_name(c.to_id, c.colleague_id, c.flag),
			b.block, b.uids, m.rev, 0
		FROM copied c
		JOIN team.mailbox m ON m.id = c.to_id
		CROSS JOIN LATERAL team.blocks(c.uids) b
		ON CONFLICT (mailbox_id, colleague_id, flag, block) DO UPDATE
		SET uids = f.uids + excluded.uids, rev = excluded.rev, node = 0,
			other_rev = CASE WHEN f.node = 0 THEN f.other_rev
					 ELSE f.rev END
		RETURNING f.mailbox_id, f.colleague_id
	)
	SELECT s.mailbox_id, c.name
	FROM (SELECT DISTINCT mailbox_id, colleague_id FROM stored) s
	JOIN team.colleague c ON c.id = s.colleague_id
	LOOP
		PERFORM team.mailbox_changed(0, v_told.mailbox_id,
					     'flags ' || v_told.name);
	END LOOP;
END
$$;
COMMENT ON FUNCTION team.copy_flags(team.copied_run[]) IS
	'Carries all colleagues'' private flags to the copies';

CREATE FUNCTION team.copy_message_ids(p_runs team.copied_run[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT team.enter_messages(array_agg(r.to_id),
		array_agg(g.uid + r.shift), array_agg(g.message_id))
	FROM unnest(p_runs) r
	JOIN team.message g ON g.mailbox_id = r.from_id AND
		g.uid BETWEEN r.first_from AND r.last_from
$$;
COMMENT ON FUNCTION team.copy_message_ids(team.copied_run[]) IS
	'A copy has the original''s Message-ID';

CREATE FUNCTION team.move_claims(p_runs team.copied_run[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_told int;
BEGIN
	-- Whoever moved the message may have claimed it in its new place
	-- already: it is the same claim, and as old.
	FOR v_told IN
	WITH gone AS (
		DELETE FROM team.claim c USING unnest(p_runs) r
		WHERE r.kind = 'move' AND c.mailbox_id = r.from_id AND
			c.uid BETWEEN r.first_from AND r.last_from
		RETURNING c.*, r.to_id, r.shift
	), arrived AS (
		INSERT INTO team.claim AS c (mailbox_id, uid, colleague_id,
					     node, session, since, until, draft)
		SELECT g.to_id, g.uid + g.shift, g.colleague_id, g.node,
			g.session, g.since, g.until, g.draft
		FROM gone g
		ON CONFLICT (mailbox_id, uid) DO UPDATE
			SET since = least(c.since, excluded.since),
			draft = excluded.draft
			WHERE c.colleague_id = excluded.colleague_id
	)
	SELECT g.mailbox_id FROM gone g UNION SELECT g.to_id FROM gone g
	LOOP
		PERFORM team.mailbox_changed(0, v_told, 'claims');
	END LOOP;
END
$$;
COMMENT ON FUNCTION team.move_claims(team.copied_run[]) IS
	'Lets the claims follow their messages to another mailbox';

CREATE FUNCTION team.apply_gone(p_mailboxes int[], p_uids int8multirange[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_told int;
BEGIN
	FOR v_told IN
	WITH gone AS (
		DELETE FROM team.claim c
		USING unnest(p_mailboxes, p_uids) g(mailbox_id, uids)
		WHERE c.mailbox_id = g.mailbox_id AND
			c.uid BETWEEN lower(g.uids) AND upper(g.uids) - 1 AND
			g.uids @> c.uid
		RETURNING c.mailbox_id
	)
	SELECT DISTINCT mailbox_id FROM gone
	LOOP
		PERFORM team.mailbox_changed(0, v_told, 'claims');
	END LOOP;
	-- No new revision: nobody needs to fetch flags of messages that are
	-- gone. The rows stay, other nodes may not know yet what left them.
	UPDATE team.flag f SET uids = f.uids - g.uids
	FROM (SELECT p.mailbox_id, b.block, range_agg(u) AS uids
	      FROM unnest(p_mailboxes, p_uids) p(mailbox_id, uids)
	      CROSS JOIN LATERAL team.blocks(p.uids) b
	      CROSS JOIN LATERAL unnest(b.uids) u GROUP BY 1, 2) g
	WHERE f.mailbox_id = g.mailbox_id AND f.block = g.block AND
		f.uids && g.uids;
END
$$;
COMMENT ON FUNCTION team.apply_gone(int[], int8multirange[]) IS
	'Removes all colleagues'' private flags and the claims of messages that are gone';

CREATE FUNCTION team.apply_copies(p_effects team.effect[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_runs team.copied_run[] := team.copied_runs(p_effects);
	v_mailboxes int[];
	v_uids int8multirange[];
BEGIN
	PERFORM team.copy_flags(v_runs);
	PERFORM team.copy_message_ids(v_runs);
	SELECT array_agg(g.from_id), array_agg(g.uids)
		INTO v_mailboxes, v_uids
		FROM (SELECT r.from_id, range_agg(int8range(
				r.first_from, r.last_from, '[]')) AS uids
		      FROM unnest(v_runs) r WHERE r.kind = 'move'
		      GROUP BY 1 ORDER BY 1) g;
	IF v_mailboxes IS NOT NULL THEN
		PERFORM team.move_claims(v_runs);
		PERFORM team.apply_gone(v_mailboxes, v_uids);
	END IF;
END
$$;
COMMENT ON FUNCTION team.apply_copies(team.effect[]) IS
	'Carries flags, Message-IDs and claims to the copies, and takes them from what was moved away';

CREATE FUNCTION team.apply_step(p_node int, p_effects team.effect[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_mailboxes int[];
	v_uids int8multirange[];
BEGIN
	CASE p_effects[1].kind
	WHEN 'flags' THEN
		PERFORM team.apply_flags(p_node, p_effects);
	WHEN 'copy', 'move' THEN
		PERFORM team.apply_copies(p_effects);
		PERFORM team.apply_flags(p_node, p_effects);
	WHEN 'expunge' THEN
		SELECT array_agg(g.mailbox_id), array_agg(g.uids)
			INTO v_mailboxes, v_uids
			FROM (SELECT e.mailbox_id, range_agg(u) AS uids
			      FROM unnest(p_effects) e
			      CROSS JOIN LATERAL unnest(coalesce(e.uids,
					team.uid_set(e.uid))) u
			      GROUP BY 1 ORDER BY 1) g;
		PERFORM team.apply_gone(v_mailboxes, v_uids);
	WHEN 'delete' THEN
		DELETE FROM team.claim c USING unnest(p_effects) e
			WHERE c.mailbox_id = e.mailbox_id;
		DELETE FROM team.flag f USING unnest(p_effects) e
			WHERE f.mailbox_id = e.mailbox_id;
	END CASE;
END
$$;
COMMENT ON FUNCTION team.apply_step(int, team.effect[]) IS
	'Carries out what records of one kind (copy and move are one) did to flags and claims';

CREATE FUNCTION team.apply_effects(p_node int, p_effects team.effect[],
				   p_steps int[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_step record;
	v_to int[];
	v_from int[];
BEGIN
	SELECT array_agg(DISTINCT e.mailbox_id),
		array_agg(DISTINCT e.from_mailbox_id)
		INTO v_to, v_from FROM unnest(p_effects) e;
	-- The locks of all mailboxes in one order, before anything is written.
	PERFORM FROM team.mailbox m WHERE m.id = ANY (v_to || v_from)
		ORDER BY m.id FOR NO KEY UPDATE;
	SELECT array_agg(DISTINCT e.from_mailbox_id) INTO v_from
		FROM unnest(p_effects) e WHERE e.kind = 'move';
	UPDATE team.mailbox m SET rev = m.rev + 1
		WHERE m.id = ANY (v_to || v_from);
	FOR v_step IN
		SELECT s.step, min(s.n) AS first, max(s.n) AS last
		FROM unnest(p_steps) WITH ORDINALITY s(step, n)
		GROUP BY s.step ORDER BY s.step
	LOOP
		PERFORM team.apply_step(p_node,
			p_effects[v_step.first:v_step.last]);
	END LOOP;
END
$$;
COMMENT ON FUNCTION team.apply_effects(int, team.effect[], int[]) IS
	'Carries out what the records did to flags and claims, step by step; the effects have to be in the order of their steps';

CREATE FUNCTION team.enter_colleagues(p_names text[]) RETURNS int[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_ids int[];
BEGIN
	FOR i IN 1..2 LOOP
		SELECT array_agg(c.id ORDER BY n.n) INTO v_ids
			FROM unnest(p_names) WITH ORDINALITY n(name, n)
			LEFT JOIN team.colleague c ON c.name = team.short(n.name);
		EXIT WHEN i = 2 OR NOT EXISTS (
			SELECT FROM unnest(p_names, v_ids) n(name, id)
			WHERE n.name <> '' AND n.id IS NULL);
		-- In the order of the names, so that two nodes which both bring
		-- new ones wait for each other in one direction only.
		INSERT INTO team.colleague (name)
			SELECT DISTINCT team.short(n.name)
			FROM unnest(p_names, v_ids) n(name, id)
			WHERE n.name <> '' AND n.id IS NULL
			ORDER BY 1
			ON CONFLICT DO NOTHING;
	END LOOP;
	RETURN v_ids;
END
$$;
COMMENT ON FUNCTION team.enter_colleagues(text[]) IS
	'The colleagues'' ids, entering the names that are new';

CREATE FUNCTION team.enter_mailboxes(p_guids text[], p_validities bigint[],
				     p_names text[]) RETURNS int[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_ids int[];
BEGIN
	FOR i IN 1..2 LOOP
		SELECT array_agg(m.id ORDER BY b.n) INTO v_ids
			FROM unnest(p_guids, p_validities)
				WITH ORDINALITY b(guid, validity, n)
			LEFT JOIN team.mailbox m ON m.guid = b.guid AND
				m.uidvalidity = coalesce(b.validity, 0);
		EXIT WHEN i = 2 OR NOT EXISTS (
			SELECT FROM unnest(p_guids, v_ids) b(guid, id)
			WHERE b.guid <> '' AND b.id IS NULL);
		INSERT INTO team.mailbox (guid, uidvalidity, name)
			SELECT b.guid, coalesce(b.validity, 0),
				coalesce(max(team.short(b.name)), '')
			FROM unnest(p_guids, p_validities, p_names, v_ids)
				b(guid, validity, name, id)
			WHERE b.guid <> '' AND b.id IS NULL
			GROUP BY 1, 2 ORDER BY 1, 2
			ON CONFLICT DO NOTHING;
	END LOOP;
	RETURN v_ids;
END
$$;
COMMENT ON FUNCTION team.enter_mailboxes(text[], bigint[], text[]) IS
	'The mailboxes'' ids, entering those that are new';

CREATE FUNCTION team.enter_mailbox_names(p_ids int[], p_names text[])
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	INSERT INTO team.mailbox_name (name, mailbox_id)
	SELECT n.name, n.id FROM (
		SELECT DISTINCT team.short(p.name) AS name, p.id
		FROM unnest(p_ids, p_names) p(id, name)
		WHERE p.name <> '' AND p.id IS NOT NULL) n
	WHERE NOT EXISTS (SELECT FROM team.mailbox_name o
			  WHERE o.name = n.name AND o.mailbox_id = n.id)
	ORDER BY 1, 2
	ON CONFLICT DO NOTHING
$$;
COMMENT ON FUNCTION team.enter_mailbox_names(int[], text[]) IS
	'Notes the names under which mailboxes were seen';

CREATE FUNCTION team.make_partitions(p_at timestamptz[]) RETURNS void
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
	PERFORM team.make_partition(clock_timestamp() + interval '7 days');
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
	'Makes partitions for the months of the times and, some days ahead, the next';

CREATE FUNCTION team.private_changes(p_changes jsonb)
RETURNS team.private_change[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT array_agg(ROW(c->>'flag', (c->>'added')::boolean,
			     (c->>'uids')::int8multirange)::team.private_change)
	FROM jsonb_array_elements(p_changes) c;
END;
COMMENT ON FUNCTION team.private_changes(jsonb) IS
	'Changes that are sent as [{"flag": "x", "added": true, "uids": "{[1,2]}"}]';

CREATE FUNCTION team.append_records(
	p_node int, p_first bigint, p_skip int, p_words text[],
	p_colleagues int[], p_users int[], p_sessions int[], p_services int[],
	p_ips int[], p_tlss int[], p_clients int[],
	p_guids int[], p_validities bigint[], p_box_names int[],
	p_at timestamptz[], p_action int[], p_outcome int[], p_context int[],
	p_box int[], p_name int[], p_uid bigint[], p_uids int[], p_mids int[],
	p_added int[], p_removed int[], p_private_added int[],
	p_private_removed int[], p_private int[], p_from_box int[],
	p_from_name int[], p_from_uid bigint[], p_from_uids int[],
	p_detail int[], p_layer int[], p_salt bytea[], p_leaf bytea[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_count int := coalesce(array_length(p_at, 1), 0);
	v_colleagues int[];
	v_boxes int[];
	v_mailboxes int[];
	v_names text[];
	v_uids bigint[];
	v_message_ids text[];
	v_effects team.effect[];
	v_steps int[];
BEGIN
	PERFORM team.make_partitions(p_at);
	v_colleagues := team.enter_colleagues(
		ARRAY(SELECT p_words[c] FROM unnest(p_colleagues) c));
	v_boxes := team.enter_mailboxes(
		ARRAY(SELECT p_words[g] FROM unnest(p_guids) g), p_validities,
		ARRAY(SELECT p_words[g] FROM unnest(p_box_names) g));

	INSERT INTO team.record AS i (
		at, node, seq, action, outcome, colleague_id, username,
		session, service, ip, tls, client, mailbox_id, mailbox,
		msg_mailbox_id, source_only, uid, uids, mids, added,
		removed, private_added, private_removed, private,
		from_mailbox_id, from_mailbox, from_uid, from_uids,
		detail, salt, leaf)
	SELECT p_at[i], p_node, p_first + i - 1,
		coalesce(p_words[p_action[i]], ''),
		coalesce(p_words[p_outcome[i]], ''),
		v_colleagues[p_context[i]], p_words[p_users[p_context[i]]],
		p_words[p_sessions[p_context[i]]],
		p_words[p_services[p_context[i]]],
		p_words[p_ips[p_context[i]]], p_words[p_tlss[p_context[i]]],
		p_words[p_clients[p_context[i]]],
		v_boxes[p_box[i]], p_words[p_name[i]],
		v_boxes[CASE WHEN s.only THEN p_from_box[i] ELSE p_box[i] END],
		s.only,
		CASE WHEN s.only THEN p_from_uid[i] ELSE p_uid[i] END,
		p_words[CASE WHEN s.only THEN p_from_uids[i]
			     ELSE p_uids[i] END]::int8multirange,
		p_words[p_mids[i]], p_words[p_added[i]], p_words[p_removed[i]],
		p_words[p_private_added[i]], p_words[p_private_removed[i]],
		CASE WHEN p_private[i] IS NOT NULL THEN
			team.private_changes(p_words[p_private[i]]::jsonb) END,
		v_boxes[p_from_box[i]], p_words[p_from_name[i]],
		CASE WHEN NOT s.only THEN p_from_uid[i] END,
		p_words[CASE WHEN NOT s.only THEN p_from_uids[i] END
			]::int8multirange,
		CASE WHEN octet_length(p_words[p_colleagues[p_context[i]]])
			> 1024
			THEN coalesce(p_words[p_detail[i]]::jsonb, '{}') ||
				jsonb_build_object('colleague',
					p_words[p_colleagues[p_context[i]]])
			ELSE p_words[p_detail[i]]::jsonb END,
		p_salt[i], p_leaf[i]
	FROM generate_series(p_skip + 1, v_count) i
	CROSS JOIN LATERAL (
		SELECT coalesce(p_from_uid[i], p_from_uids[i]) IS NOT NULL AND
			coalesce(p_uid[i], p_uids[i]) IS NULL AS only) s;

	SELECT array_agg(b.id), array_agg(b.name)
		INTO v_mailboxes, v_names
		FROM (SELECT DISTINCT v_boxes[p_box[i]] AS id,
				p_words[p_name[i]] AS name
		      FROM generate_series(p_skip + 1, v_count) i
		      UNION
		      SELECT DISTINCT v_boxes[p_from_box[i]],
				p_words[p_from_name[i]]
		      FROM generate_series(p_skip + 1, v_count) i) b
		WHERE b.id IS NOT NULL;
	PERFORM team.enter_mailbox_names(v_mailboxes, v_names);

	-- What was refused names messages that are there, what was not put
	-- anywhere doesn't.
	SELECT array_agg(v_boxes[p_box[i]]), array_agg(p[1]::bigint),
		array_agg(p[2])
		INTO v_mailboxes, v_uids, v_message_ids
		FROM generate_series(p_skip + 1, v_count) i
		CROSS JOIN LATERAL string_to_table(p_words[p_mids[i]], E'\n') l
		CROSS JOIN LATERAL
			regexp_match(l, '^([1-9][0-9]{0,9})(?: +(.*))?$') p
		WHERE p_mids[i] IS NOT NULL AND p_layer[i] IS NOT NULL AND
			v_boxes[p_box[i]] IS NOT NULL AND
			p[1]::bigint <= 4294967295 AND
			(p_words[p_outcome[i]] = 'ok' OR
			 p_words[p_action[i]] <> ALL
			 ('{append,deliver,copy,move,draft}'));
	IF v_mailboxes IS NOT NULL THEN
		PERFORM team.enter_messages(v_mailboxes, v_uids, v_message_ids);
	END IF;

	-- Steps: in each layer flags come first, then what takes them along,
	-- then what takes them away.
	SELECT array_agg(ROW(e.kind, e.mailbox_id, v_colleagues[p_context[e.i]],
			p_uid[e.i], p_words[p_uids[e.i]]::int8multirange,
			v_boxes[p_from_box[e.i]], p_from_uid[e.i],
			p_words[p_from_uids[e.i]]::int8multirange,
			p_words[p_private_added[e.i]],
			p_words[p_private_removed[e.i]],
			CASE WHEN p_private[e.i] IS NOT NULL THEN
				team.private_changes(p_words[p_private[e.i]]::jsonb) END
			)::team.effect ORDER BY e.step, e.i),
		array_agg(e.step ORDER BY e.step, e.i)
		INTO v_effects, v_steps
		FROM (SELECT k.*, p_layer[k.i] * 4 + CASE k.kind
				WHEN 'flags' THEN 0 WHEN 'expunge' THEN 2
				WHEN 'delete' THEN 3 ELSE 1 END AS step
		      FROM (SELECT i, v_boxes[p_box[i]] AS mailbox_id,
			CASE
			WHEN p_words[p_action[i]] = ANY ('{copy,move}') AND
				p_from_box[i] IS NOT NULL AND
				(coalesce(p_uid[i], p_uids[i]) IS NOT NULL OR
				 coalesce(p_from_uid[i], p_from_uids[i])
					IS NULL)
				THEN p_words[p_action[i]]
			WHEN p_words[p_action[i]] = ANY ('{expunge,delete}')
				THEN p_words[p_action[i]]
			WHEN coalesce(p_private_added[i], p_private_removed[i],
				      p_private[i]) IS NOT NULL THEN 'flags'
			END AS kind
			FROM generate_series(p_skip + 1, v_count) i
			WHERE p_words[p_outcome[i]] = 'ok' AND
				v_boxes[p_box[i]] IS NOT NULL AND
				p_layer[i] IS NOT NULL) k
		      WHERE k.kind IS NOT NULL) e;
	IF v_effects IS NOT NULL THEN
		PERFORM team.apply_effects(p_node, v_effects, v_steps);
	END IF;
END
$$;
COMMENT ON FUNCTION team.append_records IS
	'Writes the records after the first p_skip to the log and carries out their effects; raises if a value doesn''t fit. Sessions are numbered by p_context, mailboxes by p_box and p_from_box, texts are numbers of p_words, NULL what is missing. Records of one p_layer may be carried out in any order; without one a record has no effects';

CREATE FUNCTION team.ingest_begin(p_node int, p_first bigint, p_count int)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_hwm bigint;
BEGIN
	SELECT n.hwm INTO v_hwm FROM team.node n WHERE n.id = p_node
		FOR UPDATE;
	IF v_hwm IS NULL THEN
		RAISE EXCEPTION 'node % is not known: call team.hello first',
			p_node USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF p_first > v_hwm + 1 THEN
		RAISE EXCEPTION 'node %: record % came after %, those between are missing',
			p_node, p_first, v_hwm USING ERRCODE = 'TE001',
			HINT = 'The journal lost records, or the database was set back to an older state.';
	END IF;
	UPDATE team.node n SET hwm = greatest(v_hwm, p_first + p_count - 1),
			last_seen = clock_timestamp()
		WHERE n.id = p_node;
	RETURN v_hwm;
END
$$;
COMMENT ON FUNCTION team.ingest_begin(int, bigint, int) IS
	'Sets the node''s high-water mark to the last of the records and returns what it was. Raises TE001 if records are missing';

-- The planner can't know how many records an array holds and takes fright at
-- the products of its guesses: it would compile, and read whole tables. Every
-- look-up here has an index and is worth using it.
CREATE FUNCTION team.ingest_batch(
	p_node int, p_first bigint, p_words text[],
	p_colleagues int[], p_users int[], p_sessions int[], p_services int[],
	p_ips int[], p_tlss int[], p_clients int[],
	p_guids int[], p_validities bigint[], p_box_names int[],
	p_at timestamptz[], p_action int[], p_outcome int[], p_context int[],
	p_box int[], p_name int[], p_uid bigint[], p_uids int[], p_mids int[],
	p_added int[], p_removed int[], p_private_added int[],
	p_private_removed int[], p_private int[], p_from_box int[],
	p_from_name int[], p_from_uid bigint[], p_from_uids int[],
	p_detail int[], p_layer int[], p_salt bytea[], p_leaf bytea[])
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
	v_count int := array_length(p_at, 1);
	v_hwm bigint := team.ingest_begin(p_node, p_first, v_count);
BEGIN
	IF v_hwm >= p_first + v_count - 1 THEN
		RETURN v_hwm;
	END IF;
	PERFORM team.append_records(p_node, p_first,
		(v_hwm + 1 - p_first)::int, p_words, p_colleagues, p_users,
		p_sessions, p_services, p_ips, p_tlss, p_clients, p_guids,
		p_validities, p_box_names, p_at, p_action, p_outcome, p_context, p_box,
		p_name, p_uid, p_uids, p_mids, p_added, p_removed,
		p_private_added, p_private_removed, p_private, p_from_box,
		p_from_name, p_from_uid, p_from_uids, p_detail, p_layer,
		p_salt, p_leaf);
	RETURN p_first + v_count - 1;
END
$$;
COMMENT ON FUNCTION team.ingest_batch IS
	'Takes over the records that are after the node''s high-water mark, each exactly once, with their effects; returns the new mark. They are as for team.append_records. Raises TE001 if records are missing, and if one doesn''t fit: then team.ingest has to tell them apart';

CREATE FUNCTION team.single(p_uids text) RETURNS bigint
LANGUAGE sql IMMUTABLE
RETURN (SELECT CASE WHEN upper(u) - lower(u) = 1 THEN lower(u) END
	FROM (SELECT p_uids::int8multirange) s(u));
COMMENT ON FUNCTION team.single(text) IS 'The UID, if the set has one only';

CREATE FUNCTION team.several(p_uids text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN (SELECT CASE WHEN NOT isempty(u) AND (lower_inf(u) OR upper_inf(u) OR
			upper(u) - lower(u) > 1) THEN p_uids END
	FROM (SELECT p_uids::int8multirange) s(u));
COMMENT ON FUNCTION team.several(text) IS 'The set, if it has several UIDs';

CREATE FUNCTION team.nth_words(p_words text[], p_width int, p_nth int)
RETURNS int[]
LANGUAGE sql IMMUTABLE
RETURN ARRAY(SELECT CASE WHEN p_words[i] IS NOT NULL THEN i END
	     FROM generate_series(p_nth, array_length(p_words, 1), p_width) i);
COMMENT ON FUNCTION team.nth_words(text[], int, int) IS
	'Numbers of each record''s n-th word, when each has p_width; NULL where it is';

CREATE FUNCTION team.record_words(p_record jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
	SELECT ARRAY[p_record->>'colleague', p_record->>'user',
		p_record->>'session', p_record->>'service', p_record->>'ip',
		p_record->>'tls', p_record->>'client', p_record->>'mailbox',
		p_record->>'from', p_record->>'action', p_record->>'outcome',
		p_record->>'name', p_record->>'fromname', p_record->>'mids',
		p_record->>'add', p_record->>'remove',
		string_agg(e.flag, ' ') FILTER (WHERE e.kind = 'p+' AND e.alike),
		string_agg(e.flag, ' ') FILTER (WHERE e.kind = 'p-' AND e.alike),
		(jsonb_agg(jsonb_build_object('flag', e.flag,
			'added', e.kind = 'p+', 'uids', e.value)) FILTER (
			WHERE e.kind <> 'd.' AND NOT e.alike))::text,
		(jsonb_object_agg(e.flag, e.value) FILTER (
			WHERE e.kind = 'd.'))::text,
		team.several(p_record->>'uids'),
		team.several(p_record->>'fromuids')]
	FROM (SELECT left(x.key, 2) AS kind, substr(x.key, 3) AS flag, x.value,
			x.value = p_record->>'uids' AND x.key !~ ' |^..$'
				AS alike
	      FROM jsonb_each_text(p_record) x
	      WHERE left(x.key, 2) IN ('p+', 'p-', 'd.')) e;
END;
COMMENT ON FUNCTION team.record_words(jsonb) IS
	'The texts of a record, in the order that team.ingest_rows knows';

CREATE OR REPLACE FUNCTION team.ingest_rows(p_node int, p_records jsonb,
					    p_effects boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	k_width CONSTANT int := 22;
	v_count int := jsonb_array_length(p_records);
	v_numbers int[] := ARRAY(SELECT generate_series(1, v_count));
	v_words text[] := '{}';
	v_guids int[];
	v_from_guids int[];
	v_validities bigint[];
	v_at timestamptz[];
	v_uid bigint[];
	v_from_uid bigint[];
	v_salt bytea[];
	v_leaf bytea[];
BEGIN
	SELECT array_agg(timestamptz 'epoch' +
			(e->>'at')::bigint * interval '1 microsecond' ORDER BY n),
		array_agg((e->>'uidvalidity')::bigint ORDER BY n) ||
			array_agg((e->>'fromvalidity')::bigint ORDER BY n),
		array_agg(team.single(e->>'uids') ORDER BY n),
		array_agg(team.single(e->>'fromuids') ORDER BY n),
		array_agg(decode(e->>'_salt', 'hex') ORDER BY n),
		array_agg(decode(e->>'_leaf', 'hex') ORDER BY n),
		(SELECT array_agg(w ORDER BY n, o)
		 FROM jsonb_array_elements(p_records) WITH ORDINALITY r(e, n),
			unnest(team.record_words(e)) WITH ORDINALITY u(w, o))
		INTO v_at, v_validities, v_uid, v_from_uid, v_salt, v_leaf,
			v_words
		FROM jsonb_array_elements(p_records) WITH ORDINALITY r(e, n);
	v_guids := team.nth_words(v_words, k_width, 8);
	v_from_guids := team.nth_words(v_words, k_width, 9);
	PERFORM team.append_records(p_node, (p_records->0->>'seq')::bigint, 0,
		v_words,
		p_colleagues => team.nth_words(v_words, k_width, 1),
		p_users => team.nth_words(v_words, k_width, 2),
		p_sessions => team.nth_words(v_words, k_width, 3),
		p_services => team.nth_words(v_words, k_width, 4),
		p_ips => team.nth_words(v_words, k_width, 5),
		p_tlss => team.nth_words(v_words, k_width, 6),
		p_clients => team.nth_words(v_words, k_width, 7),
		p_guids => v_guids || v_from_guids,
		p_validities => v_validities,
		p_box_names => team.nth_words(v_words, k_width, 12) ||
			team.nth_words(v_words, k_width, 13),
		p_at => v_at,
		p_action => team.nth_words(v_words, k_width, 10),
		p_outcome => team.nth_words(v_words, k_width, 11),
		p_context => v_numbers,
		p_box => ARRAY(SELECT CASE WHEN g IS NOT NULL THEN n::int END
			FROM unnest(v_guids) WITH ORDINALITY u(g, n) ORDER BY n),
		p_name => team.nth_words(v_words, k_width, 12),
		p_uid => v_uid,
		p_uids => team.nth_words(v_words, k_width, 21),
		p_mids => team.nth_words(v_words, k_width, 14),
		p_added => team.nth_words(v_words, k_width, 15),
		p_removed => team.nth_words(v_words, k_width, 16),
		p_private_added => team.nth_words(v_words, k_width, 17),
		p_private_removed => team.nth_words(v_words, k_width, 18),
		p_private => team.nth_words(v_words, k_width, 19),
		p_from_box => ARRAY(SELECT CASE WHEN g IS NOT NULL
				THEN v_count + n::int END
			FROM unnest(v_from_guids) WITH ORDINALITY u(g, n)
			ORDER BY n),
		p_from_name => team.nth_words(v_words, k_width, 13),
		p_from_uid => v_from_uid,
		p_from_uids => team.nth_words(v_words, k_width, 22),
		p_detail => team.nth_words(v_words, k_width, 20),
		p_layer => CASE WHEN p_effects THEN v_numbers END,
		p_salt => v_salt, p_leaf => v_leaf);
END
$$;
COMMENT ON FUNCTION team.ingest_rows(int, jsonb, boolean) IS
	'Writes records to the log and carries out their effects one by one; raises if a value doesn''t fit';

CREATE OR REPLACE FUNCTION team.ingest(p_node int, p_records jsonb)
RETURNS bigint
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
	IF jsonb_typeof(p_records) IS DISTINCT FROM 'array' THEN
		RAISE EXCEPTION 'the records are no array'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	SELECT array_agg(CASE WHEN e->>'seq' ~ '^[1-9][0-9]{0,17}$'
			 THEN (e->>'seq')::bigint END ORDER BY n)
		INTO v_seqs
		FROM jsonb_array_elements(p_records) WITH ORDINALITY a(e, n);
	v_count := coalesce(array_length(v_seqs, 1), 0);
	IF EXISTS (SELECT FROM unnest(v_seqs) WITH ORDINALITY a(seq, n)
		   WHERE seq IS NULL OR seq IS DISTINCT FROM v_seqs[1] + n - 1) THEN
		RAISE EXCEPTION 'node %: the records'' numbers don''t follow one another',
			p_node USING ERRCODE = 'TE001',
			HINT = 'The journal or the service is broken; nothing was taken.';
	END IF;
	v_hwm := team.ingest_begin(p_node, coalesce(v_seqs[1], 0), v_count);
	IF v_count = 0 OR v_seqs[v_count] <= v_hwm THEN
		RETURN v_hwm;
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
	RETURN v_seqs[v_count];
END
$$;
COMMENT ON FUNCTION team.ingest(int, jsonb) IS
	'Like team.ingest_batch, but takes also what doesn''t fit, as far as it can be read';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA team FROM PUBLIC;
GRANT EXECUTE ON FUNCTION team.ingest_batch TO team_service;
