-- Who may do what. Run after every migration by an owner who may make roles; nothing here grants more than the statements need:
-- what was stated, traced, refused or received is never changed nor taken away.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'dmp_gateway_write') THEN
        CREATE ROLE dmp_gateway_write NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'dmp_gateway_read') THEN
        CREATE ROLE dmp_gateway_read NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'dmp_gateway_erase') THEN
        CREATE ROLE dmp_gateway_erase NOLOGIN;
    END IF;
    IF NOT pg_has_role(current_user, 'dmp_gateway_erase', 'MEMBER') THEN
        EXECUTE 'GRANT dmp_gateway_erase TO CURRENT_USER';
    END IF;
    IF NOT pg_has_role(current_user, 'dmp_gateway_write', 'MEMBER') THEN
        EXECUTE 'GRANT dmp_gateway_write TO CURRENT_USER';
    END IF;
    IF NOT pg_has_role(current_user, 'dmp_gateway_read', 'MEMBER') THEN
        EXECUTE 'GRANT dmp_gateway_read TO CURRENT_USER';
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO dmp_gateway_write, dmp_gateway_read, dmp_gateway_erase', current_schema());
END
$$;
GRANT SELECT ON
    patient, gate, identifier, record, statement, statement_identifier, binding, document, entry, mark, source_form,
    receipt, refusal, task, trace, schema_migration, link, reference, merge, suspended_link, stay, document_identifier,
    document_move, outbox, upkeep, lane_day
    TO dmp_gateway_write, dmp_gateway_read, dmp_gateway_erase;
-- No statement reads the bytes of a document back; what is parked is read by who judges it again, and by nobody else.
GRANT SELECT (receipt, part, encoding, size) ON source_part TO dmp_gateway_write, dmp_gateway_read, dmp_gateway_erase;
GRANT SELECT ON parked, parked_identifier TO dmp_gateway_write;
GRANT SELECT (receipt, parked_at, source, code, place, review) ON parked TO dmp_gateway_read, dmp_gateway_erase;
GRANT SELECT (receipt) ON parked_identifier TO dmp_gateway_read, dmp_gateway_erase;
GRANT INSERT ON
    patient, identifier, record, statement, statement_identifier, binding, document, entry, mark, source_part, source_form,
    receipt, refusal, parked, task, trace, link, reference, merge, suspended_link, stay, document_identifier,
    document_move, outbox, parked_identifier, lane_day
    TO dmp_gateway_write;
-- A row lock needs the right to update, of any column.
GRANT UPDATE (slot) ON gate TO dmp_gateway_write;
GRANT UPDATE (rights_version, merged_into, trace_length, trace_head) ON patient TO dmp_gateway_write;
GRANT UPDATE (patient, since, receipt) ON identifier TO dmp_gateway_write;
GRANT UPDATE ON record TO dmp_gateway_write;
GRANT UPDATE (to_at, ended_by) ON binding TO dmp_gateway_write;
GRANT UPDATE (patient, origin, state, replaced_by, deletion, withheld) ON document TO dmp_gateway_write;
GRANT UPDATE (patient, done_at, done_by) ON task TO dmp_gateway_write;
GRANT UPDATE (to_at, ended_by) ON link TO dmp_gateway_write;
GRANT UPDATE (undone_at, undone_by) ON merge TO dmp_gateway_write;
GRANT UPDATE (patient) ON entry, mark, document_identifier TO dmp_gateway_write;
GRANT UPDATE ON stay, outbox, lane_day TO dmp_gateway_write;
GRANT UPDATE ON parked TO dmp_gateway_write;
GRANT DELETE ON parked, parked_identifier, receipt, entry, suspended_link TO dmp_gateway_write;
-- The upkeep alone takes away what has been kept long enough; it may neither state nor store anything.
GRANT DELETE ON
    parked, parked_identifier, receipt, outbox, task, source_part, source_form, entry, document, document_identifier, document_move,
    mark, binding, statement, statement_identifier, refusal, trace, identifier, link, reference, merge, suspended_link, stay
    TO dmp_gateway_erase;
GRANT INSERT ON trace, task, upkeep TO dmp_gateway_erase;
GRANT UPDATE (codes, outcome) ON receipt TO dmp_gateway_erase;
GRANT UPDATE (part) ON document TO dmp_gateway_erase;
GRANT UPDATE (trace_length, trace_head) ON patient TO dmp_gateway_erase;
GRANT UPDATE (state, channel, consent_by, consent_at, consent_place, emergency_access, traits, destroyed_at) ON record
    TO dmp_gateway_erase;
GRANT UPDATE ON upkeep TO dmp_gateway_erase;
