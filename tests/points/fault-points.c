/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Preloaded into Dovecot's processes by tests/fault/points.py: fails a call, or
   kills the process before or after it. The plugins and the service are the
   ones that are installed; nothing of this is in them. The plan is a file that
   is mapped by all processes, so that the test can change it at any time and
   only one of them carries it out. */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

/* What the test writes into its folder: DIR/plan. */
struct plan {
	/* PLAN_*; armed becomes off by whoever carries it out */
	uint32_t state;
	/* PLAN_ARMED: how many times the point is still passed, this one included */
	int32_t left;
	/* WHAT_* */
	uint32_t what;
	/* errno of a call that fails */
	int32_t error;
	/* allocations made since counting began */
	uint32_t allocations;
	/* 0: any */
	uint32_t pid;
	/* "service" or "mail" */
	char who[12];
	char point[64];
};

/* PLAN_READ_ONLY: nothing in the journal's folder can be changed until the
   plan is off, as if its file system had been made read-only after an error:
   mount can't do that as long as files are open for writing. */
enum { PLAN_OFF, PLAN_COUNT, PLAN_ARMED, PLAN_READ_ONLY };
enum { WHAT_BEFORE, WHAT_AFTER, WHAT_FAIL, WHAT_TORN };

#define ALLOCATION "allocation"
/* above what Dovecot's master hands to its children */
#define TRACE_FD_MIN 200

static struct plan *plan;
static const char *who;
static int trace_fd = -1;

static void *next(void **real, const char *name)
{
	if (*real == NULL) {
		*real = dlsym(RTLD_NEXT, name);
		/* fails only if somebody calls what isn't there */
		if (*real == NULL)
			abort();
	}
	return *real;
}

#define NEXT(name) \
	static void *name##_real; \
	__typeof__(name) *real = next(&name##_real, #name)

static void die(void)
{
	kill(getpid(), SIGKILL);
	pause();
}

__attribute__((constructor)) static void fault_points_init(void)
{
	const char *dir = getenv("TEAM_FAULT_POINTS");
	const char *name = program_invocation_short_name;
	char path[4096];
	void *map;
	int fd;

	if (dir == NULL)
		return;
	if (strcmp(name, "team") == 0)
		who = "service";
	else if (strcmp(name, "imap") == 0 || strcmp(name, "lmtp") == 0)
		who = "mail";
	else
		return;
	(void)snprintf(path, sizeof(path), "%s/plan", dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	map = mmap(NULL, sizeof(*plan), PROT_READ | PROT_WRITE, MAP_SHARED,
		   fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return;
	(void)snprintf(path, sizeof(path), "%s/trace", dir);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd >= 0) {
		trace_fd = fcntl(fd, F_DUPFD_CLOEXEC, TRACE_FD_MIN);
		close(fd);
	}
	plan = map;
}

/* ---- points ---- */

static bool is_watched(void)
{
	return plan != NULL &&
		__atomic_load_n(&plan->state, __ATOMIC_ACQUIRE) != PLAN_OFF &&
		strcmp(plan->who, who) == 0 &&
		(plan->pid == 0 || plan->pid == (uint32_t)getpid());
}

/* The point is passed: what is to be done there, -1 for nothing. */
static int pass(const char *point)
{
	ssize_t (*real_write)(int, const void *, size_t);
	char line[128];
	int len, what;

	if (!is_watched())
		return -1;
	if (__atomic_load_n(&plan->state, __ATOMIC_ACQUIRE) == PLAN_COUNT) {
		len = snprintf(line, sizeof(line), "%s\n", point);
		*(void **)&real_write = dlsym(RTLD_NEXT, "write");
		if (trace_fd >= 0 && real_write(trace_fd, line, len) < 0)
			abort();
		return -1;
	}
	if (strcmp(plan->point, point) != 0 ||
	    __atomic_sub_fetch(&plan->left, 1, __ATOMIC_ACQ_REL) != 0)
		return -1;
	what = plan->what;
	__atomic_store_n(&plan->state, PLAN_OFF, __ATOMIC_RELEASE);
	if (what == WHAT_BEFORE)
		die();
	if (what == WHAT_FAIL)
		errno = plan->error;
	return what;
}

/* Steps: ret is evaluated between "before" and "after". */
#define STEP(point, type, failed, call) ({ \
	int what = pass(point); \
	type ret; \
	if (what == WHAT_FAIL) \
		ret = (failed); \
	else \
		ret = (call); \
	if (what == WHAT_AFTER || what == WHAT_TORN) \
		die(); \
	ret; })

