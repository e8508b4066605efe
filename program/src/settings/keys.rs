//! The keys there are, each with its meaning, unit, default and what is permitted.
//!
//! Adding a key: 1. a line in [`KEYS`], 2. its field, and the line that reads it, in the settings of the programs that
//! heed it; `chiffon` reads them all.

/// How our variables in the environment begin.
pub(super) const PREFIX: &str = "CHIFFON_";

/// One key.
#[derive(Debug)]
pub struct Key {
    /// Dotted.
    pub name: &'static str,
    /// The default, as YAML.
    pub default: &'static str,
    /// Which values are taken, after "permitted:".
    pub permitted: &'static str,
    /// What it means, with its unit.
    pub meaning: &'static str,
    /// Whether its value is never shown.
    pub secret: bool,
}

/// All of them, in the order of the reference.
pub const KEYS: &[Key] = &[
    Key {
        name: "http.listen",
        default: "127.0.0.1:8420",
        permitted: "an address of this machine itself with a port, such as 127.0.0.1:8420",
        meaning: "Where the HTTP API of `chiffon up` listens.",
        secret: false,
    },
    Key {
        name: "http.hosts",
        default: "[]",
        permitted: "a list of host names without ports (in the environment: separated by `,`)",
        meaning: "Names of this server beside 127.0.0.1 and localhost, for a proxy on this machine that passes its own name on; requests with any other name are refused.",
        secret: false,
    },
    Key {
        name: "http.requests_per_second",
        default: "200",
        permitted: "a whole number from 1 to 100000",
        meaning: "How many requests one person or address may send, each second in the long run; more are answered with 429.",
        secret: false,
    },
    Key {
        name: "http.burst",
        default: "1000",
        permitted: "a whole number from 1 to 100000",
        meaning: "How many of them may come at once.",
        secret: false,
    },
    Key {
        name: "http.connections",
        default: "2048",
        permitted: "a whole number from 1 to 65536",
        meaning: "How many connections may be open at once; the next ones wait.",
        secret: false,
    },
    Key {
        name: "http.streams",
        default: "1024",
        permitted: "a whole number from 1 to 65536",
        meaning: "How many event streams one person may have open at once.",
        secret: false,
    },
    Key {
        name: "control.jobs",
        default: "true",
        permitted: "true or false",
        meaning: "Whether what is asked in a room becomes a request. Without it, events are answered as `arbiter serve` does: texts are asked for, no work is started, and `chiffon run` is refused.",
        secret: false,
    },
    Key {
        name: "control.may_ask",
        default: "[person, service]",
        permitted: "a list of person, service and agent (in the environment: separated by `,`)",
        meaning: "Which kinds of actor may ask for work or a text.",
        secret: false,
    },
    Key {
        name: "control.may_approve",
        default: "[]",
        permitted: "a list of actors such as chat:anna, or beginnings such as chat:* (in the environment: separated by `,`)",
        meaning: "Who may answer yes or no to a change of tier 1 in the room it was asked for in.",
        secret: false,
    },
    Key {
        name: "control.authz.endpoint",
        default: "\"\"",
        permitted: "http://HOST/PATH or https://HOST/PATH without user or password, or nothing",
        meaning: "An external authoriser, which is asked who may ask, have texts made and approve in rooms, in place of control.may_ask and control.may_approve, which must not be set beside it.",
        secret: true,
    },
    Key {
        name: "control.authz.ca_file",
        default: "\"\"",
        permitted: "an absolute path of a file of certificates in PEM, or nothing",
        meaning: "The authorities that its certificate may be from, with https; without it, those of the system.",
        secret: false,
    },
    Key {
        name: "control.authz.fail_mode",
        default: "deny",
        permitted: "deny or allow",
        meaning: "What holds while the external authoriser is silent. An answer that is no decision permits nothing in either case.",
        secret: false,
    },
    Key {
        name: "control.authz.token_file",
        default: "\"\"",
        permitted: "an absolute path of a file with at least 16 characters of ASCII without spaces, or nothing",
        meaning: "The token that the external authoriser is shown, as bearer token.",
        secret: false,
    },
    Key {
        name: "control.authz.timeout_ms",
        default: "2000",
        permitted: "a whole number from 1 to 60000",
        meaning: "How long an answer of the external authoriser may take, in milliseconds.",
        secret: false,
    },
    Key {
        name: "control.authz.max_in_flight",
        default: "32",
        permitted: "a whole number from 1 to 10000",
        meaning: "How many questions it is asked at once; others wait, up to 16 for each place, and no longer than an answer may take.",
        secret: false,
    },
    Key {
        name: "control.authz.cache",
        default: "0",
        permitted: "a whole number from 0 to 1000000; 0 asks every time",
        meaning: "How many of its answers are kept to be used again for as long as they say (`cache_ttl_ms`, an hour at most).",
        secret: false,
    },
    Key {
        name: "control.reply_policy",
        default: "mention_first",
        permitted: "mention_first, always, never or probability",
        meaning: "Which events of a room are answered: those that speak to Chiffon and the rest by the dice, all, none, or all by the dice.",
        secret: false,
    },
    Key {
        name: "control.reply_probability",
        default: "\"0\"",
        permitted: "a number from 0 to 1 with at most six decimals",
        meaning: "How likely what is left to the dice is answered. They fall by the event's id, the same each time. Needed with `control.reply_policy: probability`, refused with `always` and `never`, which leave nothing to them.",
        secret: false,
    },
    Key {
        name: "control.cooldown_ms",
        default: "0",
        permitted: "a whole number from 0 to 86400000; 0 is none",
        meaning: "How long a room rests after it was answered, in milliseconds.",
        secret: false,
    },
    Key {
        name: "control.generation_timeout_ms",
        default: "60000",
        permitted: "a whole number from 0 to 86400000; 0 is none",
        meaning: "How long a text that was asked for holds its room at most, in milliseconds.",
        secret: false,
    },
    Key {
        name: "control.max_queue",
        default: "0",
        permitted: "a whole number from 0 to 10000; 0 is no bound",
        meaning: "How many texts may be under way at once; needs control.generation_timeout_ms.",
        secret: false,
    },
    Key {
        name: "control.rate.events",
        default: "0",
        permitted: "a whole number from 0 to 1000000; 0 is no bound",
        meaning: "How many events are let through in control.rate.per_ms, in the long run.",
        secret: false,
    },
    Key {
        name: "control.rate.per_ms",
        default: "1000",
        permitted: "a whole number from 1 to 86400000",
        meaning: "The time that control.rate.events counts in, in milliseconds.",
        secret: false,
    },
    Key {
        name: "control.rate.burst",
        default: "0",
        permitted: "a whole number from 0 to 1000000; 0 is as many as control.rate.events",
        meaning: "How many events are let through at once, where control.rate.events bounds them.",
        secret: false,
    },
    Key {
        name: "decisions.timeout",
        default: "48h",
        permitted: "a whole number with m (minutes), h (hours) or d (days), from 1m to 30d",
        meaning: "How long a question to a person stays open; then the answer is no.",
        secret: false,
    },
    Key {
        name: "approvals.good_for_minutes",
        default: "60",
        permitted: "a whole number from 1 to 10080",
        meaning: "How long an approval may wait for its first step, in minutes.",
        secret: false,
    },
    Key {
        name: "retention.history_days",
        default: "730",
        permitted: "a whole number from 0 to 36500",
        meaning: "How long a request is kept after its end, in days; 0 keeps all for ever. The audit chain and the ledger stay in any case.",
        secret: false,
    },
    Key {
        name: "projects.tasks",
        default: "0",
        permitted: "a whole number from 0 to 10000",
        meaning: "How many tasks of one project may be at work at once; 0: as many as there are slots.",
        secret: false,
    },
    Key {
        name: "retry.attempts",
        default: "3",
        permitted: "a whole number from 1 to 20",
        meaning: "How often a task is tried at most where its failure passes by itself (a host that does not answer, a package manager at work) or its entry says that running again is harmless; the wait doubles each time.",
        secret: false,
    },
    Key {
        name: "retry.wait_seconds",
        default: "30",
        permitted: "a whole number from 1 to 300",
        meaning: "How long an approved change waits before its second attempt where its host does not answer, and anything where a package manager is at work, in seconds; what only reads is tried again after one second.",
        secret: false,
    },
    Key {
        name: "agents.infrastructure.slots",
        default: "4",
        permitted: "a whole number from 1 to 64",
        meaning: "How many playbooks may run at once.",
        secret: false,
    },
    Key {
        name: "agents.infrastructure.isolation",
        default: "auto",
        permitted: "auto, none, bubblewrap, systemd or user",
        meaning: "What a play over SSH is kept in: `auto` is bubblewrap where it works, else the user that is named; another one that is not to be had refuses the run. Plays on this machine get limits only.",
        secret: false,
    },
    Key {
        name: "agents.infrastructure.run_as",
        default: "\"\"",
        permitted: "the name of a Unix user that is not root, or nothing",
        meaning: "The user that plays over SSH run as with the isolation `user`; the agent must be root.",
        secret: false,
    },
    Key {
        name: "agents.infrastructure.readable",
        default: "[]",
        permitted: "a list of absolute files and folders (in the environment: separated by `:`)",
        meaning: "What a sandboxed play may read on this machine beside the system, its bundle and the keys that its inventory names.",
        secret: false,
    },
    Key {
        name: "agents.infrastructure.limits.memory_mib",
        default: "4096",
        permitted: "a whole number from 0 to 4194304; 0 is no limit",
        meaning: "How much memory all processes of a run may hold on this machine, in MiB.",
        secret: false,
    },
    Key {
        name: "agents.infrastructure.limits.processes",
        default: "1024",
        permitted: "a whole number from 0 to 4194304; 0 is no limit",
        meaning: "How many processes a run may have on this machine.",
        secret: false,
    },
    Key {
        name: "agents.infrastructure.limits.file_mib",
        default: "16384",
        permitted: "a whole number from 0 to 4194304; 0 is no limit",
        meaning: "The largest file that a run may write on this machine, in MiB.",
        secret: false,
    },
    Key {
        name: "agents.infrastructure.limits.open_files",
        default: "4096",
        permitted: "a whole number from 0 to 1048576; 0 is no limit",
        meaning: "How many files one process of a run may have open on this machine.",
        secret: false,
    },
    Key {
        name: "agents.infrastructure.limits.nice",
        default: "0",
        permitted: "a whole number from 0 to 19",
        meaning: "How far a run stands back for others when processors are short.",
        secret: false,
    },
    Key {
        name: "agents.heartbeat_seconds",
        default: "5",
        permitted: "a whole number from 1 to 60",
        meaning: "How often an agent says that it is alive, in seconds.",
        secret: false,
    },
    Key {
        name: "agents.orchestrators",
        default: "\"\"",
        permitted: "an absolute path of a file, or nothing",
        meaning: "The public keys of the orchestrators that `chiffon-agent-infra` and `chiffon-agent-desktop` obey, one a line as `chiffon-orchestrator public-key` prints it; without it, keys/orchestrators.pub in the data folder.",
        secret: false,
    },
    Key {
        name: "catalogue.folders",
        default: "[]",
        permitted: "a list of absolute folders (in the environment: separated by `:`)",
        meaning: "Ansible repositories of your own; their playbooks are tier 2, whatever they say of themselves.",
        secret: false,
    },
    Key {
        name: "store.url",
        default: "\"\"",
        permitted: "postgres://user:password@host/database, or host=... dbname=...; empty for the file in the data folder",
        meaning: "The Postgres database (15 to 18, docs/postgres.md) that everything is kept in; several orchestrators may share it. With sslmode=require its certificate is checked.",
        secret: true,
    },
    Key {
        name: "store.ca_file",
        default: "\"\"",
        permitted: "an absolute path of a file of certificates in PEM, or nothing",
        meaning: "The authorities that the certificate of the database may be from; with it, TLS is spoken. Without it, those of the system.",
        secret: false,
    },
    Key {
        name: "bus.url",
        default: "\"\"",
        permitted: "amqp://USER@HOST:PORT/VHOST, amqps:// for TLS (a vhost / is written %2f), or nothing",
        meaning: "The RabbitMQ (3.10 to 4.3, docs/fleet.md) between `chiffon-orchestrator` and the agents that are programs of their own; USER is what an agent is called. With it `chiffon` starts no fleet of its own.",
        secret: true,
    },
    Key {
        name: "bus.ca_file",
        default: "\"\"",
        permitted: "an absolute path of a file of certificates in PEM, or nothing",
        meaning: "The authorities that the certificate of the broker may be from, with amqps; without it, those of the system.",
        secret: false,
    },
    Key {
        name: "bus.password_file",
        default: "\"\"",
        permitted: "an absolute path of a file that only its owner can read, or nothing",
        meaning: "The password at the broker, in place of one in bus.url.",
        secret: false,
    },
    Key {
        name: "orchestrator.name",
        default: "\"\"",
        permitted: "up to 64 letters, digits and . _ -, or nothing",
        meaning: "What `chiffon-orchestrator` is called among others, in audit streams and leases; without it, as its machine.",
        secret: false,
    },
    Key {
        name: "ledger.remote",
        default: "\"\"",
        permitted: "an absolute folder, https://..., ssh://... or user@host:path; empty for none",
        meaning: "The git repository that the ledger and the heads of the audit chain are pushed to, by the git of this machine.",
        secret: false,
    },
    Key {
        name: "log.level",
        default: "error",
        permitted: "error, warn, info or debug",
        meaning: "How much the log on standard error says. In the separate programs, info where it is not set.",
        secret: false,
    },
    Key {
        name: "log.format",
        default: "text",
        permitted: "text or json",
        meaning: "How the log is written. In the separate programs, json where it is not set.",
        secret: false,
    },
];

