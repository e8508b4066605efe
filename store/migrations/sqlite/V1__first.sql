-- The tables of the first version.
--
-- Times are microseconds since 1970 (UTC), ids and JSON documents are text. Every row has an owner.
-- What the engine must never do by mistake is refused here as well: unknown states, a move out of a
-- terminal state, a change to what was audited.
--
-- Migrations are append-only: a released file is never edited, the next change is V2__name.sql, written
-- so that the code before and after it could both run on the result.

-- Requests, their plans, tasks and decisions ---------------------------------------------------------

CREATE TABLE requests (
    request_id TEXT PRIMARY KEY NOT NULL,
    tenant_id  TEXT NOT NULL,
    project_id TEXT NOT NULL,
    room_id    TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN (
                   'received', 'planning', 'previewing', 'needs_input', 'awaiting_approval', 'running',
                   'completed', 'failed', 'rejected', 'expired', 'cancelled')),
    ended      INTEGER NOT NULL,
    version    INTEGER NOT NULL CHECK (version >= 1),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    doc        TEXT NOT NULL CHECK (json_valid(doc)),
    CHECK (ended = (state IN ('completed', 'failed', 'rejected', 'expired', 'cancelled')))
) STRICT;
-- Lists run newest first; the id makes the order total.
CREATE INDEX requests_newest     ON requests (tenant_id, created_at, request_id);
CREATE INDEX requests_by_project ON requests (tenant_id, project_id, created_at, request_id);
CREATE INDEX requests_by_state   ON requests (tenant_id, state, created_at, request_id);
CREATE INDEX requests_open       ON requests (tenant_id, created_at, request_id) WHERE ended = 0;
-- For the engine, which looks over all tenants.
CREATE INDEX requests_oldest     ON requests (state, created_at, request_id);

CREATE TRIGGER requests_ended_stay BEFORE UPDATE ON requests
WHEN OLD.ended = 1 AND (NEW.state IS NOT OLD.state OR NEW.ended IS NOT OLD.ended)
BEGIN
    SELECT RAISE(ABORT, 'a request that has ended keeps its state');
END;

CREATE TABLE plans (
    request_id TEXT PRIMARY KEY NOT NULL REFERENCES requests (request_id),
    tenant_id  TEXT NOT NULL,
    digest     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    doc        TEXT NOT NULL CHECK (json_valid(doc))
) STRICT;

CREATE TABLE tasks (
    task_id    TEXT PRIMARY KEY NOT NULL,
    tenant_id  TEXT NOT NULL,
    request_id TEXT NOT NULL REFERENCES requests (request_id),
    state      TEXT NOT NULL CHECK (state IN (
                   'open', 'waiting', 'dispatched', 'accepted', 'running', 'unknown', 'interrupted',
                   'completed', 'failed', 'cancelled')),
    ended      INTEGER NOT NULL,
    agent_id   TEXT,
    attempt    INTEGER NOT NULL CHECK (attempt >= 0),
    version    INTEGER NOT NULL CHECK (version >= 1),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    doc        TEXT NOT NULL CHECK (json_valid(doc)),
    -- An interrupted task may be tried again, so it has not ended.
    CHECK (ended = (state IN ('completed', 'failed', 'cancelled')))
) STRICT;
CREATE INDEX tasks_of_request ON tasks (request_id, created_at, task_id);
CREATE INDEX tasks_by_state   ON tasks (state, created_at, task_id);

CREATE TRIGGER tasks_ended_stay BEFORE UPDATE ON tasks
WHEN OLD.ended = 1 AND (NEW.state IS NOT OLD.state OR NEW.ended IS NOT OLD.ended)
BEGIN
    SELECT RAISE(ABORT, 'a task that has ended keeps its state');
END;

CREATE TABLE decisions (
    decision_id TEXT PRIMARY KEY NOT NULL,
    tenant_id   TEXT NOT NULL,
    request_id  TEXT NOT NULL REFERENCES requests (request_id),
    state       TEXT NOT NULL CHECK (state IN ('pending', 'resolved', 'timed_out')),
    version     INTEGER NOT NULL CHECK (version >= 1),
    created_at  INTEGER NOT NULL,
    deadline    INTEGER NOT NULL,
    doc         TEXT NOT NULL CHECK (json_valid(doc))
) STRICT;
CREATE INDEX decisions_of_request ON decisions (request_id, created_at, decision_id);

CREATE TRIGGER decisions_ended_stay BEFORE UPDATE ON decisions
WHEN OLD.state IN ('resolved', 'timed_out') AND NEW.state IS NOT OLD.state
BEGIN
    SELECT RAISE(ABORT, 'a decision that was taken keeps its state');
