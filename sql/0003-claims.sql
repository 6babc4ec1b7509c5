-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: claims. At most one colleague holds a message, on all nodes
-- together: PostgreSQL is the judge and its clock the only one that counts.
-- Whoever changes claims locks the mailbox's row first, so that two on one
-- mailbox come one after the other and never wait for each other in a circle.

CREATE FUNCTION team.claim_uids(p_uids int8multirange)
RETURNS TABLE (uid bigint)
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF p_uids IS NULL OR NOT team.uids_valid(p_uids) THEN
		RAISE EXCEPTION 'not a set of UIDs: %',
			coalesce(left(p_uids::text, 200), 'NULL')
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	RETURN QUERY SELECT generate_series(lower(u), upper(u) - 1)
		FROM unnest(p_uids) u;
END
$$;
COMMENT ON FUNCTION team.claim_uids(int8multirange) IS
	'The UIDs of the set, in ascending order';

CREATE FUNCTION team.claim_take(p_node int, p_guid text, p_uidvalidity bigint,
				p_colleague text, p_session text,
				p_uids int8multirange, p_seconds int)
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
BEGIN
	IF coalesce(p_seconds, 0) <= 0 THEN
		RAISE EXCEPTION 'a claim of % seconds is none', p_seconds
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	PERFORM FROM team.mailbox m WHERE m.id = v_mailbox
		FOR NO KEY UPDATE;
	v_now := clock_timestamp();
	v_until := v_now + make_interval(secs => p_seconds);

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
				     session, since, until)
		SELECT v_mailbox, u, v_colleague, p_node, p_session, v_now,
			v_until
		FROM unnest(v_uids) u ORDER BY u
		ON CONFLICT (mailbox_id, uid) DO UPDATE
			SET node = excluded.node, session = excluded.session,
			until = greatest(c.until, excluded.until)
			WHERE c.colleague_id = excluded.colleague_id;
	IF FOUND THEN
		UPDATE team.mailbox m SET rev = m.rev + 1
			WHERE m.id = v_mailbox;
		PERFORM team.mailbox_changed(p_node, v_mailbox, 'claims');
	END IF;

	RETURN QUERY
		SELECT c.uid, CASE WHEN c.colleague_id <> v_colleague THEN 'held'
				WHEN c.since = v_now THEN 'granted'
				ELSE 'renewed' END,
			h.name, team.epoch(c.since),
			team.epoch(c.until)
		FROM team.claim c
		JOIN team.colleague h ON h.id = c.colleague_id
		WHERE c.mailbox_id = v_mailbox AND c.uid = ANY (v_uids)
		ORDER BY c.uid;
END
$$;
COMMENT ON FUNCTION team.claim_take(int, text, bigint, text, text, int8multirange, int) IS
	'Claims the messages for the colleague, each by itself. A row for each: granted, renewed (was the colleague''s own), or held (by another)';

