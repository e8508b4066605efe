-- The freeze: a person's word that nothing more is to be started.
--
-- Only an addition, but code that knows V2 alone would start work in a frozen fleet, so it refuses a database of
-- this version.

-- One row for each tenant that was ever frozen. A thaw empties it and keeps the version, so that a start that was
-- judged before a freeze and a thaw in between is judged again.
CREATE TABLE freezes (
    tenant_id TEXT NOT NULL PRIMARY KEY,
    version   INTEGER NOT NULL CHECK (version >= 1),
    frozen_by TEXT,
    since     INTEGER,
    reason    TEXT CHECK (reason <> ''),
    CHECK ((frozen_by IS NULL) = (since IS NULL) AND (frozen_by IS NULL) = (reason IS NULL))
) STRICT;
