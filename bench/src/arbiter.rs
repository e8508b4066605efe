//! Decisions of the arbiter a second, on one core: `process` with a fresh event each time, as the orchestrator
//! calls it.

use std::{hint::black_box, time::Instant};

use chiffon_arbiter::{Authz, Case, Judgement, Policy, RoomState, TenantState, process};
use chiffon_common::{Actor, Content, Event};
use jiff::Timestamp;

use crate::table::{median, row};

const GOAL: f64 = 200_000.0;
const ROUNDS: usize = 5;

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
