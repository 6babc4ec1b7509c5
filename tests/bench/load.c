/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Load as colleagues at work make it: many IMAP sessions in one process, each
   of which sends its next command as soon as the last one is answered. Prints
   what was done as JSON. With --null it talks to a server of its own that does
   nothing, which shows how much of the time is its own. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OUT_SIZE 8192
#define IN_SIZE 65536
#define TIMES_MAX 2000000
#define APPEND_SIZE 2000
/* Sessions that log in at the same time. */
#define LOGINS_MAX 20

enum command {
	FETCH_FLAGS,
	FETCH_ENVELOPE,
	FETCH_BODY,
	STORE_SEEN,
	STORE_FLAGGED,
	STORE_ANSWERED,
	SEARCH_UNSEEN,
	NOOP,
	STATUS,
	APPEND,
	COMMANDS
};

static const struct {
	const char *name;
	/* of a hundred */
	unsigned int weight;
} commands[COMMANDS] = {
	[FETCH_FLAGS] = { "FETCH FLAGS", 12 },
	[FETCH_ENVELOPE] = { "FETCH ENVELOPE", 12 },
	[FETCH_BODY] = { "FETCH BODY[]", 20 },
	[STORE_SEEN] = { "STORE \\\\Seen", 20 },
	[STORE_FLAGGED] = { "STORE \\\\Flagged", 6 },
	[STORE_ANSWERED] = { "STORE \\\\Answered", 5 },
	[SEARCH_UNSEEN] = { "SEARCH UNSEEN", 5 },
	[NOOP] = { "NOOP", 12 },
	[STATUS] = { "STATUS", 5 },
	[APPEND] = { "APPEND", 3 },
};

enum state {
	GREETING, LOGIN, SELECT, WORKING, IDLING
};

struct session {
	int fd;
	unsigned int number;
	enum state state;
	bool idles;
	enum command command;
	uint64_t begun;
	uint32_t random;
	unsigned int tag, messages;
	/* bytes of a literal that are still to come */
	size_t literal;
	char line[4096];
	size_t line_len;
};

static struct {
	struct sockaddr_in address;
	const char *box, *users;
	unsigned int sessions, idle, colleagues, seed;
	double seconds;
	bool null;
} options = {
	.box = "Team/Bench", .users = "alice,bob,carol,dave",
	.sessions = 8, .seconds = 5, .seed = 1
};

static int epoll_fd;
static unsigned int connected_count, ready_count;
static bool begun, ended;
static uint64_t begun_at, errors_count, done[COMMANDS];
static float *times[COMMANDS];

static void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)fputs("load: ", stderr);
	(void)vfprintf(stderr, format, args);
	(void)fputs("\n", stderr);
	va_end(args);
	exit(1);
}

