-- What is kept no longer than it must be: the statements of `gateway/store/retention.py`, a name each.

-- name: retention_count_parked
SELECT count(*) FROM parked WHERE parked_at < %(before)s

-- name: retention_expire_parked
DELETE FROM parked WHERE receipt IN (
    SELECT receipt FROM parked WHERE parked_at < %(before)s ORDER BY parked_at LIMIT %(limit)s
) RETURNING receipt, source

-- name: retention_expire_parked_names
DELETE FROM parked_identifier WHERE receipt = %(receipt)s RETURNING receipt

-- name: retention_outcome_of_parked
SELECT outcome FROM receipt WHERE id = %(receipt)s AND verdict = 'parked'

-- name: retention_tell_parked
UPDATE receipt SET codes = %(codes)s, outcome = %(outcome)s WHERE id = %(receipt)s RETURNING id

-- What is parked may be judged again, what is in the outbox is told from it.
-- name: retention_count_receipts
SELECT count(*) FROM receipt r WHERE r.decided_at < %(before)s
AND NOT EXISTS (SELECT 1 FROM parked p WHERE p.receipt = r.id)
AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.receipt = r.id AND o.delivered_at IS NULL)

-- name: retention_forget_receipts
DELETE FROM receipt WHERE id IN (
    SELECT r.id FROM receipt r WHERE r.decided_at < %(before)s
    AND NOT EXISTS (SELECT 1 FROM parked p WHERE p.receipt = r.id)
    AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.receipt = r.id AND o.delivered_at IS NULL)
    ORDER BY r.decided_at LIMIT %(limit)s
) RETURNING id

-- Deleted when the trace of its deletion says; one that came after its deletion when it came.
-- name: retention_count_deleted
SELECT count(*) FROM document d WHERE d.state = 'deleted' AND d.part IS NOT NULL
AND COALESCE((SELECT max(t.at) FROM trace t WHERE t.receipt = d.deletion), d.committed_at) < %(before)s

-- name: retention_deleted_documents
SELECT d.patient, d.unique_id FROM document d WHERE d.state = 'deleted' AND d.part IS NOT NULL
AND COALESCE((SELECT max(t.at) FROM trace t WHERE t.receipt = d.deletion), d.committed_at) < %(before)s
ORDER BY d.patient, d.unique_id LIMIT %(limit)s

-- name: retention_bytes_of_deleted
SELECT receipt, part FROM document WHERE patient = %(patient)s AND unique_id = %(unique_id)s AND state = 'deleted' AND part IS NOT NULL

-- name: retention_forget_part
UPDATE document SET part = NULL WHERE patient = %(patient)s AND unique_id = %(unique_id)s RETURNING unique_id

-- name: retention_erase_part
DELETE FROM source_part WHERE receipt = %(receipt)s AND part = %(part)s RETURNING part

-- What came with it goes when no document of the message has bytes left.
-- name: retention_erase_message
DELETE FROM source_part WHERE receipt = %(receipt)s
AND NOT EXISTS (SELECT 1 FROM document d WHERE d.receipt = %(receipt)s AND d.part IS NOT NULL) RETURNING part

-- name: retention_erase_form
DELETE FROM source_form WHERE receipt = %(receipt)s
AND NOT EXISTS (SELECT 1 FROM document d WHERE d.receipt = %(receipt)s AND d.part IS NOT NULL) RETURNING receipt

-- name: retention_erase_entries
DELETE FROM entry WHERE patient = %(patient)s AND unique_id = %(unique_id)s RETURNING n

-- name: retention_count_tasks
SELECT count(*) FROM task WHERE done_at < %(before)s

-- name: retention_forget_tasks
DELETE FROM task WHERE id IN (SELECT id FROM task WHERE done_at < %(before)s ORDER BY id LIMIT %(limit)s) RETURNING id

-- name: retention_count_outbox
SELECT count(*) FROM outbox WHERE delivered_at < %(before)s

-- name: retention_forget_outbox
DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE delivered_at < %(before)s ORDER BY id LIMIT %(limit)s) RETURNING id

-- name: retention_count_nobody
SELECT (SELECT count(*) FROM trace WHERE patient IS NULL AND at < %(before)s)
     + (SELECT count(*) FROM refusal WHERE patient IS NULL AND refused_at < %(before)s)

-- name: retention_forget_lines_of_nobody
DELETE FROM trace WHERE sequence IN (
    SELECT sequence FROM trace WHERE patient IS NULL AND at < %(before)s ORDER BY sequence LIMIT %(limit)s
) RETURNING sequence

-- name: retention_forget_refusals_of_nobody
DELETE FROM refusal WHERE receipt IN (
    SELECT receipt FROM refusal WHERE patient IS NULL AND refused_at < %(before)s ORDER BY receipt LIMIT %(limit)s
) RETURNING receipt

-- The record of a file that was merged is kept as long as the one it was merged into.
-- name: retention_count_records
SELECT count(*) FROM record r JOIN patient p ON p.id = r.patient
WHERE (r.state = 'closed' AND r.closed_at < %(before)s AND p.merged_into IS NULL)
   OR (r.state = 'destroyed' AND r.destroyed_at IS NULL AND p.merged_into IS NULL)

