-- How far the audit files of each replica had come when it said so last. At a start the files must reach so far.
CREATE TABLE audit_marks (
    replica TEXT PRIMARY KEY NOT NULL,
    seq     INTEGER NOT NULL,
    hash    TEXT NOT NULL,
    folder  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