/// The environment variable of a key.
pub fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"))
}

pub(super) fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Whether keys stand below this name.
pub(super) fn is_section(name: &str) -> bool {
    KEYS.iter().any(|key| {
        key.name
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

/// The name that was probably meant.
pub(super) fn nearest(unknown: &str) -> Option<&'static str> {
    let likeness = |key: &Key| {
        // `listen` for `http.listen`, and `http` for it too.
        let last = key.name.rsplit('.').next().unwrap_or(key.name);
        let whole = strsim::jaro_winkler(unknown, key.name);
        let part = unknown.rsplit('.').next().unwrap_or(unknown);
        whole.max(0.95 * strsim::jaro_winkler(part, last))
    };
    let best = KEYS
        .iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) > 0.7).then_some(best.name)
}

/// The first `chiffon.yaml`: everything there is, as comments.
pub fn commented_defaults() -> String {
    let example = KEYS.first().map_or("", |key| key.name);
    let mut text = format!(
        "# Chiffon's configuration. Every line that is commented out shows the default.\n\
         # An environment variable wins over this file: {example} is {}.\n",
        variable(example)
    );
    for key in KEYS {
        text += &format!("\n# {}\n# Permitted: {}.\n", key.meaning, key.permitted);
        let parts: Vec<&str> = key.name.split('.').collect();
        for (depth, part) in parts.iter().enumerate() {
            let indent = "  ".repeat(depth);
            let value = match depth + 1 == parts.len() {
                true => format!(" {}", key.default),
                false => String::new(),
            };
            text += &format!("#{indent}{part}:{value}\n");
        }
    }
    text
}
