//! The fleet as this orchestrator hears it: heartbeats, the registry in memory, the stored lifecycle.
//!
//! Hearing is cheap and frequent, storing is not: a heartbeat is written only when it moves the agent, or
//! once in a while. The registry is a cache; after a restart it fills with the first heartbeats.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
};

use chiffon_arbiter::{Agent, AgentEffect, AgentEvent, AgentMoved, RunEvent, advance_agent};
use chiffon_common::{AgentId, Heartbeat, Subject, api::AgentStatus};
use chiffon_store::{AgentRow, Commit, Error, Expected, MetricRow, TimerRow, Write};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::{AdvanceError, Cause, Shared};

/// How often a heartbeat that moves nothing is written, and its figures with it.
const WRITE_EVERY: SignedDuration = SignedDuration::from_secs(60);
/// Where the last heartbeat stands in an agent's document, for other orchestrators.
const LAST: &str = "heard";
/// Name of the one timer of an agent's slice.
const TIMER: &str = "due";

/// What was heard of one agent.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) beat: Heartbeat,
    pub(crate) at: Timestamp,
    written: Option<Timestamp>,
    /// How often another program under its name was heard of in a row, and when last.
    rival: (u32, Timestamp),
}

impl Heard {
    /// How long it may be silent.
    fn patience(&self) -> SignedDuration {
        SignedDuration::from_secs(i64::from(self.beat.interval_seconds.max(1)) * 3)
    }

    /// Whether two programs call themselves by its name. One beat may be the late word of one that was started again.
    fn has_rival(&self, now: Timestamp) -> bool {
        let (count, at) = self.rival;
        count > 1 && now.duration_since(at) <= self.patience()
    }
}

/// Everything that was heard, by agent.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<HashMap<AgentId, Heard>>);

impl Registry {
    fn with<T>(&self, look: impl FnOnce(&mut HashMap<AgentId, Heard>) -> T) -> T {
        // A panic elsewhere cannot leave this map half changed: every use is one operation.
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// When an agent was last heard of.
    pub(crate) fn last_heard(&self, agent: &AgentId) -> Option<Timestamp> {
        self.with(|map| map.get(agent).map(|heard| heard.at))
    }

    /// Any word from an agent counts as being alive.
    pub(crate) fn touch(&self, agent: &AgentId, at: Timestamp) {
        self.with(|map| {
            if let Some(heard) = map.get_mut(agent) {
                heard.at = heard.at.max(at);
            }
        });
    }

    /// Everything heard, by agent.
    pub(crate) fn all(&self) -> BTreeMap<AgentId, Heard> {
        self.with(|map| {
            map.iter()
                .map(|(id, heard)| (id.clone(), heard.clone()))
                .collect()
        })
    }

    /// Whether a beat is of another program under the same name: of an earlier start than the one that is heard of still.
    /// Which of the two the bus gives work to is not known, so that neither gets any until a person has ended one.
    fn is_of_rival(&self, beat: &Heartbeat, now: Timestamp) -> bool {
        self.with(|map| {
            let Some(heard) = map.get_mut(&beat.agent) else {
                return false;
            };
            let lives = now.duration_since(heard.at) <= heard.patience();
            if beat.boot >= heard.beat.boot || !lives {
                return false;
            }
            let (count, at) = heard.rival;
            let again = now.duration_since(at) <= heard.patience();
            heard.rival = (if again { count + 1 } else { 1 }, now);
            true
        })
    }

    /// Whether two programs call themselves by this name.
    pub(crate) fn has_rival(&self, agent: &AgentId, now: Timestamp) -> bool {
        self.with(|map| map.get(agent).is_some_and(|heard| heard.has_rival(now)))
    }

    /// What another orchestrator has heard, where it is newer.
    fn hear_of(&self, beat: Heartbeat, at: Timestamp) {
        self.with(|map| match map.get_mut(&beat.agent) {
            Some(heard) if heard.at >= at => {}
            Some(heard) => (heard.beat, heard.at) = (beat, at),
            None => drop(map.insert(
                beat.agent.clone(),
                Heard {
                    beat,
                    at,
                    written: None,
                    rival: (0, Timestamp::MIN),
                },
            )),
        });
    }

    fn hear(&self, beat: &Heartbeat, at: Timestamp) -> Option<Timestamp> {
        self.with(|map| {
            let before = map.get(&beat.agent);
            let written = before.and_then(|heard| heard.written);
            let rival = before.map_or((0, Timestamp::MIN), |heard| heard.rival);
            map.insert(
                beat.agent.clone(),
                Heard {
                    beat: beat.clone(),
                    at,
                    written,
                    rival,
                },
            );
            written
        })
    }

    fn wrote(&self, agent: &AgentId, at: Timestamp) {
        self.with(|map| {
            if let Some(heard) = map.get_mut(agent) {
                heard.written = Some(at);
            }
        });
    }
}

impl Shared {
    /// Since when nothing was heard of an agent. Before this orchestrator listened, nobody could be heard.
    pub(crate) fn silent_since(&self, agent: &AgentId) -> Timestamp {
        let heard = self.registry.last_heard(agent);
        heard.unwrap_or(Timestamp::MIN).max(self.started_at)
    }

