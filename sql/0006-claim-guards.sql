-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: guards. Deleting, moving or expunging a message that nobody
-- holds must not cross somebody's claim on another node. So whoever does it
-- first puts a guard over the messages, which no claim can be taken under, and
-- takes it away when it is done. A guard is one row for any number of messages,
-- is seen by nobody, and ends by itself if its node dies.
--
-- Claims and guards exclude each other by an advisory lock on the mailbox,
-- which claims share: they meet in the primary key of team.claim, and claims of
-- different messages don't wait for each other.

-- What a crash of the server leaves of it nobody would miss.
CREATE UNLOGGED TABLE team.guard (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	mailbox_id int NOT NULL REFERENCES team.mailbox,
	colleague_id int NOT NULL REFERENCES team.colleague,
	uids int8multirange NOT NULL,
	since timestamptz NOT NULL,
	until timestamptz NOT NULL
);
CREATE INDEX guard_mailbox ON team.guard (mailbox_id);
COMMENT ON TABLE team.guard IS
	'Messages that a colleague is deleting, moving or expunging just now: nobody else can claim them';
REVOKE ALL ON team.guard FROM PUBLIC;

CREATE FUNCTION team.claim_lock(p_mailbox int, p_guarding boolean)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- the class is "team" in ASCII
	IF p_guarding THEN
		PERFORM pg_advisory_xact_lock(1952801133, p_mailbox);
	ELSE
		PERFORM pg_advisory_xact_lock_shared(1952801133, p_mailbox);
	END IF;
END
$$;
COMMENT ON FUNCTION team.claim_lock(int, boolean) IS
	'Until commit keeps guards away from those who claim, and everybody from one who guards';

CREATE OR REPLACE FUNCTION team.claim_take(
	p_node int, p_guid text, p_uidvalidity bigint, p_colleague text,
	p_session text, p_uids int8multirange, p_seconds int)