/* ---- what a call is about ---- */

static const char *unix_socket_peer(int fd)
{
	static __thread char path[sizeof(struct sockaddr_un) + 1];
	struct sockaddr_un addr;
	socklen_t len = sizeof(addr);
	const char *name;

	memset(&addr, 0, sizeof(addr));
	if (getpeername(fd, (struct sockaddr *)&addr, &len) < 0)
		return NULL;
	if (addr.sun_family != AF_UNIX)
		return "client";
	if (addr.sun_path[0] == '\0') {
		/* accepted: its own name */
		len = sizeof(addr);
		memset(&addr, 0, sizeof(addr));
		if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
			return NULL;
		name = strrchr(addr.sun_path, '/');
		return name == NULL ? NULL :
			strncmp(name, "/team", 5) == 0 ? "client" : NULL;
	}
	memcpy(path, addr.sun_path, sizeof(addr.sun_path));
	name = strrchr(path, '/');
	if (name == NULL)
		return NULL;
	if (strncmp(name, "/.s.PGSQL", 9) == 0)
		return "postgresql";
	return strcmp(name, "/team") == 0 ? "team" : NULL;
}

/* Files that matter: the journal's folder, mail and indexes. */
static const char *path_kind(const char *path)
{
	const char *name = strrchr(path, '/');

	name = name == NULL ? path : name + 1;
	if (strstr(path, "/journal") != NULL) {
		if (strstr(name, ".journal") != NULL)
			return "segment";
		return strcmp(name, "journal") == 0 ? "folder" : name;
	}
	if (strstr(path, "/mail/users/") != NULL)
		return "private index";
	return strstr(path, "/mail/") != NULL ? "mail" : NULL;
}

/* Returns NULL for what isn't looked at: logs, other sockets. */
static const char *fd_kind(int fd)
{
	static __thread char path[4096];
	char link[64];
	struct stat st;
	ssize_t len;

	if (fstat(fd, &st) < 0)
		return NULL;
	if (S_ISSOCK(st.st_mode))
		return unix_socket_peer(fd);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return NULL;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len < 0)
		return NULL;
	path[len] = '\0';
	return path_kind(path);
}

/* The service has no other files than the journal's that are looked at. */
static bool is_read_only(const char *call, const char *kind)
{
	return __atomic_load_n(&plan->state, __ATOMIC_ACQUIRE) ==
		PLAN_READ_ONLY && strncmp(call, "read", 4) != 0 &&
		/* of what is there already, it says so */
		strcmp(call, "mkdir") != 0 &&
		strcmp(kind, "client") != 0 && strcmp(kind, "postgresql") != 0;
}

static int pass_kind(const char *call, const char *kind)
{
	char point[sizeof(plan->point)];
	int saved_errno = errno, what;

	if (kind == NULL)
		return -1;
	if (is_read_only(call, kind)) {
		errno = EROFS;
		return WHAT_FAIL;
	}
	(void)snprintf(point, sizeof(point), "%s %s", call, kind);
	errno = saved_errno;
	what = pass(point);
	return what;
}

#define STEP_KIND(call, kind, type, failed, torn, done) ({ \
	int what = !is_watched() ? -1 : pass_kind(call, kind); \
	type ret; \
	if (what == WHAT_FAIL) \
		ret = (failed); \
	else if (what == WHAT_TORN) \
		ret = (torn); \
	else \
		ret = (done); \
	if (what == WHAT_AFTER || what == WHAT_TORN) \
		die(); \
	ret; })

/* ---- files and sockets ---- */

/* A connection that was lost is so both ways. */
static ssize_t fail_socket(int fd)
{
	int error = errno;

	(void)shutdown(fd, SHUT_RDWR);
	errno = error;
	return -1;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
	NEXT(pwrite);
	return STEP_KIND("pwrite", fd_kind(fd), ssize_t, -1,
			 real(fd, data, size / 2, offset),
			 real(fd, data, size, offset));
}

ssize_t write(int fd, const void *data, size_t size)
{
	NEXT(write);
	return STEP_KIND("write", fd_kind(fd), ssize_t, fail_socket(fd),
			 real(fd, data, size / 2), real(fd, data, size));
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
	NEXT(writev);
	return STEP_KIND("writev", fd_kind(fd), ssize_t, fail_socket(fd),
			 real(fd, iov, 1), real(fd, iov, count));
}

