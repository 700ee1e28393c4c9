-- Statements on the registry. A statement runs from its name line to the next.

-- name: insert
INSERT INTO notebooks (id, name, path, kernel, created_at, updated_at, cell_count, metadata)
VALUES (:id, :name, :path, :kernel, :created_at, :updated_at, :cell_count, :metadata)

-- name: get
SELECT id, name, path, kernel, created_at, updated_at, cell_count, metadata
FROM notebooks
WHERE id = :id

-- name: find
SELECT id, name, path, kernel, created_at, updated_at, cell_count, metadata
FROM notebooks
WHERE path = :path

-- name: list
-- Newest update first; goes on after the row named by :updated_at and :id.
SELECT id, name, path, kernel, created_at, updated_at, cell_count, metadata
FROM notebooks
WHERE updated_at <= :updated_at AND (updated_at < :updated_at OR id > :id)
    AND (:below IS NULL OR (path >= :below AND path < :beyond))
ORDER BY updated_at DESC, id
LIMIT :limit

-- name: move
UPDATE notebooks
SET path = :path, name = :name, updated_at = max(updated_at, :at)
WHERE id = :id

-- name: note
UPDATE notebooks
SET kernel = coalesce(:kernel, kernel), cell_count = coalesce(:cell_count, cell_count),
    updated_at = max(updated_at, coalesce(:at, updated_at))
WHERE id = :id AND path = :path

-- name: delete
DELETE FROM notebooks WHERE id = :id

-- name: register
-- A notebook that ran without being registered; one that is known is newer now.
INSERT INTO notebooks (id, name, path, kernel, created_at, updated_at)
VALUES (:id, :name, :path, :kernel, :at, :at)
ON CONFLICT (path) DO UPDATE SET updated_at = max(updated_at, excluded.updated_at)

-- name: register_again
-- A notebook whose row went while it was run: what ran since then is its new history.
INSERT INTO notebooks (id, name, path, kernel, created_at, updated_at)
SELECT :id, :name, :path, :kernel, :at, :at
WHERE NOT EXISTS (SELECT 1 FROM notebooks WHERE id = :gone)
ON CONFLICT (path) DO UPDATE SET updated_at = max(updated_at, excluded.updated_at)

-- name: touch
UPDATE notebooks SET updated_at = :at WHERE id = :id AND updated_at < :at
