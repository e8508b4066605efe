-- What people ask afterwards. Nothing in the program reads these: they are for `psql` and for dashboards, and their columns
-- stay what they are (docs/postgres.md). Times are timestamps with their zone, durations seconds.

-- A document to be looked into. One with a NUL in it is kept as it was written, but the server cannot look into it.
CREATE FUNCTION chiffon_doc(doc JSON) RETURNS JSONB LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN strpos(doc::text, '\u0000') = 0 THEN doc::jsonb END
$$;
CREATE FUNCTION chiffon_time(micros BIGINT) RETURNS TIMESTAMPTZ LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT TIMESTAMPTZ 'epoch' + micros * INTERVAL '1 microsecond'
$$;

-- One row for each step that was begun: what, where, how it went, how long, and what it used. A step whose outcome nobody
-- knows has no `ran_seconds`.
CREATE VIEW step_runs AS
SELECT t.tenant_id, t.request_id, t.task_id,
       (t.task ->> 'step')::int AS step,
       s.step ->> 'entry' AS entry,
       s.step ->> 'title' AS title,
       t.task ->> 'mode' AS mode,
       t.state, t.task ->> 'because' AS because, t.agent_id AS agent, t.attempt AS attempts,
       chiffon_time(t.created_at) AS created,
       (t.task ->> 'started_at')::timestamptz AS started,
       CASE WHEN t.ended THEN chiffon_time(t.updated_at) END AS ended,
       extract(epoch FROM (t.task ->> 'started_at')::timestamptz - chiffon_time(t.created_at))::float8 AS waited_seconds,
       (t.task #>> '{outcome,duration_seconds}')::float8 AS ran_seconds,
       (t.task #>> '{outcome,usage,cpu_hours}')::float8 AS cpu_hours,
       (t.task #>> '{outcome,usage,memory_peak_gb}')::float8 AS memory_peak_gb
FROM (SELECT *, chiffon_doc(doc) AS task FROM tasks) t
LEFT JOIN plans p ON p.request_id = t.request_id
LEFT JOIN LATERAL jsonb_path_query_first(chiffon_doc(p.doc), '$.steps[*] ? (@.no == $no)',
                                         jsonb_build_object('no', t.task -> 'step')) AS s (step) ON true;

-- One row for each host of each step that ended: how it went there, and what it said if it failed.
CREATE VIEW host_runs AS
SELECT t.tenant_id, t.request_id, t.task_id, h.host, t.task ->> 'mode' AS mode,
       h.summary ->> 'outcome' AS outcome,
       h.summary ->> 'outcome' IN ('failed', 'unreachable') AS failed,
       h.summary ->> 'message' AS message,
       chiffon_time(t.updated_at) AS ended
FROM (SELECT *, chiffon_doc(doc) AS task FROM tasks WHERE ended) t
CROSS JOIN LATERAL jsonb_each(CASE WHEN jsonb_typeof(t.task #> '{outcome,hosts}') = 'object'
                                   THEN t.task #> '{outcome,hosts}' ELSE '{}' END) AS h (host, summary);

-- One row for each request that did not do what it was to do: why, in one line, and the step and host where it began.
CREATE VIEW request_failures AS
SELECT r.tenant_id, r.request_id, r.project_id, r.request ->> 'text' AS asked, r.request #>> '{requester,id}' AS asked_by,
       r.state, r.request ->> 'because' AS because,
       chiffon_time(r.created_at) AS created, chiffon_time(r.updated_at) AS ended,
       f.step, f.entry, f.because AS step_because, h.host, h.message
FROM (SELECT *, chiffon_doc(doc) AS request FROM requests WHERE state IN ('failed', 'rejected', 'expired', 'cancelled')) r
LEFT JOIN LATERAL (SELECT s.task_id, s.step, s.entry, s.because FROM step_runs s
                   WHERE s.request_id = r.request_id AND s.state = 'failed'
                   ORDER BY s.ended, s.step LIMIT 1) f ON true
LEFT JOIN LATERAL (SELECT x.host, x.message FROM host_runs x
                   WHERE x.request_id = r.request_id AND x.task_id = f.task_id AND x.failed
                   ORDER BY x.host LIMIT 1) h ON true;

-- One row for each report of an agent's machine.
CREATE VIEW machine_use AS
SELECT tenant_id, agent_id AS agent, chiffon_time(ts) AS at,
       metric ->> 'hostname' AS host,
       (metric ->> 'cpu_percent')::float8 AS cpu_percent,
       (metric #>> '{load,0}')::float8 AS load,
       (metric ->> 'memory_total')::numeric / 1073741824 AS memory_gb,
       ((metric ->> 'memory_total')::numeric - (metric ->> 'memory_available')::numeric) / 1073741824 AS memory_used_gb,
       metric -> 'disks' AS disks
FROM (SELECT *, chiffon_doc(doc) AS metric FROM resource_metrics) m;