int fdatasync(int fd)
{
	NEXT(fdatasync);
	return STEP_KIND("fdatasync", fd_kind(fd), int, -1, real(fd), real(fd));
}

int fsync(int fd)
{
	NEXT(fsync);
	return STEP_KIND("fsync", fd_kind(fd), int, -1, real(fd), real(fd));
}

int ftruncate(int fd, off_t size)
{
	NEXT(ftruncate);
	return STEP_KIND("ftruncate", fd_kind(fd), int, -1, real(fd, size),
			 real(fd, size));
}

int fallocate(int fd, int mode, off_t offset, off_t size)
{
	NEXT(fallocate);
	return STEP_KIND("fallocate", fd_kind(fd), int, -1,
			 real(fd, mode, offset, size),
			 real(fd, mode, offset, size));
}

int rename(const char *from, const char *to)
{
	NEXT(rename);
	return STEP_KIND("rename", path_kind(to), int, -1, real(from, to),
			 real(from, to));
}

int link(const char *from, const char *to)
{
	NEXT(link);
	return STEP_KIND("link", path_kind(to), int, -1, real(from, to),
			 real(from, to));
}

int unlink(const char *path)
{
	NEXT(unlink);
	return STEP_KIND("unlink", path_kind(path), int, -1, real(path),
			 real(path));
}

int mkdir(const char *path, mode_t mode)
{
	NEXT(mkdir);
	return STEP_KIND("mkdir", path_kind(path), int, -1, real(path, mode),
			 real(path, mode));
}

