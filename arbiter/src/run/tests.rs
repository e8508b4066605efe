//! A world around one request, and the invariants of DESIGN section 5 that hold after every event. Generated
//! storms are in `storm`, the corners by hand in `corners` and `contact`.

use std::collections::BTreeMap;

use chiffon_common::{
    AgentId, Cost, Digest, ErrorCode, Fidelity, Frozen, HostSummary, Incarnation, Mode,
    OnInterrupt, Parameters, Plan, Principal, Problem, ResourcesRequired, ResultStatus, StatusKind,
    Step, TaskId, Tier, Undo,
};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::*;
use invariants::invariants;
use witness::Witness;

mod again;
mod contact;
mod corners;
mod gate;
mod invariants;
mod open;
mod probe;
mod questions;
mod standing;
mod storm;
mod timeouts;
mod witness;

/// An event that was taken, with its time, the ids it used, and what held then.
#[derive(Clone)]
struct Told {
    event: RunEvent,
    now: Timestamp,
    minted: Vec<Uuid>,
    rules: Digest,
    frozen: Option<Frozen>,
}

/// A world around one request: slice, clock, and a source of ids.
struct World {
    run: Run,
    now: Timestamp,
    next_id: u128,
    policy: RunPolicy,
    /// Digest of the rules in force.
    rules: Digest,
    frozen: Option<Frozen>,
    /// Every start that happened: task and attempt.
    starts: Vec<(TaskId, u32)>,
    /// The slice as it was received, and every event that was taken, with all that it was judged by.
    story: (Run, Vec<Told>),
    /// What was planned and approved, remembered outside of the slice.
    witness: Witness,
}

const AGENT: &str = "infrastructure";

fn agent() -> AgentId {
    AGENT.parse().unwrap()
}

fn life(n: u8) -> Incarnation {
    Incarnation::from_uuid(Uuid::from_u128(n.into()))
}

fn person(id: &str) -> Principal {
    Principal {
        id: id.to_owned(),
        kind: "person".to_owned(),
    }
}

fn step(
    no: u32,
    tier: Tier,
    fidelity: Fidelity,
    on_interrupt: OnInterrupt,
    depends_on: Vec<u32>,
) -> Step {
    Step {
        no,
        entry: "write_file".parse().unwrap(),
        title: format!("step {no}"),
        hosts: vec!["nas".parse().unwrap()],
        parameters: Parameters::new(),
        depends_on,
        tier,
        fidelity,
        fidelity_because: None,
        bundle: Digest::of_bytes(b"bundle"),
        timeout_seconds: 60,
        on_interrupt,
        resources: ResourcesRequired::default(),
        undo: Undo::None {
            why: "test".to_owned(),
        },
        verifies: None,
        secret_parameters: Vec::new(),
    }
}

impl World {
    fn new() -> Self {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let policy = RunPolicy::default();
        let new = NewRun {
            request_id: chiffon_common::RequestId::from_uuid(Uuid::from_u128(1)),
            tenant_id: "default".parse().unwrap(),
            project_id: "default".parse().unwrap(),
            room_id: "cli:anna".parse().unwrap(),
            event_id: "e-1".parse().unwrap(),
            trace_id: chiffon_common::TraceId::from_uuid(Uuid::from_u128(2)),
            requester: person("local:anna"),
            text: "write".to_owned(),
            call: None,
            retry_of: None,
            undo_of: None,
            schedule: None,
        };
        let run = Run::received(new, now, &policy);
        Self {
            story: (run.clone(), Vec::new()),
            run,
            now,
            next_id: 1000,
            policy,
            rules: Digest::of_bytes(b"rules"),
            frozen: None,
            starts: Vec::new(),
            witness: Witness::default(),
        }
    }

    /// Every event that was taken, told again from the beginning, gives the same slice (replay).
    fn tells_the_same_again(&self) {
        let (mut run, events) = self.story.clone();
        for told in events {
            let context = Context {
                now: told.now,
                policy: &self.policy,
                rules: told.rules,
                frozen: told.frozen.as_ref(),
                ids: Ids::again(&told.minted),
            };
            run = apply(&run, told.event, context).expect("taken before").run;
        }
        assert_eq!(run, self.run, "told again it comes out otherwise");
    }

    fn plan(&self, steps: Vec<Step>) -> Plan {
        let mut plan = Plan {
            plan_id: chiffon_common::PlanId::from_uuid(Uuid::from_u128(3)),
            request_id: self.run.request.request_id,
            tier: steps.iter().map(|step| step.tier).max().unwrap(),
            steps,
            cost: Cost::default(),
            confidence: 100,
            because: "the words fit".to_owned(),
            expires_at: self.now,
            good_for_seconds: 3600,
            tier_because: String::new(),
            policy: Some(self.rules),
            preview: None,
            digest: self.rules,
        };
        self.seal(&mut plan);
        plan
    }

    /// Gives the plan the digest that it must have.
    fn seal(&self, plan: &mut Plan) {
        let request = &self.run.request;
        let subject = plan.subject(&request.tenant_id, &request.requester.id);
        plan.digest = subject.digest().unwrap();
    }

