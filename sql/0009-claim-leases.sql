-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: renewing, taking over, handing over and giving back claims.
-- All take the lock of the mailbox's row, under which no claim goes away.

CREATE FUNCTION team.claim_renew(p_node int, p_guid text, p_uidvalidity bigint,
				 p_colleague text, p_uids int8multirange,
				 p_seconds int)
RETURNS TABLE (uid bigint, state text, holder text, since bigint, until bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
	v_now timestamptz := clock_timestamp();
BEGIN
	RETURN QUERY
		UPDATE team.claim c
		SET until = greatest(c.until,
				     v_now + make_interval(secs => p_seconds))
		FROM team.mailbox m, team.colleague h
		WHERE m.guid = p_guid AND m.uidvalidity = p_uidvalidity AND
			h.name = team.short(p_colleague) AND
			c.mailbox_id = m.id AND c.colleague_id = h.id AND
			p_uids @> c.uid AND c.until > v_now
		RETURNING c.uid, 'renewed', h.name, team.epoch(c.since),
			team.epoch(c.until);
	IF FOUND THEN
		PERFORM pg_notify('team', concat_ws(' ', p_node, p_guid,
				  p_uidvalidity, 'renewed'));
	END IF;
END
$$;
COMMENT ON FUNCTION team.claim_renew(int, text, bigint, text, int8multirange, int) IS
	'Lengthens those of the claims that the colleague has; a row for each';

CREATE FUNCTION team.claim_give(p_node int, p_guid text, p_uidvalidity bigint,
				p_from text, p_to text, p_session text,
				p_uids int8multirange, p_seconds int)
RETURNS TABLE (uid bigint, state text, holder text, since bigint, until bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
	v_to int := team.colleague_id(p_to);
	v_mailbox int := team.mailbox_id(p_guid, p_uidvalidity);
	v_now timestamptz;
	v_until timestamptz;
	v_former record;
	v_given int8multirange;
BEGIN
	IF coalesce(p_seconds, 0) <= 0 OR p_uids IS NULL THEN
		RAISE EXCEPTION 'a claim of % seconds is none', p_seconds
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	PERFORM FROM team.mailbox m WHERE m.id = v_mailbox
		FOR NO KEY UPDATE;
	v_now := clock_timestamp();
	v_until := v_now + make_interval(secs => p_seconds);
	FOR v_former IN
		SELECT c.colleague_id AS id, h.name,
			range_agg(int8range(c.uid, c.uid, '[]')) AS uids
		FROM team.claim c
		JOIN team.colleague h ON h.id = c.colleague_id
		WHERE c.mailbox_id = v_mailbox AND p_uids @> c.uid AND
			c.colleague_id <> v_to AND c.until > v_now AND
			(p_from IS NULL OR h.name = team.short(p_from))
		GROUP BY 1, 2 ORDER BY 1
	LOOP
		RETURN QUERY
			UPDATE team.claim c SET colleague_id = v_to,
				node = p_node, session = p_session,
				since = v_now, until = v_until
			WHERE c.mailbox_id = v_mailbox AND
				v_former.uids @> c.uid
			RETURNING c.uid, 'taken', v_former.name,
				team.epoch(c.since), team.epoch(c.until);
		PERFORM pg_notify('team', left(concat_ws(' ', p_node, p_guid,
			p_uidvalidity, 'taken',
			concat_ws(E'\t', v_former.name, team.short(p_to),
				  left(v_former.uids::text, 4000))), 7900));
		v_given := coalesce(v_given, '{}') + v_former.uids;
	END LOOP;
	RETURN QUERY SELECT t.* FROM team.claim_take(p_node, p_guid,
		p_uidvalidity, p_to, p_session,
		p_uids - coalesce(v_given, '{}'), p_seconds) t
		WHERE NOT p_uids <@ coalesce(v_given, '{}');
	PERFORM pg_notify('team', concat_ws(' ', p_node, p_guid,
			  p_uidvalidity, 'claims'));
END
$$;
COMMENT ON FUNCTION team.claim_give(int, text, bigint, text, text, text, int8multirange, int) IS
	'Claims the messages for p_to, even those that p_from holds, or anybody if that is NULL. A row for each: granted, renewed, held, or taken: then holder is the former one, who is told by NOTIFY';

CREATE FUNCTION team.claim_logout(p_node int, p_colleague text,
				  p_session text)
RETURNS TABLE (guid text, uidvalidity bigint, name text, uid bigint,
	       holder text, since bigint, until bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
	v_now timestamptz;
	v_colleague int := team.colleague_id(p_colleague);
	v_mailboxes int[];
	v_id int;
BEGIN
	v_mailboxes := ARRAY(
		SELECT m.id FROM team.mailbox m
		WHERE m.id IN (SELECT c.mailbox_id FROM team.claim c
			       WHERE c.colleague_id = v_colleague AND
			       c.session = p_session)
		ORDER BY m.id FOR NO KEY UPDATE);
	v_now := clock_timestamp();
	RETURN QUERY
		DELETE FROM team.claim c USING team.mailbox m
		WHERE m.id = c.mailbox_id AND m.id = ANY (v_mailboxes) AND
			c.colleague_id = v_colleague AND
			c.session = p_session AND c.until > v_now
		RETURNING m.guid, m.uidvalidity, m.name, c.uid, p_colleague,
			team.epoch(c.since), team.epoch(c.until);
	FOREACH v_id IN ARRAY v_mailboxes LOOP
		PERFORM team.mailbox_changed(p_node, v_id, 'claims');
	END LOOP;
END
$$;
COMMENT ON FUNCTION team.claim_logout(int, text, text) IS
	'Gives back what the colleague claimed in the session, and returns it';

CREATE FUNCTION team.claim_free(p_node int, p_guid text, p_uidvalidity bigint,
				p_uids int8multirange)
RETURNS TABLE (uid bigint, state text, holder text, since bigint, until bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
	v_mailbox int := team.mailbox_id(p_guid, p_uidvalidity);
	v_now timestamptz;
	v_former record;
BEGIN
	PERFORM FROM team.mailbox m WHERE m.id = v_mailbox
		FOR NO KEY UPDATE;
	v_now := clock_timestamp();
	FOR v_former IN
		SELECT c.colleague_id AS id, h.name,
			range_agg(int8range(c.uid, c.uid, '[]')) AS uids
		FROM team.claim c
		JOIN team.colleague h ON h.id = c.colleague_id
		WHERE c.mailbox_id = v_mailbox AND p_uids @> c.uid AND
			c.until > v_now
		GROUP BY 1, 2 ORDER BY 1
	LOOP
		RETURN QUERY DELETE FROM team.claim c
			WHERE c.mailbox_id = v_mailbox AND
				v_former.uids @> c.uid
			RETURNING c.uid, 'released', v_former.name,
				team.epoch(c.since), team.epoch(c.until);
		PERFORM pg_notify('team', left(concat_ws(' ', p_node, p_guid,
			p_uidvalidity, 'taken',
			concat_ws(E'\t', v_former.name, '',
				  left(v_former.uids::text, 4000))), 7900));
	END LOOP;
	PERFORM pg_notify('team', concat_ws(' ', p_node, p_guid,
			  p_uidvalidity, 'claims'));
END
$$;
COMMENT ON FUNCTION team.claim_free(int, text, bigint, int8multirange) IS
	'Takes the claims away, whosever they are, and returns them';

CREATE FUNCTION team.mailbox_find(p_mailbox text)
RETURNS TABLE (guid text, uidvalidity bigint, name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT m.guid, m.uidvalidity, m.name
	FROM team.mailbox m
	WHERE m.guid = p_mailbox OR m.name = team.short(p_mailbox)
	ORDER BY m.id DESC LIMIT 1
$$;
COMMENT ON FUNCTION team.mailbox_find(text) IS
	'The mailbox that has the name now, or the GUID';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA team FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
	team.claim_renew(int, text, bigint, text, int8multirange, int),
	team.claim_give(int, text, bigint, text, text, text, int8multirange, int),
	team.claim_logout(int, text, text),
	team.claim_free(int, text, bigint, int8multirange),
	team.mailbox_find(text)
	TO team_service;