int open(const char *path, int flags, ...)
{
	NEXT(open);
	mode_t mode = 0;
	va_list args;

	if ((flags & (O_CREAT | O_TMPFILE)) != 0) {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	return STEP_KIND((flags & (O_ACCMODE | O_CREAT)) == O_RDONLY ?
			 "read-open" : "open", path_kind(path), int, -1,
			 real(path, flags, mode), real(path, flags, mode));
}

ssize_t read(int fd, void *data, size_t size)
{
	NEXT(read);
	return STEP_KIND("read", fd_kind(fd), ssize_t, fail_socket(fd),
			 real(fd, data, size), real(fd, data, size));
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
	NEXT(send);
	return STEP_KIND("send", fd_kind(fd), ssize_t, fail_socket(fd),
			 real(fd, data, size / 2, flags),
			 real(fd, data, size, flags));
}

ssize_t recv(int fd, void *data, size_t size, int flags)
{
	NEXT(recv);
	return STEP_KIND("recv", fd_kind(fd), ssize_t, fail_socket(fd),
			 real(fd, data, size, flags),
			 real(fd, data, size, flags));
}

/* ---- libpq ---- */

#define PQ_CALL(type, name, failed, params, args) \
	type name params \
	{ \
		NEXT(name); \
		return STEP(#name, type, failed, real args); \
	}

PQ_CALL(PGconn *, PQconnectStartParams, NULL,
	(const char *const *keywords, const char *const *values, int expand),
	(keywords, values, expand))
PQ_CALL(PostgresPollingStatusType, PQconnectPoll, PGRES_POLLING_FAILED,
	(PGconn *conn), (conn))
PQ_CALL(ConnStatusType, PQstatus, CONNECTION_BAD, (const PGconn *conn), (conn))
PQ_CALL(int, PQsocket, -1, (const PGconn *conn), (conn))
PQ_CALL(int, PQsetnonblocking, -1, (PGconn *conn, int arg), (conn, arg))
PQ_CALL(int, PQenterPipelineMode, 0, (PGconn *conn), (conn))
PQ_CALL(int, PQpipelineSync, 0, (PGconn *conn), (conn))
PQ_CALL(int, PQflush, -1, (PGconn *conn), (conn))
PQ_CALL(int, PQconsumeInput, 0, (PGconn *conn), (conn))
PQ_CALL(PQconninfoOption *, PQconninfo, NULL, (PGconn *conn), (conn))
PQ_CALL(int, PQsendQueryParams, 0,
	(PGconn *conn, const char *command, int count, const Oid *types,
	 const char *const *values, const int *lengths, const int *formats,
	 int format),
	(conn, command, count, types, values, lengths, formats, format))
PQ_CALL(int, PQsendPrepare, 0,
	(PGconn *conn, const char *name, const char *query, int count,
	 const Oid *types),
	(conn, name, query, count, types))
PQ_CALL(int, PQsendQueryPrepared, 0,
	(PGconn *conn, const char *name, int count,
	 const char *const *values, const int *lengths, const int *formats,
	 int format),
	(conn, name, count, values, lengths, formats, format))

/* These can't fail, but be the last ones. */
#define PQ_LAST(type, name, params, args) \
	type name params \
	{ \
		NEXT(name); \
		(void)pass(#name); \
		return real args; \
	}

PQ_LAST(int, PQisBusy, (PGconn *conn), (conn))
PQ_LAST(PGnotify *, PQnotifies, (PGconn *conn), (conn))
PQ_LAST(int, PQntuples, (const PGresult *result), (result))

/* Without memory libpq gives an empty error instead of the result. */
PGresult *PQgetResult(PGconn *conn)
{
	NEXT(PQgetResult);
	int what = pass("PQgetResult");
	PGresult *result = real(conn);

	if (what == WHAT_FAIL && result != NULL) {
		PQclear(result);
		result = PQmakeEmptyPGresult(conn, PGRES_FATAL_ERROR);
	}
	return result;
}

/* ---- allocations ---- */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *p, size_t size);

/* Only those of the service: Dovecot's own processes end with an error. */
static bool allocation_fails(void)
{
	if (who == NULL || strcmp(who, "service") != 0 || !is_watched())
		return false;
	if (__atomic_load_n(&plan->state, __ATOMIC_ACQUIRE) == PLAN_COUNT) {
		__atomic_add_fetch(&plan->allocations, 1, __ATOMIC_RELAXED);
		return false;
	}
	if (strcmp(plan->point, ALLOCATION) != 0 ||
	    __atomic_sub_fetch(&plan->left, 1, __ATOMIC_ACQ_REL) != 0)
		return false;
	__atomic_store_n(&plan->state, PLAN_OFF, __ATOMIC_RELEASE);
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return allocation_fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return allocation_fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *p, size_t size)
{
	return allocation_fails() ? NULL : __libc_realloc(p, size);
}

/* ---- the plugins' steps ---- */

struct team_session;
struct team_answer;
struct dovecot_pool;

/* As in plugin/client/team-client.h, with nothing of Dovecot's. */
typedef uint64_t prepare_t(struct team_session *, const char *const *const *,
			   unsigned int, int, uint64_t *, const char **);
typedef void commit_later_t(struct team_session *, uint64_t);
typedef int commit_t(struct team_session *, uint64_t, const char *const *,
		     const char **);
typedef void abort_t(struct team_session *, uint64_t, const char *const *);
typedef int request_t(struct team_session *, struct dovecot_pool *,
		      const char *, const char *const *, struct team_answer *,
		      const char **);

prepare_t team_client_prepare;
commit_t team_client_commit;
commit_later_t team_client_commit_later;
abort_t team_client_abort;
request_t team_client_request;

uint64_t team_client_prepare(struct team_session *session,
			     const char *const *const *records,
			     unsigned int count, int flags, uint64_t *own_r,
			     const char **error_r)
{
	NEXT(team_client_prepare);
	return STEP("prepare", uint64_t, 0,
		    real(session, records, count, flags, own_r, error_r));
}

int team_client_commit(struct team_session *session, uint64_t txn,
		       const char *const *fields, const char **error_r)
{
	NEXT(team_client_commit);
	return STEP("commit", int, -1, real(session, txn, fields, error_r));
}

void team_client_commit_later(struct team_session *session, uint64_t txn)
{
	NEXT(team_client_commit_later);
	(void)STEP("commit later", int, 0, (real(session, txn), 0));
}

void team_client_abort(struct team_session *session, uint64_t txn,
		       const char *const *fields)
{
	NEXT(team_client_abort);
	(void)STEP("abort", int, 0, (real(session, txn, fields), 0));
}

/* Claims, guards, the state of a mailbox. */
int team_client_request(struct team_session *session,
			struct dovecot_pool *pool, const char *cmd,
			const char *const *args, struct team_answer *answer_r,
			const char **error_r)
{
	char point[sizeof(plan->point)];
	NEXT(team_client_request);

	(void)snprintf(point, sizeof(point), "request %s", cmd);
	return STEP(point, int, -1,
		    real(session, pool, cmd, args, answer_r, error_r));
}
