-- Statements on registered kernels. A statement runs from its name line to the next.

-- name: insert
INSERT INTO kernels (id, name, language, display_name, argv, created_at)
VALUES (:id, :name, :language, :display_name, :argv, :created_at)

-- name: list
SELECT id, name, language, display_name, argv, created_at FROM kernels ORDER BY name

-- name: delete
DELETE FROM kernels WHERE name = :name