    fn apply(&mut self, event: RunEvent) -> Result<Vec<Effect>, Refusal> {
        let pool = (0..16).map(|n| Uuid::from_u128(self.next_id + n)).collect();
        self.next_id += 16;
        let context = Context {
            now: self.now,
            policy: &self.policy,
            rules: self.rules,
            frozen: self.frozen.as_ref(),
            ids: Ids::new(pool),
        };
        let before = self.run.clone();
        let dispatched = matches!(event, RunEvent::TaskDispatched { .. });
        let moved = apply(&self.run, event.clone(), context)?;
        // The shell records whatever changes the proof; what comes every second must not.
        let passing = matches!(
            event,
            RunEvent::Reported(_) | RunEvent::TaskHeld { .. } | RunEvent::StandingWithheld { .. }
        );
        if moved.moves.is_empty() && passing {
            let (was, is) = (before.proof().unwrap(), moved.run.proof().unwrap());
            assert_eq!(
                was, is,
                "changed without a record by {event:?}: {before:?} became {:?}",
                moved.run
            );
        }
        self.witness(&before, &event, &moved);
        let minted = moved.minted.clone();
        self.story.1.push(Told {
            event,
            now: self.now,
            minted,
            rules: self.rules,
            frozen: self.frozen.clone(),
        });
        if dispatched {
            self.note_start(&before, &moved.run);
        }
        invariants(&before, &moved);
        self.run = moved.run;
        Ok(moved.effects)
    }

    /// Nothing executes without a live approval where the tier asks for one.
    fn note_start(&mut self, before: &Run, after: &Run) {
        for task in after.tasks.values() {
            let attempt_before = before.tasks.get(&task.task_id).map_or(0, |t| t.attempt);
            if task.attempt == attempt_before {
                continue;
            }
            assert!(task.attempt > attempt_before, "an attempt went down");
            self.starts.push((task.task_id, task.attempt));
            let plan = after.plan.as_ref().unwrap();
            if task.mode == Mode::Apply && plan.tier > Tier::Zero {
                let approval = after
                    .request
                    .approval
                    .as_ref()
                    .expect("started without approval");
                assert_eq!(approval.digest, plan.digest, "approved another plan");
                let first = approval.used_at.expect("the approval was not used up");
                assert!(first <= approval.good_until, "the approval had run out");
            }
        }
    }

    fn task(&self, mode: Mode, step: u32) -> TaskId {
        self.run
            .tasks
            .values()
            .find(|t| t.mode == mode && t.step == step)
            .expect("no such task")
            .task_id
    }

    fn sent(&self) -> Sent {
        Sent {
            agent: agent(),
            incarnation: life(1),
            not_after: self.now + SignedDuration::from_mins(5),
            sends: 1,
        }
    }

    fn dispatch(&mut self, task: TaskId) -> Result<Vec<Effect>, Refusal> {
        let sent = self.sent();
        self.apply(RunEvent::TaskDispatched {
            task,
            sent,
            leases: vec!["host:nas".to_owned()],
        })
    }

    fn end(
        &mut self,
        task: TaskId,
        attempt: u32,
        seq: u64,
        status: ResultStatus,
    ) -> Result<Vec<Effect>, Refusal> {
        let summary = HostSummary {
            changed: 1,
            ..HostSummary::default()
        };
        self.end_with(task, (attempt, seq), status, summary)
    }

    /// With this last count of the one host.
    fn end_with(
        &mut self,
        task: TaskId,
        (attempt, seq): (u32, u64),
        status: ResultStatus,
        summary: HostSummary,
    ) -> Result<Vec<Effect>, Refusal> {
        let outcome = Outcome {
            hosts: BTreeMap::from([("nas".to_owned(), summary)]),
            ..Outcome::default()
        };
        self.apply(RunEvent::Ended {
            task,
            attempt,
            seq,
            agent: agent(),
            incarnation: life(1),
            status,
            outcome: Box::new(outcome),
            problem: None,
        })
    }

    fn report(
        &mut self,
        task: TaskId,
        attempt: u32,
        seq: u64,
        status: StatusKind,
        incarnation: u8,
    ) -> Result<Vec<Effect>, Refusal> {
        let incarnation = life(incarnation);
        self.apply(RunEvent::Reported(Reported {
            task,
            attempt,
            seq,
            agent: agent(),
            incarnation,
            status,
            progress: 10,
        }))
    }

    fn answer(&mut self, choice: &str) -> Result<Vec<Effect>, Refusal> {
        let pending = self
            .run
            .decisions
            .values()
            .find(|d| !d.state.ended())
            .expect("nothing is asked");
        let digest = match &pending.kind {
            DecisionKind::Approval { digest, .. } => Some(*digest),
            _ => None,
        };
        let decision = pending.decision_id;
        self.apply(RunEvent::Answered(Answered {
            decision,
            choice: choice.to_owned(),
            by: person("local:anna"),
            digest,
            confirm: Some("nas".to_owned()),
            comment: None,
        }))
    }

    fn resolve(&mut self, task: TaskId, choice: &str) -> Result<Vec<Effect>, Refusal> {
        self.apply(RunEvent::Resolved(Resolved {
            task,
            choice: choice.to_owned(),
            by: person("local:anna"),
            comment: None,
        }))
    }

    /// When the next timer fires.
    fn next_due(&self) -> Timestamp {
        self.run
            .timers
            .values()
            .min()
            .map_or(self.now, |due| self.now.max(*due))
    }

    fn fire_next(&mut self, heard: Option<Timestamp>) -> bool {
        let next = self
            .run
            .timers
            .iter()
            .min_by_key(|(_, due)| **due)
            .map(|(name, due)| (*name, *due));
        let Some((timer, due)) = next else {
            return false;
        };
        self.now = self.now.max(due);
        // A timer that leads nowhere would fire for ever.
        self.apply(RunEvent::TimerFired { timer, heard })
            .expect("a timer in the slice leads nowhere");
        true
    }
}
