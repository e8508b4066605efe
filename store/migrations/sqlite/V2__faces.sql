-- What people look at from outside: projects, lists of everything, and the event stream.
--
-- Only additions: code that knows V1 alone could still read and write all of its tables. It would give no
-- event numbers, which is one reason why it refuses a database of this version.

-- Projects -------------------------------------------------------------------------------------------

CREATE TABLE projects (
    tenant_id   TEXT NOT NULL,
    project_id  TEXT NOT NULL,
    title       TEXT NOT NULL,
    description TEXT NOT NULL,
    version     INTEGER NOT NULL CHECK (version >= 1),
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, project_id)
) STRICT;

-- Until now a project was only a name that requests bore.
INSERT INTO projects (tenant_id, project_id, title, description, version, created_at, updated_at)
SELECT tenant_id, project_id, '', '', 1, min(created_at), min(created_at)
FROM requests GROUP BY tenant_id, project_id;

-- Lists ----------------------------------------------------------------------------------------------

-- As those of V1: each list is a walk over one index in its order, and the id makes the order total.
CREATE INDEX requests_by_room    ON requests (tenant_id, room_id, created_at, request_id);
CREATE INDEX tasks_newest        ON tasks (tenant_id, created_at, task_id);
CREATE INDEX tasks_open          ON tasks (tenant_id, created_at, task_id) WHERE ended = 0;
CREATE INDEX tasks_of_tenant     ON tasks (tenant_id, state, created_at, task_id);
CREATE INDEX tasks_of_agent      ON tasks (tenant_id, agent_id, created_at, task_id) WHERE agent_id IS NOT NULL;
CREATE INDEX decisions_newest    ON decisions (tenant_id, created_at, decision_id);
CREATE INDEX decisions_by_state  ON decisions (tenant_id, state, created_at, decision_id);
CREATE INDEX plans_newest        ON plans (tenant_id, created_at, request_id);
CREATE INDEX plans_by_id         ON plans (tenant_id, doc ->> '$.plan_id');

-- The event stream -----------------------------------------------------------------------------------

-- One row for each place: an audit record, which is as many events as it has moves (one where nothing
-- moved), or lines that came together, which are one event. Lines may be forgotten, so nothing holds
-- them; their number stays.
CREATE TABLE event_numbers (
    last_event  INTEGER PRIMARY KEY CHECK (last_event >= first_event),
    first_event INTEGER NOT NULL CHECK (first_event >= 1),
    tenant_id   TEXT NOT NULL,
    audit_id    TEXT UNIQUE REFERENCES audit_log (audit_id),
    request_id  TEXT REFERENCES requests (request_id),
    first_line  INTEGER,
    last_line   INTEGER,
    CHECK ((audit_id IS NULL) <> (request_id IS NULL)),
    CHECK ((request_id IS NULL) = (first_line IS NULL) AND (request_id IS NULL) = (last_line IS NULL)),
    CHECK (request_id IS NULL OR (first_line >= 1 AND first_line <= last_line AND first_event = last_event))
) STRICT;
-- Also remembers which line numbers were given, when the lines themselves are forgotten.
CREATE UNIQUE INDEX event_numbers_of_lines ON event_numbers (request_id, last_line) WHERE request_id IS NOT NULL;

CREATE TRIGGER event_numbers_no_update BEFORE UPDATE ON event_numbers
BEGIN SELECT RAISE(ABORT, 'event numbers cannot be changed'); END;
CREATE TRIGGER event_numbers_no_delete BEFORE DELETE ON event_numbers
BEGIN SELECT RAISE(ABORT, 'event numbers cannot be deleted'); END;

-- What was recorded before gets its places in the order of its numbers; lines of before get none. A
-- record that somebody spoiled counts as one event: finding it is left to the verification.
INSERT INTO event_numbers (last_event, first_event, tenant_id, audit_id)
SELECT sum(events) OVER (ORDER BY seq), sum(events) OVER (ORDER BY seq) - events + 1, tenant_id, audit_id
FROM (SELECT n.seq, n.tenant_id, n.audit_id,
             CASE WHEN json_valid(l.entry)
                  THEN max(1, coalesce(json_array_length(l.entry, '$.moves'), 1)) ELSE 1 END AS events
      FROM audit_numbers n JOIN audit_log l ON l.audit_id = n.audit_id)
ORDER BY seq;
