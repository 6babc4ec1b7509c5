-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: what taking over records costs without need. Profiled with the
-- mix of tests/bench/ingest.py.

-- The checks of a record's sets run for every record, and nearly all have
-- none: a strict function isn't called then, and NULL passes a check.
ALTER FUNCTION team.uids_valid(int8multirange) STRICT;
ALTER FUNCTION team.private_valid(team.private_change[]) STRICT;

-- Mailboxes' and colleagues' rows are never deleted, and flags are of those
-- that were just looked up. A row that the same transaction writes again is
-- looked up again each time.
ALTER TABLE team.flag DROP CONSTRAINT flag_mailbox_id_fkey,
	DROP CONSTRAINT flag_colleague_id_fkey;
ALTER TABLE team.message_block DROP CONSTRAINT message_block_mailbox_id_fkey;

-- A set of many runs is written anew with each change. PostgreSQL's own
-- compression takes several times as long as all the rest of it; without any, a
-- page holds some 380 runs with their row.
DO $$
BEGIN
	IF EXISTS (SELECT FROM pg_settings
		   WHERE name = 'default_toast_compression' AND
			'lz4' = ANY (enumvals)) THEN
		ALTER TABLE team.flag ALTER uids SET COMPRESSION lz4;
	ELSE
		ALTER TABLE team.flag ALTER uids SET STORAGE EXTERNAL,
			SET (toast_tuple_target = 8160);
	END IF;
END
$$;

CREATE OR REPLACE FUNCTION team.copy_flags(p_runs team.copied_run[])
RETURNS void
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
		CROSS JOIN LATERAL int8range(r.first_from, r.last_from, '[]') w
		JOIN team.flag s ON s.mailbox_id = r.from_id AND
			s.block BETWEEN (r.first_from >> 10)::int AND
				(r.last_from >> 10)::int AND s.uids && w
		-- what is in common with a single message is the message
		CROSS JOIN LATERAL unnest(CASE WHEN r.first_from = r.last_from
			THEN int8multirange(w)
			ELSE s.uids * int8multirange(w) END) u
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
