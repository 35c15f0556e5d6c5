-- name: list_receipts
SELECT id, received_at, door, source, establishment, message_id, document_ids, act, verdict, codes, patient_value, decided_at,
       message_type, outcome
FROM receipt
WHERE (%(state)s::text IS NULL OR verdict = %(state)s)
  AND (%(source)s::text IS NULL OR source = %(source)s)
  AND (%(establishment)s::text IS NULL OR establishment = %(establishment)s)
  AND (%(patient)s::text IS NULL OR patient_value = %(patient)s)
  AND (%(message)s::text IS NULL OR message_id = %(message)s)
  AND (%(document)s::text IS NULL OR document_ids::jsonb ? %(document)s)
  AND (%(code)s::text IS NULL OR codes::jsonb ? %(code)s)
  AND (%(since)s::text IS NULL OR received_at >= %(since)s)
  AND (%(until)s::text IS NULL OR received_at < %(until)s)
ORDER BY received_at DESC, id DESC LIMIT %(limit)s

-- name: list_parked
SELECT p.receipt, p.parked_at, r.received_at, r.door, p.source, r.establishment, r.message_id, r.message_type,
       r.patient_value, p.code, p.place,
       (SELECT count(*) FROM trace t WHERE t.receipt = p.receipt AND t.action = 'deposit.parked'), p.review
FROM parked p JOIN receipt r ON r.id = p.receipt
WHERE (%(receipt)s::text IS NULL OR p.receipt = %(receipt)s)
  AND (%(source)s::text IS NULL OR p.source = %(source)s)
  AND (%(establishment)s::text IS NULL OR r.establishment = %(establishment)s)
  AND (%(patient)s::text IS NULL OR r.patient_value = %(patient)s)
  AND (%(message)s::text IS NULL OR r.message_id = %(message)s)
  AND (%(code)s::text IS NULL OR p.code = %(code)s)
  AND (%(since)s::text IS NULL OR p.parked_at >= %(since)s)
  AND (%(until)s::text IS NULL OR p.parked_at < %(until)s)
ORDER BY p.parked_at, p.receipt LIMIT %(limit)s

-- name: show_receipt hot
SELECT id, received_at, door, source, establishment, message_id, document_ids, act, verdict, codes, patient_value, decided_at,
       message_type, outcome
FROM receipt WHERE id = %s

-- name: show_trace hot
SELECT sequence, at, actor, action, receipt, document, verdict, rule, statement FROM trace WHERE receipt = %s ORDER BY sequence

-- name: patient_of_identifier hot
SELECT patient FROM identifier WHERE authority = %s AND value = %s

-- name: show_documents hot
SELECT unique_id, entry, version, state, owner, visibility, withheld, committed_at, receipt FROM document
WHERE patient = %s ORDER BY committed_at, unique_id

-- name: show_tasks hot
SELECT kind FROM task WHERE patient = %s AND done_at IS NULL ORDER BY id

-- name: count_verdicts
SELECT verdict, count(*) FROM receipt GROUP BY verdict ORDER BY verdict

-- name: is_store
SELECT to_regclass('receipt') IS NOT NULL AND to_regclass('schema_migration') IS NOT NULL

-- The DPO's query (receipt, statement), whatever the code decided: a document counts if, when it was committed, an opposition to
-- feeding bound its patient and what it is, and was in force; not the patient's own (O-14). In force: no allowance that bound the patient by then and whose
-- date had come stands later in its series (O-1), nor a later one of the patient that names the establishment (O-2). What was
-- committed first is told by the trace, whose numbers are given under the patient's lock; a document without a trace by the
-- times of the rows.
-- name: stored_against_an_opposition
WITH stated AS (
    SELECT s.id, s."position", s.ordered_at, s.received_at, s.written_at, b.patient, b.from_at, b.to_at,
           (SELECT min(sequence) FROM trace WHERE trace.receipt = b.receipt) AS bound,
           (SELECT min(sequence) FROM trace WHERE trace.receipt = b.ended_by) AS unbound,
           s.statement::jsonb ->> 'side' AS side,
           s.statement::jsonb ->> 'collected_by' AS collected_by,
           s.statement::jsonb ->> 'scope' AS scope,
           COALESCE(s.statement::jsonb ->> 'scope_value',
                    CASE s.statement::jsonb ->> 'scope'
                    WHEN 'establishment' THEN s.statement::jsonb ->> 'collected_by' END) AS scope_value
    FROM statement s JOIN binding b ON b.statement = s.id
    WHERE s."right" = 'feeding'
),
stored AS (
    SELECT COALESCE(d.origin, d.patient) AS patient, d.receipt, d.committed_at, d.establishments::jsonb AS establishments,
           (SELECT max(sequence) FROM trace WHERE trace.receipt = d.receipt AND trace.document = d.unique_id
            AND trace.action IN ('document.add', 'document.replace')) AS written,
           d.entry::jsonb #>> '{type_code,code}' AS type_code,
           d.entry::jsonb #>> '{class_code,code}' AS class_code,
           d.subject::jsonb AS subject
    FROM document d
    WHERE d.subject::jsonb -> 'by_patient' IS DISTINCT FROM 'true'
       OR d.subject::jsonb -> 'source_kinds' IS DISTINCT FROM '["patient"]'
)
SELECT DISTINCT d.receipt, io.id FROM stored d
JOIN stated io ON io.patient = d.patient AND io."position" = 'opposes'
              AND COALESCE(io.bound < d.written, io.from_at < d.committed_at)
              AND (io.to_at IS NULL OR COALESCE(io.unbound > d.written, io.to_at > d.committed_at))
WHERE (io.side = 'patient' OR d.establishments ? io.collected_by)
  AND CASE io.scope
      WHEN 'all' THEN TRUE
      WHEN 'establishment' THEN d.establishments ? io.scope_value
      WHEN 'source_kind' THEN COALESCE(d.subject -> 'source_kinds' ? io.scope_value, FALSE)
      WHEN 'professional' THEN COALESCE(d.subject -> 'professionals' ? io.scope_value, FALSE)
      WHEN 'class' THEN io.scope_value = d.class_code
      WHEN 'type' THEN io.scope_value = d.type_code
      END
  AND NOT EXISTS (
      SELECT FROM stated ino
      WHERE ino.patient = d.patient AND ino."position" = 'allows'
        AND COALESCE(ino.bound < d.written, ino.from_at < d.committed_at)
        AND (ino.to_at IS NULL OR COALESCE(ino.unbound > d.written, ino.to_at > d.committed_at))
        AND ino.ordered_at <= d.committed_at AND ino.ordered_at > io.ordered_at
        AND (ino.received_at > io.received_at OR ino.ordered_at >= io.written_at)
        AND ((ino.scope = io.scope AND ino.scope_value IS NOT DISTINCT FROM io.scope_value AND ino.side = io.side
              AND (io.side = 'patient' OR ino.collected_by = io.collected_by))
             OR (ino.side = 'patient' AND io.side = 'establishment' AND io.scope IN ('all', 'establishment')
                 AND ino.scope = 'establishment'
                 AND (ino.scope_value = io.collected_by
                      OR (ino.scope_value = io.scope_value
                          AND substr(io.scope_value, 1, length(io.collected_by) + 1) = io.collected_by || '/')))))
