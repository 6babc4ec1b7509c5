-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: a mailbox that lost its UIDVALIDITY gets its flags and claims
-- back, message by message.

CREATE TABLE team.message_guid (
	mailbox_id int NOT NULL REFERENCES team.mailbox,
	uid bigint NOT NULL CHECK (uid BETWEEN 1 AND 4294967295),
	guid uuid NOT NULL,
	PRIMARY KEY (mailbox_id, uid)
);
COMMENT ON TABLE team.message_guid IS
	'Messages that have private flags or claims, as far as they could be identified';
COMMENT ON COLUMN team.message_guid.guid IS
	'MD5 of Dovecot''s GUID of the message, which is kept where UIDs are not';
REVOKE ALL ON team.message_guid FROM PUBLIC;

-- What is there has its flags.
ALTER TABLE team.mailbox ADD COLUMN searched boolean NOT NULL DEFAULT true;
ALTER TABLE team.mailbox ALTER COLUMN searched SET DEFAULT false;
COMMENT ON COLUMN team.mailbox.searched IS
	'It has been looked for flags of a mailbox that was here before this one';
CREATE INDEX mailbox_name_now ON team.mailbox (name);

CREATE FUNCTION team.predecessors(p_mailbox_id int) RETURNS SETOF int
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT o.id FROM team.mailbox m
	JOIN team.mailbox o ON o.id < m.id AND
		(o.guid = m.guid OR (o.name = m.name AND m.name <> ''))
	WHERE m.id = p_mailbox_id AND
		(EXISTS (SELECT FROM team.flag f
			 WHERE f.mailbox_id = o.id AND NOT isempty(f.uids)) OR
		 EXISTS (SELECT FROM team.claim c WHERE c.mailbox_id = o.id))
$$;
COMMENT ON FUNCTION team.predecessors(int) IS
	'Mailboxes that may have been the same one under another UIDVALIDITY, and have something left';

DROP FUNCTION team.sync_mailbox(text, bigint, text);
CREATE FUNCTION team.sync_mailbox(p_guid text, p_uidvalidity bigint,
				  p_name text)
