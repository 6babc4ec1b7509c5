/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* team-verify: checks exports and proofs of the audit log with public keys and
   checkpoints only. Needs neither database nor Dovecot. */

#include "progress.h"
#include "proof-file.h"
#include "verify.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#define FILE_MAX_SIZE (1024UL*1024*1024)

static const char usage_text[] =
"Usage: team-verify log --key FILE --checkpoints FILE EXPORT\n"
"       team-verify inclusion --key FILE PROOF\n"
"       team-verify consistency --key FILE OLD-CHECKPOINT NEW-CHECKPOINT PROOF\n"
"\n"
"EXPORT is what 'doveadm team audit export' wrote (JSON Lines; - is standard\n"
"input), PROOF what 'doveadm team audit prove' wrote. FILE of --key holds the\n"
"public keys that are trusted, one a line; keys that one of them signed in the\n"
"checkpoints are trusted, too.\n"
"\n"
"Exit code: 0 ok, 1 altered, 2 missing, 3 cut, 4 unknown key, 5 not checkable,\n"
"64 wrong usage, 66 a file can't be read.\n";

static int exit_code(enum team_verdict verdict)
{
	switch (verdict) {
	case TEAM_VERDICT_OK: return 0;
	case TEAM_VERDICT_ALTERED: return 1;
	case TEAM_VERDICT_MISSING: return 2;
	case TEAM_VERDICT_CUT: return 3;
	case TEAM_VERDICT_UNKNOWN_KEY: return 4;
	case TEAM_VERDICT_NOT_CHECKABLE: break;
	}
	return 5;
}

static void __attribute__((format(printf, 2, 3), noreturn))
die(int status, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("team-verify: ", stderr);
	vfprintf(stderr, fmt, args);
	putc('\n', stderr);
	va_end(args);
	exit(status);
}

static char *read_file(const char *path, size_t *size_r)
{
	FILE *file = fopen(path, "rb");
	char *data = NULL;
	size_t size = 0, alloc = 0, ret;

	if (file == NULL)
		die(EX_NOINPUT, "%s: %s", path, strerror(errno));
	do {
		if (size + 1 >= alloc) {
			alloc = alloc == 0 ? 65536 : alloc * 2;
			if (alloc > FILE_MAX_SIZE ||
			    (data = realloc(data, alloc)) == NULL)
				die(EX_NOINPUT, "%s is too large", path);
		}
		ret = fread(data + size, 1, alloc - size - 1, file);
		size += ret;
	} while (ret > 0);
	if (ferror(file))
		die(EX_NOINPUT, "%s: %s", path, strerror(errno));
	fclose(file);
	data[size] = '\0';
	if (strlen(data) != size)
		die(EX_NOINPUT, "%s has binary data", path);
	*size_r = size;
	return data;
}

static void print_finding(enum team_verdict verdict, const char *text,
			  void *context)
{
	(void)verdict;
	(void)context;
	printf("%s\n", text);
}

static struct team_verify *verify_with_keys(const char *key_path)
{
	struct team_verify *verify = team_verify_new(print_finding, NULL);
	char *keys;
	size_t size;

	if (key_path == NULL)
		die(EX_USAGE, "--key is missing. See --help.");
	keys = read_file(key_path, &size);
	if (team_verify_add_keys(verify, keys) < 0)
		die(EX_NOINPUT, "%s: not a file of public keys", key_path);
	free(keys);
	return verify;
}

static int finish(enum team_verdict verdict)
{
	if (verdict != TEAM_VERDICT_OK) {
		printf("FAILED: %s\n", team_verdict_name(verdict));
	}
	return exit_code(verdict);
}

/* ---- log ---- */

static void verify_line(struct team_verify *verify, const char *line)
{
	struct team_export exp;
	char *error;

	if (team_export_from_json(&exp, line, &error) < 0) {
		team_verify_bad_record(verify, NULL, 0, error);
		free(error);
		return;
	}
	team_verify_record(verify, &exp);
	team_export_clear(&exp);
}

/* The first line of an export for other programs says which: those leave out what
   a check needs. */
static const char *other_format(const char *line)
{
	if (strncmp(line, "node,seq,", 9) == 0)
		return "CSV";
	if (strncmp(line, "{\"@timestamp\"", 13) == 0)
		return "ECS";
	return NULL;
}

static void verify_file(struct team_verify *verify, const char *path)
{
	struct team_progress progress;
	FILE *file = stdin;
	const char *other = NULL;
	char *line = NULL;
	size_t alloc = 0;
	struct stat st;
	bool first = true;
	ssize_t len;

	if (strcmp(path, "-") != 0 && (file = fopen(path, "rb")) == NULL)
		die(EX_NOINPUT, "%s: %s", path, strerror(errno));
	team_progress_init(&progress, fstat(fileno(file), &st) == 0 &&
			   S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0);
	while ((len = getline(&line, &alloc, file)) > 0) {
		if (first && (other = other_format(line)) != NULL)
			break;
		first = false;
		if (strlen(line) != (size_t)len)
			team_verify_bad_record(verify, NULL, 0, "binary data");
		else if (strcmp(line, "\n") != 0)
			verify_line(verify, line);
		team_progress_add(&progress, (uint64_t)len);
	}
	if (ferror(file))
		die(EX_NOINPUT, "%s: %s", path, strerror(errno));
	team_progress_deinit(&progress);
	free(line);
	if (file != stdin)
		fclose(file);
	if (other != NULL) {
		die(exit_code(TEAM_VERDICT_NOT_CHECKABLE), "not checkable: %s "
		    "is an export in %s, which leaves out what a check needs: "
		    "make one with --format jsonl", path, other);
	}
}

