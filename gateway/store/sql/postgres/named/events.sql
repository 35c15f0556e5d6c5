-- name: applied_before hot
SELECT id FROM receipt WHERE establishment = %s AND application = %s AND message_id = %s AND message_digest = %s
AND verdict = 'applied' ORDER BY decided_at, id

-- name: statements_of_receipt hot
SELECT statement FROM statement WHERE receipt = %s ORDER BY sequence

-- name: identifiers_of_patient hot
SELECT authority, value FROM identifier WHERE patient = %s ORDER BY authority, value

-- name: new_patient
INSERT INTO patient (created_at) VALUES (%s) RETURNING id

-- name: set_identifier
INSERT INTO identifier (authority, value, patient, since, receipt) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (authority, value) DO UPDATE SET patient = excluded.patient, since = excluded.since, receipt = excluded.receipt

-- name: merge_patient hot
UPDATE patient SET merged_into = %s WHERE id = %s

-- name: move_tasks hot
UPDATE task SET patient = %s WHERE patient = %s AND done_at IS NULL

-- name: open_record
INSERT INTO record (patient, state, opened_at, channel, consent_by, consent_at, consent_place, emergency_access, traits)
VALUES (%s, 'open', %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (patient) DO UPDATE SET state = 'open', closed_at = NULL, opened_at = excluded.opened_at,
    channel = excluded.channel, consent_by = excluded.consent_by, consent_at = excluded.consent_at,
    consent_place = excluded.consent_place, emergency_access = excluded.emergency_access

-- name: close_record hot
UPDATE record SET state = 'closed', closed_at = %s WHERE patient = %s

-- name: write_statement
INSERT INTO statement (id, "right", "position", statement, ordered_at, written_at, received_at, committed_at, source, receipt)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)

-- name: name_statement
INSERT INTO statement_identifier (statement, authority, value) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING

-- A clock that stands still or goes back may give an instant twice: a binding that ended at it begins again.
-- name: bind
INSERT INTO binding (patient, statement, from_at, because, receipt) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (patient, statement, from_at) DO UPDATE SET to_at = NULL, ended_by = NULL

-- name: bindings_of_patient hot
SELECT b.statement, b.because, b.from_at FROM binding b JOIN statement s ON s.id = b.statement
WHERE b.patient = %s AND b.to_at IS NULL ORDER BY s.sequence

-- name: documents_since hot
SELECT unique_id, subject FROM document d WHERE patient = %s AND NOT withheld AND state <> 'deleted'
AND (committed_at >= %s OR (SELECT max(sequence) FROM trace WHERE receipt = d.receipt AND document = d.unique_id)
    > (SELECT min(t.sequence) FROM statement s JOIN trace t ON t.receipt = s.receipt WHERE s.id = %s)) ORDER BY unique_id

-- name: withhold hot
UPDATE document SET withheld = TRUE WHERE patient = %s AND unique_id = %s

-- name: raise_task
INSERT INTO task (raised_at, kind, receipt, patient, document) VALUES (%s, %s, %s, %s, %s)
