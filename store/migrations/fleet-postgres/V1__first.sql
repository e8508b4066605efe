-- The tables of the fleet, as in `sqlite`, for several orchestrators on one database.
--
-- Times are microseconds since 1970 (UTC), ids are text in the order of their bytes, documents are JSON kept as it was
-- written. Every row has an owner. What the engine must never do by mistake is refused here as well: unknown states, a
-- move out of a terminal state, a change to what was audited. What people ask afterwards is answered by the views of V2.
--
-- Migrations are append-only: a released file is never edited, and the next one is written so that the code before and
-- after it could both run on the result, because orchestrators are replaced one after the other.

-- Requests, their plans, tasks and decisions ---------------------------------------------------------

CREATE TABLE requests (
    request_id TEXT COLLATE "C" PRIMARY KEY,
    tenant_id  TEXT NOT NULL,
    project_id TEXT NOT NULL,
    room_id    TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN (
                   'received', 'planning', 'previewing', 'needs_input', 'awaiting_approval', 'running',
                   'completed', 'failed', 'rejected', 'expired', 'cancelled')),
    ended      BOOLEAN NOT NULL,
    version    BIGINT NOT NULL CHECK (version >= 1),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    -- The request that this one takes back; out of the document.
    undo_of    TEXT,
    doc        JSON NOT NULL,
    CHECK (ended = (state IN ('completed', 'failed', 'rejected', 'expired', 'cancelled')))
);
-- Lists run newest first; the id makes the order total.
CREATE INDEX requests_newest        ON requests (tenant_id, created_at, request_id);
CREATE INDEX requests_by_project    ON requests (tenant_id, project_id, created_at, request_id);
CREATE INDEX requests_by_room       ON requests (tenant_id, room_id, created_at, request_id);
CREATE INDEX requests_by_state      ON requests (tenant_id, state, created_at, request_id);
CREATE INDEX requests_of_project_in ON requests (tenant_id, project_id, state, created_at, request_id);
CREATE INDEX requests_of_room_in    ON requests (tenant_id, room_id, state, created_at, request_id);
CREATE INDEX requests_open          ON requests (tenant_id, created_at, request_id) WHERE NOT ended;
CREATE INDEX requests_undoing       ON requests (tenant_id, undo_of, created_at, request_id) WHERE undo_of IS NOT NULL;
CREATE INDEX requests_ended_by_age  ON requests (tenant_id, updated_at, request_id) WHERE ended;
-- For the engine, which looks over all tenants.
CREATE INDEX requests_oldest        ON requests (state, created_at, request_id);

CREATE TABLE plans (
    request_id TEXT COLLATE "C" PRIMARY KEY REFERENCES requests (request_id),
    tenant_id  TEXT NOT NULL,
    -- Out of the document; absent where it has none.
    plan_id    TEXT,
    digest     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    doc        JSON NOT NULL
);
CREATE INDEX plans_newest ON plans (tenant_id, created_at, request_id);
CREATE INDEX plans_by_id  ON plans (tenant_id, plan_id) WHERE plan_id IS NOT NULL;

CREATE TABLE tasks (
    task_id    TEXT COLLATE "C" PRIMARY KEY,
    tenant_id  TEXT NOT NULL,
    request_id TEXT COLLATE "C" NOT NULL REFERENCES requests (request_id),
    state      TEXT NOT NULL CHECK (state IN (
                   'open', 'waiting', 'dispatched', 'accepted', 'running', 'unknown', 'interrupted',
                   'completed', 'failed', 'cancelled')),
    ended      BOOLEAN NOT NULL,
    agent_id   TEXT,
    attempt    BIGINT NOT NULL CHECK (attempt >= 0),
    version    BIGINT NOT NULL CHECK (version >= 1),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    doc        JSON NOT NULL,
    -- An interrupted task may be tried again, so it has not ended.
    CHECK (ended = (state IN ('completed', 'failed', 'cancelled')))
);
CREATE INDEX tasks_of_request  ON tasks (request_id, created_at, task_id);
CREATE INDEX tasks_by_state    ON tasks (state, created_at, task_id);
CREATE INDEX tasks_newest      ON tasks (tenant_id, created_at, task_id);
CREATE INDEX tasks_open        ON tasks (tenant_id, created_at, task_id) WHERE NOT ended;
CREATE INDEX tasks_of_tenant   ON tasks (tenant_id, state, created_at, task_id);
CREATE INDEX tasks_of_agent    ON tasks (tenant_id, agent_id, created_at, task_id) WHERE agent_id IS NOT NULL;
CREATE INDEX tasks_of_agent_in ON tasks (tenant_id, agent_id, state, created_at, task_id) WHERE agent_id IS NOT NULL;

