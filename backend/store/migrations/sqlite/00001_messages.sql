-- Messages, their conversations and the users' timelines.
--
-- Thought through for MySQL and TiDB, which get the same tables: every primary
-- key begins with the column that would shard the table, nothing
-- auto-increments, there are no foreign keys, and no index begins with a value
-- that only grows. Uids and client ids are compared byte by byte (VARBINARY there).
-- Tables with short rows are clustered by their key; message is not, because its
-- rows are long.

-- +goose Up

-- Which conversation two users have. uid_low <= uid_high byte by byte, so that
-- a pair has one row; equal for notes to oneself.
CREATE TABLE conversation_of_pair (
  uid_low         TEXT    NOT NULL,
  uid_high        TEXT    NOT NULL,
  conversation_id INTEGER NOT NULL,
  PRIMARY KEY (uid_low, uid_high)
) STRICT, WITHOUT ROWID;

-- One row a conversation: where its continuous sequence stands.
CREATE TABLE conversation (
  conversation_id INTEGER NOT NULL PRIMARY KEY, -- random, so that new ones spread over shards
  kind            INTEGER NOT NULL,             -- 1 = two users
  last_seq        INTEGER NOT NULL,
  created_at_ms   INTEGER NOT NULL
) STRICT;

CREATE TABLE message (
  conversation_id INTEGER NOT NULL,
  seq             INTEGER NOT NULL,             -- 1, 2, 3 ... in the conversation
  msg_id          INTEGER NOT NULL,             -- increasing in time over all conversations
  sender          TEXT    NOT NULL,
  receiver        TEXT    NOT NULL,
  client_msg_id   TEXT    NOT NULL,
  type            TEXT    NOT NULL,
  content         BLOB    NOT NULL,             -- a JSON value, byte for byte as sent
  time_ms         INTEGER NOT NULL,
  PRIMARY KEY (conversation_id, seq)
) STRICT;

-- What a sender's own id became: the guard against storing a message twice. It
-- repeats the columns of the answer, so that a repeat is one look-up.
CREATE TABLE sent (
  sender          TEXT    NOT NULL,
  client_msg_id   TEXT    NOT NULL,
  conversation_id INTEGER NOT NULL,
  seq             INTEGER NOT NULL,
  msg_id          INTEGER NOT NULL,
  time_ms         INTEGER NOT NULL,
  PRIMARY KEY (sender, client_msg_id)
) STRICT, WITHOUT ROWID;

-- Where a user's timeline ends. Its row lock is what makes positions visible in
-- their order.
CREATE TABLE timeline_head (
  uid           TEXT    NOT NULL PRIMARY KEY,
  last_position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A user's timeline: positions 1, 2, 3 ..., each naming a message.
CREATE TABLE timeline (
  uid             TEXT    NOT NULL,
  position        INTEGER NOT NULL,
  conversation_id INTEGER NOT NULL,
  seq             INTEGER NOT NULL,
  PRIMARY KEY (uid, position)
) STRICT, WITHOUT ROWID;

-- The last message id that a worker gave out.
CREATE TABLE id_source (
  worker_id INTEGER NOT NULL PRIMARY KEY,
  last_id   INTEGER NOT NULL
) STRICT;
INSERT INTO id_source (worker_id, last_id) VALUES (0, 0);

-- +goose Down
DROP TABLE id_source;
DROP TABLE timeline;
DROP TABLE timeline_head;
DROP TABLE sent;
DROP TABLE message;
DROP TABLE conversation;
DROP TABLE conversation_of_pair;
