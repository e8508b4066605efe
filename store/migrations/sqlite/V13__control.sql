-- A generation's or an action's result names a plan of the control plane, which is found by its id.
CREATE INDEX events_by_plan ON events (tenant_id, plan ->> '$.plan_id') WHERE plan ->> '$.plan_id' IS NOT NULL;