RETURNS TABLE (uid bigint, state text, holder text, since bigint, until bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
	v_uids bigint[];
	v_colleague int;
	v_mailbox int;
	v_now timestamptz;
	v_until timestamptz;
	v_guards team.guard[];
BEGIN
	IF coalesce(p_seconds, 0) <= 0 THEN
		RAISE EXCEPTION 'a claim of % seconds is none', p_seconds
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	v_uids := ARRAY(SELECT u.uid FROM team.claim_uids(p_uids) u);
	SELECT c.id INTO v_colleague FROM team.colleague c
		WHERE c.name = p_colleague;
	IF v_colleague IS NULL THEN
		v_colleague := team.colleague_id(p_colleague);
	END IF;
	SELECT m.id INTO v_mailbox FROM team.mailbox m
		WHERE m.guid = p_guid AND m.uidvalidity = p_uidvalidity;
	IF v_mailbox IS NULL THEN
		v_mailbox := team.mailbox_id(p_guid, p_uidvalidity);
	END IF;
	PERFORM pg_advisory_xact_lock_shared(1952801133, v_mailbox);
	v_now := clock_timestamp();
	v_until := v_now + make_interval(secs => p_seconds);

	SELECT array_agg(g) INTO v_guards FROM team.guard g
		WHERE g.mailbox_id = v_mailbox AND
			g.colleague_id <> v_colleague AND
			g.uids && p_uids AND g.until > v_now;

	-- Most often it is one message that nobody has. Nothing else is locked
	-- then: claims meet in the primary key.
	IF v_guards IS NULL AND cardinality(v_uids) = 1 THEN
		INSERT INTO team.claim AS c (mailbox_id, uid, colleague_id,
					     node, session, since, until)
			VALUES (v_mailbox, v_uids[1], v_colleague, p_node,
				p_session, v_now, v_until)
			ON CONFLICT (mailbox_id, uid) DO NOTHING;
		IF FOUND THEN
			PERFORM pg_notify('team', concat_ws(' ', p_node, p_guid,
					  p_uidvalidity, 'claims'));
			RETURN QUERY SELECT v_uids[1], 'granted',
				team.short(p_colleague), team.epoch(v_now),
				team.epoch(v_until);
			RETURN;
		END IF;
	END IF;

	-- Whoever takes claims away has this lock: those that stand now stay.
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
		FROM unnest(v_uids) u
		WHERE v_guards IS NULL OR NOT EXISTS (
			SELECT FROM unnest(v_guards) g WHERE g.uids @> u)
		ORDER BY u
		ON CONFLICT (mailbox_id, uid) DO UPDATE
			SET node = excluded.node, session = excluded.session,
			until = greatest(c.until, excluded.until)
			WHERE c.colleague_id = excluded.colleague_id;
	IF FOUND THEN
		PERFORM pg_notify('team', concat_ws(' ', p_node, p_guid,
				  p_uidvalidity, 'claims'));
	END IF;

	RETURN QUERY
		SELECT u, CASE WHEN coalesce(c.colleague_id, g.colleague_id)
					<> v_colleague THEN 'held'
				WHEN c.since = v_now THEN 'granted'
				ELSE 'renewed' END,
			h.name, team.epoch(coalesce(c.since, g.since)),
			team.epoch(coalesce(c.until, g.until))
		FROM unnest(v_uids) u
		LEFT JOIN team.claim c ON c.mailbox_id = v_mailbox AND
			c.uid = u
		LEFT JOIN LATERAL (SELECT w.* FROM unnest(v_guards) w
			WHERE w.uids @> u LIMIT 1) g ON c.uid IS NULL
		JOIN team.colleague h
			ON h.id = coalesce(c.colleague_id, g.colleague_id)
		ORDER BY u;
END
$$;
COMMENT ON FUNCTION team.claim_take(int, text, bigint, text, text, int8multirange, int) IS
	'Claims the messages for the colleague, each by itself. A row for each: granted, renewed (was the colleague''s own), or held (by another)';

CREATE FUNCTION team.guard_begin(p_guid text, p_uidvalidity bigint,
				 p_colleague text, p_uids int8multirange,
				 p_seconds int)
RETURNS TABLE (uid bigint, state text, holder text, since bigint, until bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
	v_colleague int := team.colleague_id(p_colleague);
	v_mailbox int := team.mailbox_id(p_guid, p_uidvalidity);
	v_now timestamptz;
	v_held int8multirange;
	v_id bigint;
BEGIN
	IF p_uids IS NULL OR coalesce(p_seconds, 0) <= 0 THEN
		RAISE EXCEPTION 'no guard of % seconds over %', p_seconds,
			coalesce(left(p_uids::text, 200), 'NULL')
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	PERFORM team.claim_lock(v_mailbox, true);
	v_now := clock_timestamp();
	RETURN QUERY
		SELECT c.uid, 'held', h.name, team.epoch(c.since),
			team.epoch(c.until)
		FROM team.claim c
		JOIN team.colleague h ON h.id = c.colleague_id
		WHERE c.mailbox_id = v_mailbox AND
			c.colleague_id <> v_colleague AND
			p_uids @> c.uid AND c.until > v_now
		ORDER BY c.uid;
	DELETE FROM team.guard g
		WHERE g.mailbox_id = v_mailbox AND g.until <= v_now;
	INSERT INTO team.guard (mailbox_id, colleague_id, uids, since, until)
		VALUES (v_mailbox, v_colleague, p_uids, v_now,
			v_now + make_interval(secs => p_seconds))
		RETURNING id INTO v_id;
	RETURN QUERY SELECT v_id, 'guard', NULL::text, team.epoch(v_now),
		team.epoch(v_now) + p_seconds;
END
$$;
COMMENT ON FUNCTION team.guard_begin(text, bigint, text, int8multirange, int) IS
	'Those of the messages that somebody else holds. Nobody can claim the others from now on for so many seconds or until guard_end: the last row, state guard, has the guard''s id in the place of the UID';

CREATE FUNCTION team.guard_end(p_ids bigint[]) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	WITH gone AS (DELETE FROM team.guard g
		WHERE g.id = ANY (p_ids) RETURNING 1)
	SELECT count(*) FROM gone
$$;
COMMENT ON FUNCTION team.guard_end(bigint[]) IS
	'Takes away guards';

-- Somebody who claimed the message in its new place before the log said that
-- it came with a claim was told that he has it. Then he has.
CREATE OR REPLACE FUNCTION team.move_claims(p_effect team.effect) RETURNS void
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
		ON CONFLICT (mailbox_id, uid) DO NOTHING;
	IF FOUND THEN
		PERFORM team.mailbox_changed(0, p_effect.from_mailbox_id,
					     'claims');
		PERFORM team.mailbox_changed(0, p_effect.mailbox_id, 'claims');
	END IF;
END
$$;

COMMENT ON COLUMN team.mailbox.rev IS
	'Rises with each transaction that changes flags. Whoever writes them holds the lock on this row until commit, so that no lower revision ever shows up after a higher one. Claims have none: a node always fetches all of a mailbox';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA team FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
	team.guard_begin(text, bigint, text, int8multirange, int),
	team.guard_end(bigint[])
	TO team_service;
