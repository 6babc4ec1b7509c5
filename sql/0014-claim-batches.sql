-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: claims in batches, and why a message was claimed. A node sends
-- what is asked while it waits for PostgreSQL as one statement: a commit with
-- a NOTIFY takes a lock that all of the server's commits share, so that many
-- small ones are no faster on many connections than on one.
--
-- While a mailbox fills up with claims the planner takes it for an empty one,
-- and would go through all of them for each message. OFFSET 0 makes it look
-- each up by its key.

ALTER TABLE team.claim ADD COLUMN draft boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN team.claim.draft IS
	'Claimed by saving a draft only: ends when that is deleted';

CREATE FUNCTION team.claim_try(
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
COMMENT ON FUNCTION team.claim_try(int, text, bigint, text, text, int8multirange, int, boolean) IS
	'Claims the messages for the colleague, each by itself; p_draft: for a draft. A row for each: granted, renewed (was the colleague''s own), held (by another), or guarded (by another who is deleting, moving or expunging it just now: try again)';

CREATE OR REPLACE FUNCTION team.claim_take(
	p_node int, p_guid text, p_uidvalidity bigint, p_colleague text,
	p_session text, p_uids int8multirange, p_seconds int)
RETURNS TABLE (uid bigint, state text, holder text, since bigint, until bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT t.uid, CASE t.state WHEN 'guarded' THEN 'held' ELSE t.state END,
		t.holder, t.since, t.until
	FROM team.claim_try(p_node, p_guid, p_uidvalidity, p_colleague,
			    p_session, p_uids, p_seconds, false) t
$$;
COMMENT ON FUNCTION team.claim_take(int, text, bigint, text, text, int8multirange, int) IS
	'Claims the messages for the colleague, each by itself. A row for each: granted, renewed (was the colleague''s own), or held (by another)';

-- Nothing is waited for but other claims of the same messages, in the order of
-- mailboxes and UIDs, so that batches and claim_try never wait in a circle.
CREATE FUNCTION team.claim_batch(
	p_node int, p_guids text[], p_uidvalidities bigint[],
	p_colleagues text[], p_sessions text[], p_uids bigint[],
	p_drafts boolean[], p_seconds int)
RETURNS TABLE (n bigint, since bigint, until bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
	v_mailboxes int[];
	v_id int;
	v_guarded boolean;
	v_now timestamptz;
	v_until timestamptz;
BEGIN
	IF coalesce(p_seconds, 0) <= 0 THEN
		RAISE EXCEPTION 'a claim of % seconds is none', p_seconds
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	v_mailboxes := ARRAY(
		SELECT DISTINCT m.id
		FROM unnest(p_guids, p_uidvalidities) b(guid, uidvalidity)
		JOIN team.mailbox m ON m.guid = b.guid AND
			m.uidvalidity = b.uidvalidity
		ORDER BY 1);
	FOREACH v_id IN ARRAY v_mailboxes LOOP
		PERFORM pg_advisory_xact_lock_shared(1952801133, v_id);
	END LOOP;
	v_now := clock_timestamp();
	v_until := v_now + make_interval(secs => p_seconds);
	v_guarded := EXISTS (SELECT FROM team.guard g
			     WHERE g.mailbox_id = ANY (v_mailboxes));
	RETURN QUERY
		WITH asked AS MATERIALIZED (
			SELECT DISTINCT ON (m.id, a.uid) m.id, a.uid, a.n,
				h.id AS colleague, a.session, a.draft
			FROM unnest(p_guids, p_uidvalidities, p_colleagues,
				    p_sessions, p_uids, p_drafts)
				WITH ORDINALITY AS a(guid, uidvalidity,
					colleague, session, uid, draft, n)
			JOIN team.mailbox m ON m.guid = a.guid AND
				m.uidvalidity = a.uidvalidity
			JOIN team.colleague h ON h.name = a.colleague
			ORDER BY 1, 2, 3
		), taken AS (
			INSERT INTO team.claim (mailbox_id, uid, colleague_id,
				node, session, since, until, draft)
			SELECT a.id, a.uid, a.colleague, p_node,
				nullif(a.session, ''), v_now, v_until, a.draft
			FROM asked a
			WHERE NOT v_guarded OR NOT EXISTS (
				SELECT FROM team.guard g
				WHERE g.mailbox_id = a.id AND
					g.colleague_id <> a.colleague AND
					g.uids @> a.uid AND g.until > v_now)
			ORDER BY 1, 2
			ON CONFLICT (mailbox_id, uid) DO NOTHING
			RETURNING mailbox_id, uid
		)
		SELECT a.n, team.epoch(v_now), team.epoch(v_until)
		FROM taken t
		JOIN asked a ON a.id = t.mailbox_id AND a.uid = t.uid;
	IF FOUND THEN
		PERFORM pg_notify('team', concat_ws(' ', p_node, b.guid,
				  b.uidvalidity, 'claims'))
			FROM (SELECT DISTINCT u.guid, u.uidvalidity
			      FROM unnest(p_guids, p_uidvalidities)
				u(guid, uidvalidity)) b;
	END IF;
END
$$;
COMMENT ON FUNCTION team.claim_batch(int, text[], bigint[], text[], text[], bigint[], boolean[], int) IS
	'Claims messages that nobody claims, each for a colleague, in all mailboxes at once. A row for each that was granted, with its number in the arrays; for all others claim_try has to be asked';

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

CREATE FUNCTION team.claim_drop(p_node int, p_guid text, p_uidvalidity bigint,
				p_colleague text, p_uids int8multirange)
RETURNS TABLE (uid bigint, state text, holder text, since bigint, until bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
	SELECT r.* FROM team.claim_release(p_node, p_guid, p_uidvalidity,
		p_colleague, coalesce((
			SELECT range_agg(int8range(c.uid, c.uid, '[]'))
			FROM team.mailbox m
			JOIN team.claim c ON c.mailbox_id = m.id
			JOIN team.colleague h ON h.id = c.colleague_id
			WHERE m.guid = p_guid AND
				m.uidvalidity = p_uidvalidity AND
				h.name = team.short(p_colleague) AND
				p_uids @> c.uid AND c.draft), '{}')) r
$$;
COMMENT ON FUNCTION team.claim_drop(int, text, bigint, text, int8multirange) IS
	'Gives back those of the claims that the colleague has because of a draft only; a row for each';

CREATE OR REPLACE FUNCTION team.move_claims(p_effect team.effect) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- Whoever moved the message may have claimed it in its new place
	-- already: it is the same claim, and as old.
	WITH gone AS (
		DELETE FROM team.claim c
		WHERE c.mailbox_id = p_effect.from_mailbox_id AND
			p_effect.from_uids @> c.uid
		RETURNING c.*)
	INSERT INTO team.claim AS c (mailbox_id, uid, colleague_id, node,
				     session, since, until, draft)
		SELECT p_effect.mailbox_id, g.uid + r.shift, g.colleague_id,
			g.node, g.session, g.since, g.until, g.draft
		FROM gone g
		JOIN team.pair_runs(p_effect.from_uids, p_effect.uids) r
			ON g.uid BETWEEN r.first_from AND r.last_from
		ON CONFLICT (mailbox_id, uid) DO UPDATE
			SET since = least(c.since, excluded.since),
			draft = excluded.draft
			WHERE c.colleague_id = excluded.colleague_id;
	IF FOUND THEN
		PERFORM team.mailbox_changed(0, p_effect.from_mailbox_id,
					     'claims');
		PERFORM team.mailbox_changed(0, p_effect.mailbox_id, 'claims');
	END IF;
END
$$;

REVOKE ALL ON FUNCTION
	team.claim_try(int, text, bigint, text, text, int8multirange, int, boolean),
	team.claim_batch(int, text[], bigint[], text[], text[], bigint[], boolean[], int),
	team.claim_many(int, text, bigint, text, text, int8multirange, int, boolean),
	team.claim_drop(int, text, bigint, text, int8multirange)
	FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
	team.claim_try(int, text, bigint, text, text, int8multirange, int, boolean),
	team.claim_batch(int, text[], bigint[], text[], text[], bigint[], boolean[], int),
	team.claim_many(int, text, bigint, text, text, int8multirange, int, boolean),
	team.claim_drop(int, text, bigint, text, int8multirange)
	TO team_service;