CREATE TABLE decisions (
    decision_id TEXT COLLATE "C" PRIMARY KEY,
    tenant_id   TEXT NOT NULL,
    request_id  TEXT COLLATE "C" NOT NULL REFERENCES requests (request_id),
    state       TEXT NOT NULL CHECK (state IN ('pending', 'resolved', 'timed_out')),
    version     BIGINT NOT NULL CHECK (version >= 1),
    created_at  BIGINT NOT NULL,
    deadline    BIGINT NOT NULL,
    doc         JSON NOT NULL
);
CREATE INDEX decisions_of_request ON decisions (request_id, created_at, decision_id);
CREATE INDEX decisions_newest     ON decisions (tenant_id, created_at, decision_id);
CREATE INDEX decisions_by_state   ON decisions (tenant_id, state, created_at, decision_id);

CREATE TABLE events (
    tenant_id  TEXT NOT NULL,
    event_id   TEXT NOT NULL,
    body       TEXT NOT NULL,
    request_id TEXT,
    -- Out of the plan; absent where it has none.
    plan_id    TEXT,
    created_at BIGINT NOT NULL,
    event      JSON NOT NULL,
    plan       JSON NOT NULL,
    PRIMARY KEY (tenant_id, event_id)
);
CREATE INDEX events_of_request ON events (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX events_by_plan    ON events (tenant_id, plan_id) WHERE plan_id IS NOT NULL;

-- The limits that were in force, once each, and each event that a request took.
CREATE TABLE run_policies (
    digest TEXT PRIMARY KEY,
    doc    JSON NOT NULL
);
CREATE TABLE run_events (
    request_id TEXT COLLATE "C" NOT NULL REFERENCES requests (request_id),
    version    BIGINT NOT NULL CHECK (version >= 1),
    tenant_id  TEXT NOT NULL,
    policy     TEXT NOT NULL REFERENCES run_policies (digest),
    doc        JSON NOT NULL,
    PRIMARY KEY (request_id, version)
);

-- What has ended keeps its state. The first argument is the kind of row, in words.
CREATE FUNCTION chiffon_ended_stay() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% keeps its state', TG_ARGV[0] USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER requests_ended_stay BEFORE UPDATE ON requests FOR EACH ROW
    WHEN (OLD.ended AND (NEW.state <> OLD.state OR NEW.ended <> OLD.ended))
    EXECUTE FUNCTION chiffon_ended_stay('a request that has ended');
CREATE TRIGGER tasks_ended_stay BEFORE UPDATE ON tasks FOR EACH ROW
    WHEN (OLD.ended AND (NEW.state <> OLD.state OR NEW.ended <> OLD.ended))
    EXECUTE FUNCTION chiffon_ended_stay('a task that has ended');
CREATE TRIGGER decisions_ended_stay BEFORE UPDATE ON decisions FOR EACH ROW
    WHEN (OLD.state <> 'pending' AND NEW.state <> OLD.state)
    EXECUTE FUNCTION chiffon_ended_stay('a decision that was taken');

-- The fleet, the rooms and the groups ----------------------------------------------------------------

CREATE TABLE agents (
    tenant_id TEXT NOT NULL,
    agent_id  TEXT COLLATE "C" NOT NULL,
    kind      TEXT NOT NULL CHECK (kind IN ('infrastructure', 'desktop', 'code', 'llm')),
    state     TEXT NOT NULL CHECK (state IN ('spawned', 'idle', 'working', 'blocked', 'shutdown', 'lost')),
    status    TEXT NOT NULL CHECK (status IN ('active', 'inactive')),
    version   BIGINT NOT NULL CHECK (version >= 1),
    last_seen BIGINT NOT NULL,
    doc       JSON NOT NULL,
    PRIMARY KEY (tenant_id, agent_id)
);

-- At which places how a task ended is open; a place is a host's name or the machine behind it.
CREATE TABLE hosts (
    tenant_id  TEXT NOT NULL,
    place      TEXT COLLATE "C" NOT NULL,
    task_id    TEXT COLLATE "C" NOT NULL,
    request_id TEXT NOT NULL,
    since      BIGINT NOT NULL,
    because    TEXT NOT NULL,
    PRIMARY KEY (tenant_id, place, task_id)
);
CREATE INDEX hosts_of_task ON hosts (task_id);

CREATE TABLE rooms (
    tenant_id  TEXT NOT NULL,
    room_id    TEXT NOT NULL,
    project_id TEXT NOT NULL,
    version    BIGINT NOT NULL CHECK (version >= 1),
    updated_at BIGINT NOT NULL,
    doc        JSON NOT NULL,
    PRIMARY KEY (tenant_id, room_id)
);

CREATE TABLE projects (
    tenant_id   TEXT NOT NULL,
    project_id  TEXT COLLATE "C" NOT NULL,
    title       TEXT NOT NULL,
    description TEXT NOT NULL,
    version     BIGINT NOT NULL CHECK (version >= 1),
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, project_id)
);

