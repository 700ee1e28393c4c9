-- Large columns last: SQLite finds a column behind a large one by reading the large one
-- through. The text index learns parts of words and folders, and defaults are declared.
-- Run with foreign keys off, so that dropping a table deletes nothing elsewhere.
-- search_parts() and vocabulary() are ours, registered for the migration alone; see
-- core/search.py.

DROP VIEW executions_searchable;
DROP TABLE executions_text;

CREATE TABLE new_executions (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    id              TEXT NOT NULL UNIQUE,
    notebook_id     TEXT REFERENCES notebooks (id) ON DELETE CASCADE,
    cell_index      INTEGER,
    status          TEXT NOT NULL DEFAULT 'pending'
                    CHECK (status IN ('pending', 'success', 'error', 'timeout', 'aborted', 'killed')),
    started_at      TEXT NOT NULL,
    finished_at     TEXT,
    duration_ms     INTEGER,
    path            TEXT,
    cell_id         TEXT,
    execution_count INTEGER,
    origin          TEXT NOT NULL DEFAULT 'interactive',
    run_id          TEXT,
    kernel_id       TEXT,
    user            TEXT,
    user_source     TEXT,
    server          TEXT,
    queued_at       TEXT,
    process         TEXT,
    trust           TEXT, -- how far the meter may believe it; NULL is not metered
    error           TEXT,
    source          TEXT NOT NULL,
    search_parts    TEXT, -- parts of words that are searched for by themselves
    output          TEXT
) STRICT;

INSERT INTO new_executions (
    seq, id, notebook_id, cell_index, status, started_at, finished_at, duration_ms, path, cell_id,
    execution_count, origin, run_id, kernel_id, user, user_source, server, queued_at, process,
    trust, error, source, search_parts, output
)
SELECT
    seq, id, notebook_id, cell_index, status, started_at, finished_at, duration_ms, path, cell_id,
    execution_count, origin, run_id, kernel_id, user, user_source, server, queued_at, process,
    trust, error, source, search_parts(source, error), output
FROM executions;

-- The next seq stays above every one that was ever given.
DELETE FROM sqlite_sequence WHERE name = 'new_executions';
INSERT INTO sqlite_sequence (name, seq)
SELECT 'new_executions', seq FROM sqlite_sequence WHERE name = 'executions';

DROP TABLE executions;
ALTER TABLE new_executions RENAME TO executions;

CREATE TABLE new_notebooks (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    path        TEXT NOT NULL UNIQUE,
    kernel      TEXT NOT NULL DEFAULT 'python3',
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    cell_count  INTEGER NOT NULL DEFAULT 0,
    metadata    TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(metadata))
) STRICT;

INSERT INTO new_notebooks (id, name, path, kernel, created_at, updated_at, cell_count, metadata)
SELECT id, name, path, kernel, created_at, updated_at, cell_count, metadata FROM notebooks;

DROP TABLE notebooks;
ALTER TABLE new_notebooks RENAME TO notebooks;
CREATE INDEX notebooks_newest ON notebooks (updated_at DESC, id);

