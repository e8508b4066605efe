//! The names, for tests to read. Adding one: the macro call at its place, and its line here; `tests/tidy.rs` holds
//! that each stands in both.

/// All failpoints, each with what is durable when it is hit and what is not yet.
pub const ALL: &[&str] = &[
    // --- Store: one transaction of the writer, which groups what waits.
    // Records and rows are in the transaction, its seal is not.
    "store.seal.before",
    // Everything is in the transaction; nothing is durable.
    "store.commit.before",
    // Durable; no caller knows it.
    "store.commit.after",
    // --- Orchestrator.
    // A request was answered by the arbiter; nothing is stored.
    "intake.commit.before",
    // Stored with its event and record; whoever asked has no answer.
    "intake.commit.after",
    // Any other event was judged; nothing is stored.
    "advance.commit.before",
    // Stored; nobody is nudged or told.
    "advance.commit.after",
    // A plan was made; nothing is stored.
    "planning.commit.before",
    // The plan is stored; no one dispatches yet.
    "planning.commit.after",
    // What the checks found is under the plan's digest; nothing is stored.
    "preview.commit.before",
    // A task was given to an agent; nothing is stored.
    "dispatch.commit.before",
    // The sealed work request is in the outbox; it is not published.
    "dispatch.commit.after",
    // A timer is due; the event it becomes is not stored.
    "timers.commit.before",
    // Timer and event are stored; the round goes on.
    "timers.commit.after",
    // A schedule is due; neither its request nor that it was asked is stored.
    "schedules.commit.before",
    // Both are stored; the round goes on.
    "schedules.commit.after",
    // Outbox rows are claimed; nothing is published.
    "relay.publish.before",
    // A message is published and confirmed; its row is not marked.
    "relay.mark.before",
    // The rows are marked as sent.
    "relay.mark.after",
    // An agent's message was taken from the bus; nothing of it is stored.
    "inbound.commit.before",
    // What it says is stored; it is not acked.
    "inbound.ack.before",
    // It is acked.
    "inbound.ack.after",
    // A heartbeat was heard; nothing of it is stored.
    "heartbeat.commit.before",
    // Old requests were chosen; they and the record that names them are not yet gone and there.
    "history.commit.before",
    // --- Ledger.
    // Which entries the next commit holds is stored; git knows nothing of it.
    "scribe.write.before",
    // The commit is made in memory; none of its objects is on the disk.
    "ledger.objects.before",
    // The objects' contents are safe; they have no names yet.
    "ledger.names.before",
    // All objects are safe; `main` stands where it stood.
    "ledger.main.before",
    // `main` has moved; the database does not know the commit.
    "scribe.hash.before",
    // The commit's hash is stored.
    "scribe.hash.after",
    // A damaged repository was made anew beside its place, and is not put there.
    "ledger.rebuild.before",
    // The damaged one was moved aside; its place is empty.
    "ledger.rebuild.between",
    // The head is a blob of the repository; the remote does not have it.
    "remote.push.before",
    // The remote has it; nobody here knows that.
    "remote.push.after",
    // A pushed revert has become a request; its reference still proposes.
    "proposals.taken",
    // A refused proposal is recorded; its reference still proposes.
    "proposals.refused",
    // --- Agent.
    // The agent has taken a message from the bus; nothing of it is journaled.
    "agent.journal.arrived",
    // Records wait for the disk; the file does not have them.
    "agent.journal.before",
    // They are on the disk; nothing that waited for them has been done.
    "agent.journal.after",
    // A message is journaled; it is not acked.
    "agent.ack.before",
    // The bundle of a run was read; its start is not journaled.
    "agent.start.before",
    // The start is journaled; the worker has not begun.
    "agent.spawn.before",
    // The supervisor of a run is there; Ansible is at work or about to be.
    "agent.run.during",
    // The run has ended; its end is not journaled.
    "agent.end.before",
    // The end is journaled; it is not published.
    "agent.publish.before",
    // The bus has the result; the journal does not know.
    "agent.confirm.before",
    // A shorter journal is written beside the old one.
    "agent.compact.before",
    // It has taken the old one's place; the folder is not synced.
    "agent.compact.after",
    // A bundle is on the disk under a name that nobody reads.
    "agent.bundle.before",
    // It has its name; the agent has not been told.
    "agent.bundle.after",
    // An attempt had started before a crash; what it left behind is not ended.
    "agent.sweep.before",
    // It is ended; the journal does not know.
    "agent.sweep.after",
];

/// Those that can be told to fail: the disk is full there.
pub const FAILING: &[&str] = &[
    "store.commit.before",
    "ledger.objects.before",
    "agent.journal.before",
    "agent.bundle.before",
];

/// All mutants, and whether they are built in.
pub const MUTANTS: &[(&str, bool)] = &[
    (
        "ack-before-commit",
        cfg!(feature = "mutant-ack-before-commit"),
    ),
    (
        "approval-not-rebound",
        cfg!(feature = "mutant-approval-not-rebound"),
    ),
    ("audit-git-only", cfg!(feature = "mutant-audit-git-only")),
    ("deferred-begin", cfg!(feature = "mutant-deferred-begin")),
    ("flat-ledger", cfg!(feature = "mutant-flat-ledger")),
    ("no-fencing", cfg!(feature = "mutant-no-fencing")),
    ("no-inbox", cfg!(feature = "mutant-no-inbox")),
    ("no-lease", cfg!(feature = "mutant-no-lease")),
    (
        "rerun-interrupted",
        cfg!(feature = "mutant-rerun-interrupted"),
    ),
];