-- One row for each tenant that was ever frozen. A thaw empties it and keeps the version.
CREATE TABLE freezes (
    tenant_id TEXT PRIMARY KEY,
    version   BIGINT NOT NULL CHECK (version >= 1),
    frozen_by TEXT,
    since     BIGINT,
    reason    TEXT CHECK (reason <> ''),
    CHECK ((frozen_by IS NULL) = (since IS NULL) AND (frozen_by IS NULL) = (reason IS NULL))
);

CREATE TABLE schedules (
    tenant_id     TEXT NOT NULL,
    schedule_id   TEXT COLLATE "C" NOT NULL,
    project_id    TEXT NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('active', 'paused', 'ended')),
    version       BIGINT NOT NULL CHECK (version >= 1),
    next_at       BIGINT,
    considered_at BIGINT NOT NULL,
    open_request  TEXT COLLATE "C",
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    doc           JSON NOT NULL,
    PRIMARY KEY (tenant_id, schedule_id),
    CHECK (state = 'active' OR next_at IS NULL)
);
CREATE INDEX schedules_newest  ON schedules (tenant_id, created_at, schedule_id);
CREATE INDEX schedules_due     ON schedules (next_at) WHERE open_request IS NULL AND next_at IS NOT NULL;
CREATE INDEX schedules_watched ON schedules (open_request) WHERE open_request IS NOT NULL;
CREATE INDEX schedules_ahead   ON schedules (considered_at) WHERE state = 'active';

-- What grows with time: one partition for each day, made when its first row comes, and dropped when all of it is old. A
-- row of a day whose partition is gone falls into the last one.
CREATE TABLE resource_metrics (
    id        BIGINT NOT NULL GENERATED BY DEFAULT AS IDENTITY,
    tenant_id TEXT NOT NULL,
    agent_id  TEXT NOT NULL,
    ts        BIGINT NOT NULL,
    doc       JSON NOT NULL
) PARTITION BY RANGE (ts);
CREATE TABLE resource_metrics_rest PARTITION OF resource_metrics DEFAULT;
CREATE INDEX resource_metrics_of_agent ON resource_metrics (tenant_id, agent_id, ts);
CREATE INDEX resource_metrics_by_age   ON resource_metrics (ts);

