/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_PROTOCOL_H
#define TEAM_PROTOCOL_H

/* The line protocol between the plugins (clients) and the team service.

   Transport: UNIX stream sockets made by Dovecot's master for service team:
     "team"        mail processes (imap, lmtp, pop3, doveadm mail commands)
     "team-admin"  administrators (doveadm team ...); everything "team" takes,
                   and the commands marked [admin]
   One line a message, fields separated by TAB and escaped as Dovecot's
   str_tabescape() does, ended by LF. A line is at most
   TEAM_PROTOCOL_MAX_LINE bytes; a longer or malformed one gets the connection
   closed after an error in the log.

   Both sides first send
     VERSION <TAB> team-client|team-server <TAB> major <TAB> minor
   and the client then
     HELLO   <client-id> <pid> [spool]
   <client-id> is 32 hex digits, random, kept over reconnects of one process:
   the service recognizes by it what it has already done. The service answers
     READY   <node> [spool]
   before it reads any request, and closes an older connection of the same
   <client-id> if there is one. A client that says spool may get the descriptor
   of a file along with READY. Lines with SESSION, EVENT, PREPARE, COMMIT and
   ABORT that it has written there, LF included, stand in the journal by that;
   they are sent as well, in order, and EVENT a little later. They are only those
   whose records have no effect but on flags. PREPARE is left there only while
   the file of team-generations.h says that the journal can be written, and after
   the service has taken something else of the session; where it changes private
   flags it is sent before they are. The file is at most TEAM_SPOOL_MAX_SIZE
   long, and cut to nothing only when all requests that it has were answered.
   When the connection is gone the client may go on with it, but for PREPARE,
   until the service has removed it, as it does before READY on another one.

   SESSION <sid> <key=value>...
     Declares or changes the session that later lines name. No answer. <sid> is
     a decimal number chosen by the client, unique in the process. Keys:
     colleague, user, session, service (imap, lmtp, pop3, doveadm ...), ip,
     tls (yes|no), client (the client's name from IMAP ID). These are copied
     into every record of the session. Repeated after a reconnect. A process
     of a system user that isn't the socket's owner, root, or one of
     team_trusted_users may only name the colleague called like that user:
     otherwise the connection is closed.
   SESSION-END <sid>

   Requests carry <id>, a decimal number that rises by one with each request
   of a <client-id>, over reconnects too. Every request is answered by exactly
   one of
     OK <id> [args]
     NO <id> <code> <text>       code: TEAM_CODE_*
   after any number of data lines
     D  <id> [args]
   A request that is sent again (same client-id and id, after a reconnect)
   is not carried out twice when it was a journalled one (EVENT, PREPARE,
   COMMIT, ABORT). Answers come in the order of the requests only for the
   journalled ones.

   Journalled requests:
   EVENT   <id> <sid> <key=value>...
     Appends one finished record (see record keys in audit/record.h). OK once
     it stands in the journal.
   PREPARE <id> <sid> <txn> [own=<own>] <key=value>...
     Appends the intent to do what the record says. <txn> is the id of the
     transaction's first PREPARE; several may have the same. NO when it can't
     be journalled: then the caller must change nothing (with
     team_commit=remote also NO unavailable while PostgreSQL is away).
     OK <id> [<own>]             the generation of the colleague's changes of
                                 this mailbox, this one included
   COMMIT  <id> <sid> <txn> <key=value>...
     The intents of <txn> were carried out: their records are appended, in the
     order of their PREPAREs, with the given keys added to each of them.
   ABORT   <id> <sid> <txn> [<key=value>...]
     They were not. With keys (outcome=failed or refused, d.error=...) the
     records are appended with these; without, nothing is recorded, and it's
     OK if the transaction isn't known.
   When a client is gone for TEAM_INTENT_GRACE_SECS and an intent has neither
   been committed nor aborted, a record with action=gap and d.unresolved=<the
   intent's action> is appended: nobody knows whether it happened. If the
   client comes back within an hour, it can still COMMIT or ABORT: the records
   are appended with d.late=yes.

   State requests:
   SYNC    <id> <sid> <guid> <uidvalidity> <cursor> <name> [<claims>]
     Reads the state of a mailbox that PostgreSQL knows and this node may not.
     <guid> 32 hex digits; <cursor> the revision up to which the colleague's
     replica has been brought, 0 for an empty one; <name> the mailbox's vname;
     <claims> what the last answer said to the session, 0 if there was none.
     D <id> flag  <flag> <first-uid> <last-uid> <uidset>
         between first-uid and last-uid exactly the messages in <uidset>
         (may be empty) have the private flag or keyword <flag>. Only what was
         changed after <cursor>, on this node or another. Changes that the
         colleague's sessions had begun before are waited for: whatever their
         private index has that the answer lacks was begun later.
     D <id> refill
         all is told of, not only what was changed: what the replica has of
         other flags is not in force
     D <id> claims all|changed <claims>
         what to send the next time, and whether the following are all claims
         in the mailbox or what became of those that were changed
     D <id> unclaimed <uidset>
         nobody claims these any more
     D <id> claim <uid> <holder> <since> <until>
         times in seconds since the epoch
     D <id> lost                 it may have been known under another
                                 UIDVALIDITY: RECOVER
     OK <id> <rev> [<epoch> <flags> <own> <box>]
                                 the new cursor, and the generations that the
                                 answer has at least, if they are known
     NO <id> unavailable         PostgreSQL is away, or another session takes
                                 long: go on with what there is
   KNOWN   <id> <sid> <guid> <uidvalidity> <name>
     D <id> known <uidset>
         messages whose Message-ID the log already knows
     OK <id> <rev>
   PRIVATE <id> <sid> <guid> <uidvalidity> <namespace> <flags> <keywords>
           <since>
     These flags and keywords (patterns) are private in the mailbox when it is
     opened in the namespace, says a session that began at <since>
     (microseconds since the epoch). Sent before a session's first SYNC of a
     mailbox. If others were private until now:
     D <id> was <flags> <keywords>
         which the session answers with a record (action=settings)
   UNIDENTIFIED <id> <sid> <guid> <uidvalidity> <uidset>
     D <id> uids <uidset>        those whose GUID PostgreSQL doesn't know
     OK <id>
   IDENTIFY <id> <sid> <guid> <uidvalidity> <guids>
     Tells GUIDs of messages: "<uid> <guid>", LF between them.
     OK <id>
   RECOVER <id> <sid> <guid> <uidvalidity> more|last <guids>
     The same of a mailbox's messages in parts, so that each gets what it had
     under another UIDVALIDITY: private flags of all colleagues, claims.
     D <id> recovered <count>
     OK <id>
   WATCH   <id> <sid> <guid> <uidvalidity>
   UNWATCH <id> <sid> <guid> <uidvalidity>
     Starts and stops pushes about a mailbox for this session.
   CLAIM   <id> <sid> <guid> <uidvalidity>
           take|try|draft|release|drop|takeover|give <uidset> [<mids>] [<to>]
     Takes or gives back claims, message by message; try takes them as well, but
     doesn't record what is held as refused, since takeover comes next; draft
     takes them because of a draft, and drop gives back those that were taken by nothing else;
     takeover takes them from whoever has them, give hands the own ones and
     those of nobody to <to>. <mids> as the record key. For each message that a
     colleague holds:
     D <id> held <uid> <holder> <since> <until>
     and once, if the colleague held some before:
     D <id> renewed <uidset>
     OK <id> <until>             all others are granted (take: until then) or
                                 released (until is 0); the outcome is
                                 journalled with d.holder, d.since and
                                 d.until, times in ISO 8601
     NO <id> unavailable         nothing is known to be granted or released
     At most 100,000 messages at once.
   RENEW   <id> <sid> <guid> <uidvalidity> <uidset>
     The colleague works on these messages: those that he holds are renewed,
     when it is time. The answer doesn't wait for it.
   LOGOUT  <id> <sid>
     Gives back what was claimed in the session.
   TELL    <id> <sid> <notice>
     The colleague is about to be shown what a push said.
     OK <id> [show]              without show he has been told already
   LOOKUP  <id> <sid> <message-ids>
     Where messages with these Message-IDs (LF between them) are or were, in
     the order of the IDs:
     D <id> message <guid> <uidvalidity> <uid> <mailbox>
     OK <id>
   REPLY   <id> <sid> <seconds> <message-ids>
     The colleague is about to answer the first of these messages that is a
     team's. What stands against it:
     D <id> claimed|answered <guid> <uidvalidity> <uid> <mailbox> <holder>
            <since> <until> [told]
         another colleague holds it, or answered it (since) after this one
         last read it; told: this one was told so by an answer like this
         within the last <seconds>
     OK <id>
   GUARD   <id> <sid> <guid> <uidvalidity> <action> <uidset>
     Asks whether a protected <action> (delete, move, expunge) may be done.
     Nobody else can claim the others until UNGUARD or the end of the session.
     D lines are like CLAIM's; refusals are journalled as records of <action> with
     outcome=refused by the caller's ABORT or EVENT, not by the service.
     OK <id> [known]             known: PostgreSQL is away, and these are the
                                 claims that the service knows; nothing is
                                 guarded
   UNGUARD <id> <sid> <guid> <uidvalidity>
     What the session guarded in the mailbox is done, or was given up.

   Generations: in the file of team-generations.h, which is mapped by mail
   processes, the service counts changes. What a replica was brought up to
   stands in the private index's header. If the file says the same, SYNC would
   bring nothing and isn't sent. There is an <epoch>, 0 while the service
   can't hear of other nodes' changes, and counters of
     flags   changes of the colleague's private flags that other nodes made,
             or that came with copied messages, or with d.import
     own     changes of them that this node's sessions begin: PREPARE and
             EVENT with private flags, COMMIT where they are known only then.
             Who makes the change, and has seen all before it, notes its
             number along with it, which is the next one if PREPARE was left
             in the spool: PREPARE says which, and if it isn't, one more is
             counted, so that nobody's number is true. So an index that fell back to an older state has
             another number.
     box     changes of claims, and messages that are copied or moved here:
             they bring the flags of all colleagues; changes of what is
             private
   Each is counted before anybody on this node is told of it, and before an
   answer of SYNC can lack it. A change made on another node counts when
   PostgreSQL's notification comes. If the service is gone, its lock on the
   file is, too; if it lost PostgreSQL, or its notifications don't come, the
   epoch is 0, and another one afterwards. Then SYNC is sent. Counters of
   different mailboxes and colleagues may be the same one, which costs a SYNC.

   Pushes (service to client, at any time, no answer):
   PUSH <sid> <guid> <uidvalidity> flags     the session's own private flags
                                             were changed elsewhere: SYNC
   PUSH <sid> <guid> <uidvalidity> claims    claims were changed: SYNC
   PUSH <sid> <guid> <uidvalidity> changed   another session of this node
                                             committed a change: look at the
                                             indexes

   PUSH <sid> <guid> <uidvalidity> "notice <number> <text>"
                                             the colleague must see the text,
                                             in one of his sessions: TELL

   [admin] ADMIN-CLAIM <id> <sid> take|release <mailbox> <uidset> [<to>]
     Claims messages for <to>, or frees them, whoever holds them. <mailbox> is a
     name or a GUID. For each message:
     D <id> <state> <uid> <holder> <since> <until>
     OK <id> <until>
   [admin] WHO <id> <sid> <mailbox>
     The sessions that have the mailbox open, on all nodes:
     D <id> <colleague> <since> <client> <ip> <service> <session> <node>
     OK <id> [<nodes>]           these are connected and didn't answer
   [admin] STATUS <id>
     D <id> <key> <value>
     OK <id>
     Keys: node version uptime_seconds
       postgres            reachable | connecting | away since <time>
       postgres_error      the last error, empty if there is none
       schema              version of the database's schema; if it is older than
                           the service needs, what to do
       journal             writable | failing since <time>: <error>
                           (with only the keys above, but for those of
                           PostgreSQL, if it couldn't be opened at all)
       journal_segments journal_bytes
       journal_records     not shipped yet
       lag_seconds         age of the oldest of these
       seq shipped_seq     numbers of the last record journalled and shipped
       clients sessions watches claims intents
   [admin] ROTATE-KEY <id>
     Makes a new key for signing, which the old one signs.
     OK <id>
   [admin] CUT <id> <sid> <origin> <tree> <first>
     Signs that the records in the tree (size and frontier, as in a cut's note)
     may be dropped. <origin> is of this node's tree or of an older one, <first>
     its first record. No more than checkpoints cover is signed.
     D <id> <note>
     OK <id>
   [admin] QUERY <id> <sid> <name> <key=value>...
     Runs one of the auditors' queries, one at a time for a connection:
       audit-search  keys of team.audit_search's filter, and limit (0 = all)
       audit-show    message_id
       claims        mailbox (optional)
       audit-nodes   the nodes that write the log
       audit-notes   node, after: what the node signed
       audit-export  node, after, limit (0 = all): records with all that
                     their leaves are made of
       audit-leaves  node, after: hashes of the leaves of dropped records
       flags         colleague, mailbox (empty: all): the private flags
       flags-mailboxes  the mailboxes that PostgreSQL knows
     D <id> columns <name>...    once, first
     D <id> row <value>...       NULL is sent as an empty field
     OK <id> <rows>
     The query itself is recorded (action=query, d.query, d.rows), also when
     it fails or the client goes away before its end; but for audit-nodes,
     audit-notes and audit-leaves, which tell nothing about anybody. */

