-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: the name of a mailbox that a claim or guard named first, by its
-- GUID alone, is filled in by the first record.

CREATE FUNCTION team.name_mailbox() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	UPDATE team.mailbox m SET name = NEW.name
		WHERE m.id = NEW.mailbox_id AND m.name = '';
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION team.name_mailbox() IS
	'Trigger: gives a mailbox without a name its first one';

CREATE TRIGGER mailbox_named AFTER INSERT ON team.mailbox_name
	FOR EACH ROW EXECUTE FUNCTION team.name_mailbox();

UPDATE team.mailbox m SET name = n.name
	FROM team.mailbox_name n WHERE n.mailbox_id = m.id AND m.name = '';

REVOKE ALL ON FUNCTION team.name_mailbox() FROM PUBLIC;
