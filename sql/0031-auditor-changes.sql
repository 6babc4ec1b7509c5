-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: changes of what auditors may see stand in the log. They are
-- made in the database, where no journal is: each waits until a node has
-- fetched it, journalled it, and brought its record.

CREATE TABLE team.auditor_change (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	auditor text NOT NULL,
	mailboxes text[],
	by text NOT NULL DEFAULT session_user,
	node int NOT NULL DEFAULT 0,
	handed timestamptz
);
COMMENT ON TABLE team.auditor_change IS
	'Changes of auditors'' limits that the log doesn''t have yet';
COMMENT ON COLUMN team.auditor_change.mailboxes IS
	'NULL: not limited any more';
COMMENT ON COLUMN team.auditor_change.node IS
	'The node that journals it; 0: none was asked yet';
REVOKE ALL ON team.auditor_change FROM PUBLIC;

CREATE FUNCTION team.auditor_limited() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF TG_OP IN ('INSERT', 'UPDATE') THEN
		INSERT INTO team.auditor_change (auditor, mailboxes)
			VALUES (NEW.auditor::text, NEW.mailboxes);
	END IF;
	IF TG_OP = 'DELETE' OR
		TG_OP = 'UPDATE' AND NEW.auditor <> OLD.auditor THEN
		INSERT INTO team.auditor_change (auditor)
			VALUES (OLD.auditor::text);
	ELSIF TG_OP = 'TRUNCATE' THEN
		INSERT INTO team.auditor_change (auditor)
			SELECT l.auditor::text FROM team.auditor_limit l;
	END IF;
	PERFORM pg_notify('team', '0 - 0 auditor');
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION team.auditor_limited() IS
	'Trigger: somebody changed what an auditor may see';
CREATE TRIGGER auditor_limited
	AFTER INSERT OR UPDATE OF auditor, mailboxes, patterns OR DELETE
	ON team.auditor_limit
	FOR EACH ROW EXECUTE FUNCTION team.auditor_limited();
CREATE TRIGGER auditor_limited_all BEFORE TRUNCATE ON team.auditor_limit
	FOR EACH STATEMENT EXECUTE FUNCTION team.auditor_limited();

CREATE FUNCTION team.auditor_changes(p_node int)
RETURNS TABLE (id bigint, at bigint, auditor text, mailboxes text,
	       changed_by text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	WITH handed AS (
		UPDATE team.auditor_change c
		SET node = p_node, handed = clock_timestamp()
		WHERE c.id = ANY (ARRAY(
			SELECT w.id FROM team.auditor_change w
			WHERE w.node IN (0, p_node) OR
				w.handed < clock_timestamp() - interval '1 hour'
			FOR UPDATE SKIP LOCKED))
		RETURNING c.*)
	SELECT h.id, team.epoch(h.at), h.auditor, h.mailboxes::text, h.by
	FROM handed h ORDER BY h.id
$$;
COMMENT ON FUNCTION team.auditor_changes(int) IS
	'Changes of auditors'' limits that the node has to journal: until the log has its record, each is returned again. The node has to have shipped all that it journalled';

CREATE FUNCTION team.auditor_change_recorded() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM team.auditor_change c
		WHERE c.id::text = NEW.detail->>'change';
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION team.auditor_change_recorded() IS
	'Trigger: the log has the change of an auditor''s limit';
CREATE TRIGGER record_auditor_change AFTER INSERT ON team.record
	FOR EACH ROW WHEN (NEW.action = 'acl' AND NEW.service = 'team' AND
		NEW.detail ? 'change')
	EXECUTE FUNCTION team.auditor_change_recorded();

REVOKE ALL ON FUNCTION team.auditor_limited(), team.auditor_changes(int),
	team.auditor_change_recorded() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION team.auditor_changes(int) TO team_service;