static uint64_t now_usecs(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static unsigned int pick(struct session *session, unsigned int below)
{
	uint32_t x = session->random;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	session->random = x;
	return x % below;
}

static void send_all(struct session *session, const char *data, size_t size)
{
	ssize_t ret;

	/* one command at a time always fits into the socket's buffer */
	ret = send(session->fd, data, size, MSG_NOSIGNAL);
	if (ret != (ssize_t)size)
		fail("session %u: send() failed: %s", session->number,
		     strerror(errno));
}

static void send_command(struct session *session, const char *format, ...)
{
	char out[OUT_SIZE];
	va_list args;
	int len;

	len = snprintf(out, sizeof(out), "a%u ", ++session->tag);
	va_start(args, format);
	len += vsnprintf(out + len, sizeof(out) - len, format, args);
	va_end(args);
	len += snprintf(out + len, sizeof(out) - len, "\r\n");
	send_all(session, out, len);
}

/* ---- commands ---- */

static void send_append(struct session *session)
{
	static char text[APPEND_SIZE + 1];
	char head[256];
	int len;

	if (text[0] == '\0') {
		for (unsigned int i = 0; i < APPEND_SIZE; i++)
			text[i] = i % 72 == 70 ? '\r' : i % 72 == 71 ? '\n' : 'x';
	}
	len = snprintf(head, sizeof(head), "From: load@customers.example\r\n"
		       "Message-ID: <load.%u.%u.%u@test.example>\r\n\r\n",
		       options.seed, session->number, session->tag);
	send_command(session, "APPEND %s {%d+}\r\n%s%s", options.box,
		     len + APPEND_SIZE, head, text);
}

static void send_store(struct session *session, unsigned int n,
		       const char *flag)
{
	send_command(session, "STORE %u %cFLAGS (%s)", n,
		     pick(session, 2) == 0 ? '+' : '-', flag);
}

static void send_next(struct session *session)
{
	unsigned int chance = pick(session, 100), last;
	unsigned int n = pick(session, session->messages) + 1;
	enum command command = 0;

	while (chance >= commands[command].weight)
		chance -= commands[command++].weight;
	session->command = command;
	session->begun = now_usecs();
	last = n + 20 < session->messages ? n + 20 : session->messages;
	switch (command) {
	case FETCH_FLAGS:
		send_command(session, "FETCH %u:%u (FLAGS)", n, last);
		break;
	case FETCH_ENVELOPE:
		send_command(session, "FETCH %u:%u (UID FLAGS ENVELOPE)", n,
			     last);
		break;
	case FETCH_BODY:
		send_command(session, "FETCH %u (BODY[])", n);
		break;
	case STORE_SEEN:
		send_store(session, n, "\\Seen");
		break;
	case STORE_FLAGGED:
		send_store(session, n, "\\Flagged");
		break;
	case STORE_ANSWERED:
		send_store(session, n, "\\Answered");
		break;
	case SEARCH_UNSEEN:
		send_command(session, "SEARCH UNSEEN");
		break;
	case NOOP:
		send_command(session, "NOOP");
		break;
	case STATUS:
		send_command(session, "STATUS INBOX (MESSAGES UNSEEN)");
		break;
	case APPEND:
		send_append(session);
		break;
	case COMMANDS:
		break;
	}
}

static void session_connect(struct session *session)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = session };
	int one = 1;

	session->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (session->fd < 0 ||
	    connect(session->fd, (struct sockaddr *)&options.address,
		    sizeof(options.address)) < 0)
		fail("connect() failed: %s", strerror(errno));
	(void)setsockopt(session->fd, IPPROTO_TCP, TCP_NODELAY, &one,
			 sizeof(one));
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, session->fd, &event) < 0)
		fail("epoll_ctl() failed: %s", strerror(errno));
}

static void connect_next(struct session *sessions)
{
	while (connected_count < options.sessions + options.idle &&
	       connected_count < ready_count + LOGINS_MAX)
		session_connect(&sessions[connected_count++]);
}

/* All begin together, when the last one is ready. */
static void session_ready(struct session *sessions)
{
	unsigned int i;

	ready_count++;
	connect_next(sessions);
	if (ready_count < options.sessions + options.idle)
		return;
	begun = true;
	begun_at = now_usecs();
	for (i = 0; i < options.sessions + options.idle; i++) {
		if (!sessions[i].idles)
			send_next(&sessions[i]);
	}
}

static void session_done(struct session *session, const char *line)
{
	enum command command = session->command;

	if (strncmp(line, "OK", 2) != 0) {
		if (errors_count++ == 0)
			fprintf(stderr, "load: %s: %s\n",
				commands[command].name, line);
	}
	if (done[command] < TIMES_MAX)
		times[command][done[command]] = now_usecs() - session->begun;
	done[command]++;
	if (!ended)
		send_next(session);
}

static const char *session_user(const struct session *session)
{
	static char user[64];
	const char *p = options.users;
	unsigned int i, n = session->number;

	if (options.colleagues > 0) {
		(void)snprintf(user, sizeof(user), "u%u",
			       n % options.colleagues + 1);
		return user;
	}
	for (i = 1; (p = strchr(p, ',')) != NULL; i++)
		p++;
	p = options.users;
	for (n %= i; n > 0; n--)
		p = strchr(p, ',') + 1;
	(void)snprintf(user, sizeof(user), "%.*s", (int)strcspn(p, ","), p);
	return user;
}

/* ---- answers ---- */