    /// Takes a heartbeat.
    pub(crate) async fn heard(&self, beat: Heartbeat) -> Result<(), AdvanceError> {
        let now = self.clock.now();
        if self.registry.is_of_rival(&beat, now) {
            let agent = &beat.agent;
            let fault = two_of(agent);
            if !self.registry.has_rival(agent, now) {
                tracing::warn!(%agent, "{fault}");
            }
            return Ok(());
        }
        let first_time = self.registry.last_heard(&beat.agent).is_none();
        let written = self.registry.hear(&beat, now);
        if first_time {
            self.declare_agent_queue(&beat.agent).await;
            self.nudges.dispatch.notify_one();
        }
        let due = written.is_none_or(|written| now.duration_since(written) >= WRITE_EVERY);
        // Each beat is heard by one orchestrator, and by the others from the database.
        let is_shared = self.is_shared();
        let stored = self.stored_agent(&beat.agent).await?;
        let event = AgentEvent::Heard(Box::new(beat.clone()));
        let Some(moved) = advance_agent(stored.as_ref().map(|(agent, _)| agent), event, now) else {
            return Ok(());
        };
        // Before the row: once it says the new life, no later heartbeat would ask again.
        for effect in &moved.effects {
            match effect {
                AgentEffect::JournalLost => self.journal_lost(&beat).await?,
                AgentEffect::AskAll => self.ask_all(&beat.agent).await?,
                AgentEffect::Wake => self.nudges.dispatch.notify_one(),
            }
        }
        if due || is_shared || !moved.moves.is_empty() || !moved.effects.is_empty() {
            let metric = beat
                .resources
                .as_ref()
                .filter(|_| due)
                .map(serde_json::to_value)
                .transpose()?;
            let last = is_shared.then_some(&beat);
            self.store_agent(stored.map(|(_, row)| row), &moved, last, None, metric)
                .await?;
            if due {
                self.registry.wrote(&beat.agent, now);
            }
        }
        if beat.running.is_empty()
            || usize::try_from(beat.slots).is_ok_and(|slots| beat.running.len() < slots)
        {
            self.nudges.dispatch.notify_one();
        }
        Ok(())
    }

    /// An agent's timer came due.
    pub(crate) async fn fire_agent(&self, timer: TimerRow) -> Result<(), AdvanceError> {
        let id = timer
            .slice
            .strip_prefix("agent:")
            .and_then(|id| id.parse::<AgentId>().ok());
        let stored = match &id {
            Some(id) => self.stored_agent(id).await?,
            None => None,
        };
        let now = self.clock.now();
        let moved = stored.as_ref().and_then(|(agent, _)| {
            let heard = self.silent_since(&agent.agent_id).max(agent.last_seen);
            advance_agent(Some(agent), AgentEvent::Due { heard }, now)
        });
        match moved {
            Some(moved) => {
                self.store_agent(stored.map(|(_, row)| row), &moved, None, Some(timer), None)
                    .await
            }
            None => {
                let writes = vec![Write::ClearTimer {
                    slice: timer.slice,
                    name: timer.name,
                }];
                let commit = Commit {
                    tenant_id: self.settings.tenant.clone(),
                    writes,
                    ..Commit::default()
                };
                Ok(self.commit(commit).await.map(drop)?)
            }
        }
    }

    /// Reads what agents have told other orchestrators.
    pub(super) async fn read_agents(&self) {
        let rows = match self.store.agents(&self.settings.tenant).await {
            Ok(rows) => rows,
            Err(error) => return tracing::debug!(%error, "agents cannot be read now"),
        };
        for row in rows {
            let last = row.doc.get(LAST).map(Heartbeat::deserialize);
            if let Some(Ok(beat)) = last {
                self.registry.hear_of(beat, row.last_seen);
            }
        }
    }

    async fn stored_agent(&self, id: &AgentId) -> Result<Option<(Agent, AgentRow)>, AdvanceError> {
        let rows = self.store.agents(&self.settings.tenant).await?;
        let row = rows.into_iter().find(|row| row.agent_id == *id);
        Ok(row
            .map(|row| Agent::deserialize(&row.doc).map(|agent| (agent, row)))
            .transpose()?)
    }

