-- What was said to each request, so that its moves can be told again, and who signed a ledger commit.

-- One row for each event that was taken, under the version that the request's row had after it.
CREATE TABLE run_events (
    request_id  TEXT NOT NULL REFERENCES requests (request_id),
    version     INTEGER NOT NULL CHECK (version >= 1),
    tenant_id   TEXT NOT NULL,
    policy      TEXT NOT NULL REFERENCES run_policies (digest),
    doc         TEXT NOT NULL CHECK (json_valid(doc)),
    PRIMARY KEY (request_id, version)
) STRICT, WITHOUT ROWID;

-- The limits that were in force, once each.
CREATE TABLE run_policies (
    digest  TEXT PRIMARY KEY NOT NULL,
    doc     TEXT NOT NULL CHECK (json_valid(doc))
) STRICT, WITHOUT ROWID;

-- Batches of before are not signed.
ALTER TABLE ledger_batches ADD COLUMN signer TEXT;