static void session_tagged(struct session *sessions, struct session *session,
			   const char *line)
{
	if (session->state < WORKING && strncmp(line, "OK", 2) != 0)
		fail("session %u: %s", session->number, line);
	switch (session->state) {
	case LOGIN:
		session->state = SELECT;
		send_command(session, "SELECT %s", options.box);
		break;
	case SELECT:
		if (session->messages == 0 && options.null)
			session->messages = 1000;
		if (session->messages == 0)
			fail("%s is empty", options.box);
		if (session->idles) {
			session->state = IDLING;
			send_command(session, "IDLE");
		} else {
			session->state = WORKING;
			session_ready(sessions);
		}
		break;
	case WORKING:
		session_done(session, line);
		break;
	case GREETING:
	case IDLING:
		fail("session %u: unexpected: %s", session->number, line);
	}
}

static void session_line(struct session *sessions, struct session *session)
{
	char *line = session->line;
	unsigned int tag, messages;
	int end = 0;
	char *brace;

	if (session->state == GREETING) {
		session->state = LOGIN;
		send_command(session, "LOGIN %s pass", session_user(session));
	} else if (line[0] == '+') {
		if (session->state == IDLING)
			session_ready(sessions);
	} else if (sscanf(line, "a%u %n", &tag, &end) == 1 && end > 0 &&
		   tag == session->tag) {
		session_tagged(sessions, session, line + end);
	} else if (sscanf(line, "* %u EXISTS", &messages) == 1 &&
		   strstr(line, "EXISTS") != NULL) {
		session->messages = messages;
	} else if ((brace = strrchr(line, '{')) != NULL) {
		session->literal = strtoul(brace + 1, NULL, 10);
	}
}

static void session_input(struct session *sessions, struct session *session)
{
	static char data[IN_SIZE];
	ssize_t i, ret = recv(session->fd, data, sizeof(data), MSG_DONTWAIT);

	if (ret < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (ret <= 0) {
		fail("session %u: the server closed the connection",
		     session->number);
	}
	for (i = 0; i < ret; i++) {
		if (session->literal > 0) {
			size_t skip = session->literal < (size_t)(ret - i) ?
				session->literal : (size_t)(ret - i);
			session->literal -= skip;
			i += skip - 1;
		} else if (data[i] == '\n') {
			session->line[session->line_len] = '\0';
			session->line_len = 0;
			session_line(sessions, session);
		} else if (data[i] != '\r' &&
			   session->line_len < sizeof(session->line) - 1) {
			session->line[session->line_len++] = data[i];
		}
	}
}

/* ---- the server that does nothing ---- */

static void null_answer(FILE *in, int fd)
{
	char line[OUT_SIZE], answer[64], *brace;
	size_t literal;
	int len;

	if (send(fd, "* OK\r\n", 6, MSG_NOSIGNAL) < 0)
		return;
	while (fgets(line, sizeof(line), in) != NULL) {
		brace = strrchr(line, '{');
		if (brace != NULL) {
			for (literal = strtoul(brace + 1, NULL, 10) + 2;
			     literal > 0; literal--) {
				if (getc(in) == EOF)
					return;
			}
		}
		len = snprintf(answer, sizeof(answer), "%.*s OK\r\n",
			       (int)strcspn(line, " "), line);
		if (send(fd, answer, len, MSG_NOSIGNAL) < 0)
			return;
	}
}

/* A process for each connection, as Dovecot has. */
static void null_serve(int listen_fd)
{
	int fd, one = 1;

	(void)signal(SIGCHLD, SIG_IGN);
	while ((fd = accept(listen_fd, NULL, NULL)) >= 0) {
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
				 sizeof(one));
		if (fork() == 0) {
			null_answer(fdopen(fd, "r"), fd);
			_exit(0);
		}
		(void)close(fd);
	}
	_exit(0);
}

