-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: flags that become private later. They start for every colleague,
-- also for one who comes years after, from what was shared at that moment.

CREATE TABLE team.private_set (
	mailbox_id int NOT NULL REFERENCES team.mailbox,
	node int NOT NULL,
	namespace text NOT NULL,
	flags text NOT NULL,
	keywords text NOT NULL,
	since timestamptz NOT NULL,
	changed timestamptz NOT NULL,
	PRIMARY KEY (mailbox_id, node, namespace)
);
COMMENT ON TABLE team.private_set IS
	'Which flags and keywords were private when sessions of the node last opened the mailbox in the namespace';
COMMENT ON COLUMN team.private_set.keywords IS 'Patterns';
COMMENT ON COLUMN team.private_set.since IS
	'When the session began that had these settings. One that began before has older settings, which don''t count';
COMMENT ON COLUMN team.private_set.changed IS
	'The same, if others were private before';

CREATE TABLE team.private_part (
	mailbox_id int NOT NULL REFERENCES team.mailbox,
	node int NOT NULL,
	namespace text NOT NULL,
	since timestamptz NOT NULL,
	part int NOT NULL,
	start text NOT NULL,
	PRIMARY KEY (mailbox_id, node, namespace, since, part)
);
COMMENT ON TABLE team.private_part IS
	'What was shared, of records that say it in parts and aren''t complete yet';

CREATE TABLE team.private_start (
	mailbox_id int NOT NULL REFERENCES team.mailbox,
	flag text NOT NULL,
	since timestamptz NOT NULL,
	PRIMARY KEY (mailbox_id, flag)
);
COMMENT ON TABLE team.private_start IS
	'Flags that were shared before, in lower case, and since when they are private';

CREATE TABLE team.flag_start (
	mailbox_id int NOT NULL REFERENCES team.mailbox,
	flag text NOT NULL,
	block int NOT NULL,
	name text NOT NULL,
	uids int8multirange NOT NULL,
	rev bigint NOT NULL,
	PRIMARY KEY (mailbox_id, flag, block)
);
COMMENT ON TABLE team.flag_start IS
	'What was shared then: the flags of each colleague who has no row of one''s own in team.flag for the block';
COMMENT ON COLUMN team.flag_start.flag IS 'In lower case';
COMMENT ON COLUMN team.flag_start.rev IS 'mailbox.rev of the last change';