CREATE FUNCTION team.claim_release(p_node int, p_guid text,
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

	RETURN QUERY
		SELECT u, CASE WHEN r.uid IS NOT NULL THEN 'released'
				WHEN c.uid IS NOT NULL THEN 'held'
				ELSE 'none' END,
			h.name,
			team.epoch(coalesce(r.since, c.since)),
			team.epoch(coalesce(r.until, c.until))
		FROM unnest(v_uids) u
		LEFT JOIN unnest(v_released) r ON r.uid = u
		LEFT JOIN team.claim c ON c.mailbox_id = v_mailbox AND
			c.uid = u AND c.until > v_now
		LEFT JOIN team.colleague h
			ON h.id = coalesce(r.colleague_id, c.colleague_id)
		ORDER BY u;
END
$$;
COMMENT ON FUNCTION team.claim_release(int, text, bigint, text, int8multirange) IS
	'Gives back the colleague''s claims. A row for each message: released, held (by another, who keeps it), or none';

CREATE FUNCTION team.claim_guard(p_guid text, p_uidvalidity bigint,
				 p_colleague text, p_uids int8multirange)
RETURNS TABLE (uid bigint, state text, holder text, since bigint, until bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
	SELECT c.uid, 'held', h.name, team.epoch(c.since),
		team.epoch(c.until)
	FROM team.mailbox m
	JOIN team.claim c ON c.mailbox_id = m.id
	JOIN team.colleague h ON h.id = c.colleague_id
	WHERE m.guid = p_guid AND m.uidvalidity = p_uidvalidity AND
		h.name <> team.short(p_colleague) AND
		p_uids @> c.uid AND c.until > clock_timestamp()
	ORDER BY c.uid
$$;
COMMENT ON FUNCTION team.claim_guard(text, bigint, text, int8multirange) IS
	'Those of the messages that somebody else holds';

CREATE FUNCTION team.claim_lapse()
RETURNS TABLE (guid text, uidvalidity bigint, name text, uid bigint,
	       holder text, since bigint, until bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
	v_now timestamptz := clock_timestamp();
	v_mailboxes int[];
	v_gone team.claim_lapsed[];
	v_late team.claim_lapsed[];
	v_id int;
BEGIN
	-- Mailboxes that somebody is working on are left for the next time.
	SELECT array_agg(l.id) INTO v_mailboxes FROM (
		SELECT m.id FROM team.mailbox m
		WHERE m.id IN (SELECT c.mailbox_id FROM team.claim c
			       WHERE c.until <= v_now)
		ORDER BY m.id FOR NO KEY UPDATE SKIP LOCKED) l;
	IF v_mailboxes IS NOT NULL THEN
		WITH gone AS (
			DELETE FROM team.claim c
			WHERE c.mailbox_id = ANY (v_mailboxes) AND
				c.until <= v_now
			RETURNING c.*)
		SELECT array_agg(ROW(g.mailbox_id, g.uid, g.colleague_id,
				     g.since, g.until)::team.claim_lapsed)
			INTO v_gone FROM gone g;
		FOR v_id IN SELECT DISTINCT g.mailbox_id FROM unnest(v_gone) g
		LOOP
			UPDATE team.mailbox m SET rev = m.rev + 1
				WHERE m.id = v_id;
			PERFORM team.mailbox_changed(0, v_id, 'claims');
		END LOOP;
	END IF;

	WITH late AS (
		DELETE FROM team.claim_lapsed l
		WHERE l.ctid = ANY (ARRAY(
			SELECT w.ctid FROM team.claim_lapsed w
			FOR UPDATE SKIP LOCKED))
		RETURNING l)
	SELECT array_agg(t.l) INTO v_late FROM late t;

	RETURN QUERY
		SELECT m.guid, m.uidvalidity, m.name, g.uid, h.name,
			team.epoch(g.since),
			team.epoch(g.until)
		FROM unnest(v_late || v_gone) g
		JOIN team.mailbox m ON m.id = g.mailbox_id
		JOIN team.colleague h ON h.id = g.colleague_id
		ORDER BY g.until, g.mailbox_id, g.uid;
END
$$;
COMMENT ON FUNCTION team.claim_lapse() IS
	'Removes the claims whose time is up and returns them, each once on all nodes together';

CREATE FUNCTION team.claims(p_mailbox text)
RETURNS TABLE (mailbox text, guid text, uidvalidity bigint, uid bigint,
	       message_id text, holder text, since timestamptz,
	       until timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
	SELECT m.name, m.guid, m.uidvalidity, c.uid, g.message_id, h.name,
		date_trunc('second', c.since), date_trunc('second', c.until)
	FROM team.claim c
	JOIN team.mailbox m ON m.id = c.mailbox_id
	JOIN team.colleague h ON h.id = c.colleague_id
	LEFT JOIN team.message g ON g.mailbox_id = c.mailbox_id AND
		g.uid = c.uid
	WHERE c.until > clock_timestamp() AND
		(coalesce(p_mailbox, '') = '' OR m.guid = p_mailbox OR
		 m.id IN (SELECT n.mailbox_id FROM team.mailbox_name n
			  WHERE n.name = team.short(p_mailbox)))
	ORDER BY m.name, m.id, c.uid
$$;
COMMENT ON FUNCTION team.claims(text) IS
	'The live claims in the mailbox (its name or GUID), or in all if it is empty or NULL';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA team FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
	team.claim_take(int, text, bigint, text, text, int8multirange, int),
	team.claim_release(int, text, bigint, text, int8multirange),
	team.claim_guard(text, bigint, text, int8multirange),
	team.claim_lapse(),
	team.claims(text)
	TO team_service;