static int command_log(const char *key_path, const char *checkpoints_path,
		       char *const *args, int count)
{
	struct team_verify *verify;
	struct team_verify_stats stats;
	enum team_verdict verdict;
	char *notes;
	size_t size;

	if (count != 1 || checkpoints_path == NULL)
		die(EX_USAGE, "wrong arguments. See --help.");
	verify = verify_with_keys(key_path);
	notes = read_file(checkpoints_path, &size);
	team_verify_add_notes(verify, notes, size);
	free(notes);
	verify_file(verify, args[0]);
	verdict = team_verify_finish(verify, &stats);
	if (stats.dropped > 0) {
		printf("%"PRIu64" records were dropped by retention, as the "
		       "cuts that are signed say\n", stats.dropped);
	}
	if (stats.before > 0) {
		printf("%"PRIu64" records are from before the tree was begun "
		       "and can't be checked\n", stats.before);
	}
	if (stats.after > 0) {
		printf("%"PRIu64" records are newer than the last checkpoint: "
		       "check them with the next one\n", stats.after);
	}
	if (verdict == TEAM_VERDICT_OK) {
		printf("ok: %"PRIu64" of %"PRIu64" records are as they were "
		       "signed in %"PRIu64" checkpoints\n", stats.covered,
		       stats.records, stats.checkpoints);
	}
	team_verify_free(&verify);
	return finish(verdict);
}

/* ---- proofs ---- */

/* Reads the checkpoint in the text, the last one if there are several (the
   keys that the others bring are trusted). */
static enum team_verdict
read_checkpoint(struct team_verify *verify, const char *text,
		struct team_statement *st_r)
{
	const struct team_verifier *key;
	struct team_statement st;
	struct team_note note;
	size_t pos = 0, used, size = strlen(text);
	bool forged, found = false;
	char *line;
	int ret;

	while (pos < size) {
		ret = team_note_parse(text + pos, size - pos, &note, &used);
		if (ret < 0) {
			printf("the checkpoint can't be read\n");
			return TEAM_VERDICT_NOT_CHECKABLE;
		}
		pos += used;
		if (ret == 0)
			break;
		key = team_verify_find_key(verify, &note, &forged);
		if (key == NULL) {
			printf(forged ? "the checkpoint was altered: its "
			       "signature is wrong\n" : "the checkpoint was "
			       "signed by an unknown key\n");
			return forged ? TEAM_VERDICT_ALTERED :
				TEAM_VERDICT_UNKNOWN_KEY;
		}
		if (team_statement_parse(note.text, note.text_size,
					 &st) < 0)
			continue;
		if (st.type == TEAM_STATEMENT_KEY) {
			line = team_verifier_format(&st.key);
			(void)team_verify_add_keys(verify, line);
			free(line);
		} else if (st.type == TEAM_STATEMENT_CHECKPOINT) {
			if (strcmp(st.origin, key->name) != 0) {
				printf("%s was signed by the key of %s\n",
				       st.origin, key->name);
				return TEAM_VERDICT_UNKNOWN_KEY;
			}
			*st_r = st;
			found = true;
		}
	}
	if (!found)
		printf("there is no checkpoint\n");
	return found ? TEAM_VERDICT_OK : TEAM_VERDICT_NOT_CHECKABLE;
}

static enum team_verdict
check_inclusion(struct team_verify *verify, const struct team_proof_file *file)
{
	struct team_statement st;
	struct team_export exp;
	struct team_hash leaf;
	enum team_verdict verdict;
	char node[TEAM_NOTE_NAME_MAX + 1], *error;
	const char *leaf_error;
	bool ok;

	verdict = read_checkpoint(verify, file->checkpoint, &st);
	if (verdict != TEAM_VERDICT_OK)
		return verdict;
	if (team_export_from_json(&exp, file->record, &error) < 0) {
		printf("the record can't be read: %s\n", error);
		free(error);
		return TEAM_VERDICT_ALTERED;
	}
	ok = exp.have_opening &&
		team_leaf_hash(exp.record, &exp.opening, &leaf,
			       &leaf_error) == 0 &&
		exp.seq == st.first + file->index &&
		team_origin_node(st.origin, node, sizeof(node)) == 0 &&
		strcmp(node, exp.node) == 0 &&
		team_proof_check_inclusion(&file->proof, file->index, st.size,
					   &leaf, &st.root);
	if (!ok) {
		printf("altered at record %"PRIu64" (%s): it isn't what the "
		       "checkpoint of %s covers\n", exp.seq, exp.node,
		       st.time);
	} else {
		printf("ok: this is record %"PRIu64" of %s, signed in the "
		       "checkpoint of %s\n%s", exp.seq, exp.node, st.time,
		       file->record);
	}
	team_export_clear(&exp);
	return ok ? TEAM_VERDICT_OK : TEAM_VERDICT_ALTERED;
}

