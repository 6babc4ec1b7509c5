/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Message-IDs as records and requests name them. */

#include "team-common.h"
#include "str.h"
#include "mail-storage.h"
#include "reply-ids.h"
#include "team-record.h"

#define MESSAGE_ID_LEN_MAX 1000

/* What isn't an ID is kept as text, since somebody may look for it, but
   without what ends a line. */
static const char *message_id_clean(const char *value)
{
	string_t *str = t_str_new(128);

	for (; *value != '\0' && str_len(str) < MESSAGE_ID_LEN_MAX; value++) {
		if ((unsigned char)*value >= ' ' && *value != 0x7f &&
		    (*value != ' ' || str_len(str) > 0))
			str_append_c(str, *value);
	}
	return str_c(str);
}

int team_mail_get_message_id(struct mail *mail, const char **message_id_r)
{
	struct reply_ids ids;
	const char *value;
	int ret;

	*message_id_r = NULL;
	if ((ret = mail_get_first_header(mail, "Message-ID", &value)) <= 0)
		return ret;
	/* the same form as that of the replies that name it */
	reply_ids_parse(value, NULL, &ids);
	value = ids.count > 0 ? t_strdup(ids.ids[0]) : message_id_clean(value);
	if (*value == '\0')
		return 0;
	*message_id_r = value;
	return 1;
}

void team_mids_add(string_t *mids, uint32_t uid, const char *message_id)
{
	if (str_len(mids) > 0)
		str_append_c(mids, '\n');
	str_printfa(mids, "%u %s", uid, message_id);
}
