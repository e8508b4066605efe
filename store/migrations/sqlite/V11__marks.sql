-- Which record a request was forgotten by, and open outcomes by place.

-- By the text: a record that is no document any more must not hold up what is written.
CREATE INDEX audit_of_forgotten ON audit_log (audit_id) WHERE instr(entry, '"action":"history.forgotten"') > 0;

-- What is known of a host beyond the inventory: which tasks left their outcome open there. One row for each place and
-- task, so that what is settled of one takes nothing of another; a place is a host's name or the machine behind it.

CREATE TABLE hosts_marked (
    tenant_id  TEXT NOT NULL,
    place      TEXT NOT NULL,
    task_id    TEXT NOT NULL,
    request_id TEXT NOT NULL,
    since      INTEGER NOT NULL,
    because    TEXT NOT NULL,
    PRIMARY KEY (tenant_id, place, task_id)
) STRICT;
INSERT INTO hosts_marked
SELECT tenant_id, 'host:' || host, json_extract(doc, '$.task_id'), json_extract(doc, '$.request_id'), updated_at,
       coalesce(json_extract(doc, '$.because'), '')
FROM hosts
WHERE needs_look = 1 AND json_extract(doc, '$.task_id') IS NOT NULL AND json_extract(doc, '$.request_id') IS NOT NULL;
DROP TABLE hosts;
ALTER TABLE hosts_marked RENAME TO hosts;
CREATE INDEX hosts_of_task ON hosts (task_id);