RETURNS TABLE (rev bigint, known text, lost boolean, history bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off
AS $$
DECLARE
	v_id int := team.mailbox_id(p_guid, p_uidvalidity);
	v_name text := team.short(p_name);
	v_lost boolean := false;
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
	IF EXISTS (SELECT FROM team.mailbox m
		   WHERE m.id = v_id AND NOT m.searched) THEN
		v_lost := EXISTS (SELECT FROM team.predecessors(v_id));
		IF NOT v_lost THEN
			UPDATE team.mailbox m SET searched = true
				WHERE m.id = v_id AND NOT m.searched;
		END IF;
	END IF;
	RETURN QUERY SELECT m.rev, coalesce(
			(SELECT range_agg(u)::text
			 FROM team.message_block b, unnest(b.uids) u
			 WHERE b.mailbox_id = m.id), '{}'), v_lost,
			hashtextextended(m.tableoid || ' ' || left(
				pg_walfile_name(pg_current_wal_lsn()), 8), 0) &
				8388607
		FROM team.mailbox m WHERE m.id = v_id;
END
$$;
COMMENT ON FUNCTION team.sync_mailbox(text, bigint, text) IS
	'The mailbox''s revision, the messages whose Message-ID is known, whether team.recover may find something for it, and a number that is another one once the database was restored from a dump or has begun a new timeline: revisions from before say nothing then. To be called before sync_flags and sync_claims: what they see is at least that new';

CREATE FUNCTION team.guid_lines(p_lines text)
RETURNS TABLE (uid bigint, guid uuid)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT p[1]::bigint, md5(p[2])::uuid
	FROM string_to_table(p_lines, E'\n') l
	CROSS JOIN LATERAL regexp_match(l, '^([1-9][0-9]{0,9}) (.+)$') p
	WHERE p[1]::bigint <= 4294967295
$$;
COMMENT ON FUNCTION team.guid_lines(text) IS
	'Lines of "<uid> <guid>" as rows; others are left out';

CREATE FUNCTION team.unidentified(p_guid text, p_uidvalidity bigint,
				  p_uids int8multirange)
RETURNS TABLE (uids text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off
AS $$
	SELECT string_agg(concat_ws(':', lower(u), nullif(upper(u) - 1,
						      lower(u))), ','
			  ORDER BY u)
	FROM unnest(p_uids - coalesce((
		SELECT range_agg(int8range(g.uid, g.uid + 1))
		FROM team.mailbox m
		JOIN team.message_guid g ON g.mailbox_id = m.id
		WHERE m.guid = p_guid AND m.uidvalidity = p_uidvalidity AND
			g.uid BETWEEN lower(p_uids) AND upper(p_uids)),
		'{}')) u
	HAVING count(*) > 0
$$;
COMMENT ON FUNCTION team.unidentified(text, bigint, int8multirange) IS
	'Those of the messages whose GUID isn''t known, as an IMAP sequence-set';

CREATE FUNCTION team.identify(p_guid text, p_uidvalidity bigint, p_lines text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_id int := team.mailbox_id(p_guid, p_uidvalidity);
BEGIN
	INSERT INTO team.message_guid (mailbox_id, uid, guid)
		SELECT v_id, l.uid, l.guid FROM team.guid_lines(p_lines) l
		ORDER BY l.uid
		ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION team.identify(text, bigint, text) IS
	'Enters GUIDs of messages, lines of "<uid> <guid>"';

CREATE FUNCTION team.recover(p_guid text, p_uidvalidity bigint, p_lines text,
			     p_done boolean) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off
AS $$
DECLARE
	v_id int := team.mailbox_id(p_guid, p_uidvalidity);
	v_rev bigint;
	v_uids bigint[];
	v_from_ids int[];
	v_from_uids bigint[];
	v_colleague text;
BEGIN
	-- One session at a time, and nobody else's changes meanwhile.
	UPDATE team.mailbox m SET rev = m.rev + 1, searched = p_done
		WHERE m.id = v_id AND NOT m.searched RETURNING m.rev INTO v_rev;
	IF v_rev IS NULL THEN
		RETURN 0;
	END IF;
	PERFORM team.identify(p_guid, p_uidvalidity, p_lines);
	-- The same message may be there several times: then that of the same
	-- UID, which some storages keep.
	SELECT array_agg(p.uid), array_agg(p.from_id), array_agg(p.from_uid)
		INTO v_uids, v_from_ids, v_from_uids
		FROM (SELECT DISTINCT ON (l.uid) l.uid, g.mailbox_id AS from_id,
				g.uid AS from_uid
		      FROM team.guid_lines(p_lines) l
		      JOIN (SELECT o.mailbox_id, o.uid, o.guid
			    FROM team.predecessors(v_id) p(id)
			    JOIN team.message_guid o ON o.mailbox_id = p.id) g
			ON g.guid = l.guid
		      ORDER BY l.uid, g.mailbox_id DESC,
				(g.uid = l.uid) DESC, g.uid) p;
	IF v_uids IS NULL THEN
		RETURN 0;
	END IF;

	INSERT INTO team.flag AS f
		(mailbox_id, colleague_id, flag, block, uids, rev, node)
		SELECT v_id, o.colleague_id,
			team.flag_name(v_id, o.colleague_id, o.flag),
			(p.uid >> 10)::int,
			range_agg(int8range(p.uid, p.uid + 1)), v_rev, 0
		FROM unnest(v_uids, v_from_ids, v_from_uids)
			p(uid, from_id, from_uid)
		JOIN team.flag o ON o.mailbox_id = p.from_id AND
			o.block = (p.from_uid >> 10)::int AND
			o.uids @> p.from_uid
		GROUP BY 2, 3, 4
		ORDER BY 2, 3, 4
	ON CONFLICT (mailbox_id, colleague_id, flag, block) DO UPDATE SET
		uids = f.uids + excluded.uids, rev = v_rev, node = 0,
		other_rev = CASE WHEN f.node = 0 THEN f.other_rev
				 ELSE f.rev END;
	FOR v_colleague IN
		SELECT DISTINCT c.name FROM team.flag f
		JOIN team.colleague c ON c.id = f.colleague_id
		WHERE f.mailbox_id = v_id AND f.node = 0 AND f.rev = v_rev
	LOOP
		PERFORM team.mailbox_changed(0, v_id, 'flags ' || v_colleague);
	END LOOP;

	-- A claim is in one place.
	WITH gone AS (
		DELETE FROM team.claim c
		USING unnest(v_uids, v_from_ids, v_from_uids)
			p(to_uid, from_id, from_uid)
		WHERE c.mailbox_id = p.from_id AND c.uid = p.from_uid
		RETURNING c.*, p.to_uid
	)
	INSERT INTO team.claim (mailbox_id, uid, colleague_id, node, session,
				since, until, draft)
		SELECT v_id, g.to_uid, g.colleague_id, g.node, g.session,
			g.since, g.until, g.draft
		FROM gone g
		ON CONFLICT DO NOTHING;
	IF FOUND THEN
		PERFORM team.mailbox_changed(0, v_id, 'claims');
	END IF;

	-- The log goes on with the same messages.
	PERFORM team.enter_messages(array_agg(v_id), array_agg(p.uid),
				    array_agg(g.message_id))
		FROM unnest(v_uids, v_from_ids, v_from_uids)
			p(uid, from_id, from_uid)
		JOIN team.message g ON g.mailbox_id = p.from_id AND
			g.uid = p.from_uid;
	RETURN array_length(v_uids, 1);
END
$$;
COMMENT ON FUNCTION team.recover(text, bigint, text, boolean) IS
	'Gives messages (lines of "<uid> <guid>") the private flags of all colleagues, and the claims, that the same messages had under another UIDVALIDITY; returns how many were found. The last call has p_done';

CREATE OR REPLACE FUNCTION team.copy_message_ids(p_runs team.copied_run[])
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT team.enter_messages(array_agg(r.to_id),
		array_agg(g.uid + r.shift), array_agg(g.message_id))
	FROM unnest(p_runs) r
	JOIN team.message g ON g.mailbox_id = r.from_id AND
		g.uid BETWEEN r.first_from AND r.last_from;
	INSERT INTO team.message_guid (mailbox_id, uid, guid)
	SELECT r.to_id, g.uid + r.shift, g.guid
	FROM unnest(p_runs) r
	JOIN team.message_guid g ON g.mailbox_id = r.from_id AND
		g.uid BETWEEN r.first_from AND r.last_from
	ON CONFLICT DO NOTHING
$$;
COMMENT ON FUNCTION team.copy_message_ids(team.copied_run[]) IS
	'A copy has the original''s Message-ID, and its GUID within a storage';

CREATE FUNCTION team.forget_messages() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM team.message_guid g
	USING unnest(coalesce(NEW.uids, team.uid_set(NEW.uid))) u
	WHERE g.mailbox_id = NEW.msg_mailbox_id AND
		g.uid BETWEEN lower(u) AND upper(u) - 1;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION team.forget_messages() IS
	'Trigger: what is expunged can''t come back';
CREATE TRIGGER record_expunged AFTER INSERT ON team.record
	FOR EACH ROW WHEN (NEW.action = 'expunge' AND NEW.outcome = 'ok' AND
		NEW.msg_mailbox_id IS NOT NULL)
	EXECUTE FUNCTION team.forget_messages();

REVOKE ALL ON FUNCTION team.predecessors(int),
	team.sync_mailbox(text, bigint, text), team.guid_lines(text),
	team.unidentified(text, bigint, int8multirange),
	team.identify(text, bigint, text),
	team.recover(text, bigint, text, boolean), team.forget_messages()
	FROM PUBLIC;
GRANT EXECUTE ON FUNCTION team.sync_mailbox(text, bigint, text),
	team.unidentified(text, bigint, int8multirange),
	team.identify(text, bigint, text),
	team.recover(text, bigint, text, boolean)
	TO team_service;
