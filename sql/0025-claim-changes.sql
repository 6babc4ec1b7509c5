-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: what changed of a mailbox's claims since somebody last looked.
-- Every statement that changes claims notes whose, with its transaction's
-- number. Numbers below a snapshot's xmin are those of transactions that had
-- ended: so that is up to where a reader has seen all, though claims don't wait
-- for one another. Lost in a crash of the server, which no connection survives
-- either: readers begin anew with each connection.

CREATE UNLOGGED TABLE team.claim_change (
	mailbox_id int NOT NULL,
	xid bigint NOT NULL,
	at timestamptz NOT NULL,
	uids int8multirange NOT NULL
);
CREATE INDEX claim_change_mailbox ON team.claim_change (mailbox_id, xid);
CREATE INDEX claim_change_at ON team.claim_change (at);
COMMENT ON TABLE team.claim_change IS
	'Messages whose claims were changed in the last minutes';
COMMENT ON COLUMN team.claim_change.xid IS 'The transaction that did';

CREATE UNLOGGED TABLE team.claim_forgotten (
	xid bigint NOT NULL
);
COMMENT ON TABLE team.claim_forgotten IS
	'One row, or none: changes of transactions before this one may be missing in team.claim_change';
REVOKE ALL ON team.claim_change, team.claim_forgotten FROM PUBLIC;

CREATE FUNCTION team.claim_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	INSERT INTO team.claim_change (mailbox_id, xid, at, uids)
		SELECT c.mailbox_id, pg_current_xact_id()::text::bigint,
			clock_timestamp(),
			range_agg(int8range(c.uid, c.uid, '[]'))
		FROM changed c GROUP BY 1;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION team.claim_changed() IS
	'Trigger: notes whose claims the statement changed';
CREATE TRIGGER claim_changed_insert AFTER INSERT ON team.claim
	REFERENCING NEW TABLE AS changed
	FOR EACH STATEMENT EXECUTE FUNCTION team.claim_changed();
CREATE TRIGGER claim_changed_update AFTER UPDATE ON team.claim
	REFERENCING NEW TABLE AS changed
	FOR EACH STATEMENT EXECUTE FUNCTION team.claim_changed();
CREATE TRIGGER claim_changed_delete AFTER DELETE ON team.claim
	REFERENCING OLD TABLE AS changed
	FOR EACH STATEMENT EXECUTE FUNCTION team.claim_changed();

DROP FUNCTION team.sync_claims(text, bigint);
CREATE FUNCTION team.sync_claims(p_guid text, p_uidvalidity bigint,
				 p_cursor bigint)
RETURNS TABLE (uid bigint, holder text, since bigint, until bigint, gone text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
	v_mailbox int := (SELECT m.id FROM team.mailbox m
			  WHERE m.guid = p_guid AND
				m.uidvalidity = p_uidvalidity);
	v_cursor bigint := pg_snapshot_xmin(pg_current_snapshot())::text::bigint;
	v_changed int8multirange;
	v_gone int8multirange;
BEGIN
	IF p_cursor NOT BETWEEN 1 AND v_cursor OR
			p_cursor <
			(SELECT max(f.xid) FROM team.claim_forgotten f) THEN
		RETURN QUERY VALUES (NULL::bigint, 'all', v_cursor, 0::bigint,
				     NULL::text);
		RETURN QUERY
			SELECT c.uid, h.name, team.epoch(c.since),
				team.epoch(c.until), NULL::text
			FROM team.claim c
			JOIN team.colleague h ON h.id = c.colleague_id
			WHERE c.mailbox_id = v_mailbox
			ORDER BY c.uid;
		RETURN;
	END IF;
	v_changed := (SELECT range_agg(u)
		FROM team.claim_change c, unnest(c.uids) u
		WHERE c.mailbox_id = v_mailbox AND c.xid >= p_cursor);
	v_gone := v_changed - (
		SELECT coalesce(range_agg(int8range(c.uid, c.uid, '[]')), '{}')
		FROM unnest(v_changed) r
		JOIN team.claim c ON c.mailbox_id = v_mailbox AND
			c.uid >= lower(r) AND c.uid < upper(r));
	RETURN QUERY VALUES (NULL::bigint, 'changed', v_cursor, 0::bigint,
			     nullif(v_gone::text, '{}'));
	RETURN QUERY
		SELECT c.uid, h.name, team.epoch(c.since), team.epoch(c.until),
			NULL::text
		FROM unnest(v_changed) r
		JOIN team.claim c ON c.mailbox_id = v_mailbox AND
			c.uid >= lower(r) AND c.uid < upper(r)
		JOIN team.colleague h ON h.id = c.colleague_id
		ORDER BY c.uid;
END
$$;
COMMENT ON FUNCTION team.sync_claims(text, bigint, bigint) IS
	'The mailbox''s claims, or what changed since the cursor if that is remembered: first a row with all or changed as holder, the new cursor as since, and those that are gone; then claims. One that has lapsed is there until it is reported';

CREATE FUNCTION team.claim_forget(p_age interval) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
	WITH gone AS (
		DELETE FROM team.claim_change c
		WHERE c.at < clock_timestamp() - p_age
		RETURNING c.xid
	), last AS (
		SELECT max(g.xid) + 1 AS xid FROM gone g
	), before AS (
		DELETE FROM team.claim_forgotten f USING last l
		WHERE l.xid IS NOT NULL RETURNING f.xid
	)
	INSERT INTO team.claim_forgotten (xid)
		SELECT greatest(l.xid, (SELECT max(b.xid) FROM before b))
		FROM last l WHERE l.xid IS NOT NULL
$$;
COMMENT ON FUNCTION team.claim_forget(interval) IS
	'Forgets changes of claims that are older';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA team FROM PUBLIC;
GRANT EXECUTE ON FUNCTION team.sync_claims(text, bigint, bigint),
	team.claim_forget(interval) TO team_service;
