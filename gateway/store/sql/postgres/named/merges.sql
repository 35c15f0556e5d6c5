-- Who an undo of a merge concerns: both its patients, and those that they turned out to be since.
-- name: merge_patients hot
WITH RECURSIVE concerned (patient) AS (
    SELECT unnest(ARRAY[absorbed, survivor]) FROM merge WHERE id = %s
    UNION SELECT p.merged_into FROM concerned c JOIN patient p ON p.id = c.patient WHERE p.merged_into IS NOT NULL
)
SELECT patient FROM concerned ORDER BY patient

-- name: task_patient hot
SELECT patient FROM task WHERE id = %s AND patient IS NOT NULL

-- name: write_merge
INSERT INTO merge (id, absorbed, survivor, merged_at, signed_by) VALUES (%s, %s, %s, %s, %s)

-- name: read_merge hot
SELECT id, absorbed, survivor, merged_at, signed_by, undone_at FROM merge WHERE id = %s

-- name: merges_of_patient hot
SELECT id, absorbed, survivor, merged_at, signed_by, undone_at FROM merge WHERE absorbed = %s ORDER BY merged_at, id

-- name: merges_into_patient hot
SELECT m.id, m.absorbed, m.survivor, m.merged_at, m.signed_by, m.undone_at, r.state
FROM merge m LEFT JOIN record r ON r.patient = m.absorbed
WHERE m.survivor = %s AND m.undone_at IS NULL ORDER BY m.merged_at, m.id

-- Whom identifiers of the patients named before, as far as they turned out to be one of them.
-- name: patients_parted hot
WITH RECURSIVE up (begun, id) AS (
    SELECT l.patient, l.patient FROM identifier i JOIN link l ON l.authority = i.authority AND l.value = i.value
    WHERE i.patient = ANY (%s::bigint[])
    UNION SELECT up.begun, p.merged_into
    FROM up CROSS JOIN LATERAL (SELECT merged_into FROM patient WHERE id = up.id OFFSET 0) p WHERE p.merged_into IS NOT NULL
), now (begun, id) AS (SELECT begun, id FROM up WHERE id = ANY (%s::bigint[]))
SELECT EXISTS (
    SELECT FROM now a JOIN merge m ON m.absorbed = a.begun JOIN now s ON s.begun = m.survivor
    WHERE m.undone_at IS NOT NULL AND a.id <> s.id
)

-- name: end_merge hot
UPDATE merge SET undone_at = %s, undone_by = %s WHERE id = %s

-- name: patient_merged_into hot
SELECT merged_into FROM patient WHERE id = %s

-- name: identifiers_redirected hot
SELECT DISTINCT authority, value FROM link WHERE patient = %s AND ended_by = %s ORDER BY authority, value

-- name: identifiers_since hot
SELECT authority, value FROM identifier WHERE patient = %s AND since >= %s ORDER BY authority, value

-- name: every_binding hot
SELECT s.id FROM statement s WHERE s.id IN (SELECT b.statement FROM binding b WHERE b.patient = %s) ORDER BY s.sequence

-- name: end_binding hot
UPDATE binding SET to_at = %s, ended_by = %s WHERE patient = %s AND statement = %s AND to_at IS NULL

-- name: read_choices hot
SELECT state, closed_at, emergency_access FROM record WHERE patient = %s

-- name: set_choices hot
UPDATE record SET state = %s, closed_at = %s, emergency_access = %s WHERE patient = %s

-- name: copy_document_identifiers
COPY document_identifier (patient, unique_id, authority, value) FROM STDIN (FORMAT BINARY)

-- name: filed_documents hot
SELECT unique_id, owner, set_id, state, replaced_by, receipt, committed_at, withheld FROM document
WHERE patient = %s ORDER BY unique_id

-- name: documents_of_patient hot
SELECT unique_id, owner, set_id, version, state, digest, visibility, replaced_by, receipt, deletion FROM document
WHERE patient = %s ORDER BY unique_id

-- name: marks_of_patient hot
SELECT unique_id, owner, kind, by_id, receipt FROM mark WHERE patient = %s ORDER BY unique_id, owner, kind

-- name: subjects_of_documents hot
SELECT unique_id, subject FROM document WHERE patient = %s AND unique_id = ANY (%s::text[]) ORDER BY unique_id

-- name: documents_came_under hot
SELECT unique_id, authority, value FROM document_identifier WHERE patient = %s
UNION SELECT d.unique_id, r.patient_authority, r.patient_value FROM document d JOIN receipt r ON r.id = d.receipt
WHERE d.patient = %s AND r.patient_value IS NOT NULL ORDER BY 1, 2, 3

-- name: documents_moved_by hot
SELECT unique_id FROM document_move WHERE receipt = %s AND to_patient = %s ORDER BY unique_id

-- name: move_documents hot
UPDATE document SET origin = COALESCE(origin, patient), patient = %s WHERE patient = %s AND unique_id = ANY (%s::text[])

-- name: move_entries hot
UPDATE entry SET patient = %s WHERE patient = %s AND unique_id = ANY (%s::text[])

-- name: move_document_identifiers hot
UPDATE document_identifier SET patient = %s WHERE patient = %s AND unique_id = ANY (%s::text[])

-- name: move_document_tasks hot
UPDATE task SET patient = %s WHERE patient = %s AND document = ANY (%s::text[]) AND done_at IS NULL

-- name: note_moves
INSERT INTO document_move (receipt, unique_id, from_patient, to_patient, moved_at)
SELECT %s, unnest(%s::text[]), %s, %s, %s

-- name: document_moved_away hot
SELECT EXISTS (SELECT FROM trace WHERE patient = %s AND document = %s AND action = 'document.moved_away')

-- name: share_marks hot
INSERT INTO mark (patient, unique_id, owner, kind, by_id, receipt, committed_at)
SELECT %s, unique_id, owner, kind, by_id, receipt, committed_at FROM mark
WHERE patient = %s
  AND (%s::text[] IS NULL OR unique_id = ANY (%s::text[]) OR by_id = ANY (%s::text[]))
ON CONFLICT DO NOTHING

-- name: release hot
UPDATE document SET withheld = FALSE WHERE patient = %s AND unique_id = %s

-- name: read_task hot
SELECT kind, patient, document, done_at FROM task WHERE id = %s

-- name: is_listed hot
SELECT EXISTS (SELECT FROM task WHERE patient = %s AND kind = %s AND detail IS NOT DISTINCT FROM %s AND done_at IS NULL)

-- name: list_task
INSERT INTO task (raised_at, kind, receipt, patient, document, detail) VALUES (%s, %s, %s, %s, %s, %s)

-- name: end_task hot
UPDATE task SET done_at = %s, done_by = %s WHERE id = %s AND done_at IS NULL

-- name: end_document_tasks hot
UPDATE task SET done_at = %s, done_by = %s WHERE patient = %s AND kind = %s AND document = %s AND done_at IS NULL