#define TEAM_PROTOCOL_MAJOR 1
#define TEAM_PROTOCOL_MINOR 0
#define TEAM_PROTOCOL_CLIENT "team-client"
#define TEAM_PROTOCOL_SERVER "team-server"

#define TEAM_SOCKET_NAME "team"
#define TEAM_ADMIN_SOCKET_NAME "team-admin"

/* Longest line, LF included. A UID set or a list of Message-IDs that would
   not fit is split over several records by the client. */
#define TEAM_PROTOCOL_MAX_LINE (1024*1024)

#define TEAM_CLIENT_ID_LEN 32

/* After that a client has to wait until what it wrote is journalled. */
#define TEAM_SPOOL_MAX_SIZE (64*1024)

/* A revision's upper bits are the history of the database that it belongs to:
   where it was set back to an older state another one begins. */
#define TEAM_REV_BITS 40
#define TEAM_REV_HISTORY(rev) ((uint64_t)(rev) >> TEAM_REV_BITS)
#define TEAM_REV_NUMBER(rev) \
	((uint64_t)(rev) & (((uint64_t)1 << TEAM_REV_BITS) - 1))

/* In records of private flags that don't come from a session: where from. */
#define TEAM_RECORD_KEY_IMPORT "d.import"

/* How long a client may be away before its open intents are given up. */
#define TEAM_INTENT_GRACE_SECS 30

/* of GUARD's OK */
#define TEAM_GUARD_KNOWN "known"

/* of TELL's OK */
#define TEAM_TELL_SHOW "show"

/* NO codes */
/* PostgreSQL can't be reached */
#define TEAM_CODE_UNAVAILABLE "unavailable"
/* the journal can't be written */
#define TEAM_CODE_JOURNAL "journal"
/* the request's arguments are wrong: a bug or a version that doesn't fit */
#define TEAM_CODE_INVALID "invalid"
/* the socket doesn't allow the command */
#define TEAM_CODE_DENIED "denied"

#endif
