-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: private keywords in any spelling, and changes of which nobody
-- knows whether they happened.

-- Keywords don't depend on case, and every node may have met another spelling
-- first.
CREATE INDEX flag_keyword ON team.flag
	(mailbox_id, colleague_id, lower(flag)) WHERE flag NOT LIKE '\\%';

CREATE FUNCTION team.flag_name(p_mailbox_id int, p_colleague_id int,
			       p_flag text) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_flag text;
BEGIN
	-- System flags are always spelt alike.
	IF p_flag LIKE '\\%' THEN
		RETURN p_flag;
	END IF;
	SELECT f.flag INTO v_flag FROM team.flag f
		WHERE f.mailbox_id = p_mailbox_id AND
			f.colleague_id = p_colleague_id AND
			lower(f.flag) = lower(p_flag) AND
			f.flag NOT LIKE '\\%'
		LIMIT 1;
	RETURN coalesce(v_flag, p_flag);
END
$$;
COMMENT ON FUNCTION team.flag_name(int, int, text) IS
	'The flag as the colleague spelt it first in this mailbox';

CREATE OR REPLACE FUNCTION team.apply_flags(p_node int, p_effects team.effect[])
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
	), named AS (
		SELECT k.mailbox_id, k.colleague_id, k.key,
			team.flag_name(k.mailbox_id, k.colleague_id,
				       min(k.flag)) AS flag
		FROM (SELECT c.mailbox_id, c.colleague_id,
				team.short(c.flag) AS flag,
				lower(team.short(c.flag)) AS key
		      FROM change c) k
		GROUP BY 1, 2, 3
	), net AS (
		SELECT c.mailbox_id, c.colleague_id,
			lower(team.short(c.flag)) AS key, c.block,
			team.fold(c.uids, c.added ORDER BY c.n, c.added)
				AS plus,
			team.fold(c.uids, NOT c.added ORDER BY c.n, c.added)
				AS minus
		FROM change c GROUP BY 1, 2, 3, 4
	), revised AS MATERIALIZED (
		SELECT net.mailbox_id, net.colleague_id, named.flag, net.block,
			net.plus, net.minus, m.rev
		FROM net
		JOIN named USING (mailbox_id, colleague_id, key)
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

CREATE OR REPLACE FUNCTION team.apply_copy(p_effect team.effect) RETURNS void
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
		SELECT v_to, c.colleague_id,
			team.flag_name(v_to, c.colleague_id, c.flag),
			b.block, b.uids, v_rev, 0
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

CREATE FUNCTION team.record_gap() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_rev bigint;
BEGIN
	UPDATE team.mailbox m SET rev = m.rev + 1
		WHERE m.id = NEW.mailbox_id RETURNING m.rev INTO v_rev;
	INSERT INTO team.flag AS f
		(mailbox_id, colleague_id, flag, block, uids, rev, node)
		SELECT DISTINCT NEW.mailbox_id, NEW.colleague_id,
			team.flag_name(NEW.mailbox_id, NEW.colleague_id,
				       team.short(c.flag)),
			b.block, '{}'::int8multirange, v_rev, 0
		FROM (
			SELECT string_to_table(concat_ws(' ',
					NEW.private_added,
					NEW.private_removed), ' ') AS flag,
				coalesce(NEW.uids, team.uid_set(NEW.uid))
					AS uids
			UNION ALL
			SELECT p.flag, p.uids FROM unnest(NEW.private) p) c
		CROSS JOIN LATERAL team.blocks(c.uids) b
		WHERE c.flag <> ''
	ON CONFLICT (mailbox_id, colleague_id, flag, block) DO UPDATE SET
		rev = v_rev, node = 0,
		other_rev = CASE WHEN f.node = 0 THEN f.other_rev
				 ELSE f.rev END;
	PERFORM team.mailbox_changed(0, NEW.mailbox_id, 'flags ' || c.name)
		FROM team.colleague c WHERE c.id = NEW.colleague_id;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION team.record_gap() IS
	'Trigger: a change of private flags may have been made in a node''s index, and is not in force. All have to fetch these flags';

CREATE TRIGGER record_gap AFTER INSERT ON team.record
	FOR EACH ROW WHEN (NEW.action = 'gap' AND
		NEW.mailbox_id IS NOT NULL AND NEW.colleague_id IS NOT NULL AND
		(NEW.private_added IS NOT NULL OR
		 NEW.private_removed IS NOT NULL OR NEW.private IS NOT NULL))
	EXECUTE FUNCTION team.record_gap();

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA team FROM PUBLIC;
