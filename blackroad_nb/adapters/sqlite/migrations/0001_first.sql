-- The registry, its history, its kernels and what the meter needs.
-- Times are ISO-8601 UTC with microseconds, so that text order is time order.

CREATE TABLE notebooks (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    path        TEXT NOT NULL UNIQUE,
    kernel      TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    cell_count  INTEGER NOT NULL DEFAULT 0,
    metadata    TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(metadata))
) STRICT;

CREATE INDEX notebooks_newest ON notebooks (updated_at DESC, id);

CREATE TABLE runs (
    id          TEXT PRIMARY KEY,
    notebook_id TEXT NOT NULL REFERENCES notebooks (id) ON DELETE CASCADE,
    status      TEXT NOT NULL,
    requested   TEXT NOT NULL CHECK (json_valid(requested)),
    path        TEXT NOT NULL,
    kernel      TEXT NOT NULL,
    user        TEXT,
    kernel_id   TEXT,
    artefact    TEXT,
    cells       TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(cells)),
    message     TEXT,
    started_at  TEXT,
    finished_at TEXT,
    owner       TEXT
) STRICT;

CREATE INDEX runs_of_notebook ON runs (notebook_id, started_at DESC);

CREATE TABLE executions (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    id              TEXT NOT NULL UNIQUE,
    notebook_id     TEXT REFERENCES notebooks (id) ON DELETE CASCADE,
    cell_index      INTEGER,
    source          TEXT NOT NULL,
    output          TEXT,
    status          TEXT NOT NULL
                    CHECK (status IN ('pending', 'success', 'error', 'timeout', 'aborted', 'killed')),
    started_at      TEXT NOT NULL,
    finished_at     TEXT,
    duration_ms     INTEGER,
    path            TEXT,
    cell_id         TEXT,
    execution_count INTEGER,
    error           TEXT,
    origin          TEXT NOT NULL DEFAULT 'interactive',
    run_id          TEXT REFERENCES runs (id) ON DELETE SET NULL,
    kernel_id       TEXT,
    user            TEXT,
    user_source     TEXT,
    server          TEXT,
    queued_at       TEXT
) STRICT;

CREATE INDEX executions_of_notebook ON executions (notebook_id, seq DESC);
CREATE INDEX executions_of_user ON executions (user, seq DESC);
CREATE INDEX executions_of_run ON executions (run_id, seq) WHERE run_id IS NOT NULL;
CREATE INDEX executions_by_time ON executions (started_at);
CREATE INDEX executions_open ON executions (server) WHERE status = 'pending';

CREATE VIRTUAL TABLE executions_text USING fts5 (
    source, error, content = 'executions', content_rowid = 'seq'
);

CREATE TABLE kernels (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    language     TEXT NOT NULL,
    display_name TEXT NOT NULL,
    argv         TEXT NOT NULL CHECK (json_valid(argv)),
    created_at   TEXT NOT NULL
) STRICT;

-- One row per finished execution, whatever happens to its history afterwards.
CREATE TABLE usage_events (
    id          TEXT PRIMARY KEY,
    occurred_at TEXT NOT NULL,
    subject     TEXT,
    path        TEXT,
    executions  INTEGER NOT NULL DEFAULT 1,
    duration_ms INTEGER NOT NULL,
    trust       TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_events_by_time ON usage_events (occurred_at);
