-- A database of schema 1 as it was released, with rows. Never edit it.

BEGIN TRANSACTION;
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
INSERT INTO "sessions" VALUES(1,'first','ada','','standard','alpha','error','2026-03-01T12:00:00.000000+00:00',NULL,'2026-03-01T13:00:00.000000+00:00','out_of_memory','It used more than 8 GB.',137);
INSERT INTO "sessions" VALUES(2,'second','bob','näme','large',NULL,'running','2026-03-01T14:00:00.000000+00:00','2026-03-01T14:00:03.000000+00:00',NULL,'','',NULL);
CREATE INDEX sessions_newest ON sessions (started_at);
CREATE INDEX sessions_of_server ON sessions (user, server_name, started_at);
CREATE INDEX sessions_of_user ON sessions (user, started_at);
CREATE INDEX sessions_open ON sessions (started_at)
    WHERE state IN ('starting', 'running', 'stopping');
PRAGMA application_id = 1112691539;
PRAGMA user_version = 1;
COMMIT;