END;

CREATE TABLE events (
    tenant_id  TEXT NOT NULL,
    event_id   TEXT NOT NULL,
    body       TEXT NOT NULL,
    request_id TEXT,
    created_at INTEGER NOT NULL,
    event      TEXT NOT NULL CHECK (json_valid(event)),
    plan       TEXT NOT NULL CHECK (json_valid(plan)),
    PRIMARY KEY (tenant_id, event_id)
) STRICT;

-- The fleet and the rooms ----------------------------------------------------------------------------

CREATE TABLE agents (
    tenant_id TEXT NOT NULL,
    agent_id  TEXT NOT NULL,
    kind      TEXT NOT NULL CHECK (kind IN ('infrastructure', 'desktop', 'code', 'llm')),
    state     TEXT NOT NULL CHECK (state IN ('spawned', 'idle', 'working', 'blocked', 'shutdown', 'lost')),
    status    TEXT NOT NULL CHECK (status IN ('active', 'inactive')),
    version   INTEGER NOT NULL CHECK (version >= 1),
    last_seen INTEGER NOT NULL,
    doc       TEXT NOT NULL CHECK (json_valid(doc)),
    PRIMARY KEY (tenant_id, agent_id)
) STRICT;

CREATE TABLE hosts (
    tenant_id  TEXT NOT NULL,
    host       TEXT NOT NULL,
    needs_look INTEGER NOT NULL CHECK (needs_look IN (0, 1)),
    updated_at INTEGER NOT NULL,
    doc        TEXT NOT NULL CHECK (json_valid(doc)),
    PRIMARY KEY (tenant_id, host)
) STRICT;

CREATE TABLE rooms (
    tenant_id  TEXT NOT NULL,
    room_id    TEXT NOT NULL,
    project_id TEXT NOT NULL,
    version    INTEGER NOT NULL CHECK (version >= 1),
    updated_at INTEGER NOT NULL,
    doc        TEXT NOT NULL CHECK (json_valid(doc)),
    PRIMARY KEY (tenant_id, room_id)
) STRICT;

CREATE TABLE resource_metrics (
    tenant_id TEXT NOT NULL,
    agent_id  TEXT NOT NULL,
    ts        INTEGER NOT NULL,
    doc       TEXT NOT NULL CHECK (json_valid(doc))
) STRICT;
CREATE INDEX resource_metrics_of_agent ON resource_metrics (tenant_id, agent_id, ts);
CREATE INDEX resource_metrics_by_age   ON resource_metrics (ts);

-- Waiting, rights, and messages ----------------------------------------------------------------------

