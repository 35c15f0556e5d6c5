-- Identity with its history, stays, the outbox, entries' siblings, what upkeep and the proof of the trace need.

-- Each patient's lines of the trace are a chain: a line carries its place and the hash of itself and the line before (R-35).
ALTER TABLE patient ADD COLUMN trace_length bigint NOT NULL DEFAULT 0;
ALTER TABLE patient ADD COLUMN trace_head text COLLATE "C";
ALTER TABLE trace ADD COLUMN n bigint;
ALTER TABLE trace ADD COLUMN hash text COLLATE "C";

-- The last instant that a statement was stated at as it is written, where it lies ahead of its reception, too (O-5).
ALTER TABLE statement ADD COLUMN written_at text COLLATE "C";
UPDATE statement SET written_at = ordered_at;
ALTER TABLE statement ALTER COLUMN written_at SET NOT NULL;

-- What an identifier named, from when to when; `identifier` is the row of it that has no end.
CREATE TABLE link (
    authority text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    patient bigint NOT NULL REFERENCES patient (id),
    from_at text COLLATE "C" NOT NULL,
    to_at text COLLATE "C",
    because text COLLATE "C" NOT NULL
        CHECK (because IN ('seen', 'opening', 'link', 'merge', 'unmerge', 'change', 'cut')),
    -- The events whose commits began and ended it.
    receipt text COLLATE "C" NOT NULL,
    ended_by text COLLATE "C",
    PRIMARY KEY (authority, value, patient, from_at)
);
CREATE INDEX link_patient ON link (patient);
INSERT INTO link SELECT authority, value, patient, since, NULL, 'seen', receipt, NULL FROM identifier;

-- The identity that the record holds, and those that it held before: documents are compared with the last one (D-19).
CREATE TABLE reference (
    patient bigint NOT NULL REFERENCES patient (id),
    version integer NOT NULL,
    traits text COLLATE "C" NOT NULL,
    -- Who stated it: a source, or `operator`.
    source text COLLATE "C" NOT NULL,
    -- A homonym or a twin is known: only a strict match passes.
    homonym boolean NOT NULL DEFAULT FALSE,
    receipt text COLLATE "C" NOT NULL,
    committed_at text COLLATE "C" NOT NULL,
    PRIMARY KEY (patient, version)
);
INSERT INTO reference SELECT patient, 1, traits, 'operator', FALSE, '', opened_at FROM record WHERE traits <> '{}';

-- Two patients that turned out to be one, and those of which it turned out not to be so.
CREATE TABLE merge (
    -- The receipt of the event or command.
    id text COLLATE "C" PRIMARY KEY,
    absorbed bigint NOT NULL REFERENCES patient (id),
    survivor bigint NOT NULL REFERENCES patient (id),
    merged_at text COLLATE "C" NOT NULL,
    -- Who signed it, as JSON; none for a merge of local files by a message.
    signed_by text COLLATE "C" NOT NULL,
    undone_at text COLLATE "C",
    undone_by text COLLATE "C"
);
CREATE INDEX merge_survivor ON merge (survivor);
CREATE INDEX merge_absorbed ON merge (absorbed);

-- An establishment that took back what it had said of this patient's identity: its deposits are refused until it says it again.
CREATE TABLE suspended_link (
    patient bigint NOT NULL REFERENCES patient (id),
    establishment text COLLATE "C" NOT NULL,
    since text COLLATE "C" NOT NULL,
    receipt text COLLATE "C" NOT NULL,
    PRIMARY KEY (patient, establishment)
);

-- The visits that statements on consultation are about (O-16): the last that was said of each, by its time.
CREATE TABLE stay (
    establishment text COLLATE "C" NOT NULL,
    visit_authority text COLLATE "C" NOT NULL,
    visit_value text COLLATE "C" NOT NULL,
    patient bigint NOT NULL REFERENCES patient (id),
    state text COLLATE "C" NOT NULL CHECK (state IN ('open', 'ended', 'cancelled')),
    -- What orders it: when it was stated, then when it was received.
    ordered_at text COLLATE "C" NOT NULL,
    received_at text COLLATE "C" NOT NULL,
    receipt text COLLATE "C" NOT NULL,
    PRIMARY KEY (patient, establishment, visit_authority, visit_value)
);

