-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: claims of very many messages. While a mailbox fills up with
-- claims the planner takes it for an empty one, and would go through all of
-- them for each message. OFFSET 0 makes it look each up by its key.

CREATE OR REPLACE FUNCTION team.claim_try(
	p_node int, p_guid text, p_uidvalidity bigint, p_colleague text,
	p_session text, p_uids int8multirange, p_seconds int, p_draft boolean)
RETURNS TABLE (uid bigint, state text, holder text, since bigint, until bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
	v_uids bigint[] := ARRAY(SELECT u.uid FROM team.claim_uids(p_uids) u);
	v_colleague int := team.colleague_id(p_colleague);
	v_mailbox int := team.mailbox_id(p_guid, p_uidvalidity);
	v_now timestamptz;
	v_until timestamptz;
	v_guards team.guard[];
BEGIN
	IF coalesce(p_seconds, 0) <= 0 THEN
		RAISE EXCEPTION 'a claim of % seconds is none', p_seconds
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	PERFORM pg_advisory_xact_lock_shared(1952801133, v_mailbox);
	-- Whoever takes claims away has this lock: those that stand now stay.
	PERFORM FROM team.mailbox m WHERE m.id = v_mailbox
		FOR NO KEY UPDATE;
	v_now := clock_timestamp();
	v_until := v_now + make_interval(secs => p_seconds);

	SELECT array_agg(g) INTO v_guards FROM team.guard g
		WHERE g.mailbox_id = v_mailbox AND
			g.colleague_id <> v_colleague AND
			g.uids && p_uids AND g.until > v_now;

	-- One whose time is up is no claim, but nobody has reported it yet.
	WITH gone AS (
		DELETE FROM team.claim c
		WHERE c.mailbox_id = v_mailbox AND c.uid = ANY (v_uids) AND
			c.until <= v_now
		RETURNING c.*)
	INSERT INTO team.claim_lapsed
		SELECT g.mailbox_id, g.uid, g.colleague_id, g.since, g.until
		FROM gone g;

	INSERT INTO team.claim AS c (mailbox_id, uid, colleague_id, node,
				     session, since, until, draft)
		SELECT v_mailbox, u, v_colleague, p_node, p_session, v_now,
			v_until, p_draft
		FROM unnest(v_uids) u
		WHERE v_guards IS NULL OR NOT EXISTS (
			SELECT FROM unnest(v_guards) g WHERE g.uids @> u)
		ORDER BY u
		ON CONFLICT (mailbox_id, uid) DO UPDATE
			SET node = excluded.node, session = excluded.session,
			until = greatest(c.until, excluded.until),
			draft = c.draft AND excluded.draft
			WHERE c.colleague_id = excluded.colleague_id;
	IF FOUND THEN
		PERFORM pg_notify('team', concat_ws(' ', p_node, p_guid,
				  p_uidvalidity, 'claims'));
	END IF;

	RETURN QUERY
		SELECT u, CASE WHEN c.uid IS NULL THEN 'guarded'
				WHEN c.colleague_id <> v_colleague THEN 'held'
				WHEN c.since = v_now THEN 'granted'
				ELSE 'renewed' END,
			h.name, team.epoch(coalesce(c.since, g.since)),
			team.epoch(coalesce(c.until, g.until))
		FROM unnest(v_uids) u
		LEFT JOIN LATERAL (SELECT x.* FROM team.claim x
			WHERE x.mailbox_id = v_mailbox AND x.uid = u OFFSET 0
			) c ON true
		LEFT JOIN LATERAL (SELECT w.* FROM unnest(v_guards) w
			WHERE w.uids @> u LIMIT 1) g ON c.uid IS NULL
		JOIN team.colleague h
			ON h.id = coalesce(c.colleague_id, g.colleague_id)
		ORDER BY u;
END
$$;

CREATE OR REPLACE FUNCTION team.claim_release(p_node int, p_guid text,
				   p_uidvalidity bigint, p_colleague text,
				   p_uids int8multirange)
RETURNS TABLE (uid bigint, state text, holder text, since bigint, until bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
	v_uids bigint[] := ARRAY(SELECT u.uid FROM team.claim_uids(p_uids) u);
	v_colleague int := team.colleague_id(p_colleague);
	v_mailbox int := team.mailbox_id(p_guid, p_uidvalidity);
	v_now timestamptz;
	v_released team.claim[];
	v_gone int8multirange;
BEGIN
	PERFORM FROM team.mailbox m WHERE m.id = v_mailbox
		FOR NO KEY UPDATE;
	v_now := clock_timestamp();

	-- Lapsed ones are left to claim_lapse: they are reported as such.
	WITH gone AS (
		DELETE FROM team.claim c
		WHERE c.mailbox_id = v_mailbox AND c.uid = ANY (v_uids) AND
			c.colleague_id = v_colleague AND c.until > v_now
		RETURNING c)
	SELECT array_agg(g.c) INTO v_released FROM gone g;
	IF v_released IS NOT NULL THEN
		UPDATE team.mailbox m SET rev = m.rev + 1
			WHERE m.id = v_mailbox;
		PERFORM team.mailbox_changed(p_node, v_mailbox, 'claims');
	END IF;

	v_gone := (SELECT range_agg(int8range(r.uid, r.uid, '[]'))
		   FROM unnest(v_released) r);
	RETURN QUERY
		SELECT r.uid, 'released', h.name, team.epoch(r.since),
			team.epoch(r.until)
		FROM unnest(v_released) r
		JOIN team.colleague h ON h.id = r.colleague_id
		UNION ALL
		SELECT u, CASE WHEN c.uid IS NULL THEN 'none' ELSE 'held' END,
			h.name, team.epoch(c.since), team.epoch(c.until)
		FROM unnest(v_uids) u
		LEFT JOIN LATERAL (SELECT x.* FROM team.claim x
			WHERE x.mailbox_id = v_mailbox AND x.uid = u AND
				x.until > v_now OFFSET 0) c ON true
		LEFT JOIN team.colleague h ON h.id = c.colleague_id
		WHERE NOT coalesce(v_gone @> u, false)
		ORDER BY 1;
END
$$;

-- As claim_batch does for many colleagues, without waiting for the mailbox's
-- row, which a long transaction of the log may hold.
CREATE FUNCTION team.claim_many(
	p_node int, p_guid text, p_uidvalidity bigint, p_colleague text,
	p_session text, p_uids int8multirange, p_seconds int, p_draft boolean)
RETURNS TABLE (uids text, since bigint, until bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
	v_uids bigint[] := ARRAY(SELECT u.uid FROM team.claim_uids(p_uids) u);
	v_colleague int := team.colleague_id(p_colleague);
	v_mailbox int := team.mailbox_id(p_guid, p_uidvalidity);
	v_now timestamptz;
	v_until timestamptz;
	v_guarded int8multirange;
	v_granted int8multirange;
BEGIN
	IF coalesce(p_seconds, 0) <= 0 THEN
		RAISE EXCEPTION 'a claim of % seconds is none', p_seconds
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	PERFORM pg_advisory_xact_lock_shared(1952801133, v_mailbox);
	v_now := clock_timestamp();
	v_until := v_now + make_interval(secs => p_seconds);
	SELECT range_agg(r) INTO v_guarded
		FROM team.guard g, unnest(g.uids) r
		WHERE g.mailbox_id = v_mailbox AND
			g.colleague_id <> v_colleague AND
			g.uids && p_uids AND g.until > v_now;
	WITH taken AS (
		INSERT INTO team.claim AS c (mailbox_id, uid, colleague_id,
			node, session, since, until, draft)
		SELECT v_mailbox, u, v_colleague, p_node, p_session, v_now,
			v_until, p_draft
		FROM unnest(v_uids) u
		WHERE NOT coalesce(v_guarded @> u, false)
		ORDER BY u
		ON CONFLICT (mailbox_id, uid) DO NOTHING
		RETURNING c.uid)
	SELECT range_agg(int8range(t.uid, t.uid, '[]')) INTO v_granted
		FROM taken t;
	IF v_granted IS NOT NULL THEN
		PERFORM pg_notify('team', concat_ws(' ', p_node, p_guid,
				  p_uidvalidity, 'claims'));
		RETURN QUERY SELECT v_granted::text, team.epoch(v_now),
			team.epoch(v_until);
	END IF;
END
$$;
COMMENT ON FUNCTION team.claim_many(int, text, bigint, text, text, int8multirange, int, boolean) IS
	'Claims those of the messages that nobody claims: one row with the set of them, or none. For all others claim_try has to be asked';

REVOKE ALL ON FUNCTION
	team.claim_many(int, text, bigint, text, text, int8multirange, int, boolean),
	team.claim_try(int, text, bigint, text, text, int8multirange, int, boolean),
	team.claim_release(int, text, bigint, text, int8multirange)
	FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
	team.claim_try(int, text, bigint, text, text, int8multirange, int, boolean),
	team.claim_release(int, text, bigint, text, int8multirange),
	team.claim_many(int, text, bigint, text, text, int8multirange, int, boolean)
	TO team_service;
