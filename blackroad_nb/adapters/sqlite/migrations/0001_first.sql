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

-- `process` names the process that wrote an unfinished row, so that whoever opens
-- the file next can tell rows at work from rows left behind.
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
    owner       TEXT,
    process     TEXT
) STRICT;

-- An entry ends in the rowid, by which runs are listed: the starts in it serve nobody any more.
CREATE INDEX runs_of_notebook ON runs (notebook_id, coalesce(started_at, '9'));
CREATE INDEX runs_newest ON runs (coalesce(started_at, '9'));
CREATE INDEX runs_open ON runs (process) WHERE status IN ('pending', 'running');

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
    run_id          TEXT,
    kernel_id       TEXT,
    user            TEXT,
    user_source     TEXT,
    server          TEXT,
    queued_at       TEXT,
    process         TEXT,
    trust           TEXT -- how far the meter may believe it; NULL is not metered
) STRICT;

-- An index entry ends in the rowid, which is seq: no need to name it.
CREATE INDEX executions_of_notebook ON executions (notebook_id);
CREATE INDEX executions_of_run ON executions (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX executions_open ON executions (process) WHERE status = 'pending';

-- Which rows can hold a day, so that a time range becomes a range of seq.
-- Rows only ever widen it; a deleted row leaves it wide, which costs a little time.
CREATE TABLE execution_days (
    day       TEXT PRIMARY KEY,
    first_seq INTEGER NOT NULL,
    last_seq  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER executions_day AFTER INSERT ON executions BEGIN
    INSERT INTO execution_days (day, first_seq, last_seq)
    VALUES (substr(new.started_at, 1, 10), new.seq, new.seq)
    ON CONFLICT (day) DO UPDATE
        SET first_seq = min(first_seq, excluded.first_seq), last_seq = max(last_seq, excluded.last_seq);
END;

-- What is searched: the text, and in `scope` one word per filter, so that the text
-- index itself intersects "this word" with "this user" and never visits other rows.
CREATE VIEW executions_searchable AS
SELECT
    seq,
    substr(source, 1, 100000) AS source,
    substr(error, 1, 100000) AS error,
    'n' || hex(notebook_id) || ' u' || hex(user) || ' s' || status AS scope
FROM executions;

-- Three letters is the shortest prefix that a search may ask for: each further length
-- indexed costs a seventh of the recording rate.
CREATE VIRTUAL TABLE executions_text USING fts5 (
    source, error, scope,
    content = 'executions_searchable', content_rowid = 'seq', columnsize = 0, prefix = '3'
);

-- Fewer, larger merges: writing is a tenth cheaper, and searching not slower.
INSERT INTO executions_text (executions_text, rank) VALUES ('automerge', 8);

CREATE TRIGGER executions_text_insert AFTER INSERT ON executions BEGIN
    INSERT INTO executions_text (rowid, source, error, scope)
    VALUES (
        new.seq, substr(new.source, 1, 100000), substr(new.error, 1, 100000),
        'n' || hex(new.notebook_id) || ' u' || hex(new.user) || ' s' || new.status
    );
END;

CREATE TRIGGER executions_text_delete AFTER DELETE ON executions BEGIN
    INSERT INTO executions_text (executions_text, rowid, source, error, scope)
    VALUES (
        'delete', old.seq, substr(old.source, 1, 100000), substr(old.error, 1, 100000),
        'n' || hex(old.notebook_id) || ' u' || hex(old.user) || ' s' || old.status
    );
END;

CREATE TRIGGER executions_text_update
AFTER UPDATE OF source, error, notebook_id, user, status ON executions BEGIN
    INSERT INTO executions_text (executions_text, rowid, source, error, scope)
    VALUES (
        'delete', old.seq, substr(old.source, 1, 100000), substr(old.error, 1, 100000),
        'n' || hex(old.notebook_id) || ' u' || hex(old.user) || ' s' || old.status
    );
    INSERT INTO executions_text (rowid, source, error, scope)
    VALUES (
        new.seq, substr(new.source, 1, 100000), substr(new.error, 1, 100000),
        'n' || hex(new.notebook_id) || ' u' || hex(new.user) || ' s' || new.status
    );
END;

CREATE TABLE kernels (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    language     TEXT NOT NULL,
    display_name TEXT NOT NULL,
    argv         TEXT NOT NULL CHECK (json_valid(argv)),
    created_at   TEXT NOT NULL
) STRICT;

-- One row per execution that ran, whatever happens to its history afterwards.
-- Only the triggers below write it: an execution is counted when its row becomes
-- final, and a row becomes final once.
CREATE TABLE usage_events (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL,
    occurred_at TEXT NOT NULL,
    subject     TEXT,
    path        TEXT,
    executions  INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    trust       TEXT NOT NULL
) STRICT;

CREATE INDEX usage_events_by_time ON usage_events (occurred_at);

-- What was counted and then deleted: should it come again, it is not counted again.
CREATE TABLE executions_deleted (
    id TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TRIGGER executions_used_insert
AFTER INSERT ON executions WHEN new.trust IS NOT NULL BEGIN
    INSERT INTO usage_events (id, occurred_at, subject, path, executions, duration_ms, trust)
    VALUES (
        new.id, coalesce(new.finished_at, new.started_at), new.user,
        coalesce(new.path, (SELECT path FROM notebooks WHERE id = new.notebook_id)),
        1, max(0, coalesce(new.duration_ms, 0)), new.trust
    );
END;

CREATE TRIGGER executions_used_update
AFTER UPDATE OF trust ON executions WHEN old.trust IS NULL AND new.trust IS NOT NULL BEGIN
    INSERT INTO usage_events (id, occurred_at, subject, path, executions, duration_ms, trust)
    VALUES (
        new.id, coalesce(new.finished_at, new.started_at), new.user,
        coalesce(new.path, (SELECT path FROM notebooks WHERE id = new.notebook_id)),
        1, max(0, coalesce(new.duration_ms, 0)), new.trust
    );
END;

CREATE TRIGGER executions_used_delete
AFTER DELETE ON executions WHEN old.trust IS NOT NULL BEGIN
    INSERT INTO executions_deleted (id) VALUES (old.id) ON CONFLICT (id) DO NOTHING;
END;

-- The same, summed by day; nobody and nowhere are '' here.
CREATE TABLE usage_days (
    day         TEXT NOT NULL,
    subject     TEXT NOT NULL,
    path        TEXT NOT NULL,
    trust       TEXT NOT NULL,
    executions  INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    PRIMARY KEY (day, subject, path, trust)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER usage_events_day AFTER INSERT ON usage_events BEGIN
    INSERT INTO usage_days (day, subject, path, trust, executions, duration_ms)
    VALUES (
        substr(new.occurred_at, 1, 10), coalesce(new.subject, ''), coalesce(new.path, ''),
        new.trust, new.executions, new.duration_ms
    )
    ON CONFLICT (day, subject, path, trust) DO UPDATE
        SET executions = executions + excluded.executions,
            duration_ms = duration_ms + excluded.duration_ms;
END;
