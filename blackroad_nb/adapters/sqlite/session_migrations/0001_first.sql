-- The sessions of a hub, those that run and those that ended.
-- Times are ISO-8601 UTC with microseconds, so that text order is time order.

CREATE TABLE sessions (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL UNIQUE,
    user        TEXT NOT NULL,
    server_name TEXT NOT NULL,
    profile     TEXT NOT NULL,
    template    TEXT,
    state       TEXT NOT NULL
                CHECK (state IN ('starting', 'running', 'stopping', 'stopped', 'error')),
    started_at  TEXT NOT NULL,
    ready_at    TEXT,
    ended_at    TEXT,
    reason      TEXT NOT NULL DEFAULT '',
    message     TEXT NOT NULL DEFAULT '',
    exit_code   INTEGER
) STRICT;

-- An index entry ends in the rowid, which is seq: it decides between equal times.
CREATE INDEX sessions_newest ON sessions (started_at);
CREATE INDEX sessions_of_server ON sessions (user, server_name, started_at);
CREATE INDEX sessions_of_user ON sessions (user, started_at);
CREATE INDEX sessions_open ON sessions (started_at)
    WHERE state IN ('starting', 'running', 'stopping');