static pid_t null_start(void)
{
	socklen_t len = sizeof(options.address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	options.address.sin_port = 0;
	if (fd < 0 || bind(fd, (struct sockaddr *)&options.address, len) < 0 ||
	    listen(fd, 1024) < 0 ||
	    getsockname(fd, (struct sockaddr *)&options.address, &len) < 0)
		fail("can't listen: %s", strerror(errno));
	pid = fork();
	if (pid == 0)
		null_serve(fd);
	(void)close(fd);
	return pid;
}

static int time_cmp(const void *t1, const void *t2)
{
	float f1 = *(const float *)t1, f2 = *(const float *)t2;

	return f1 < f2 ? -1 : f1 > f2;
}

/* ---- results ---- */

static void print_results(double spent)
{
	struct rusage usage;
	uint64_t total = 0;
	unsigned int i;

	(void)getrusage(RUSAGE_SELF, &usage);
	for (i = 0; i < COMMANDS; i++)
		total += done[i];
	printf("{\"seconds\": %.3f, \"commands\": %llu, \"per_second\": %.1f, "
	       "\"errors\": %llu, \"own_cpu\": %.3f, \"times_ms\": {", spent,
	       (unsigned long long)total, total / spent,
	       (unsigned long long)errors_count,
	       usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
	for (i = 0; i < COMMANDS; i++) {
		size_t count = done[i] < TIMES_MAX ? done[i] : TIMES_MAX;

		qsort(times[i], count, sizeof(*times[i]), time_cmp);
		printf("%s\"%s\": [%.3f, %.3f, %zu]", i == 0 ? "" : ", ",
		       commands[i].name,
		       count == 0 ? 0 : times[i][count / 2] / 1000,
		       count == 0 ? 0 : times[i][count * 99 / 100] / 1000,
		       count);
	}
	printf("}}\n");
}

static void run(struct session *sessions)
{
	struct epoll_event events[256];
	uint64_t started = now_usecs(), until = 0;
	int i, count;

	while (!begun || now_usecs() < until) {
		count = epoll_wait(epoll_fd, events, 256, 100);
		for (i = 0; i < count; i++)
			session_input(sessions, events[i].data.ptr);
		if (begun && until == 0)
			until = begun_at + options.seconds * 1000000;
		if (!begun && now_usecs() - started > 120000000)
			fail("only %u sessions got ready", ready_count);
	}
	ended = true;
}

static void read_options(int argc, char **argv)
{
	unsigned int port = 143;
	int i;

	options.address.sin_family = AF_INET;
	options.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(argv[i], "--null") == 0) {
			options.null = true;
			continue;
		}
		i++;
		if (strcmp(argv[i-1], "--port") == 0)
			port = atoi(value);
		else if (strcmp(argv[i-1], "--sessions") == 0)
			options.sessions = atoi(value);
		else if (strcmp(argv[i-1], "--idle") == 0)
			options.idle = atoi(value);
		else if (strcmp(argv[i-1], "--seconds") == 0)
			options.seconds = atof(value);
		else if (strcmp(argv[i-1], "--users") == 0)
			options.users = value;
		else if (strcmp(argv[i-1], "--colleagues") == 0)
			options.colleagues = atoi(value);
		else if (strcmp(argv[i-1], "--box") == 0)
			options.box = value;
		else if (strcmp(argv[i-1], "--seed") == 0)
			options.seed = atoi(value);
		else {
			fail("Unknown option %s: --port N --sessions N "
			     "--idle N --seconds N --users NAME,... "
			     "--colleagues N (u1 to uN) --box NAME --seed N "
			     "--null", argv[i-1]);
		}
	}
	options.address.sin_port = htons(port);
}

int main(int argc, char **argv)
{
	struct session *sessions;
	unsigned int i;
	pid_t pid = 0;

	read_options(argc, argv);
	if (options.null)
		pid = null_start();
	sessions = calloc(options.sessions + options.idle, sizeof(*sessions));
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (sessions == NULL || epoll_fd < 0)
		fail("can't start: %s", strerror(errno));
	for (i = 0; i < COMMANDS; i++) {
		times[i] = malloc(TIMES_MAX * sizeof(*times[i]));
		if (times[i] == NULL)
			fail("out of memory");
	}
	for (i = 0; i < options.sessions + options.idle; i++) {
		sessions[i].number = i;
		sessions[i].idles = i >= options.sessions;
		sessions[i].random = (options.seed * 1000 + i) * 2654435761u | 1;
	}
	connect_next(sessions);
	run(sessions);
	print_results((now_usecs() - begun_at) / 1e6);
	if (pid > 0) {
		(void)kill(pid, SIGTERM);
		(void)waitpid(pid, NULL, 0);
	}
	return errors_count > 0 ? 1 : 0;
}