-- An index entry ends in the rowid, which is seq: no need to name it.
CREATE INDEX executions_of_notebook ON executions (notebook_id);
CREATE INDEX executions_of_run ON executions (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX executions_open ON executions (process) WHERE status = 'pending';

CREATE TRIGGER executions_day AFTER INSERT ON executions BEGIN
    INSERT INTO execution_days (day, first_seq, last_seq)
    VALUES (substr(new.started_at, 1, 10), new.seq, new.seq)
    ON CONFLICT (day) DO UPDATE
        SET first_seq = min(first_seq, excluded.first_seq), last_seq = max(last_seq, excluded.last_seq);
END;

-- The row that finishes a pending one may name another start.
CREATE TRIGGER executions_day_update AFTER UPDATE OF started_at ON executions
WHEN substr(new.started_at, 1, 10) <> substr(old.started_at, 1, 10) BEGIN
    INSERT INTO execution_days (day, first_seq, last_seq)
    VALUES (substr(new.started_at, 1, 10), new.seq, new.seq)
    ON CONFLICT (day) DO UPDATE
        SET first_seq = min(first_seq, excluded.first_seq), last_seq = max(last_seq, excluded.last_seq);
END;

-- What is searched: the text, its parts and the folders, and in `scope` one word per
-- filter, so that the text index itself intersects "this word" with "this user" and never
-- visits other rows. A row that belongs to no file is found by the server that recorded it.
CREATE VIEW executions_searchable AS
SELECT
    seq,
    substr(source, 1, 100000) AS source,
    substr(error, 1, 100000) AS error,
    search_parts AS parts,
    CASE WHEN path LIKE '/%' THEN path END AS path,
    'n' || hex(notebook_id) || ' u' || hex(user) || ' s' || status
        || CASE WHEN path LIKE '/%' THEN '' ELSE ' v' || hex(server) END AS scope
FROM executions;

CREATE VIRTUAL TABLE executions_text USING fts5 (
    source, error, parts, path, scope,
    content = 'executions_searchable', content_rowid = 'seq', columnsize = 0
);

-- Fewer, larger merges: writing is a tenth cheaper, and searching not slower.
INSERT INTO executions_text (executions_text, rank) VALUES ('automerge', 8);
INSERT INTO executions_text (executions_text) VALUES ('rebuild');

-- Each word of the text once, so that the words that hold some letters are found at once.
CREATE TABLE words (
    id   INTEGER PRIMARY KEY,
    word TEXT NOT NULL UNIQUE
) STRICT;

CREATE VIRTUAL TABLE words_letters USING fts5 (
    word,
    content = 'words', content_rowid = 'id', columnsize = 0, detail = none, tokenize = 'trigram'
);

CREATE TRIGGER words_insert AFTER INSERT ON words BEGIN
    INSERT INTO words_letters (rowid, word) VALUES (new.id, new.word);
END;

CREATE TRIGGER words_delete AFTER DELETE ON words BEGIN
    INSERT INTO words_letters (words_letters, rowid, word) VALUES ('delete', old.id, old.word);
END;

INSERT OR IGNORE INTO words (word)
SELECT value FROM executions, json_each(vocabulary(source, error));

-- Spelt out, not selected from the view: this is what every row pays for.
CREATE TRIGGER executions_text_insert AFTER INSERT ON executions BEGIN
    INSERT INTO executions_text (rowid, source, error, parts, path, scope)
    VALUES (
        new.seq, substr(new.source, 1, 100000), substr(new.error, 1, 100000), new.search_parts,
        CASE WHEN new.path LIKE '/%' THEN new.path END,
        'n' || hex(new.notebook_id) || ' u' || hex(new.user) || ' s' || new.status
            || CASE WHEN new.path LIKE '/%' THEN '' ELSE ' v' || hex(new.server) END
    );
END;

CREATE TRIGGER executions_text_delete BEFORE DELETE ON executions BEGIN
    INSERT INTO executions_text (executions_text, rowid, source, error, parts, path, scope)
    SELECT 'delete', * FROM executions_searchable WHERE seq = old.seq;
END;

CREATE TRIGGER executions_text_change
BEFORE UPDATE OF source, error, search_parts, path, notebook_id, user, status, server
ON executions BEGIN
    INSERT INTO executions_text (executions_text, rowid, source, error, parts, path, scope)
    SELECT 'delete', * FROM executions_searchable WHERE seq = old.seq;
END;

CREATE TRIGGER executions_text_changed
AFTER UPDATE OF source, error, search_parts, path, notebook_id, user, status, server
ON executions BEGIN
    INSERT INTO executions_text (rowid, source, error, parts, path, scope)
    SELECT * FROM executions_searchable WHERE seq = new.seq;
END;

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

-- Why a run failed that no cell is to blame for, for programs: a code of docs/reference/errors.md.
ALTER TABLE runs ADD COLUMN code TEXT;
