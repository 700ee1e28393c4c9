-- Statements on headless runs. A statement runs from its name line to the next.

-- name: put
INSERT INTO runs (
    id, notebook_id, status, requested, path, kernel, user, kernel_id, artefact, cells, message,
    code, started_at, finished_at, owner, process
)
VALUES (
    :id, :notebook_id, :status, :requested, :path, :kernel, :user, :kernel_id, :artefact, :cells,
    :message, :code, :started_at, :finished_at, :owner, :process
)
ON CONFLICT (id) DO UPDATE SET
    notebook_id = excluded.notebook_id, status = excluded.status, requested = excluded.requested,
    path = excluded.path, kernel = excluded.kernel, user = excluded.user,
    kernel_id = excluded.kernel_id, artefact = excluded.artefact, cells = excluded.cells,
    message = excluded.message, code = excluded.code, started_at = excluded.started_at,
    finished_at = excluded.finished_at, owner = excluded.owner, process = excluded.process

-- name: get
SELECT id, notebook_id, status, requested, path, kernel, user, kernel_id, artefact, cells,
    message, code, started_at, finished_at, owner, rowid
FROM runs
WHERE id = :id

-- name: list
-- Newest recorded first: a row keeps its rowid for life, and not every one has a start.
SELECT id, notebook_id, status, requested, path, kernel, user, kernel_id, artefact, cells,
    message, code, started_at, finished_at, owner, rowid
FROM runs
WHERE rowid < :cursor AND (:below IS NULL OR (path >= :below AND path < :beyond))
ORDER BY rowid DESC
LIMIT :limit

-- name: list_of_notebook
SELECT id, notebook_id, status, requested, path, kernel, user, kernel_id, artefact, cells,
    message, code, started_at, finished_at, owner, rowid
FROM runs
WHERE rowid IN (
    SELECT rowid FROM runs
    WHERE notebook_id = :notebook_id AND rowid < :cursor
    ORDER BY rowid DESC
    LIMIT :limit
)
ORDER BY rowid DESC

-- name: open_processes_of_notebook
SELECT DISTINCT process
FROM runs
WHERE notebook_id = :notebook_id AND status IN ('pending', 'running') AND process IS NOT NULL

-- name: close_open
-- Runs whose process is gone.
UPDATE runs
SET status = 'killed', message = :message, process = NULL
WHERE status IN ('pending', 'running') AND process = :process
