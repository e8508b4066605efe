-- Schedules, the end of old history, and lists that stay walks over one index with two filters.

-- Schedules ------------------------------------------------------------------------------------------

CREATE TABLE schedules (
    tenant_id     TEXT NOT NULL,
    schedule_id   TEXT NOT NULL,
    project_id    TEXT NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('active', 'paused', 'ended')),
    version       INTEGER NOT NULL CHECK (version >= 1),
    -- The first time that was neither used nor passed over yet; none while it is not active.
    next_at       INTEGER,
    -- Every time up to here was used or passed over.
    considered_at INTEGER NOT NULL,
    -- The request of its last run, until that has ended.
    open_request  TEXT,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    doc           TEXT NOT NULL CHECK (json_valid(doc)),
    PRIMARY KEY (tenant_id, schedule_id),
    CHECK (state = 'active' OR next_at IS NULL)
) STRICT;
CREATE INDEX schedules_newest  ON schedules (tenant_id, created_at, schedule_id);
-- For the engine, which looks over all tenants: what is due, what waits for its last run, and what the clock was
-- set back behind.
CREATE INDEX schedules_due     ON schedules (next_at) WHERE open_request IS NULL AND next_at IS NOT NULL;
CREATE INDEX schedules_watched ON schedules (open_request) WHERE open_request IS NOT NULL;
CREATE INDEX schedules_ahead   ON schedules (considered_at) WHERE state = 'active';

-- Old history ----------------------------------------------------------------------------------------

CREATE INDEX requests_ended_by_age ON requests (tenant_id, updated_at, request_id) WHERE ended = 1;
CREATE INDEX events_of_request     ON events (request_id) WHERE request_id IS NOT NULL;

-- A number of the event stream stays where its request is forgotten, as it stays where its lines are: so it must not
-- refer to the request. SQLite takes a reference back only with its table.
CREATE TABLE event_numbers_kept (
    last_event  INTEGER PRIMARY KEY CHECK (last_event >= first_event),
    first_event INTEGER NOT NULL CHECK (first_event >= 1),
    tenant_id   TEXT NOT NULL,
    audit_id    TEXT UNIQUE REFERENCES audit_log (audit_id),
    request_id  TEXT,
    first_line  INTEGER,
    last_line   INTEGER,
    CHECK ((audit_id IS NULL) <> (request_id IS NULL)),
    CHECK ((request_id IS NULL) = (first_line IS NULL) AND (request_id IS NULL) = (last_line IS NULL)),
    CHECK (request_id IS NULL OR (first_line >= 1 AND first_line <= last_line AND first_event = last_event))
) STRICT;
INSERT INTO event_numbers_kept
SELECT last_event, first_event, tenant_id, audit_id, request_id, first_line, last_line
FROM event_numbers ORDER BY last_event;
DROP TABLE event_numbers;
ALTER TABLE event_numbers_kept RENAME TO event_numbers;
CREATE UNIQUE INDEX event_numbers_of_lines ON event_numbers (request_id, last_line) WHERE request_id IS NOT NULL;

CREATE TRIGGER event_numbers_no_update BEFORE UPDATE ON event_numbers
BEGIN SELECT RAISE(ABORT, 'event numbers cannot be changed'); END;
CREATE TRIGGER event_numbers_no_delete BEFORE DELETE ON event_numbers
BEGIN SELECT RAISE(ABORT, 'event numbers cannot be deleted'); END;

-- Lists ----------------------------------------------------------------------------------------------

-- Two filters that leave few of a million rows. Those that have not ended are few anyway.
CREATE INDEX requests_of_project_in ON requests (tenant_id, project_id, state, created_at, request_id);
CREATE INDEX requests_of_room_in    ON requests (tenant_id, room_id, state, created_at, request_id);
CREATE INDEX tasks_of_agent_in      ON tasks (tenant_id, agent_id, state, created_at, task_id) WHERE agent_id IS NOT NULL;