CREATE TABLE timers (
    tenant_id TEXT NOT NULL,
    slice     TEXT NOT NULL,
    name      TEXT NOT NULL,
    due_at    INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, slice, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX timers_due ON timers (due_at);

-- A lease that was given back keeps its row without owner, so that its epoch never falls.
CREATE TABLE leases (
    tenant_id  TEXT NOT NULL,
    name       TEXT NOT NULL,
    owner      TEXT,
    epoch      INTEGER NOT NULL CHECK (epoch >= 1),
    since      INTEGER NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (tenant_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX leases_of_owner ON leases (tenant_id, owner) WHERE owner IS NOT NULL;

-- `seq` is only the order of the commits; rows are claimed by state, never by "greater than".
CREATE TABLE outbox (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id    TEXT NOT NULL UNIQUE,
    tenant_id     TEXT NOT NULL,
    queue         TEXT NOT NULL,
    body          BLOB NOT NULL,
    not_before    INTEGER NOT NULL,
    not_after     INTEGER,
    state         TEXT NOT NULL CHECK (state IN ('pending', 'sent', 'given_up')),
    claimed_by    TEXT,
    claimed_until INTEGER,
    tries         INTEGER NOT NULL,
    CHECK ((claimed_by IS NULL) = (claimed_until IS NULL))
) STRICT;
-- Everything that the search for due rows looks at, so that rows claimed by others cost little.
CREATE INDEX outbox_pending ON outbox (seq, not_before, claimed_until, state) WHERE state = 'pending';
CREATE INDEX outbox_ending  ON outbox (not_after) WHERE state = 'pending' AND not_after IS NOT NULL;
CREATE INDEX outbox_done    ON outbox (coalesce(claimed_until, not_after)) WHERE state <> 'pending';

CREATE TABLE inbox (
    tenant_id  TEXT NOT NULL,
    consumer   TEXT NOT NULL,
    message_id TEXT NOT NULL,
    handled_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, consumer, message_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX inbox_by_age ON inbox (handled_at);

CREATE TABLE idempotency_keys (
    tenant_id  TEXT NOT NULL,
    key        TEXT NOT NULL,
    body       TEXT NOT NULL,
    answer     TEXT NOT NULL CHECK (json_valid(answer)),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, key)
) STRICT;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

CREATE TABLE execution_logs (
    request_id TEXT NOT NULL REFERENCES requests (request_id),
    id         INTEGER NOT NULL CHECK (id >= 1),
    tenant_id  TEXT NOT NULL,
    task_id    TEXT NOT NULL,
    attempt    INTEGER NOT NULL,
    ts         INTEGER NOT NULL,
    line       TEXT NOT NULL,
    PRIMARY KEY (request_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX execution_logs_by_age ON execution_logs (ts);

-- The audit chain ------------------------------------------------------------------------------------

-- A record has its place in its stream; its number over all streams is given apart.
CREATE TABLE audit_log (
    audit_id  TEXT PRIMARY KEY NOT NULL,
    tenant_id TEXT NOT NULL,
    stream    TEXT NOT NULL,
    position  INTEGER NOT NULL CHECK (position >= 0),
    previous  TEXT NOT NULL,
    hash      TEXT NOT NULL,
    entry     TEXT NOT NULL,
    UNIQUE (stream, position),
    -- The hash covers the entry; so the columns that searches go by must say the same.
    CHECK (entry ->> '$.audit_id' = audit_id AND entry ->> '$.tenant_id' = tenant_id
           AND entry ->> '$.stream' = stream)
) STRICT;

CREATE TABLE audit_numbers (
    seq       INTEGER PRIMARY KEY CHECK (seq >= 1),
    tenant_id TEXT NOT NULL,
    audit_id  TEXT NOT NULL UNIQUE REFERENCES audit_log (audit_id)
) STRICT;

-- A batch may hold records of several owners; a seal is the store's own, owned by the default tenant.
CREATE TABLE audit_seals (
    seal_no   INTEGER PRIMARY KEY CHECK (seal_no >= 1),
    tenant_id TEXT NOT NULL DEFAULT 'default',
    first_seq INTEGER NOT NULL,
    last_seq  INTEGER NOT NULL,
    root      TEXT NOT NULL,
    previous  TEXT NOT NULL,
    hash      TEXT NOT NULL,
    CHECK (first_seq <= last_seq)
) STRICT;

-- The last record of each stream: where the next one is chained.
CREATE TABLE audit_streams (
    stream    TEXT PRIMARY KEY NOT NULL,
    tenant_id TEXT NOT NULL,
    position  INTEGER NOT NULL,
    hash      TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log
BEGIN SELECT RAISE(ABORT, 'audit records cannot be changed'); END;
CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log
BEGIN SELECT RAISE(ABORT, 'audit records cannot be deleted'); END;
CREATE TRIGGER audit_numbers_no_update BEFORE UPDATE ON audit_numbers
BEGIN SELECT RAISE(ABORT, 'audit numbers cannot be changed'); END;
CREATE TRIGGER audit_numbers_no_delete BEFORE DELETE ON audit_numbers
BEGIN SELECT RAISE(ABORT, 'audit numbers cannot be deleted'); END;
CREATE TRIGGER audit_seals_no_update BEFORE UPDATE ON audit_seals
BEGIN SELECT RAISE(ABORT, 'audit seals cannot be changed'); END;
CREATE TRIGGER audit_seals_no_delete BEFORE DELETE ON audit_seals
BEGIN SELECT RAISE(ABORT, 'audit seals cannot be deleted'); END;

-- The ledger -----------------------------------------------------------------------------------------

CREATE TABLE ledger_entries (
    tenant_id     TEXT NOT NULL,
    entry_no      INTEGER NOT NULL CHECK (entry_no >= 1),
    request_id    TEXT NOT NULL,
    shares_commit INTEGER NOT NULL CHECK (shares_commit IN (0, 1)),
    created_at    INTEGER NOT NULL,
    doc           TEXT NOT NULL CHECK (json_valid(doc)),
    PRIMARY KEY (tenant_id, entry_no)
) STRICT;
CREATE INDEX ledger_entries_of_request ON ledger_entries (request_id, entry_no);

CREATE TABLE ledger_batches (
    tenant_id   TEXT NOT NULL,
    batch_no    INTEGER NOT NULL CHECK (batch_no >= 1),
    first_entry INTEGER NOT NULL,
    last_entry  INTEGER NOT NULL,
    time        INTEGER NOT NULL,
    parent      TEXT,
    commit_id   TEXT,
    PRIMARY KEY (tenant_id, batch_no),
    UNIQUE (tenant_id, first_entry),
    CHECK (first_entry >= 1 AND first_entry <= last_entry)
) STRICT;
