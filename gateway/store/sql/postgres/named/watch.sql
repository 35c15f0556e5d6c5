-- The identifier that is shown of a patient: an INS (its authority is a root, without a domain), else a local one.
-- name: list_tasks
SELECT t.id, t.kind, t.raised_at,
       (SELECT i.value FROM identifier i WHERE i.patient = t.patient
        ORDER BY strpos(i.authority, '/') > 0, i.authority, i.value LIMIT 1),
       t.document, t.detail, t.receipt, t.done_at, t.done_by
FROM task t
WHERE (t.done_at IS NOT NULL) = %(done)s
  AND (%(kind)s::text IS NULL OR t.kind = %(kind)s)
  AND (%(patient)s::text IS NULL OR t.patient IN (SELECT n.patient FROM identifier n WHERE n.value = %(patient)s))
  AND (%(document)s::text IS NULL OR t.document = %(document)s)
  AND (%(since)s::text IS NULL OR t.raised_at >= %(since)s)
  AND (%(until)s::text IS NULL OR t.raised_at < %(until)s)
ORDER BY t.id LIMIT %(limit)s

-- name: misfiled
SELECT d.unique_id, d.entry, d.state, d.owner, d.withheld, d.committed_at, d.receipt,
       (SELECT i.value FROM identifier i WHERE i.patient = d.patient
        ORDER BY strpos(i.authority, '/') > 0, i.authority, i.value LIMIT 1),
       l.to_at, l.ended_by
FROM document_identifier n
JOIN document d ON d.patient = n.patient AND d.unique_id = n.unique_id
JOIN link l ON l.authority = n.authority AND l.value = n.value AND l.patient = d.patient AND l.to_at = (
    SELECT min(x.to_at) FROM link x
    WHERE x.authority = n.authority AND x.value = n.value AND x.patient = d.patient AND x.to_at >= d.committed_at)
WHERE n.authority = %(authority)s AND n.value = %(value)s
  AND NOT EXISTS (SELECT FROM identifier i WHERE i.authority = n.authority AND i.value = n.value AND i.patient = d.patient)
  AND (%(record)s::text IS NULL
       OR d.patient = (SELECT r.patient FROM identifier r WHERE r.authority = %(record)s AND r.value = %(record_value)s))
ORDER BY d.committed_at, d.unique_id