    async fn store_agent(
        &self,
        was: Option<AgentRow>,
        moved: &AgentMoved,
        last: Option<&Heartbeat>,
        taken: Option<TimerRow>,
        metric: Option<Value>,
    ) -> Result<(), AdvanceError> {
        let agent = &moved.agent;
        let tenant_id = self.settings.tenant.clone();
        let kept = was.as_ref().and_then(|was| was.doc.get(LAST)).cloned();
        let mut doc = serde_json::to_value(agent)?;
        let last = last.map(serde_json::to_value).transpose()?.or(kept);
        if let (Some(doc), Some(last)) = (doc.as_object_mut(), last) {
            doc.insert(LAST.to_owned(), last);
        }
        let row = AgentRow {
            tenant_id: tenant_id.clone(),
            agent_id: agent.agent_id.clone(),
            kind: kind_name(agent)?,
            state: agent.state.name().to_owned(),
            // A person's word, which no heartbeat takes back.
            status: was.as_ref().map_or_else(
                || AgentStatus::Active.name().to_owned(),
                |was| was.status.clone(),
            ),
            version: was.as_ref().map_or(1, |was| was.version + 1),
            last_seen: agent.last_seen,
            doc,
        };
        let slice = format!("agent:{}", agent.agent_id);
        let mut writes: Vec<_> = taken.map(Write::TakeTimer).into_iter().collect();
        writes.push(Write::Agent(
            was.map_or(Expected::Absent, |was| Expected::Version(was.version)),
            row,
        ));
        writes.push(match agent.due {
            Some(due_at) => Write::SetTimer(TimerRow {
                tenant_id: tenant_id.clone(),
                slice,
                name: TIMER.to_owned(),
                due_at,
            }),
            None => Write::ClearTimer {
                slice,
                name: TIMER.to_owned(),
            },
        });
        if let Some(doc) = metric {
            let ts = self.clock.now();
            writes.push(Write::Metric(MetricRow {
                tenant_id: tenant_id.clone(),
                agent_id: agent.agent_id.clone(),
                ts,
                doc,
            }));
        }
        let target = Subject {
            kind: "agent".to_owned(),
            id: agent.agent_id.to_string(),
        };
        let action = format!("agent.{}", agent.state.name());
        let audit = if moved.moves.is_empty() {
            Vec::new()
        } else {
            vec![self.audit_of_fleet(
                &action,
                target,
                "heartbeat",
                moved.moves.clone(),
                Value::Null,
            )]
        };
        match self
            .commit(Commit {
                tenant_id,
                writes,
                audit,
                ..Commit::default()
            })
            .await
        {
            // Another heartbeat or the timer was faster; the next one comes in seconds.
            Ok(_) | Err(Error::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn journal_lost(&self, beat: &Heartbeat) -> Result<(), AdvanceError> {
        for (request, task) in self.in_hand(&beat.agent).await? {
            let event = RunEvent::JournalLost {
                task,
                incarnation: beat.incarnation,
            };
            self.advance(request, event, Cause::own("journal_lost"))
                .await?;
        }
        Ok(())
    }

    /// The agent began anew: it reports what it knows by itself, and is asked for the rest.
    async fn ask_all(&self, agent: &AgentId) -> Result<(), AdvanceError> {
        for (request, task) in self.in_hand(agent).await? {
            let (run, _) = self.load(request).await?;
            if run
                .tasks
                .get(&task)
                .is_some_and(|task| task.state.sent().is_some())
            {
                let outbox = vec![self.query(&run, task)?];
                let commit = Commit {
                    tenant_id: self.settings.tenant.clone(),
                    outbox,
                    ..Commit::default()
                };
                self.commit(commit).await?;
                self.nudges.relay.notify_one();
            }
        }
        Ok(())
    }

    async fn in_hand(
        &self,
        agent: &AgentId,
    ) -> Result<Vec<(chiffon_common::RequestId, chiffon_common::TaskId)>, AdvanceError> {
        const HELD: [&str; 4] = ["dispatched", "accepted", "running", "unknown"];
        let tasks = self.store.tasks_in(&HELD, 10_000).await?;
        let held = tasks
            .into_iter()
            .filter(|row| row.agent_id.as_ref() == Some(agent));
        Ok(held.map(|row| (row.request_id, row.task_id)).collect())
    }
}

/// Words for two programs under one name.
pub(crate) fn two_of(agent: &AgentId) -> String {
    format!(
        "two programs log in as {agent}, and it is not known which of them the broker gives work to: end one of them, or give it a name and a user of its own"
    )
}

fn kind_name(agent: &Agent) -> Result<String, serde_json::Error> {
    let value = serde_json::to_value(agent.kind)?;
    Ok(value.as_str().unwrap_or_default().to_owned())
}
