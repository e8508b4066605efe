//! How a member of the fleet moves: spawned, idle, working, blocked, lost, shutdown (document 001).

use chiffon_common::{AgentId, AgentKind, BootId, Heartbeat, Incarnation, MoveRecord, Subject};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// An agent as the orchestrator knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    /// Its id.
    pub agent_id: AgentId,
    /// Its kind.
    pub kind: AgentKind,
    /// Where it stands.
    pub state: AgentState,
    /// The life of its journal.
    pub incarnation: Incarnation,
    /// The start of its process.
    pub boot: BootId,
    /// When it was last heard of, at the last move.
    pub last_seen: Timestamp,
    /// Silence after which it counts as lost, in seconds: three of its own intervals.
    pub patience_seconds: u32,
    /// When it is looked at again; absent once it is shut down.
    pub due: Option<Timestamp>,
}

/// Where an agent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    /// Heard of for the first time.
    Spawned,
    /// Nothing in hand.
    Idle,
    /// Something in hand.
    Working,
    /// Takes no new work.
    Blocked,
    /// Gone in good order.
    Shutdown,
    /// Not heard of for too long.
    Lost,
}

impl AgentState {
    /// Its name, as it stands in database, API and audit.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spawned => "spawned",
            Self::Idle => "idle",
            Self::Working => "working",
            Self::Blocked => "blocked",
            Self::Shutdown => "shutdown",
            Self::Lost => "lost",
        }
    }
}

/// What happened to an agent.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentEvent {
    /// It was heard.
    Heard(Box<Heartbeat>),
    /// Its timer came due; when it was last heard of by then.
    Due {
        /// By the orchestrator's clock.
        heard: Timestamp,
    },
}

/// What follows.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentEffect {
    /// Its journal began anew: what an earlier life had in hand is unknown.
    JournalLost,
    /// Its process began anew: ask about everything it has in hand.
    AskAll,
    /// It can take work.
    Wake,
}

/// What an event leads to.
#[must_use = "a move that is not performed is a lost decision"]
#[derive(Debug, Clone, PartialEq)]
pub struct AgentMoved {
    /// The agent as it is now.
    pub agent: Agent,
    /// The moves, for the audit record; empty where only the time of the last word changed.
    pub moves: Vec<MoveRecord>,
    /// What follows.
    pub effects: Vec<AgentEffect>,
}

/// How long an agent may stay lost before it is taken for gone.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(24 * 30);

/// Moves an agent; `None` stands for one that was never heard of.
pub fn advance_agent(
    agent: Option<&Agent>,
    event: AgentEvent,
    now: Timestamp,
) -> Option<AgentMoved> {
    match (agent, event) {
        (None, AgentEvent::Heard(beat)) => Some(spawned(&beat, now)),
        (None, AgentEvent::Due { .. }) => None,
        (Some(agent), AgentEvent::Heard(beat)) => Some(heard(agent, &beat, now)),
        (Some(agent), AgentEvent::Due { heard }) => due(agent, heard, now),
    }
}

fn spawned(beat: &Heartbeat, now: Timestamp) -> AgentMoved {
    let agent = Agent {
        agent_id: beat.agent.clone(),
        kind: beat.kind,
        state: AgentState::Spawned,
        incarnation: beat.incarnation,
        boot: beat.boot,
        last_seen: now,
        patience_seconds: patience(beat),
        due: None,
    };
    let first = record(
        &agent.agent_id,
        None,
        AgentState::Spawned,
        "heard of for the first time",
    );
    let mut moved = heard(&agent, beat, now);
    moved.moves.insert(0, first);
    moved
}

fn heard(agent: &Agent, beat: &Heartbeat, now: Timestamp) -> AgentMoved {
    let to = match (beat.draining, beat.running.is_empty()) {
        (true, true) => AgentState::Shutdown,
        (true, false) => AgentState::Blocked,
        (false, true) => AgentState::Idle,
        (false, false) => AgentState::Working,
    };
    let mut effects = Vec::new();
    if agent.incarnation != beat.incarnation {
        effects.push(AgentEffect::JournalLost);
    } else if agent.boot != beat.boot || agent.state == AgentState::Lost {
        effects.push(AgentEffect::AskAll);
    }
    if to == AgentState::Idle && agent.state != AgentState::Idle {
        effects.push(AgentEffect::Wake);
    }
    let because = match to {
        AgentState::Shutdown => "it said goodbye",
        AgentState::Blocked => "it ends what it has and takes nothing new",
        AgentState::Idle => "it has nothing in hand",
        _ => "it has work in hand",
    };
    let patience_seconds = patience(beat);
    let mut next = Agent {
        kind: beat.kind,
        incarnation: beat.incarnation,
        boot: beat.boot,
        last_seen: now,
        patience_seconds,
        ..agent.clone()
    };
    let moves = move_to(&mut next, to, because);
    next.due = (to != AgentState::Shutdown)
        .then(|| after(now, SignedDuration::from_secs(patience_seconds.into())));
    AgentMoved {
        agent: next,
        moves,
        effects,
    }
}

fn due(agent: &Agent, heard: Timestamp, now: Timestamp) -> Option<AgentMoved> {
    agent.due.filter(|due| *due <= now)?;
    let mut next = agent.clone();
    let patience = SignedDuration::from_secs(agent.patience_seconds.into());
    let quiet_until = after(heard, patience);
    let moves = if agent.state == AgentState::Lost {
        next.due = None;
        move_to(
            &mut next,
            AgentState::Shutdown,
            "not heard of for thirty days",
        )
    } else if quiet_until > now {
        next.last_seen = heard;
        next.due = Some(quiet_until);
        Vec::new()
    } else {
        next.due = Some(after(now, FORGOTTEN_AFTER));
        move_to(
            &mut next,
            AgentState::Lost,
            "not heard of for three of its intervals",
        )
    };
    Some(AgentMoved {
        agent: next,
        moves,
        effects: Vec::new(),
    })
}

fn move_to(agent: &mut Agent, to: AgentState, because: &str) -> Vec<MoveRecord> {
    if agent.state == to {
        return Vec::new();
    }
    let moved = record(&agent.agent_id, Some(agent.state), to, because);
    agent.state = to;
    vec![moved]
}

fn record(id: &AgentId, from: Option<AgentState>, to: AgentState, because: &str) -> MoveRecord {
    MoveRecord {
        subject: Subject {
            kind: "agent".to_owned(),
            id: id.to_string(),
        },
        from: from.map(|state| state.name().to_owned()),
        to: to.name().to_owned(),
        because: because.to_owned(),
    }
}

fn patience(beat: &Heartbeat) -> u32 {
    beat.interval_seconds.clamp(1, 3600).saturating_mul(3)
}

fn after(start: Timestamp, by: SignedDuration) -> Timestamp {
    start.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
