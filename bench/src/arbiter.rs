//! Decisions of the arbiter a second, on one core: `process` with a fresh event each time, as the orchestrator
//! calls it; and what a decision costs with its store in memory, where one room is remembered and where many are.

use std::{hint::black_box, time::Instant};

use anyhow::bail;
use chiffon_arbiter::{Authz, Case, Gates, Judgement, Policy, RoomState, TenantState, process};
use chiffon_common::{Actor, Content, Digest, Event};
use chiffon_store::{
    ControlCommit, ControlKey, ControlKind, ControlStore, Expect, MemoryControl, MemoryLimits,
    Outcome, StateChange, StateWrite,
};
use jiff::{SignedDuration, Timestamp};

use crate::table::{median, row};

const GOAL: f64 = 200_000.0;
const ROUNDS: usize = 5;
const ROOMS: u32 = 100_000;

pub(crate) fn measure(decisions: u32) -> anyhow::Result<()> {
    let policy = Policy {
        jobs: true,
        authz: Authz::open(),
        ..Policy::default()
    };
    let (room, tenant) = (RoomState::default(), TenantState::default());
    let mut rates = Vec::new();
    for _round in 0..ROUNDS {
        let events = (0..decisions).map(event).collect::<Result<Vec<_>, _>>()?;
        let begun = Instant::now();
        for event in &events {
            let judged = process(&Case {
                event,
                prior: None,
                room: &room,
                tenant: &tenant,
                policy: &policy,
                authorisation: None,
                now: event.ts,
            })?;
            anyhow::ensure!(matches!(black_box(judged), Judgement::Fresh { .. }));
        }
        rates.push(f64::from(decisions) / begun.elapsed().as_secs_f64());
    }
    let rate = median(&mut rates);
    row(
        "arbiter, decisions a second on one core",
        &format!("{rate:.0}"),
        "the goal",
        &format!("{:.2}", rate / GOAL),
        "200,000",
    );
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let one = runtime.block_on(kept(1, decisions))?;
    let many = runtime.block_on(kept(ROOMS, decisions))?;
    row(
        &format!("arbiter, a decision with its store in memory, {ROOMS} rooms remembered"),
        &format!("{many:.2} µs"),
        &format!("1 room: {one:.2} µs"),
        &format!("{:.2}", many / one),
        "flat from 1 to 100,000 rooms",
    );
    Ok(())
}

/// Microseconds that a decision takes with all that `arbiter serve` does for it but the audit: states loaded and read,
/// the judgement, states and plan written and committed. As many answers are remembered whatever the rooms.
async fn kept(rooms: u32, decisions: u32) -> anyhow::Result<f64> {
    let policy = Policy {
        authz: Authz::open(),
        gate: Gates {
            generation_timeout_ms: 1,
            ..Gates::default()
        },
        ..Policy::default()
    };
    let store = MemoryControl::new(MemoryLimits::default());
    let mut began = Instant::now();
    for number in 0..decisions * 2 {
        // The first half fills the tables.
        if number == decisions {
            began = Instant::now();
        }
        let event = Event {
            room_id: format!("room-{}", number % rooms).parse()?,
            ..event(number)?
        };
        decide(&store, &policy, &event).await?;
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / f64::from(decisions))
}

async fn decide(store: &MemoryControl, policy: &Policy, event: &Event) -> anyhow::Result<()> {
    let key = ControlKey {
        tenant_id: event.tenant_id.clone(),
        kind: ControlKind::Event,
        id: event.event_id.to_string(),
    };
    let loaded = store.load(&key, Some(&event.room_id)).await?;
    let room = match &loaded.room {
        Some(found) => serde_json::from_str(&found.doc)?,
        None => RoomState::default(),
    };
    let judged = process(&Case {
        event,
        prior: None,
        room: &room,
        tenant: &TenantState::default(),
        policy,
        authorisation: None,
        now: event.ts,
    })?;
    let Judgement::Fresh { plan, room, .. } = judged else {
        bail!("each event is a new one");
    };
    let commit = ControlCommit {
        key,
        room_id: event.room_id.clone(),
        plan_id: Some(plan.plan_id),
        body: Digest::of_value(event)?,
        answer: serde_json::to_string(&plan)?,
        at: event.ts,
        needed_until: None,
        room: Some(StateWrite {
            expected: Expect::of(loaded.room.as_ref()),
            change: StateChange::Put {
                doc: serde_json::to_string(&room)?,
                // Remembered to the end of the measure.
                keep_until: event.ts + SignedDuration::from_hours(24 * 365),
            },
        }),
        tenant: None,
        audit: None,
    };
    let outcome = store.commit(commit).await?;
    anyhow::ensure!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    Ok(())
}

fn event(number: u32) -> anyhow::Result<Event> {
    Ok(Event {
        v: 0,
        event_id: format!("event-{number}").parse()?,
        tenant_id: Default::default(),
        source: "http".to_owned(),
        room_id: "room".parse()?,
        project_id: Default::default(),
        actor: Actor {
            id: "local:anna".to_owned(),
            kind: "person".to_owned(),
        },
        content: Content {
            kind: "text".to_owned(),
            text: "How full are the disks on this machine?".to_owned(),
            mentions_chiffon: true,
            call: None,
            retry_of: None,
            undo_of: None,
            answers: None,
        },
        ts: Timestamp::from_second(1_795_000_000 + i64::from(number))?,
    })
}