CREATE TABLE execution_logs (
    request_id TEXT COLLATE "C" NOT NULL,
    id         BIGINT NOT NULL CHECK (id >= 1),
    tenant_id  TEXT NOT NULL,
    task_id    TEXT NOT NULL,
    attempt    BIGINT NOT NULL,
    ts         BIGINT NOT NULL,
    line       TEXT NOT NULL
) PARTITION BY RANGE (ts);
CREATE TABLE execution_logs_rest PARTITION OF execution_logs DEFAULT;
CREATE INDEX execution_logs_of_request ON execution_logs (request_id, id);
CREATE INDEX execution_logs_by_age     ON execution_logs (ts);

-- Waiting, rights, and messages ----------------------------------------------------------------------

CREATE TABLE timers (
    tenant_id TEXT COLLATE "C" NOT NULL,
    slice     TEXT COLLATE "C" NOT NULL,
    name      TEXT COLLATE "C" NOT NULL,
    due_at    BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, slice, name)
);
CREATE INDEX timers_due ON timers (due_at, tenant_id, slice, name);

-- A lease that was given back keeps its row without owner, so that its epoch never falls.
CREATE TABLE leases (
    tenant_id  TEXT NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    owner      TEXT,
    epoch      BIGINT NOT NULL CHECK (epoch >= 1),
    since      BIGINT NOT NULL,
    expires_at BIGINT,
    PRIMARY KEY (tenant_id, name)
);
CREATE INDEX leases_of_owner ON leases (tenant_id, owner) WHERE owner IS NOT NULL;

-- `seq` is only the order of the commits; rows are claimed by state, never by "greater than".
CREATE TABLE outbox (
    seq           BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    message_id    TEXT NOT NULL UNIQUE,
    tenant_id     TEXT NOT NULL,
    queue         TEXT NOT NULL,
    body          BYTEA NOT NULL,
    not_before    BIGINT NOT NULL,
    not_after     BIGINT,
    state         TEXT NOT NULL CHECK (state IN ('pending', 'sent', 'given_up')),
    claimed_by    TEXT,
    claimed_until BIGINT,
    tries         BIGINT NOT NULL,
    CHECK ((claimed_by IS NULL) = (claimed_until IS NULL))
);
CREATE INDEX outbox_pending ON outbox (seq) WHERE state = 'pending';
CREATE INDEX outbox_ending  ON outbox (not_after) WHERE state = 'pending' AND not_after IS NOT NULL;
CREATE INDEX outbox_done    ON outbox ((coalesce(claimed_until, not_after))) WHERE state <> 'pending';

CREATE TABLE inbox (
    tenant_id  TEXT NOT NULL,
    consumer   TEXT NOT NULL,
    message_id TEXT NOT NULL,
    handled_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, consumer, message_id)
);
CREATE INDEX inbox_by_age ON inbox (handled_at);

