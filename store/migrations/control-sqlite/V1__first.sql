-- The tables of the control store (RFC-ARB-0001), in a file of their own.
--
-- Times are microseconds since 1970 (UTC), ids and documents are text. Migrations are append-only: a released file is
-- never edited.

-- What was answered. AUTOINCREMENT: a number is never given twice, as it is the version of the states that its commit
-- wrote, and a version that came again would let a judgement pass that was made by another state.
CREATE TABLE decided (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    tenant_id TEXT NOT NULL,
    kind      TEXT NOT NULL CHECK (kind IN ('event', 'generation', 'action')),
    id        TEXT NOT NULL,
    room_id   TEXT NOT NULL,
    plan_id   TEXT,
    body      TEXT NOT NULL,
    answer    TEXT NOT NULL,
    at        INTEGER NOT NULL,
    UNIQUE (tenant_id, kind, id)
) STRICT;
CREATE INDEX decided_plans ON decided (tenant_id, plan_id, seq) WHERE kind = 'event' AND plan_id IS NOT NULL;
CREATE INDEX decided_ages  ON decided (at);

-- What was answered never changes; it is only forgotten.
CREATE TRIGGER decided_stays BEFORE UPDATE ON decided
BEGIN
    SELECT RAISE(ABORT, 'what was answered cannot be changed');
END;

-- States of rooms; of the tenant itself where the room is empty, which no room can be called.
CREATE TABLE states (
    tenant_id  TEXT NOT NULL,
    room_id    TEXT NOT NULL,
    version    INTEGER NOT NULL,
    keep_until INTEGER NOT NULL,
    doc        TEXT NOT NULL,
    PRIMARY KEY (tenant_id, room_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX states_ends ON states (keep_until);

-- Audit lines whose replica has not confirmed that they are on file.
CREATE TABLE unaudited (
    replica TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    line    TEXT NOT NULL,
    PRIMARY KEY (replica, seq)
) STRICT, WITHOUT ROWID;
