-- The tables of the control store (RFC-ARB-0001), as in control-sqlite, for many replicas at once.
--
-- Times are microseconds since 1970 (UTC), ids and documents are text. Migrations are append-only: a released file is
-- never edited, and the next one is written so that the code before and after it could both run on the result, because
-- replicas are replaced one after the other.

-- What was answered. The number is the version of the states that its commit wrote, and comes from a sequence, which
-- never goes back.
CREATE TABLE control_decided (
    seq       BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    tenant_id TEXT NOT NULL,
    kind      TEXT NOT NULL CHECK (kind IN ('event', 'generation', 'action')),
    id        TEXT NOT NULL,
    room_id   TEXT NOT NULL,
    plan_id   TEXT,
    body      TEXT NOT NULL,
    answer    TEXT NOT NULL,
    at        BIGINT NOT NULL,
    UNIQUE (tenant_id, kind, id)
);
CREATE INDEX control_decided_plans ON control_decided (tenant_id, plan_id, seq)
    WHERE kind = 'event' AND plan_id IS NOT NULL;
CREATE INDEX control_decided_ages ON control_decided (at);

-- What was answered never changes; it is only forgotten.
CREATE FUNCTION control_decided_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was answered cannot be changed' USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER control_decided_stays BEFORE UPDATE ON control_decided
    FOR EACH ROW EXECUTE FUNCTION control_decided_stays();

-- States of rooms; of the tenant itself where the room is empty, which no room can be called. They change all the time:
-- the space left in each page keeps the new row beside the old one.
CREATE TABLE control_states (
    tenant_id  TEXT NOT NULL,
    room_id    TEXT NOT NULL,
    version    BIGINT NOT NULL,
    keep_until BIGINT NOT NULL,
    doc        TEXT NOT NULL,
    PRIMARY KEY (tenant_id, room_id)
) WITH (fillfactor = 70);
CREATE INDEX control_states_ends ON control_states (keep_until);

-- Audit lines whose replica has not confirmed that they are on file.
CREATE TABLE control_unaudited (
    replica TEXT NOT NULL,
    seq     BIGINT NOT NULL,
    line    TEXT NOT NULL,
    PRIMARY KEY (replica, seq)
);