ALTER TABLE binding DROP CONSTRAINT binding_because_check;
-- The event whose commit ended it: as with `receipt`, the order of commits and not a clock tells what came before.
ALTER TABLE binding ADD COLUMN ended_by text COLLATE "C";
ALTER TABLE binding ADD CONSTRAINT binding_because_check
    CHECK (because IN ('statement', 'link', 'merge', 'unmerge', 'change'));

ALTER TABLE record DROP CONSTRAINT record_state_check;
ALTER TABLE record ADD CONSTRAINT record_state_check CHECK (state IN ('open', 'closed', 'destroyed'));
-- When everything that a destroyed record held was gone.
ALTER TABLE record ADD COLUMN destroyed_at text COLLATE "C";

-- The patient that a document was stored for at first; none where it never moved.
ALTER TABLE document ADD COLUMN origin bigint;

-- What oppositions are tested on, as JSON, for one that begins to bind late (O-7).
ALTER TABLE document ADD COLUMN subject text COLLATE "C" NOT NULL DEFAULT '{}';
UPDATE document SET subject = json_build_object(
    'establishments', establishments::json, 'type_code', entry::json #>> '{type_code,code}',
    'class_code', entry::json #>> '{class_code,code}');

-- Every local identifier that a document came under: what was stored under a wrong link is found by it.
CREATE TABLE document_identifier (
    patient bigint NOT NULL,
    unique_id text COLLATE "C" NOT NULL,
    authority text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    PRIMARY KEY (patient, unique_id, authority, value)
);
CREATE INDEX document_identifier_value ON document_identifier (authority, value);

-- Each document that went from one patient to another: an undone merge takes back what it moved.
CREATE TABLE document_move (
    -- The receipt of the event that moved it.
    receipt text COLLATE "C" NOT NULL,
    unique_id text COLLATE "C" NOT NULL,
    from_patient bigint NOT NULL REFERENCES patient (id),
    to_patient bigint NOT NULL REFERENCES patient (id),
    moved_at text COLLATE "C" NOT NULL,
    PRIMARY KEY (receipt, unique_id, from_patient)
);

-- What is still to be said to a sender, written with the decision that it tells of; once per fact.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    receipt text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('acknowledgement')),
    source text COLLATE "C" NOT NULL,
    created_at text COLLATE "C" NOT NULL,
    due_at text COLLATE "C" NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    leased_until text COLLATE "C",
    delivered_at text COLLATE "C",
    set_aside_at text COLLATE "C",
    UNIQUE (receipt, kind)
);
CREATE INDEX outbox_due ON outbox (due_at, id) WHERE delivered_at IS NULL AND set_aside_at IS NULL;

-- A parked deposit is looked at again after every opposition of its patient (D-7), and once after it was parked.
ALTER TABLE parked ADD COLUMN review boolean NOT NULL DEFAULT TRUE;
CREATE INDEX parked_review ON parked (parked_at) WHERE review;
CREATE TABLE parked_identifier (
    receipt text COLLATE "C" NOT NULL,
    authority text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    PRIMARY KEY (receipt, authority, value)
);
CREATE INDEX parked_identifier_value ON parked_identifier (authority, value);
INSERT INTO parked_identifier
    SELECT DISTINCT receipt, each ->> 0, each ->> 1 FROM parked, json_array_elements(identifiers::json) AS each;

-- What a task is about, in names and codes; who ended it.
ALTER TABLE task ADD COLUMN detail text COLLATE "C";
ALTER TABLE task ADD COLUMN done_by text COLLATE "C";
CREATE INDEX task_open ON task (id) WHERE done_at IS NULL;

-- When each job of the upkeep ran last.
CREATE TABLE upkeep (
    job text COLLATE "C" PRIMARY KEY,
    ran_at text COLLATE "C" NOT NULL,
    rows bigint NOT NULL
);
CREATE INDEX receipt_decided ON receipt (decided_at);
CREATE INDEX document_receipt ON document (receipt);
CREATE INDEX document_deleted ON document (patient, unique_id) WHERE state = 'deleted' AND part IS NOT NULL;
