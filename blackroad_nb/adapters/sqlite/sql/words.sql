-- Statements on the vocabulary of the history. A statement runs from its name line to the next.

-- name: learn
-- Words that are known stay as they are.
INSERT OR IGNORE INTO words (word) SELECT value FROM json_each(:words)

-- name: known
-- The words for each pattern, in order; too many are not all read. Where they are too many,
-- also those that do not begin so: the others can be asked for together.
WITH found AS MATERIALIZED (
    SELECT wanted.key AS place, wanted.value AS glob, (
        SELECT json_group_array(word)
        FROM (SELECT word FROM words_letters WHERE word GLOB wanted.value LIMIT :most)
    ) AS words
    FROM json_each(:globs) AS wanted
)
SELECT
    CASE WHEN glob IS NULL THEN '[]' ELSE words END,
    CASE WHEN glob LIKE '*%' AND json_array_length(words) = :most THEN (
        SELECT json_group_array(word)
        FROM (SELECT word FROM words_letters WHERE word GLOB '?' || glob LIMIT :most)
    ) END
FROM found
ORDER BY place

-- name: slice_end
SELECT max(id) FROM (SELECT id FROM words WHERE id > :after ORDER BY id LIMIT :most)

-- name: forget
-- What no row holds any more.
DELETE FROM words
WHERE id > :after AND id <= :end AND NOT EXISTS (
    SELECT 1 FROM executions_text
    WHERE executions_text MATCH '{source error parts} : "' || words.word || '"'
)

-- name: merge
INSERT INTO words_letters (words_letters, rank) VALUES ('merge', :pages)