CREATE TABLE idempotency_keys (
    tenant_id  TEXT NOT NULL,
    key        TEXT NOT NULL,
    body       TEXT NOT NULL,
    answer     JSON NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- The audit chain ------------------------------------------------------------------------------------

-- A record has its place in its stream; its number over all streams is given apart. The entry is text: its hash must
-- come out of it again.
CREATE TABLE audit_log (
    audit_id  TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    stream    TEXT NOT NULL,
    position  BIGINT NOT NULL CHECK (position >= 0),
    previous  TEXT NOT NULL,
    hash      TEXT NOT NULL,
    entry     TEXT NOT NULL,
    UNIQUE (stream, position)
);
CREATE INDEX audit_of_forgotten ON audit_log (audit_id) WHERE strpos(entry, '"action":"history.forgotten"') > 0;

CREATE TABLE audit_numbers (
    seq       BIGINT PRIMARY KEY CHECK (seq >= 1),
    tenant_id TEXT NOT NULL,
    audit_id  TEXT NOT NULL UNIQUE REFERENCES audit_log (audit_id)
);

-- A batch may hold records of several owners; a seal is the store's own, owned by the default tenant.
CREATE TABLE audit_seals (
    seal_no   BIGINT PRIMARY KEY CHECK (seal_no >= 1),
    tenant_id TEXT NOT NULL DEFAULT 'default',
    first_seq BIGINT NOT NULL,
    last_seq  BIGINT NOT NULL,
    root      TEXT NOT NULL,
    previous  TEXT NOT NULL,
    hash      TEXT NOT NULL,
    CHECK (first_seq <= last_seq)
);

-- The last record of each stream: where the next one is chained.
CREATE TABLE audit_streams (
    stream    TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    position  BIGINT NOT NULL,
    hash      TEXT NOT NULL
);

-- The places of the event stream: a record, which is as many events as it has moves, or lines that came together. Lines
-- and requests may be forgotten, so nothing holds them; their number stays, and remembers which line numbers were given.
CREATE TABLE event_numbers (
    last_event  BIGINT PRIMARY KEY CHECK (last_event >= first_event),
    first_event BIGINT NOT NULL CHECK (first_event >= 1),
    tenant_id   TEXT NOT NULL,
    audit_id    TEXT UNIQUE REFERENCES audit_log (audit_id),
    request_id  TEXT COLLATE "C",
    first_line  BIGINT,
    last_line   BIGINT,
    CHECK ((audit_id IS NULL) <> (request_id IS NULL)),
    CHECK ((request_id IS NULL) = (first_line IS NULL) AND (request_id IS NULL) = (last_line IS NULL)),
    CHECK (request_id IS NULL OR (first_line >= 1 AND first_line <= last_line AND first_event = last_event))
);
CREATE UNIQUE INDEX event_numbers_of_lines ON event_numbers (request_id, last_line) WHERE request_id IS NOT NULL;

CREATE FUNCTION chiffon_written_once() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% cannot be changed or deleted', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER audit_log_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION chiffon_written_once();
CREATE TRIGGER audit_numbers_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_numbers
    FOR EACH STATEMENT EXECUTE FUNCTION chiffon_written_once();
CREATE TRIGGER audit_seals_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seals
    FOR EACH STATEMENT EXECUTE FUNCTION chiffon_written_once();
CREATE TRIGGER event_numbers_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON event_numbers
    FOR EACH STATEMENT EXECUTE FUNCTION chiffon_written_once();

-- The ledger -----------------------------------------------------------------------------------------

CREATE TABLE ledger_entries (
    tenant_id     TEXT NOT NULL,
    entry_no      BIGINT NOT NULL CHECK (entry_no >= 1),
    request_id    TEXT NOT NULL,
    shares_commit BOOLEAN NOT NULL,
    created_at    BIGINT NOT NULL,
    doc           JSON NOT NULL,
    PRIMARY KEY (tenant_id, entry_no)
);
CREATE INDEX ledger_entries_of_request ON ledger_entries (request_id, entry_no);

CREATE TABLE ledger_batches (
    tenant_id   TEXT NOT NULL,
    batch_no    BIGINT NOT NULL CHECK (batch_no >= 1),
    first_entry BIGINT NOT NULL,
    last_entry  BIGINT NOT NULL,
    time        BIGINT NOT NULL,
    parent      TEXT,
    commit_id   TEXT,
    signer      TEXT,
    PRIMARY KEY (tenant_id, batch_no),
    UNIQUE (tenant_id, first_entry),
    CHECK (first_entry >= 1 AND first_entry <= last_entry)
);

-- Who writes ---------------------------------------------------------------------------------------------

-- One row for each time that an orchestrator came: how far it has got. It is how a commit whose answer was lost is asked
-- after, and nobody else's concern.
CREATE TABLE writers (
    writer  BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    commits BIGINT NOT NULL,
    seen    TIMESTAMPTZ NOT NULL DEFAULT now()
);