static int command_inclusion(const char *key_path, char *const *args,
			     int count)
{
	struct team_verify *verify;
	struct team_proof_file file;
	enum team_verdict verdict = TEAM_VERDICT_NOT_CHECKABLE;
	char *text;
	size_t size;

	if (count != 1)
		die(EX_USAGE, "wrong arguments. See --help.");
	verify = verify_with_keys(key_path);
	text = read_file(args[0], &size);
	if (team_inclusion_parse(text, &file) < 0)
		printf("%s isn't a proof of inclusion\n", args[0]);
	else {
		verdict = check_inclusion(verify, &file);
		team_proof_file_clear(&file);
	}
	free(text);
	team_verify_free(&verify);
	return finish(verdict);
}

static enum team_verdict
check_consistency(const struct team_statement *old,
		  const struct team_statement *new, const char *path)
{
	struct team_proof_file file;
	size_t size;
	char *text = read_file(path, &size);
	bool ok;

	if (team_consistency_parse(text, &file) < 0) {
		printf("%s isn't a proof of consistency\n", path);
		free(text);
		return TEAM_VERDICT_NOT_CHECKABLE;
	}
	free(text);
	if (strcmp(old->origin, new->origin) != 0 ||
	    strcmp(old->origin, file.origin) != 0) {
		printf("the checkpoints and the proof are of different "
		       "trees: %s, %s, %s\n", old->origin, new->origin,
		       file.origin);
		team_proof_file_clear(&file);
		return TEAM_VERDICT_NOT_CHECKABLE;
	}
	if (file.old_size != old->size || file.size != new->size) {
		printf("the proof is about trees of %"PRIu64" and %"PRIu64
		       " records, the checkpoints about %"PRIu64" and %"PRIu64
		       "\n", file.old_size, file.size, old->size, new->size);
		team_proof_file_clear(&file);
		return TEAM_VERDICT_NOT_CHECKABLE;
	}
	ok = old->first == new->first &&
		team_proof_check_consistency(&file.proof, old->size, new->size,
					     &old->root, &new->root);
	team_proof_file_clear(&file);
	if (ok) {
		printf("ok: the log of %"PRIu64" records begins with the one "
		       "of %"PRIu64", unchanged\n", new->size, old->size);
	} else {
		printf("altered at a record from %"PRIu64" to %"PRIu64": the "
		       "newer log doesn't begin with the older one\n",
		       old->first, old->first + old->size - 1);
	}
	return ok ? TEAM_VERDICT_OK : TEAM_VERDICT_ALTERED;
}

static int command_consistency(const char *key_path, char *const *args,
			       int count)
{
	struct team_verify *verify;
	struct team_statement old, new;
	enum team_verdict verdict;
	char *text;
	size_t size;

	if (count != 3)
		die(EX_USAGE, "wrong arguments. See --help.");
	verify = verify_with_keys(key_path);
	text = read_file(args[0], &size);
	verdict = read_checkpoint(verify, text, &old);
	free(text);
	if (verdict == TEAM_VERDICT_OK) {
		text = read_file(args[1], &size);
		verdict = read_checkpoint(verify, text, &new);
		free(text);
	}
	if (verdict == TEAM_VERDICT_OK)
		verdict = check_consistency(&old, &new, args[2]);
	team_verify_free(&verify);
	return finish(verdict);
}

int main(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "key", required_argument, NULL, 'k' },
		{ "checkpoints", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	const char *key_path = NULL, *checkpoints_path = NULL, *command;
	int opt;

	while ((opt = getopt_long(argc, argv, "k:c:h", options, NULL)) != -1) {
		switch (opt) {
		case 'k':
			key_path = optarg;
			break;
		case 'c':
			checkpoints_path = optarg;
			break;
		case 'h':
			fputs(usage_text, stdout);
			return 0;
		default:
			fputs(usage_text, stderr);
			return EX_USAGE;
		}
	}
	if (optind == argc) {
		fputs(usage_text, stderr);
		return EX_USAGE;
	}
	command = argv[optind++];
	if (strcmp(command, "log") == 0)
		return command_log(key_path, checkpoints_path, argv + optind,
				   argc - optind);
	if (strcmp(command, "inclusion") == 0)
		return command_inclusion(key_path, argv + optind,
					 argc - optind);
	if (strcmp(command, "consistency") == 0)
		return command_consistency(key_path, argv + optind,
					   argc - optind);
	die(EX_USAGE, "there is no '%s'. See --help.", command);
}
