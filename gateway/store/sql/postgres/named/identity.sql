-- name: end_link hot
UPDATE link SET to_at = %s, ended_by = %s WHERE authority = %s AND value = %s AND to_at IS NULL

-- Back to a patient that the identifier left in this very instant: the same row, without an end.
-- name: begin_link
INSERT INTO link (authority, value, patient, from_at, because, receipt) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (authority, value, patient, from_at) DO UPDATE SET to_at = NULL, ended_by = NULL

-- The identity that each record holds, and who took back what they had said of it: one statement for the whole batch.
-- name: read_references hot
SELECT p.id, r.version, r.traits, r.source, r.homonym,
       ARRAY (SELECT s.establishment FROM suspended_link s WHERE s.patient = p.id)
FROM unnest(%s::bigint[]) AS p (id)
LEFT JOIN LATERAL (
    SELECT version, traits, source, homonym FROM reference WHERE patient = p.id ORDER BY version DESC LIMIT 1
) AS r ON TRUE

-- name: write_reference
INSERT INTO reference (patient, version, traits, source, homonym, receipt, committed_at) VALUES (%s, %s, %s, %s, %s, %s, %s)

-- name: suspend_link
INSERT INTO suspended_link (patient, establishment, since, receipt) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING

-- name: resume_link hot
DELETE FROM suspended_link WHERE patient = %s AND establishment = %s

-- name: statements_named_under hot
SELECT DISTINCT b.statement FROM binding b JOIN statement_identifier i ON i.statement = b.statement
JOIN unnest(%s::text[], %s::text[]) AS asked (authority, value) ON i.authority = asked.authority AND i.value = asked.value
WHERE b.patient = %s AND b.to_at IS NULL ORDER BY b.statement

-- name: watch
INSERT INTO task (raised_at, kind, receipt, patient, detail) SELECT %(at)s, %(kind)s, %(receipt)s, %(patient)s, %(detail)s
WHERE NOT EXISTS (
    SELECT FROM task WHERE patient = %(patient)s AND kind = %(kind)s AND detail = %(detail)s AND done_at IS NULL
)
