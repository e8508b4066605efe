//! Generated storms: gates never let more through than they are told, whatever comes when; what comes at once, twice and
//! in any order ends as a serial run of the same order of commits does.

use std::collections::BTreeMap;

use chiffon_common::{Action, ActionResult, ActionStatus, ResponsePlan};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{super::*, world::*};

/// One thing that happens, in terms that need no knowledge of the world.
#[derive(Debug, Clone)]
enum Gust {
    /// An event; the number is its id, so that some come twice.
    Event {
        id: u16,
        tenant: u8,
        room: u8,
        mentioned: bool,
    },
    /// The result of one of the plans so far.
    Generated { nth: usize, text: bool },
    /// The result of the action of one of the plans so far.
    Reported { nth: usize, done: bool },
}

fn gust() -> impl Strategy<Value = Gust> {
    prop_oneof![
        6 => (0..400_u16, 0..2_u8, 0..4_u8, any::<bool>())
            .prop_map(|(id, tenant, room, mentioned)| Gust::Event { id, tenant, room, mentioned }),
        3 => (0..9_usize, any::<bool>()).prop_map(|(nth, text)| Gust::Generated { nth, text }),
        1 => (0..9_usize, any::<bool>()).prop_map(|(nth, done)| Gust::Reported { nth, done }),
    ]
}

/// Gates of every kind, each off now and then.
fn gates() -> impl Strategy<Value = Gates> {
    let off = |range: std::ops::Range<u64>| prop_oneof![1 => Just(0), 4 => range];
    let rate = (1..5_u32, 1..3_000_u64, 1..5_u32).prop_map(|(events, per_ms, burst)| Rate {
        events,
        per_ms,
        burst,
    });
    (
        off(1..3_000),
        off(1..3_000),
        0..4_u32,
        proptest::option::of(rate),
    )
        .prop_map(
            |(generation_timeout_ms, cooldown_ms, max_queue, tenant_rate)| Gates {
                generation_timeout_ms,
                cooldown_ms,
                max_queue: if generation_timeout_ms == 0 {
                    0
                } else {
                    max_queue
                },
                tenant_rate,
            },
        )
}

fn world(gate: Gates) -> World {
    let policy = Policy {
        gate,
        authz: Authz::open(),
        planner: Planner {
            reply_policy: ReplyPolicy::MentionFirst,
            reply_probability: "0.5".parse().unwrap(),
        },
        ..Policy::default()
    };
    assert_eq!(policy.faults(), []);
    World::new(policy)
}

impl Gust {
    /// What comes in, given what was answered so far; nothing where there is no plan yet.
    fn input(&self, world: &World) -> Option<Input> {
        let nth = |nth: usize| world.plans.values().rev().cycle().nth(nth).cloned();
        Some(match *self {
            Self::Event {
                id,
                tenant,
                room,
                mentioned,
            } => Input::Event(Box::new(event(
                &format!("e-{id}"),
                &format!("t-{tenant}"),
                &format!("r-{room}"),
                mentioned,
            ))),
            Self::Generated { nth: at, text } => {
                let plan = nth(at)?;
                let text = text.then_some("Well.");
                Input::Generation(result(plan.tenant_id.as_str(), plan.plan_id, text))
            }
            Self::Reported { nth: at, done } => {
                let plan = nth(at)?;
                Input::Action(ActionResult {
                    v: 0,
                    tenant_id: plan.tenant_id.clone(),
                    plan_id: plan.plan_id,
                    action_id: plan.actions[0].action_id(),
                    status: if done {
                        ActionStatus::Done
                    } else {
                        ActionStatus::Failed
                    },
                    error: None,
                    ts: start(),
                })
            }
        })
    }
}

/// What an onlooker who knows the rules alone has noted.
#[derive(Default)]
struct Onlooker {
    /// By room: until when it is held, and by which plan.
    held: BTreeMap<String, (String, Timestamp)>,
    /// By room: until when it rests.
    rests: BTreeMap<String, Timestamp>,
    /// By tenant: plans under way, and until when.
    queue: BTreeMap<String, BTreeMap<String, Timestamp>>,
    /// By tenant: when events passed.
    passed: BTreeMap<String, Vec<Timestamp>>,
}

impl Onlooker {
    fn look(&mut self, gate: &Gates, outcome: &Outcome, input: &Input, now: Timestamp) {
        let ms = |ms: u64| SignedDuration::from_millis(i64::try_from(ms).unwrap());
        let Ok(plan) = serde_json::from_slice::<ResponsePlan>(&outcome.answer) else {
            return;
        };
        let (tenant, room) = (
            plan.tenant_id.to_string(),
            format!("{} {}", plan.tenant_id, plan.room_id),
        );
        if outcome.counted {
            let passed = self.passed.entry(tenant.clone()).or_default();
            passed.push(now);
            if let Some(rate) = gate.tenant_rate {
                hold_rate(passed, &rate);
            }
        }
        match (&plan.actions[0], input) {
            (Action::RequestGeneration { .. }, Input::Event(_)) if outcome.counted => {
                if gate.generation_timeout_ms > 0
                    && let Some((plan, until)) = self.held.get(&room)
                {
                    assert!(now >= *until, "{room} is held by {plan} until {until}");
                }
                if let Some(until) = self.rests.get(&room) {
                    assert!(now >= *until, "{room} rests until {until}");
                }
                let until = now + ms(gate.generation_timeout_ms);
                let id = plan.plan_id.to_string();
                self.held.insert(room, (id.clone(), until));
                let queue = self.queue.entry(tenant).or_default();
                queue.retain(|_, until| now < *until);
                queue.insert(id, until);
                assert!(gate.max_queue == 0 || queue.len() <= gate.max_queue as usize);
            }
            (said, Input::Generation(result)) => {
                let id = result.plan_id.to_string();
                self.held.retain(|_, (plan, _)| *plan != id);
                if let Some(queue) = self.queue.get_mut(&tenant) {
                    queue.remove(&id);
                }
                // A repeated answer is none.
                if !matches!(said, Action::DoNothing { .. }) && outcome.is_new() {
                    self.rests.insert(room, now + ms(gate.cooldown_ms));
                }
            }
            _ => {}
        }
    }
}

