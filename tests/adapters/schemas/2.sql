-- A database of schema 2 as it was released, with rows. Never edit it.

PRAGMA application_id = 1112690242;

PRAGMA user_version = 2;

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
, code TEXT) STRICT;

CREATE TABLE execution_days (
    day       TEXT PRIMARY KEY,
    first_seq INTEGER NOT NULL,
    last_seq  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE kernels (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    language     TEXT NOT NULL,
    display_name TEXT NOT NULL,
    argv         TEXT NOT NULL CHECK (json_valid(argv)),
    created_at   TEXT NOT NULL
) STRICT;

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

CREATE TABLE executions_deleted (
    id TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE usage_days (
    day         TEXT NOT NULL,
    subject     TEXT NOT NULL,
    path        TEXT NOT NULL,
    trust       TEXT NOT NULL,
    executions  INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    PRIMARY KEY (day, subject, path, trust)
) STRICT, WITHOUT ROWID;

CREATE TABLE "executions" (
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

CREATE TABLE "notebooks" (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    path        TEXT NOT NULL UNIQUE,
    kernel      TEXT NOT NULL DEFAULT 'python3',
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    cell_count  INTEGER NOT NULL DEFAULT 0,
    metadata    TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(metadata))
) STRICT;

CREATE VIRTUAL TABLE executions_text USING fts5 (
    source, error, parts, path, scope,
    content = 'executions_searchable', content_rowid = 'seq', columnsize = 0
);

CREATE TABLE words (
    id   INTEGER PRIMARY KEY,
    word TEXT NOT NULL UNIQUE
) STRICT;

CREATE VIRTUAL TABLE words_letters USING fts5 (
    word,
    content = 'words', content_rowid = 'id', columnsize = 0, detail = none, tokenize = 'trigram'
);

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

INSERT INTO runs VALUES ('run-1', 'notebook-1', 'success', '{"cell":null}', '/data/prices.ipynb', 'python3', 'ada', NULL, NULL, '[{"index":0,"cell_id":"a","status":"success","execution_id":"execution-1","execution_count":1,"duration_ms":5,"error":null,"outputs":[{"output_type":"stream","name":"stdout","text":"1\n"}]}]', NULL, '2026-03-01T12:00:00.000000+00:00', '2026-03-01T12:00:01.000000+00:00', NULL, NULL, NULL);

INSERT INTO execution_days VALUES ('2026-02-20', 2, 2);

INSERT INTO execution_days VALUES ('2026-03-01', 1, 4);

INSERT INTO kernels VALUES ('kernel-1', 'julia', 'julia', 'Julia', '["julia","{connection_file}"]', '2026-03-01T12:00:00.000000+00:00');

INSERT INTO usage_events VALUES (1, 'execution-1', '2026-03-01T12:00:01.000000+00:00', 'ada', '/data/prices.ipynb', 1, 5, 'operator');

INSERT INTO usage_events VALUES (2, 'deleted', '2026-02-20T12:00:00.000000+00:00', 'ada', NULL, 1, 7, 'operator');

INSERT INTO usage_events VALUES (3, 'execution-2', '2026-03-01T12:00:03.000000+00:00', 'ada', '/data/ran by itself.ipynb', 1, 9, 'reported');

INSERT INTO usage_events VALUES (4, 'execution-3', '2026-03-01T12:00:04.000000+00:00', NULL, NULL, 1, 0, 'reported');

INSERT INTO executions_deleted VALUES ('deleted');

INSERT INTO usage_days VALUES ('2026-02-20', 'ada', '', 'operator', 1, 7);

INSERT INTO usage_days VALUES ('2026-03-01', '', '', 'reported', 1, 0);

INSERT INTO usage_days VALUES ('2026-03-01', 'ada', '/data/prices.ipynb', 'operator', 1, 5);

INSERT INTO usage_days VALUES ('2026-03-01', 'ada', '/data/ran by itself.ipynb', 'reported', 1, 9);

INSERT INTO executions VALUES (1, 'execution-1', 'notebook-1', 0, 'success', '2026-03-01T12:00:00.000000+00:00', '2026-03-01T12:00:01.000000+00:00', 5, '/data/prices.ipynb', 'a', 1, 'run', 'run-1', 'k', 'ada', 'os', 'cli', NULL, NULL, 'operator', NULL, 'print(1)', NULL, '[{"output_type":"stream","name":"stdout","text":"1\n"}]');

INSERT INTO executions VALUES (3, 'execution-2', 'b1977245-5fed-4223-a5dc-52dd50241319', NULL, 'error', '2026-03-01T12:00:02.000000+00:00', '2026-03-01T12:00:03.000000+00:00', 9, '/data/ran by itself.ipynb', NULL, NULL, 'interactive', NULL, NULL, 'ada', 'hub', 'lab', '2026-03-01T12:00:01.000000+00:00', NULL, 'reported', 'KeyError: ''needle''
Traceback', 'raise KeyError(''needle'')', 'Key  Error', NULL);

INSERT INTO executions VALUES (4, 'execution-3', NULL, NULL, 'killed', '2026-03-01T12:00:04.000000+00:00', NULL, NULL, NULL, NULL, NULL, 'interactive', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'reported', NULL, 'while True: pass', NULL, NULL);

INSERT INTO notebooks VALUES ('notebook-1', 'Prices', '/data/prices.ipynb', 'python3', '2026-03-01T12:00:00.000000+00:00', '2026-03-01T12:00:01.000000+00:00', 3, '{"tag":"\u00fcn\u00efcode"}');

INSERT INTO notebooks VALUES ('b1977245-5fed-4223-a5dc-52dd50241319', 'ran by itself', '/data/ran by itself.ipynb', 'python3', '2026-03-01T12:00:03.000000+00:00', '2026-03-01T12:00:03.000000+00:00', 0, '{}');

INSERT INTO words (word) VALUES ('print'), ('raise'), ('keyerror'), ('needle'), ('traceback'), ('while'), ('true'), ('pass');

INSERT INTO words_letters (words_letters) VALUES ('rebuild');

INSERT INTO executions_text (executions_text) VALUES ('rebuild');
INSERT INTO executions_text (executions_text, rank) VALUES ('automerge', 8);

UPDATE sqlite_sequence SET seq = 4 WHERE name = 'usage_events';

UPDATE sqlite_sequence SET seq = 4 WHERE name = 'executions';

CREATE INDEX runs_of_notebook ON runs (notebook_id, coalesce(started_at, '9'));

CREATE INDEX runs_newest ON runs (coalesce(started_at, '9'));

CREATE INDEX runs_open ON runs (process) WHERE status IN ('pending', 'running');

CREATE INDEX usage_events_by_time ON usage_events (occurred_at);

CREATE INDEX notebooks_newest ON notebooks (updated_at DESC, id);

CREATE INDEX executions_of_notebook ON executions (notebook_id);

CREATE INDEX executions_of_run ON executions (run_id) WHERE run_id IS NOT NULL;

CREATE INDEX executions_open ON executions (process) WHERE status = 'pending';

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

CREATE TRIGGER executions_day AFTER INSERT ON executions BEGIN
    INSERT INTO execution_days (day, first_seq, last_seq)
    VALUES (substr(new.started_at, 1, 10), new.seq, new.seq)
    ON CONFLICT (day) DO UPDATE
        SET first_seq = min(first_seq, excluded.first_seq), last_seq = max(last_seq, excluded.last_seq);
END;

CREATE TRIGGER executions_day_update AFTER UPDATE OF started_at ON executions
WHEN substr(new.started_at, 1, 10) <> substr(old.started_at, 1, 10) BEGIN
    INSERT INTO execution_days (day, first_seq, last_seq)
    VALUES (substr(new.started_at, 1, 10), new.seq, new.seq)
    ON CONFLICT (day) DO UPDATE
        SET first_seq = min(first_seq, excluded.first_seq), last_seq = max(last_seq, excluded.last_seq);
END;

CREATE TRIGGER words_insert AFTER INSERT ON words BEGIN
    INSERT INTO words_letters (rowid, word) VALUES (new.id, new.word);
END;

CREATE TRIGGER words_delete AFTER DELETE ON words BEGIN
    INSERT INTO words_letters (words_letters, rowid, word) VALUES ('delete', old.id, old.word);
END;

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
