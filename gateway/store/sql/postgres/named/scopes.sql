-- name: opposed_scopes
WITH stated AS (
    SELECT b.patient, s."position", s.ordered_at, s.received_at, s.written_at,
           s.statement::jsonb ->> 'side' AS side,
           s.statement::jsonb ->> 'collected_by' AS collected_by,
           s.statement::jsonb ->> 'scope' AS scope,
           s.statement::jsonb ->> 'scope_value' AS scope_value
    FROM statement s JOIN binding b ON b.statement = s.id
    WHERE s."right" = 'feeding' AND b.to_at IS NULL
)
SELECT scope, scope_value, count(DISTINCT patient) FROM stated io
WHERE "position" = 'opposes' AND scope_value IS NOT NULL
  AND NOT EXISTS (
      SELECT FROM stated ino
      WHERE ino.patient = io.patient AND ino."position" = 'allows' AND ino.side = io.side AND ino.scope = io.scope
        AND ino.scope_value = io.scope_value AND (io.side = 'patient' OR ino.collected_by = io.collected_by)
        AND ino.ordered_at > io.ordered_at
        AND (ino.received_at > io.received_at OR ino.ordered_at >= io.written_at))
GROUP BY scope, scope_value ORDER BY scope COLLATE "C", scope_value COLLATE "C"
