-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: nodes, mailboxes, and what a node fetches of them.

CREATE FUNCTION team.short(p_text text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN octet_length(p_text) <= 1024 THEN p_text
	    ELSE left(p_text, 200) || '...' || md5(p_text) END;
COMMENT ON FUNCTION team.short(text) IS
	'The text, or what stands for one that is too long for an index';

CREATE FUNCTION team.epoch(p_at timestamptz) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN floor(extract(epoch FROM p_at))::bigint;
COMMENT ON FUNCTION team.epoch(timestamptz) IS
	'Whole seconds since the epoch';

CREATE FUNCTION team.hello(p_node text)
RETURNS TABLE (node_id int, hwm bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF coalesce(p_node, '') = '' THEN
		RAISE EXCEPTION 'the node has no name'
			USING ERRCODE = 'invalid_parameter_value',
			HINT = 'Set team_node, or give the host a name.';
	END IF;
	RETURN QUERY UPDATE team.node n SET last_seen = clock_timestamp()
		WHERE n.name = team.short(p_node) RETURNING n.id, n.hwm;
	IF NOT FOUND THEN
		RETURN QUERY INSERT INTO team.node AS n (name)
			VALUES (team.short(p_node))
			ON CONFLICT (name) DO UPDATE
				SET last_seen = clock_timestamp()
			RETURNING n.id, n.hwm;
	END IF;
END
$$;
COMMENT ON FUNCTION team.hello(text) IS
	'Registers the node by its name; hwm is its last record in the log';

CREATE FUNCTION team.colleague_id(p_name text) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_name text := team.short(p_name);
	v_id int;
BEGIN
	IF coalesce(v_name, '') = '' THEN
		RAISE EXCEPTION 'the colleague has no name'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	SELECT c.id INTO v_id FROM team.colleague c WHERE c.name = v_name;
	IF v_id IS NULL THEN
		INSERT INTO team.colleague (name) VALUES (v_name)
			ON CONFLICT DO NOTHING;
		SELECT c.id INTO v_id FROM team.colleague c
			WHERE c.name = v_name;
	END IF;
	RETURN v_id;
END
$$;
COMMENT ON FUNCTION team.colleague_id(text) IS
	'The colleague''s id, entering the name if it is new';

CREATE FUNCTION team.mailbox_id(p_guid text, p_uidvalidity bigint)
RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_id int;
BEGIN
	SELECT m.id INTO v_id FROM team.mailbox m
		WHERE m.guid = p_guid AND m.uidvalidity = p_uidvalidity;
	IF v_id IS NULL THEN
		INSERT INTO team.mailbox (guid, uidvalidity)
			VALUES (p_guid, p_uidvalidity) ON CONFLICT DO NOTHING;
		SELECT m.id INTO v_id FROM team.mailbox m
			WHERE m.guid = p_guid AND m.uidvalidity = p_uidvalidity;
	END IF;
	RETURN v_id;
END
$$;
COMMENT ON FUNCTION team.mailbox_id(text, bigint) IS
	'The mailbox''s id, entering it if it is new';

CREATE FUNCTION team.mailbox_changed(p_node int, p_mailbox_id int, p_what text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_payload text;
BEGIN
	SELECT concat_ws(' ', p_node, m.guid, m.uidvalidity, p_what)
		INTO v_payload
		FROM team.mailbox m WHERE m.id = p_mailbox_id;
	-- Longer ones PostgreSQL refuses: then the next SYNC has to do.
	IF octet_length(v_payload) < 8000 THEN
		PERFORM pg_notify('team', v_payload);
	END IF;
END
$$;
COMMENT ON FUNCTION team.mailbox_changed(int, int, text) IS
	'Tells all nodes at commit: NOTIFY team, ''<node> <guid> <uidvalidity> <what>''';

CREATE FUNCTION team.sync_mailbox(p_guid text, p_uidvalidity bigint,
				  p_name text)
RETURNS TABLE (rev bigint, known text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off
AS $$
DECLARE
	v_id int := team.mailbox_id(p_guid, p_uidvalidity);
	v_name text := team.short(p_name);
BEGIN
	IF v_name <> '' THEN
		INSERT INTO team.mailbox_name AS n (name, mailbox_id)
			SELECT v_name, v_id WHERE NOT EXISTS (
				SELECT FROM team.mailbox_name o
				WHERE o.name = v_name AND o.mailbox_id = v_id)
			ON CONFLICT DO NOTHING;
		UPDATE team.mailbox m SET name = v_name
			WHERE m.id = v_id AND m.name <> v_name;
	END IF;
	RETURN QUERY SELECT m.rev, coalesce(
			(SELECT range_agg(u)::text
			 FROM team.message_block b, unnest(b.uids) u
			 WHERE b.mailbox_id = m.id), '{}')
		FROM team.mailbox m WHERE m.id = v_id;
END
$$;
COMMENT ON FUNCTION team.sync_mailbox(text, bigint, text) IS
	'The mailbox''s revision, and the messages whose Message-ID is known. To be called before sync_flags and sync_claims: what they see is at least that new';

CREATE FUNCTION team.sync_flags(p_node int, p_guid text, p_uidvalidity bigint,
				p_colleague text, p_cursor bigint)
RETURNS TABLE (flag text, first_uid bigint, last_uid bigint, uids text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off
AS $$
	SELECT f.flag, greatest(f.block::bigint << 10, 1),
		(f.block::bigint << 10) + 1023, f.uids::text
	FROM team.mailbox m
	JOIN team.flag f ON f.mailbox_id = m.id
	JOIN team.colleague c ON c.id = f.colleague_id
	WHERE m.guid = p_guid AND m.uidvalidity = p_uidvalidity AND
		c.name = team.short(p_colleague) AND
		(p_cursor <= 0 OR
		 CASE WHEN f.node = p_node THEN f.other_rev ELSE f.rev END
			> p_cursor)
	ORDER BY f.flag, f.block
$$;
COMMENT ON FUNCTION team.sync_flags(int, text, bigint, text, bigint) IS
	'The colleague''s flags in blocks that other nodes than p_node changed after the cursor; with cursor 0 all. Between first_uid and last_uid exactly the messages in uids have the flag';

CREATE FUNCTION team.sync_claims(p_guid text, p_uidvalidity bigint)
RETURNS TABLE (uid bigint, holder text, since bigint, until bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT c.uid, h.name, team.epoch(c.since),
		team.epoch(c.until)
	FROM team.mailbox m
	JOIN team.claim c ON c.mailbox_id = m.id
	JOIN team.colleague h ON h.id = c.colleague_id
	WHERE m.guid = p_guid AND m.uidvalidity = p_uidvalidity AND
		c.until > clock_timestamp()
	ORDER BY c.uid
$$;
COMMENT ON FUNCTION team.sync_claims(text, bigint) IS
	'The live claims in the mailbox; times in seconds since the epoch';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA team FROM PUBLIC;
GRANT EXECUTE ON FUNCTION team.hello(text),
	team.sync_mailbox(text, bigint, text),
	team.sync_flags(int, text, bigint, text, bigint),
	team.sync_claims(text, bigint)
	TO team_service;
