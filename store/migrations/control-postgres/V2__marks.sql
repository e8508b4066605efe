-- How far the audit files of each replica had come when it said so last. At a start the files must reach so far.
CREATE TABLE control_audit_marks (
    replica TEXT PRIMARY KEY,
    seq     BIGINT NOT NULL,
    hash    TEXT NOT NULL,
    folder  TEXT NOT NULL
);