-- name: retention_record_to_destroy
SELECT r.patient FROM record r JOIN patient p ON p.id = r.patient
WHERE (r.state = 'closed' AND r.closed_at < %(before)s AND p.merged_into IS NULL)
   OR (r.state = 'destroyed' AND r.destroyed_at IS NULL AND p.merged_into IS NULL)
ORDER BY r.patient LIMIT 1

-- name: retention_merged_files
WITH RECURSIVE file (id) AS (
    SELECT %(patient)s::bigint UNION SELECT p.id FROM patient p JOIN file f ON p.merged_into = f.id
) SELECT id FROM file ORDER BY id

-- Again, under the lock: it may have been reopened.
-- name: retention_state_of_record
SELECT state, closed_at, destroyed_at FROM record WHERE patient = %(patient)s

-- name: retention_wipe_record
UPDATE record SET state = 'destroyed', channel = '', consent_by = NULL, consent_at = NULL, consent_place = NULL,
    emergency_access = NULL, traits = '{}' WHERE patient = %(patient)s RETURNING patient

-- name: retention_wipe_identifiers
DELETE FROM identifier WHERE patient = %(patient)s RETURNING value

-- name: retention_wipe_links
DELETE FROM link WHERE patient = %(patient)s RETURNING value

-- name: retention_wipe_references
DELETE FROM reference WHERE patient = %(patient)s RETURNING version

-- name: retention_wipe_suspensions
DELETE FROM suspended_link WHERE patient = %(patient)s RETURNING establishment

-- name: retention_wipe_stays
DELETE FROM stay WHERE patient = %(patient)s RETURNING establishment

-- name: retention_wipe_merges
DELETE FROM merge WHERE survivor = %(patient)s OR absorbed = %(patient)s RETURNING id

-- name: retention_wipe_moves
DELETE FROM document_move WHERE from_patient = %(patient)s OR to_patient = %(patient)s RETURNING receipt

-- name: retention_wipe_tasks
DELETE FROM task WHERE patient = %(patient)s RETURNING id

-- name: retention_wipe_entries
DELETE FROM entry WHERE patient = %(patient)s AND (unique_id, n) IN (
    SELECT unique_id, n FROM entry WHERE patient = %(patient)s LIMIT %(limit)s
) RETURNING n

-- name: retention_wipe_document_identifiers
DELETE FROM document_identifier WHERE patient = %(patient)s AND (unique_id, authority, value) IN (
    SELECT unique_id, authority, value FROM document_identifier WHERE patient = %(patient)s LIMIT %(limit)s
) RETURNING unique_id

-- name: retention_wipe_marks
DELETE FROM mark WHERE patient = %(patient)s AND (unique_id, owner, kind) IN (
    SELECT unique_id, owner, kind FROM mark WHERE patient = %(patient)s LIMIT %(limit)s
) RETURNING unique_id

-- name: retention_documents_to_wipe
SELECT unique_id, receipt, part FROM document WHERE patient = %(patient)s ORDER BY unique_id LIMIT %(limit)s

-- name: retention_wipe_document
DELETE FROM document WHERE patient = %(patient)s AND unique_id = %(unique_id)s RETURNING unique_id

-- name: retention_statements_to_wipe
SELECT DISTINCT statement FROM binding WHERE patient = %(patient)s ORDER BY statement LIMIT %(limit)s

-- name: retention_wipe_binding
DELETE FROM binding WHERE patient = %(patient)s AND statement = %(statement)s RETURNING statement

-- A statement that binds somebody else stays theirs.
-- name: retention_wipe_statement_names
DELETE FROM statement_identifier WHERE statement = %(statement)s
AND NOT EXISTS (SELECT 1 FROM binding b WHERE b.statement = %(statement)s) RETURNING statement

-- name: retention_wipe_statement
DELETE FROM statement WHERE id = %(statement)s
AND NOT EXISTS (SELECT 1 FROM binding b WHERE b.statement = %(statement)s) RETURNING id

-- From the end, so that what is left is a whole chain.
-- name: retention_lines_to_wipe
SELECT sequence, receipt, n FROM trace WHERE patient = %(patient)s ORDER BY sequence DESC LIMIT %(limit)s

-- name: retention_wipe_line
DELETE FROM trace WHERE sequence = %(sequence)s RETURNING sequence

-- name: retention_wipe_refusal
DELETE FROM refusal WHERE receipt = %(receipt)s AND patient = %(patient)s RETURNING receipt

-- name: retention_shorten_trace
UPDATE patient SET trace_length = COALESCE((SELECT max(t.n) FROM trace t WHERE t.patient = %(patient)s), 0),
    trace_head = (SELECT t.hash FROM trace t WHERE t.patient = %(patient)s ORDER BY t.n DESC NULLS LAST LIMIT 1)
WHERE id = %(patient)s RETURNING id

-- name: retention_record_is_destroyed
UPDATE record SET destroyed_at = %(at)s WHERE patient = %(patient)s RETURNING patient

-- name: retention_note_run
INSERT INTO upkeep (job, ran_at, rows) VALUES (%(job)s, %(at)s, %(rows)s)
ON CONFLICT (job) DO UPDATE SET ran_at = excluded.ran_at, rows = excluded.rows RETURNING job

-- name: retention_last_runs
SELECT job, ran_at, rows FROM upkeep ORDER BY job

-- name: one_upkeep
SELECT pg_try_advisory_lock(%s)
