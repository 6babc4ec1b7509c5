-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: PostgreSQL 14 aggregates ranges, not yet sets of them.

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
	END CASE;
END
$$;
