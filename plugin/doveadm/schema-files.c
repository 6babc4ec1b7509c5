/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reads the migrations and takes their checksums. */

#include "team-common.h"
#include "array.h"
#include "buffer.h"
#include "hex-binary.h"
#include "istream.h"
#include "schema-files.h"

#include <ctype.h>
#include <dirent.h>
#include <openssl/evp.h>

#define MIGRATION_DIGITS 4
#define MIGRATION_SUFFIX ".sql"
/* No migration is anywhere near: a guard against a wrong folder. */
#define MIGRATION_MAX_SIZE (16*1024*1024)

/* Splits "0001-name.sql". Returns FALSE if it isn't a migration's name. */
static bool
migration_name_parse(const char *fname, unsigned int *version_r,
		     const char **name_r)
{
	size_t len = strlen(fname), suffix_len = strlen(MIGRATION_SUFFIX);
	unsigned int i;

	if (len <= MIGRATION_DIGITS + 1 + suffix_len ||
	    strcmp(fname + len - suffix_len, MIGRATION_SUFFIX) != 0 ||
	    fname[MIGRATION_DIGITS] != '-')
		return FALSE;
	for (i = 0; i < MIGRATION_DIGITS; i++) {
		if (!i_isdigit(fname[i]))
			return FALSE;
	}
	if (str_to_uint(t_strndup(fname, MIGRATION_DIGITS), version_r) < 0)
		return FALSE;
	*name_r = t_strdup_until(fname + MIGRATION_DIGITS + 1,
				 fname + len - suffix_len);
	return TRUE;
}

static int
sha256_hex(const void *data, size_t size, const char **hex_r,
	   const char **error_r)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int digest_len = 0;

	if (EVP_Digest(data, size, digest, &digest_len, EVP_sha256(),
		       NULL) != 1 || digest_len * 2 != TEAM_CHECKSUM_LEN) {
		*error_r = "libcrypto can't take SHA-256 checksums here";
		return -1;
	}
	*hex_r = binary_to_hex(digest, digest_len);
	return 0;
}

static int
file_read(const char *path, buffer_t *dest, const char **error_r)
{
	struct istream *input;
	const unsigned char *data;
	size_t size;
	int ret = 0;

	input = i_stream_create_file(path, IO_BLOCK_SIZE);
	while (i_stream_read_more(input, &data, &size) > 0) {
		buffer_append(dest, data, size);
		i_stream_skip(input, size);
		if (dest->used > MIGRATION_MAX_SIZE)
			break;
	}
	if (input->stream_errno != 0) {
		*error_r = t_strdup_printf("Can't read %s: %s", path,
					   i_stream_get_error(input));
		ret = -1;
	} else if (dest->used > MIGRATION_MAX_SIZE) {
		*error_r = t_strdup_printf("%s is too large for a migration",
					   path);
		ret = -1;
	} else if (memchr(dest->data, '\0', dest->used) != NULL) {
		*error_r = t_strdup_printf("%s isn't SQL: it has NUL bytes",
					   path);
		ret = -1;
	}
	i_stream_unref(&input);
	return ret;
}

static int
migration_read(pool_t pool, const char *dir, const char *fname,
	       struct team_migration *migration, const char **error_r)
{
	buffer_t *buf = t_buffer_create(4096);
	const char *checksum;

	migration->path = p_strconcat(pool, dir, "/", fname, NULL);
	if (file_read(migration->path, buf, error_r) < 0 ||
	    sha256_hex(buf->data, buf->used, &checksum, error_r) < 0)
		return -1;
	migration->checksum = p_strdup(pool, checksum);
	migration->sql = p_strndup(pool, buf->data, buf->used);
	return 0;
}

static int migration_cmp(const struct team_migration *m1,
			 const struct team_migration *m2)
{
	if (m1->version != m2->version)
		return m1->version < m2->version ? -1 : 1;
	return strcmp(m1->path, m2->path);
}

/* A missing or doubled file means a damaged installation: applying the rest
   would give a schema that no version of the program knows. */
static int
migrations_check_numbers(const ARRAY_TYPE(team_migration) *migrations,
			 const char *dir, const char **error_r)
{
	const struct team_migration *migration;
	unsigned int expected = 0;

	array_foreach(migrations, migration) {
		expected++;
		if (migration->version == expected)
			continue;
		if (migration->version < expected) {
			*error_r = t_strdup_printf(
				"There are two migrations %04u in %s, or one "
				"numbered 0000 (%s): reinstall dovecot-team",
				migration->version, dir, migration->path);
		} else {
			*error_r = t_strdup_printf(
				"Migration %04u is missing in %s: "
				"reinstall dovecot-team", expected, dir);
		}
		return -1;
	}
	if (expected == 0) {
		*error_r = t_strdup_printf("There are no migrations "
			"(NNNN-name.sql) in %s: reinstall dovecot-team, or "
			"name their folder with --sql-dir", dir);
		return -1;
	}
	return 0;
}

static int
migrations_read_dir(pool_t pool, const char *dir, DIR *dirp,
		    ARRAY_TYPE(team_migration) *migrations,
		    const char **error_r)
{
	struct team_migration *migration;
	struct dirent *d;
	const char *name;
	unsigned int version;

	while (errno = 0, (d = readdir(dirp)) != NULL) {
		if (!migration_name_parse(d->d_name, &version, &name))
			continue;
		migration = array_append_space(migrations);
		migration->version = version;
		migration->name = p_strdup(pool, name);
		if (migration_read(pool, dir, d->d_name, migration,
				   error_r) < 0)
			return -1;
	}
	if (errno != 0) {
		*error_r = t_strdup_printf("readdir(%s) failed: %m", dir);
		return -1;
	}
	return 0;
}

int team_migrations_read(pool_t pool, const char *dir,
			 ARRAY_TYPE(team_migration) *migrations,
			 const char **error_r)
{
	DIR *dirp;
	int ret;

	dirp = opendir(dir);
	if (dirp == NULL) {
		*error_r = t_strdup_printf("Can't open the folder of the "
			"migrations %s: %m (--sql-dir names another)", dir);
		return -1;
	}
	ret = migrations_read_dir(pool, dir, dirp, migrations, error_r);
	(void)closedir(dirp);
	if (ret < 0)
		return -1;
	array_sort(migrations, migration_cmp);
	return migrations_check_numbers(migrations, dir, error_r);
}
