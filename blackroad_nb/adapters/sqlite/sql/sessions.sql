-- Statements on the sessions of a hub. A statement runs from its name line to the next.

-- name: put
INSERT INTO sessions (
    id, user, server_name, profile, template, state, started_at, ready_at, ended_at, reason,
    message, exit_code
)
VALUES (
    :id, :user, :server_name, :profile, :template, :state, :started_at, :ready_at, :ended_at,
    :reason, :message, :exit_code
)
ON CONFLICT (id) DO UPDATE SET
    user = excluded.user, server_name = excluded.server_name, profile = excluded.profile,
    template = excluded.template, state = excluded.state, started_at = excluded.started_at,
    ready_at = excluded.ready_at, ended_at = excluded.ended_at, reason = excluded.reason,
    message = excluded.message, exit_code = excluded.exit_code

-- name: get
SELECT id, user, server_name, profile, template, state, started_at, ready_at, ended_at, reason,
    message, exit_code
FROM sessions
WHERE id = :id

-- name: last
SELECT id, user, server_name, profile, template, state, started_at, ready_at, ended_at, reason,
    message, exit_code
FROM sessions
WHERE user = :user AND server_name = :server_name
ORDER BY started_at DESC, seq DESC
LIMIT 1

-- name: list
-- Newest first. The states are those of the transition table that have an end.
SELECT id, user, server_name, profile, template, state, started_at, ready_at, ended_at, reason,
    message, exit_code
FROM sessions
WHERE :ended IS NULL OR (state IN ('stopped', 'error')) = :ended
ORDER BY started_at DESC, seq DESC
LIMIT :limit

-- name: list_of_user
SELECT id, user, server_name, profile, template, state, started_at, ready_at, ended_at, reason,
    message, exit_code
FROM sessions
WHERE user = :user AND (:ended IS NULL OR (state IN ('stopped', 'error')) = :ended)
ORDER BY started_at DESC, seq DESC
LIMIT :limit

-- name: list_open
SELECT id, user, server_name, profile, template, state, started_at, ready_at, ended_at, reason,
    message, exit_code
FROM sessions
WHERE state IN ('starting', 'running', 'stopping') AND (:user IS NULL OR user = :user)
ORDER BY started_at DESC, seq DESC
LIMIT :limit
