-- Statements on the history. A statement runs from its name line to the next.

-- name: record
-- A stored row stays as it is, unless it is pending and this one is final.
-- A notebook_id that is gone becomes that of the path; where there is none, the fact
-- outlives the registry row.
-- What was deleted after it had been counted stays deleted.
-- Many rows to a statement, because the end of a statement costs nearly as much as a row.
INSERT INTO executions (
    id, notebook_id, cell_index, source, output, status, started_at, finished_at, duration_ms,
    path, cell_id, execution_count, error, origin, run_id, kernel_id, user, user_source, server,
    queued_at, process, trust, search_parts
)
WITH batch ({columns}) AS (VALUES {rows})
SELECT
    id,
    coalesce(
        (SELECT notebooks.id FROM notebooks WHERE notebooks.id = batch.notebook_id),
        (SELECT notebooks.id FROM notebooks WHERE notebooks.path = batch.path)
    ),
    cell_index, source, output, status, started_at, finished_at, duration_ms, path, cell_id,
    execution_count, error, origin, run_id, kernel_id, user, user_source, server, queued_at,
    process, trust, search_parts
FROM batch
WHERE NOT EXISTS (SELECT 1 FROM executions_deleted AS deleted WHERE deleted.id = batch.id)
ON CONFLICT (id) DO UPDATE SET
    notebook_id = coalesce(excluded.notebook_id, notebook_id),
    cell_index = coalesce(excluded.cell_index, cell_index),
    source = excluded.source,
    output = excluded.output,
    status = excluded.status,
    started_at = excluded.started_at,
    finished_at = excluded.finished_at,
    duration_ms = excluded.duration_ms,
    path = coalesce(excluded.path, path),
    cell_id = coalesce(excluded.cell_id, cell_id),
    execution_count = excluded.execution_count,
    error = excluded.error,
    origin = excluded.origin,
    run_id = coalesce(excluded.run_id, run_id),
    kernel_id = coalesce(excluded.kernel_id, kernel_id),
    user = coalesce(excluded.user, user),
    user_source = coalesce(excluded.user_source, user_source),
    server = coalesce(excluded.server, server),
    queued_at = coalesce(excluded.queued_at, queued_at),
    process = NULL,
    trust = excluded.trust,
    search_parts = excluded.search_parts
WHERE executions.status = 'pending' AND excluded.status <> 'pending'

-- name: columns
-- The columns of an Execution, in its order of construction; part of what follows.
-- {output} is NULL for who does not ask for outputs, which are never read then.
e.id, e.status, e.source, e.started_at, e.finished_at, e.duration_ms, e.notebook_id, e.path,
e.cell_index, e.cell_id, e.execution_count, {output}, e.error, e.origin, e.run_id, e.kernel_id,
e.user, e.user_source, e.server, e.queued_at, e.seq

-- name: history
SELECT {columns}
FROM executions AS e
WHERE e.seq < {before} {filters}
ORDER BY e.seq DESC
LIMIT :limit

-- name: search
-- The text index walks its own rows from the newest down, and stops at the limit.
SELECT {columns}
FROM executions_text AS t
CROSS JOIN executions AS e ON e.seq = t.rowid
WHERE executions_text MATCH :match AND t.rowid < {before} {filters}
ORDER BY t.rowid DESC
LIMIT :limit

-- name: by_notebook
AND e.notebook_id = :notebook_id

-- name: by_run
AND e.run_id = :run_id

-- name: by_user
AND e.user = :user

-- name: by_status
AND e.status = :status

-- name: by_since
AND e.started_at >= :since
AND {seq} >= (SELECT min(first_seq) FROM execution_days WHERE day >= substr(:since, 1, 10))

-- name: by_until
AND e.started_at < :until

-- name: by_root
AND (
    (e.path >= :below AND e.path < :beyond)
    OR (e.path IS NULL OR e.path NOT LIKE '/%') AND e.server = :server
)

-- name: by_part
-- Ours, see core/search.py.
AND holds(e.source, e.error, :part_{number})

-- name: before_until
-- One bound instead of two: the text index uses only the first it is given.
min(
    :cursor,
    coalesce((SELECT max(last_seq) FROM execution_days WHERE day <= substr(:until, 1, 10)), 0) + 1
)

-- name: open
-- Rows that somebody began and nobody has finished.
SELECT {columns} FROM executions AS e WHERE e.status = 'pending' AND e.process = :process

-- name: open_processes
SELECT process FROM executions WHERE status = 'pending' AND process IS NOT NULL
UNION
SELECT process FROM runs WHERE status IN ('pending', 'running') AND process IS NOT NULL

-- name: output
SELECT output FROM executions WHERE id = :id

-- name: deletable
SELECT e.seq
FROM executions AS e
WHERE e.seq > :after AND e.status <> 'pending'
    AND e.started_at < :older_than
    AND e.seq <= (SELECT max(last_seq) FROM execution_days WHERE day <= substr(:older_than, 1, 10))
    {filters}
ORDER BY e.seq
LIMIT :limit

-- name: of_notebook
SELECT seq FROM executions WHERE notebook_id = :notebook_id LIMIT :limit

-- name: merge
INSERT INTO executions_text (executions_text, rank) VALUES ('merge', :pages)

-- name: delete
-- A slice, so that deleting never holds the file for long.
DELETE FROM executions WHERE seq IN (SELECT value FROM json_each(:found))