/// No window of time holds more than its burst and what the rate gives in it.
fn hold_rate(passed: &[Timestamp], rate: &Rate) {
    let last = passed[passed.len() - 1];
    for (at, first) in passed.iter().enumerate() {
        let count = (passed.len() - at) as u128 * u128::from(rate.per_ms) * 1_000_000;
        let window = last.duration_since(*first).as_nanos().unsigned_abs();
        let most = u128::from(rate.burst) * u128::from(rate.per_ms) * 1_000_000
            + window * u128::from(rate.events);
        assert!(count <= most, "{} events in {window} ns", passed.len() - at);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    /// Nothing is let through that a gate forbids, whenever it comes.
    #[test]
    fn gates_let_no_more_through_than_they_are_told(
        gate in gates(),
        gusts in proptest::collection::vec((gust(), 0..900_i64), 1..90),
    ) {
        let mut world = world(gate.clone());
        let mut onlooker = Onlooker::default();
        let mut time = 0;
        for (gust, later) in gusts {
            time += later;
            if let Some(input) = gust.input(&world) {
                let outcome = world.take(&input, at(time));
                onlooker.look(&gate, &outcome, &input, at(time));
            }
        }
    }

    /// Several shells judge at once from what they have read, and commit in any order; whoever was slower judges again.
    /// A serial shell that takes the same in the order of the commits gives every answer and every state the same.
    #[test]
    fn a_storm_ends_as_a_serial_run_does(
        gate in gates(),
        gusts in proptest::collection::vec((gust(), 0..900_i64, 0..6_usize), 1..90),
    ) {
        let mut world = world(gate.clone());
        let mut serial = world.clone();
        let mut waiting: Vec<(Input, Seen, Outcome, Timestamp)> = Vec::new();
        let mut commits = Vec::new();
        let mut time = 0;
        for (gust, later, lag) in gusts {
            time += later;
            if let Some(input) = gust.input(&world) {
                let outcome = world.judge(&input, at(time));
                waiting.push((input.clone(), world.seen(&input), outcome, at(time)));
            }
            while waiting.len() > lag {
                let (input, seen, outcome, now) = waiting.remove(lag * 7 % waiting.len());
                if world.commit(&input, seen, &outcome) {
                    commits.push((input, outcome, now));
                } else {
                    let again = world.judge(&input, at(time));
                    let seen = world.seen(&input);
                    prop_assert!(world.commit(&input, seen, &again));
                    commits.push((input, again, at(time)));
                }
            }
        }
        for (input, outcome, now) in commits {
            prop_assert_eq!(serial.take(&input, now), outcome);
        }
        prop_assert_eq!(serial, world);
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// What a store may forget changes no judgement, then or ever after.
    #[test]
    fn what_is_neutral_judges_as_the_default(
        gate in gates(),
        states in (0..2_000_i64, 0..3_000_i64, 0..2_000_i64, any::<bool>(), any::<bool>()),
        looked in 0..4_000_i64,
        later in 0..3_000_i64,
    ) {
        let (since, length, answered, is_generating, was_answered) = states;
        let span = Span { since: at(since), until: at(since + length) };
        let plan_id = "6ad46490-d77f-5e13-859c-7b652b385a83".parse().unwrap();
        let room = RoomState {
            generating: is_generating.then(|| Generating { plan_id, event_id: "e".parse().unwrap(), span }),
            answered_at: was_answered.then(|| at(answered)),
        };
        let tenant = TenantState {
            unfinished: BTreeMap::from([(plan_id, span)]),
            others: 0,
            bucket: Some(Bucket { level: 1_500_000, at: at(answered) }),
        };
        let now = at(looked + since.max(answered));
        let room = if room.is_neutral(now, &gate) { (room, RoomState::default()) } else { Default::default() };
        let tenant = if tenant.is_neutral(now, &gate) { (tenant, TenantState::default()) } else { Default::default() };
        let policy = world(gate).policy;
        let event = event("e-1", "t", "r", true);
        let plan = |room: &RoomState, tenant: &TenantState| {
            let now = now + SignedDuration::from_millis(later);
            let case = Case { event: &event, prior: None, room, tenant, policy: &policy, authorisation: None, now };
            match process(&case).unwrap() {
                Judgement::Fresh { plan, stages, .. } => (plan, stages),
                other => panic!("{other:?}"),
            }
        };
        prop_assert_eq!(plan(&room.0, &tenant.0), plan(&room.1, &tenant.1));
    }
}
