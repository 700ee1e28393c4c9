-- Statements on the meter. A statement runs from its name line to the next.

-- name: total
-- Whole days come from their sums; what is left of the first and last day, from events.
SELECT nullif({key}, '') AS key, sum(executions), sum(duration_ms)
FROM (
    SELECT day, subject, path, executions, duration_ms
    FROM usage_days
    WHERE day >= :first_day AND day < :end_day
    UNION ALL
    SELECT substr(occurred_at, 1, 10) AS day, coalesce(subject, ''), coalesce(path, ''),
        executions, duration_ms
    FROM usage_events
    WHERE (occurred_at >= :head_since AND occurred_at < :head_until)
        OR (occurred_at >= :tail_since AND occurred_at < :tail_until)
)
{filters}
GROUP BY 1
ORDER BY 1

-- name: by_user
subject = :user

-- name: by_root
path >= :below AND path < :beyond
