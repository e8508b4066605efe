-- Requests that take another one back, by the one they take back. Partial: most take nothing back.
CREATE INDEX requests_undoing ON requests (tenant_id, doc ->> '$.undo_of.request', created_at, request_id)
WHERE doc ->> '$.undo_of.request' IS NOT NULL;