CREATE FUNCTION team.is_private(p_flag text, p_flags text, p_keywords text)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN p_flag LIKE '\\%' THEN
		lower(p_flag) = ANY (string_to_array(lower(p_flags), ' '))
	ELSE EXISTS (
		SELECT FROM string_to_table(lower(p_keywords), ' ') k(pattern)
		WHERE lower(p_flag) LIKE replace(replace(replace(replace(replace(
			k.pattern, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'),
			'?', '_')) END;
COMMENT ON FUNCTION team.is_private(text, text, text) IS
	'Whether it is one of the system flags, or a keyword that one of the patterns fits';

CREATE FUNCTION team.private_known(p_node int, p_guid text,
	p_uidvalidity bigint, p_namespace text, p_flags text, p_keywords text,
	p_since timestamptz)
RETURNS TABLE (flags text, keywords text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_id int := team.mailbox_id(p_guid, p_uidvalidity);
	v_set team.private_set;
BEGIN
	SELECT s.* INTO v_set FROM team.private_set s
		WHERE s.mailbox_id = v_id AND s.node = p_node AND
			s.namespace = team.short(p_namespace);
	IF NOT FOUND THEN
		INSERT INTO team.private_set
			VALUES (v_id, p_node, team.short(p_namespace), p_flags,
				p_keywords, p_since, '-infinity')
			ON CONFLICT DO NOTHING;
	ELSIF v_set.since < p_since AND
		(v_set.flags, v_set.keywords) <> (p_flags, p_keywords) THEN
		RETURN QUERY SELECT v_set.flags, v_set.keywords;
	END IF;
END
$$;
COMMENT ON FUNCTION team.private_known(int, text, bigint, text, text, text, timestamptz) IS
	'What was private so far, if it is something else now: then the node records what was shared';

CREATE FUNCTION team.sequence_uids(p_sequence text) RETURNS int8multirange
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (SELECT coalesce(range_agg(int8range(split_part(p, ':', 1)::bigint,
		split_part(p, ':', -1)::bigint, '[]')), '{}')
	FROM string_to_table(p_sequence, ',') p WHERE p <> '');
COMMENT ON FUNCTION team.sequence_uids(text) IS
	'The UIDs of an IMAP sequence set without *';

CREATE FUNCTION team.start_flag(p_mailbox_id int, p_name text,
	p_uids int8multirange, p_since timestamptz, p_rev bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_flag text := lower(p_name);
BEGIN
	INSERT INTO team.private_start AS s VALUES (p_mailbox_id, v_flag, p_since)
		ON CONFLICT (mailbox_id, flag) DO UPDATE SET since = p_since;
	DELETE FROM team.flag_start s
		WHERE s.mailbox_id = p_mailbox_id AND s.flag = v_flag;
	INSERT INTO team.flag_start
		SELECT p_mailbox_id, v_flag, b.block, p_name, b.uids, p_rev
		FROM team.blocks(p_uids) b;
	-- Rows from when it was private before stay, for who has to be told.
	UPDATE team.flag f SET
		uids = coalesce((SELECT s.uids FROM team.flag_start s
			WHERE s.mailbox_id = p_mailbox_id AND
				s.flag = v_flag AND s.block = f.block), '{}'),
		rev = p_rev, node = 0,
		other_rev = CASE WHEN f.node = 0 THEN f.other_rev ELSE f.rev END
		WHERE f.mailbox_id = p_mailbox_id AND lower(f.flag) = v_flag;
END
$$;
COMMENT ON FUNCTION team.start_flag(int, text, int8multirange, timestamptz, bigint) IS
	'Lets all colleagues start from the same messages with the flag';

CREATE FUNCTION team.record_private() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_namespace text := team.short(coalesce(NEW.detail->>'namespace', ''));
	v_flags text := coalesce(NEW.detail->>'flags', '');
	v_keywords text := coalesce(NEW.detail->>'keywords', '');
	v_since timestamptz := timestamptz 'epoch' +
		(NEW.detail->>'since')::bigint * interval '1 microsecond';
	v_parts int := coalesce((NEW.detail->>'parts')::int, 1);
	v_start text := NEW.detail->>'start';
	v_set team.private_set;
	v_rev bigint;
BEGIN
	-- The lock on its row: nobody else writes meanwhile.
	UPDATE team.mailbox m SET rev = m.rev + 1
		WHERE m.id = NEW.mailbox_id RETURNING m.rev INTO v_rev;
	SELECT s.* INTO v_set FROM team.private_set s
		WHERE s.mailbox_id = NEW.mailbox_id AND s.node = NEW.node AND
			s.namespace = v_namespace;
	IF NOT FOUND THEN
		INSERT INTO team.private_set
			VALUES (NEW.mailbox_id, NEW.node, v_namespace, v_flags,
				v_keywords, v_since, '-infinity');
		RETURN NULL;
	END IF;
	-- Another session was first, or has newer settings.
	IF v_set.since >= v_since OR
		(v_set.flags, v_set.keywords) = (v_flags, v_keywords) THEN
		RETURN NULL;
	END IF;
	-- Whichever part completes them.
	IF v_parts > 1 THEN
		INSERT INTO team.private_part
			VALUES (NEW.mailbox_id, NEW.node, v_namespace, v_since,
				(NEW.detail->>'part')::int, v_start)
			ON CONFLICT DO NOTHING;
		SELECT string_agg(p.start, E'\n') INTO v_start
			FROM team.private_part p
			WHERE p.mailbox_id = NEW.mailbox_id AND
				p.node = NEW.node AND
				p.namespace = v_namespace AND p.since = v_since
			HAVING count(*) = v_parts;
		IF v_start IS NULL THEN
			RETURN NULL;
		END IF;
	END IF;
	DELETE FROM team.private_part p
		WHERE p.mailbox_id = NEW.mailbox_id AND p.node = NEW.node AND
			p.namespace = v_namespace AND p.since <= v_since;
	UPDATE team.private_set s
		SET flags = v_flags, keywords = v_keywords, since = v_since,
			changed = v_since
		WHERE s.mailbox_id = NEW.mailbox_id AND s.node = NEW.node AND
			s.namespace = v_namespace;
	-- Keywords that nobody has any more are in nobody's start, but may be in
	-- rows from when they were private before. What began on another node
	-- since the flag was last shared on this one holds.
	PERFORM team.start_flag(NEW.mailbox_id, min(n.name),
			team.sequence_uids(string_agg(n.uids, ',')), v_since, v_rev)
		FROM (SELECT split_part(l, ' ', 1) AS name,
				split_part(l, ' ', 2) AS uids
		      FROM string_to_table(v_start, E'\n') l
		      UNION ALL
		      SELECT DISTINCT f.flag, '' FROM team.flag f
		      WHERE f.mailbox_id = NEW.mailbox_id AND
				f.flag NOT LIKE '\\%') n
		WHERE team.is_private(n.name, v_flags, v_keywords) AND
			NOT team.is_private(n.name, v_set.flags,
					    v_set.keywords) AND
			NOT EXISTS (SELECT FROM team.private_start s
				WHERE s.mailbox_id = NEW.mailbox_id AND
					s.flag = lower(n.name) AND
					s.since >= v_set.changed)
		GROUP BY lower(n.name);
	PERFORM team.mailbox_changed(0, NEW.mailbox_id, 'claims');
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION team.record_private() IS
	'Trigger: other flags are private than before. Those that were shared start from what the record says of them';

CREATE TRIGGER record_private AFTER INSERT ON team.record
	FOR EACH ROW WHEN (NEW.action = 'settings' AND NEW.outcome = 'ok' AND
		NEW.mailbox_id IS NOT NULL AND NEW.detail ? 'since')
	EXECUTE FUNCTION team.record_private();

CREATE OR REPLACE FUNCTION team.sync_flags(p_node int, p_guid text,
	p_uidvalidity bigint, p_colleague text, p_cursor bigint)
RETURNS TABLE (flag text, first_uid bigint, last_uid bigint, uids text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off
AS $$
	WITH known AS (
		SELECT m.id, (SELECT c.id FROM team.colleague c
			      WHERE c.name = team.short(p_colleague)) AS colleague
		FROM team.mailbox m
		WHERE m.guid = p_guid AND m.uidvalidity = p_uidvalidity
	), box AS (
		SELECT k.id, k.colleague, p_cursor > 0 AND
			EXISTS (SELECT FROM team.refill r
				WHERE r.mailbox_id = k.id AND
					r.colleague_id = k.colleague AND
					r.rev > p_cursor) AS refill
		FROM known k
	), changed AS (
		SELECT '' AS flag, 0 AS block, '{}'::int8multirange AS uids
		FROM box WHERE box.refill
		UNION ALL
		SELECT f.flag, f.block, f.uids
		FROM box
		JOIN team.flag f ON f.mailbox_id = box.id AND
			f.colleague_id = box.colleague
		WHERE p_cursor <= 0 OR box.refill OR
			CASE WHEN f.node = p_node THEN f.other_rev ELSE f.rev END
				> p_cursor
		UNION ALL
		SELECT s.name, s.block, s.uids
		FROM box
		JOIN team.flag_start s ON s.mailbox_id = box.id
		WHERE (p_cursor <= 0 OR box.refill OR s.rev > p_cursor) AND
			NOT EXISTS (SELECT FROM team.flag f
				WHERE f.mailbox_id = box.id AND
					f.block = s.block AND
					f.colleague_id = box.colleague AND
					lower(f.flag) = s.flag)
	)
	SELECT c.flag, greatest(c.block::bigint << 10, 1),
		(c.block::bigint << 10) + 1023, c.uids::text
	FROM changed c
	ORDER BY c.flag, c.block
$$;
COMMENT ON FUNCTION team.sync_flags(int, text, bigint, text, bigint) IS
	'The colleague''s flags in blocks that other nodes than p_node changed after the cursor; with cursor 0 all. Between first_uid and last_uid exactly the messages in uids have the flag. All, too, behind a row without a flag: then what the caller has of others is not in force';

CREATE OR REPLACE FUNCTION team.flags(p_colleague text, p_mailbox text)
RETURNS TABLE (colleague text, mailbox text, guid text, uidvalidity bigint,
	       flag text, uids text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	-- 32 blocks in one row: whatever is set in them fits into a line of the
	-- service's protocol.
	WITH box AS (
		SELECT m.* FROM team.mailbox m
		WHERE coalesce(p_mailbox, '') = '' OR
			m.name = team.short(p_mailbox) OR m.guid = p_mailbox
	), person AS (
		SELECT c.* FROM team.colleague c
		WHERE coalesce(p_colleague, '') = '' OR
			c.name = team.short(p_colleague)
	), had AS (
		SELECT f.mailbox_id, f.colleague_id, f.flag, f.block, f.uids
		FROM team.flag f
		UNION ALL
		-- of those who have any flag there at all
		SELECT s.mailbox_id, o.colleague_id, s.name, s.block, s.uids
		FROM team.flag_start s
		JOIN (SELECT DISTINCT mailbox_id, colleague_id FROM team.flag) o
			ON o.mailbox_id = s.mailbox_id
		WHERE NOT EXISTS (SELECT FROM team.flag f
			WHERE f.mailbox_id = s.mailbox_id AND
				f.block = s.block AND
				f.colleague_id = o.colleague_id AND
				lower(f.flag) = s.flag)
	)
	SELECT c.name, m.name, m.guid, m.uidvalidity, f.flag,
		range_agg(u)::text
	FROM had f
	JOIN box m ON m.id = f.mailbox_id
	JOIN person c ON c.id = f.colleague_id
	CROSS JOIN LATERAL unnest(f.uids) u
	GROUP BY c.name, m.name, m.guid, m.uidvalidity, f.flag, f.block >> 5
	ORDER BY c.name, m.name, m.guid, m.uidvalidity, f.flag, f.block >> 5
$$;

CREATE OR REPLACE FUNCTION team.apply_flags(p_node int, p_effects team.effect[])
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
			coalesce(o.uids, s.uids, '{}') - n.minus + n.plus,
			n.rev, p_node
		FROM named n
		LEFT JOIN team.flag o ON o.mailbox_id = n.mailbox_id AND
			o.colleague_id = n.colleague_id AND
			o.flag = n.flag AND o.block = n.block
		LEFT JOIN team.flag_start s ON s.mailbox_id = n.mailbox_id AND
			s.flag = lower(n.flag) AND s.block = n.block
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

CREATE OR REPLACE FUNCTION team.tell_again(p_mailbox_id int, p_colleague_id int,
	p_uids int8multirange, p_added text, p_removed text,
	p_private team.private_change[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_rev bigint;
BEGIN
	UPDATE team.mailbox m SET rev = m.rev + 1
		WHERE m.id = p_mailbox_id RETURNING m.rev INTO v_rev;
	INSERT INTO team.flag AS f
		(mailbox_id, colleague_id, flag, block, uids, rev, node)
		SELECT DISTINCT p_mailbox_id, p_colleague_id,
			team.flag_name(p_mailbox_id, p_colleague_id,
				       team.short(c.flag)),
			b.block, coalesce(s.uids, '{}'), v_rev, 0
		FROM (
			SELECT string_to_table(concat_ws(' ', p_added,
					p_removed), ' ') AS flag,
				p_uids AS uids
			UNION ALL
			SELECT p.flag, p.uids FROM unnest(p_private) p) c
		CROSS JOIN LATERAL team.blocks(c.uids) b
		LEFT JOIN team.flag_start s ON s.mailbox_id = p_mailbox_id AND
			s.flag = lower(team.short(c.flag)) AND s.block = b.block
		WHERE c.flag <> ''
	ON CONFLICT (mailbox_id, colleague_id, flag, block) DO UPDATE SET
		rev = v_rev, node = 0,
		other_rev = CASE WHEN f.node = 0 THEN f.other_rev
				 ELSE f.rev END;
	PERFORM team.mailbox_changed(0, p_mailbox_id, 'flags ' || c.name)
		FROM team.colleague c WHERE c.id = p_colleague_id;
END
$$;

CREATE FUNCTION team.copy_start(p_runs team.copied_run[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_run record;
BEGIN
	FOR v_run IN
		SELECT DISTINCT r.from_id, r.to_id, r.first_from, r.last_from,
			r.shift, s.flag, s.name
		FROM unnest(p_runs) r
		JOIN team.flag_start s ON s.mailbox_id = r.from_id AND
				s.block BETWEEN r.first_from >> 10 AND
					r.last_from >> 10 OR
			s.mailbox_id = r.to_id AND
				s.block BETWEEN (r.first_from + r.shift) >> 10 AND
					(r.last_from + r.shift) >> 10
	LOOP
		-- Whoever has rows gets them in both places before anything is
		-- copied: the start is nothing to him any more.
		INSERT INTO team.flag (mailbox_id, colleague_id, flag, block,
				       uids, rev, node)
			SELECT p.mailbox_id, o.colleague_id,
				team.flag_name(p.mailbox_id, o.colleague_id,
					       v_run.name),
				p.block, coalesce(s.uids, '{}'),
				coalesce(s.rev, 0), 0
			FROM (SELECT DISTINCT f.colleague_id FROM team.flag f
			      WHERE f.mailbox_id IN (v_run.from_id, v_run.to_id)
					AND lower(f.flag) = v_run.flag) o
			CROSS JOIN (
				SELECT v_run.from_id AS mailbox_id, b::int AS block
				FROM generate_series(v_run.first_from >> 10,
					v_run.last_from >> 10) b
				UNION
				SELECT v_run.to_id, b::int FROM generate_series(
					(v_run.first_from + v_run.shift) >> 10,
					(v_run.last_from + v_run.shift) >> 10) b) p
			LEFT JOIN team.flag_start s ON
				s.mailbox_id = p.mailbox_id AND
				s.flag = v_run.flag AND s.block = p.block
			ON CONFLICT DO NOTHING;
		INSERT INTO team.flag_start AS s
			SELECT v_run.to_id, v_run.flag, b.block, v_run.name,
				b.uids, m.rev
			FROM team.mailbox m
			CROSS JOIN LATERAL team.blocks((
				SELECT range_agg(int8range(
					lower(u) + v_run.shift,
					upper(u) + v_run.shift))
				FROM team.flag_start f
				CROSS JOIN LATERAL unnest(f.uids * int8multirange(
					int8range(v_run.first_from,
						  v_run.last_from, '[]'))) u
				WHERE f.mailbox_id = v_run.from_id AND
					f.flag = v_run.flag AND
					f.block BETWEEN v_run.first_from >> 10 AND
						v_run.last_from >> 10)) b
			WHERE m.id = v_run.to_id
			ON CONFLICT (mailbox_id, flag, block) DO UPDATE
			SET uids = s.uids + excluded.uids, rev = excluded.rev;
	END LOOP;
END
$$;
COMMENT ON FUNCTION team.copy_start(team.copied_run[]) IS
	'Copies have the original''s start for all who have no flags of their own there';

CREATE OR REPLACE FUNCTION team.apply_copies(p_effects team.effect[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_runs team.copied_run[] := team.copied_runs(p_effects);
	v_mailboxes int[];
	v_uids int8multirange[];
BEGIN
	PERFORM team.copy_start(v_runs);
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

CREATE OR REPLACE FUNCTION team.apply_gone(p_mailboxes int[], p_uids int8multirange[])
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
	UPDATE team.flag_start s SET uids = s.uids - g.uids
	FROM (SELECT p.mailbox_id, b.block, range_agg(u) AS uids
	      FROM unnest(p_mailboxes, p_uids) p(mailbox_id, uids)
	      CROSS JOIN LATERAL team.blocks(p.uids) b
	      CROSS JOIN LATERAL unnest(b.uids) u GROUP BY 1, 2) g
	WHERE s.mailbox_id = g.mailbox_id AND s.block = g.block AND
		s.uids && g.uids;
END
$$;

CREATE OR REPLACE FUNCTION team.apply_step(p_node int, p_effects team.effect[])
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
		DELETE FROM team.flag_start s USING unnest(p_effects) e
			WHERE s.mailbox_id = e.mailbox_id;
	END CASE;
END
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA team FROM PUBLIC;
GRANT EXECUTE ON FUNCTION team.private_known(int, text, bigint, text, text, text, timestamptz)
	TO team_service;
