-- The record store on SQLite: one process owns the file, one thread writes it (D-12).
-- Times are ISO 8601 UTC text with microseconds; JSON is text made by the model; no table but `identifier`, `statement_identifier`,
-- `receipt` and `parked` holds an INS outside the documents themselves.

CREATE TABLE patient (
    id INTEGER PRIMARY KEY,
    created_at TEXT NOT NULL,
    -- Counts the changes of rights and links: a deposit's trace says on which it was decided.
    rights_version INTEGER NOT NULL DEFAULT 0,
    merged_into INTEGER REFERENCES patient (id)
) STRICT;

-- The identifiers known to be a patient's. authority: INS root OID, `<establishment>/<domain>`, or a foreign authority as written.
CREATE TABLE identifier (
    authority TEXT NOT NULL,
    value TEXT NOT NULL,
    patient INTEGER NOT NULL REFERENCES patient (id),
    since TEXT NOT NULL,
    receipt TEXT NOT NULL,
    PRIMARY KEY (authority, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX identifier_patient ON identifier (patient);

-- A patient may exist without a record (D-18: a record is opened, never by a deposit).
CREATE TABLE record (
    patient INTEGER PRIMARY KEY REFERENCES patient (id),
    state TEXT NOT NULL CHECK (state IN ('open', 'closed')),
    opened_at TEXT NOT NULL,
    channel TEXT NOT NULL,
    consent_by TEXT,
    consent_at TEXT,
    consent_place TEXT,
    emergency_access INTEGER,
    closed_at TEXT,
    traits TEXT NOT NULL
) STRICT;

-- One row per opposition or lifting, never updated (R-13, R-14).
CREATE TABLE statement (
    sequence INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    right TEXT NOT NULL,
    position TEXT NOT NULL,
    statement TEXT NOT NULL,
    -- The instant that it is ordered by inside its series (O-3…O-5), so that SQL can tell what was in force.
    ordered_at TEXT NOT NULL,
    received_at TEXT NOT NULL,
    committed_at TEXT NOT NULL,
    source TEXT NOT NULL,
    receipt TEXT NOT NULL
) STRICT;

-- Every usable identifier that a statement came with (D-1).
CREATE TABLE statement_identifier (
    statement TEXT NOT NULL REFERENCES statement (id),
    authority TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (statement, authority, value)
) STRICT, WITHOUT ROWID;

-- From which commit on a statement binds a patient: its own, a link's, a merge's. `to_at` ends it; a cut link does not.
CREATE TABLE binding (
    patient INTEGER NOT NULL REFERENCES patient (id),
    statement TEXT NOT NULL REFERENCES statement (id),
    from_at TEXT NOT NULL,
    to_at TEXT,
    because TEXT NOT NULL CHECK (because IN ('statement', 'link')),
    -- The event whose commit made it: its trace places the binding in the order of commits, whatever the clock did.
    receipt TEXT NOT NULL,
    PRIMARY KEY (patient, statement, from_at)
) STRICT, WITHOUT ROWID;

-- Heads and history in one table: `state` tells them apart; a deleted one keeps its row.
CREATE TABLE document (
    patient INTEGER NOT NULL REFERENCES patient (id),
    unique_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    set_id TEXT,
    version INTEGER,
    state TEXT NOT NULL CHECK (state IN ('current', 'replaced', 'deleted')),
    replaced_by TEXT,
    -- Receipt of the deletion.
    deletion TEXT,
    act TEXT NOT NULL,
    digest TEXT NOT NULL,
    visibility TEXT NOT NULL,
    establishments TEXT NOT NULL,
    withheld INTEGER NOT NULL DEFAULT 0,
    entry_uuid TEXT NOT NULL,
    entry TEXT NOT NULL,
    source TEXT NOT NULL,
    receipt TEXT NOT NULL,
    part INTEGER,
    committed_at TEXT NOT NULL,
    PRIMARY KEY (patient, unique_id)
) STRICT;
CREATE INDEX document_set ON document (patient, owner, set_id) WHERE set_id IS NOT NULL;

-- What a replace or a delete left for a document that was not there (D-5).
CREATE TABLE mark (
    patient INTEGER NOT NULL REFERENCES patient (id),
    unique_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('replaced', 'deleted')),
    by_id TEXT,
    receipt TEXT NOT NULL,
    committed_at TEXT NOT NULL,
    PRIMARY KEY (patient, unique_id, owner, kind)
) STRICT, WITHOUT ROWID;

-- The bytes as received: part 0 the message without its documents, then the documents (D-11).
CREATE TABLE source_part (
    receipt TEXT NOT NULL,
    part INTEGER NOT NULL,
    encoding TEXT NOT NULL CHECK (encoding IN ('raw', 'zstd')),
    size INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (receipt, part)
) STRICT;
CREATE TABLE source_form (
    receipt TEXT PRIMARY KEY,
    carriers TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row per message that was decided: ids, codes, times, hashes, never content (D-6, D-7).
CREATE TABLE receipt (
    id TEXT PRIMARY KEY,
    received_at TEXT NOT NULL,
    decided_at TEXT NOT NULL,
    door TEXT NOT NULL,
    source TEXT NOT NULL,
    establishment TEXT NOT NULL,
    application TEXT NOT NULL,
    message_id TEXT NOT NULL,
    message_type TEXT NOT NULL,
    message_digest TEXT NOT NULL,
    act TEXT,
    verdict TEXT NOT NULL,
    codes TEXT NOT NULL,
    patient_authority TEXT,
    patient_value TEXT,
    document_ids TEXT NOT NULL,
    outcome TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX receipt_message ON receipt (establishment, application, message_id, message_digest);
CREATE INDEX receipt_received ON receipt (received_at);
CREATE INDEX receipt_verdict ON receipt (verdict, received_at);
CREATE INDEX receipt_patient ON receipt (patient_value) WHERE patient_value IS NOT NULL;

-- Who, when, which document id, rule, statement: no title, no type, no author; this table has no content column (R-13).
CREATE TABLE refusal (
    receipt TEXT PRIMARY KEY,
    refused_at TEXT NOT NULL,
    source TEXT NOT NULL,
    establishment TEXT NOT NULL,
    patient INTEGER,
    document_ids TEXT NOT NULL,
    code TEXT NOT NULL,
    rule TEXT,
    statement TEXT
) STRICT, WITHOUT ROWID;

-- Deposits that could not be applied for a reason that is not their sender's: sealed, for an operator (D-7).
CREATE TABLE parked (
    receipt TEXT PRIMARY KEY,
    parked_at TEXT NOT NULL,
    source TEXT NOT NULL,
    code TEXT NOT NULL,
    place TEXT NOT NULL,
    identifiers TEXT NOT NULL,
    sealed BLOB NOT NULL
) STRICT;

-- What a person must look at: identity watch, DPO list.
CREATE TABLE task (
    id INTEGER PRIMARY KEY,
    raised_at TEXT NOT NULL,
    kind TEXT NOT NULL,
    receipt TEXT NOT NULL,
    patient INTEGER,
    document TEXT,
    done_at TEXT
) STRICT;

-- Written in the transaction that it tells of (R-35).
CREATE TABLE trace (
    sequence INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    receipt TEXT NOT NULL,
    patient INTEGER,
    document TEXT,
    verdict TEXT,
    rule TEXT,
    statement TEXT,
    rights_version INTEGER
) STRICT;
CREATE INDEX trace_patient ON trace (patient, sequence);
CREATE INDEX trace_receipt ON trace (receipt);
