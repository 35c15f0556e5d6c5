-- Identity with its history, stays, the outbox, entries' siblings, what upkeep and the proof of the trace need.

-- Each patient's lines of the trace are a chain: a line carries its place and the hash of itself and the line before (R-35).
ALTER TABLE patient ADD COLUMN trace_length INTEGER NOT NULL DEFAULT 0;
ALTER TABLE patient ADD COLUMN trace_head TEXT;
ALTER TABLE trace ADD COLUMN n INTEGER;
ALTER TABLE trace ADD COLUMN hash TEXT;

-- The last instant that a statement was stated at as it is written, where it lies ahead of its reception, too (O-5).
ALTER TABLE statement ADD COLUMN written_at TEXT NOT NULL DEFAULT '';
UPDATE statement SET written_at = ordered_at;

-- What an identifier named, from when to when; `identifier` is the row of it that has no end.
CREATE TABLE link (
    authority TEXT NOT NULL,
    value TEXT NOT NULL,
    patient INTEGER NOT NULL REFERENCES patient (id),
    from_at TEXT NOT NULL,
    to_at TEXT,
    because TEXT NOT NULL
        CHECK (because IN ('seen', 'opening', 'link', 'merge', 'unmerge', 'change', 'cut')),
    -- The events whose commits began and ended it.
    receipt TEXT NOT NULL,
    ended_by TEXT,
    PRIMARY KEY (authority, value, patient, from_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX link_patient ON link (patient);
INSERT INTO link SELECT authority, value, patient, since, NULL, 'seen', receipt, NULL FROM identifier;

-- The identity that the record holds, and those that it held before: documents are compared with the last one (D-19).
CREATE TABLE reference (
    patient INTEGER NOT NULL REFERENCES patient (id),
    version INTEGER NOT NULL,
    traits TEXT NOT NULL,
    -- Who stated it: a source, or `operator`.
    source TEXT NOT NULL,
    -- A homonym or a twin is known: only a strict match passes.
    homonym INTEGER NOT NULL DEFAULT 0,
    receipt TEXT NOT NULL,
    committed_at TEXT NOT NULL,
    PRIMARY KEY (patient, version)
) STRICT, WITHOUT ROWID;
INSERT INTO reference SELECT patient, 1, traits, 'operator', 0, '', opened_at FROM record WHERE traits <> '{}';

-- Two patients that turned out to be one, and those of which it turned out not to be so.
CREATE TABLE merge (
    -- The receipt of the event or command.
    id TEXT PRIMARY KEY,
    absorbed INTEGER NOT NULL REFERENCES patient (id),
    survivor INTEGER NOT NULL REFERENCES patient (id),
    merged_at TEXT NOT NULL,
    -- Who signed it, as JSON; none for a merge of local files by a message.
    signed_by TEXT NOT NULL,
    undone_at TEXT,
    undone_by TEXT
) STRICT;
CREATE INDEX merge_survivor ON merge (survivor);
CREATE INDEX merge_absorbed ON merge (absorbed);

-- An establishment that took back what it had said of this patient's identity: its deposits are refused until it says it again.
CREATE TABLE suspended_link (
    patient INTEGER NOT NULL REFERENCES patient (id),
    establishment TEXT NOT NULL,
    since TEXT NOT NULL,
    receipt TEXT NOT NULL,
    PRIMARY KEY (patient, establishment)
) STRICT, WITHOUT ROWID;

-- The visits that statements on consultation are about (O-16): the last that was said of each, by its time.
CREATE TABLE stay (
    establishment TEXT NOT NULL,
    visit_authority TEXT NOT NULL,
    visit_value TEXT NOT NULL,
    patient INTEGER NOT NULL REFERENCES patient (id),
    state TEXT NOT NULL CHECK (state IN ('open', 'ended', 'cancelled')),
    -- What orders it: when it was stated, then when it was received.
    ordered_at TEXT NOT NULL,
    received_at TEXT NOT NULL,
    receipt TEXT NOT NULL,
    PRIMARY KEY (patient, establishment, visit_authority, visit_value)
) STRICT, WITHOUT ROWID;

CREATE TABLE binding_new (
    patient INTEGER NOT NULL REFERENCES patient (id),
    statement TEXT NOT NULL REFERENCES statement (id),
    from_at TEXT NOT NULL,
    to_at TEXT,
    because TEXT NOT NULL CHECK (because IN ('statement', 'link', 'merge', 'unmerge', 'change')),
    -- The event whose commit made it: its trace places the binding in the order of commits, whatever the clock did.
    receipt TEXT NOT NULL,
    -- The event whose commit ended it: so for its end.
    ended_by TEXT,
    PRIMARY KEY (patient, statement, from_at)
) STRICT, WITHOUT ROWID;
INSERT INTO binding_new SELECT patient, statement, from_at, to_at, because, receipt, NULL FROM binding;
DROP TABLE binding;
ALTER TABLE binding_new RENAME TO binding;

CREATE TABLE record_new (
    patient INTEGER PRIMARY KEY REFERENCES patient (id),
    state TEXT NOT NULL CHECK (state IN ('open', 'closed', 'destroyed')),
    opened_at TEXT NOT NULL,
    channel TEXT NOT NULL,
    consent_by TEXT,
    consent_at TEXT,
    consent_place TEXT,
    emergency_access INTEGER,
    closed_at TEXT,
    traits TEXT NOT NULL,
    -- When everything that a destroyed record held was gone.
    destroyed_at TEXT
) STRICT;
INSERT INTO record_new SELECT patient, state, opened_at, channel, consent_by, consent_at, consent_place, emergency_access,
    closed_at, traits, NULL FROM record;
DROP TABLE record;
ALTER TABLE record_new RENAME TO record;

-- The patient that a document was stored for at first; none where it never moved.
ALTER TABLE document ADD COLUMN origin INTEGER;

-- What oppositions are tested on, as JSON, for one that begins to bind late (O-7).
ALTER TABLE document ADD COLUMN subject TEXT NOT NULL DEFAULT '{}';
UPDATE document SET subject = json_object(
    'establishments', json(establishments), 'type_code', json_extract(entry, '$.type_code.code'),
    'class_code', json_extract(entry, '$.class_code.code'));

-- Every local identifier that a document came under: what was stored under a wrong link is found by it.
CREATE TABLE document_identifier (
    patient INTEGER NOT NULL,
    unique_id TEXT NOT NULL,
    authority TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (patient, unique_id, authority, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX document_identifier_value ON document_identifier (authority, value);

-- The entries read out of a document, each rebuilt from the stored source when mappings grow (D-14).
CREATE TABLE entry (
    patient INTEGER NOT NULL REFERENCES patient (id),
    unique_id TEXT NOT NULL,
    n INTEGER NOT NULL,
    -- Ordered by time (UUID version 7).
    id TEXT NOT NULL,
    mapper_version INTEGER NOT NULL,
    entry TEXT NOT NULL,
    PRIMARY KEY (patient, unique_id, n)
) STRICT, WITHOUT ROWID;

-- Each document that went from one patient to another: an undone merge takes back what it moved.
CREATE TABLE document_move (
    -- The receipt of the event that moved it.
    receipt TEXT NOT NULL,
    unique_id TEXT NOT NULL,
    from_patient INTEGER NOT NULL REFERENCES patient (id),
    to_patient INTEGER NOT NULL REFERENCES patient (id),
    moved_at TEXT NOT NULL,
    PRIMARY KEY (receipt, unique_id, from_patient)
) STRICT, WITHOUT ROWID;

-- What is still to be said to a sender, written with the decision that it tells of; once per fact.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY,
    receipt TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('acknowledgement')),
    source TEXT NOT NULL,
    created_at TEXT NOT NULL,
    due_at TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    leased_until TEXT,
    delivered_at TEXT,
    set_aside_at TEXT,
    UNIQUE (receipt, kind)
) STRICT;
CREATE INDEX outbox_due ON outbox (due_at, id) WHERE delivered_at IS NULL AND set_aside_at IS NULL;

-- A parked deposit is looked at again after every opposition of its patient (D-7), and once after it was parked.
ALTER TABLE parked ADD COLUMN review INTEGER NOT NULL DEFAULT 1;
CREATE INDEX parked_review ON parked (parked_at) WHERE review;
CREATE TABLE parked_identifier (
    receipt TEXT NOT NULL,
    authority TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (receipt, authority, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX parked_identifier_value ON parked_identifier (authority, value);
INSERT INTO parked_identifier
    SELECT DISTINCT parked.receipt, json_extract(each.value, '$[0]'), json_extract(each.value, '$[1]')
    FROM parked, json_each(parked.identifiers) AS each;

-- What a task is about, in names and codes; who ended it.
ALTER TABLE task ADD COLUMN detail TEXT;
ALTER TABLE task ADD COLUMN done_by TEXT;
CREATE INDEX task_open ON task (id) WHERE done_at IS NULL;

-- When each job of the upkeep ran last.
CREATE TABLE upkeep (
    job TEXT PRIMARY KEY,
    ran_at TEXT NOT NULL,
    rows INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX receipt_decided ON receipt (decided_at);
CREATE INDEX document_receipt ON document (receipt);
CREATE INDEX document_deleted ON document (patient, unique_id) WHERE state = 'deleted' AND part IS NOT NULL;
