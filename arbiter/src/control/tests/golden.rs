//! Section 16: the same event, room, tenant, policy, word and time give the same bytes, on every platform, in every run
//! and on any number of threads. The committed snapshot is what they gave when it was made; `INSTA_UPDATE=always` renews
//! it, and whoever does so changes what `arbiter replay` says of every recorded day.

use std::fmt::Write;

use chiffon_common::{Digest, PlanId, to_canonical};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{super::*, world::*};

const CASES: u64 = 400;

/// SplitMix64: dice that fall the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % most
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        let at = usize::try_from(self.below(of.len() as u64)).unwrap();
        of[at].clone()
    }
}

/// The rules as a program would read them; whatever order they are written in.
fn policy(dice: &mut Dice) -> Policy {
    let odds = dice.pick(&["0", "0.3", "0.5", "0.999999", "1"]);
    let reply = dice.pick(&["mention_first", "always", "never", "probability"]);
    let mode = dice.pick(&["builtin", "builtin", "external_http"]);
    let fail = dice.pick(&["deny", "allow"]);
    let rate = dice.pick(&[
        json!(null),
        json!({"burst": 3, "per_ms": 1000, "events": 2}),
    ]);
    serde_json::from_value(json!({
        "jobs": dice.below(5) == 0,
        "gate": {
            "generation_timeout_ms": dice.pick(&[0, 60_000]),
            "cooldown_ms": dice.pick(&[0, 3_000]),
            "max_queue": dice.pick(&[0, 2]),
            "tenant_rate": rate,
        },
        "authz": {
            "mode": mode,
            "fail_mode": fail,
            "roles": {"talker": ["request_generation", "start_agent_job"], "boss": ["*"]},
            "grants": [
                {"role": "boss", "actor": "chat:otto"},
                {"role": "talker", "kind": "person", "room": "team:*"},
            ],
        },
        "planner": {"reply_policy": reply, "reply_probability": odds},
    }))
    .unwrap()
}

fn room(dice: &mut Dice) -> RoomState {
    let since = i64::try_from(dice.below(70_000)).unwrap();
    RoomState {
        generating: (dice.below(4) == 0).then(|| Generating {
            plan_id: "6ad46490-d77f-5e13-859c-7b652b385a83".parse().unwrap(),
            event_id: "before".parse().unwrap(),
            span: Span {
                since: at(-since),
                until: at(60_000 - since),
            },
        }),
        answered_at: (dice.below(4) == 0).then(|| at(-i64::try_from(dice.below(6_000)).unwrap())),
    }
}

fn tenant(dice: &mut Dice) -> TenantState {
    let unfinished = (0..dice.below(4)).map(|nth| {
        let plan = format!("6ad46490-d77f-5e13-859c-7b652b385a8{nth}");
        let since = i64::try_from(dice.below(70_000)).unwrap();
        let (since, until) = (at(-since), at(60_000 - since));
        (plan.parse().unwrap(), Span { since, until })
    });
    TenantState {
        unfinished: unfinished.collect(),
        others: 0,
        bucket: (dice.below(2) == 0).then(|| Bucket {
            level: dice.below(4_000_000),
            at: at(-i64::try_from(dice.below(2_000)).unwrap()),
        }),
    }
}

/// One case, judged: everything that comes out, in canonical bytes. What is judged is read again from what it is written
/// as, so that a state that does not come back as it was is seen.
fn judged(number: u64) -> Vec<u8> {
    let by = |tenant: TenantState, _plan, _now| tenant;
    match judgement(number, by) {
        Judgement::Fresh {
            plan,
            stages,
            room,
            tenant,
        } => to_canonical(&json!([plan, stages, room, tenant])),
        Judgement::NeedsAuthorisation(question) => to_canonical(&question),
        other => panic!("case {number}: {other:?}"),
    }
    .unwrap()
}

/// The same, by as much of its tenant as `by` leaves.
fn judgement(
    number: u64,
    by: impl FnOnce(TenantState, PlanId, Timestamp) -> TenantState,
) -> Judgement {
    let dice = &mut Dice(number);
    let policy = policy(dice);
    let (room, tenant) = (again(&room(dice)), again(&tenant(dice)));
    let name = format!("e-{}", dice.below(1 << 40));
    let place = dice.pick(&["team:a", "team:b", "lobby"]);
    let mut event = event(&name, dice.pick(&["t", "u"]), place, dice.below(2) == 0);
    event.actor.id = dice.pick(&["chat:anna", "chat:otto"]).to_owned();
    event.actor.kind = dice.pick(&["person", "agent"]).to_owned();
    event.ts = dice.pick(&[
        start(),
        Timestamp::MIN,
        Timestamp::MAX,
        Timestamp::UNIX_EPOCH,
    ]);
    let word = dice.pick(&[
        json!(null),
        json!({"decision": "allow", "policy_version": "7"}),
        json!({"decision": "deny", "rule": "not-on-sundays"}),
        json!({"decision": "unavailable"}),
    ]);
    let word = serde_json::from_value::<Option<Authorisation>>(word).unwrap();
    let years = dice.pick(&[0, 0, 0, 0, 0, 40, -40]);
    let now = start() + SignedDuration::from_hours(24 * 365 * years);
    let tenant = by(tenant, plan_id_of(&event.tenant_id, &event.event_id), now);
    let judged = process(&Case {
        event: &event,
        prior: None,
        room: &room,
        tenant: &again(&tenant),
        policy: &again(&policy),
        authorisation: word.as_ref(),
        now,
    });
    judged.unwrap()
}

/// What a record keeps of a tenant is small, and judges as the whole does: what it says of what was left behind, too.
#[test]
fn as_much_of_a_tenant_as_was_read_judges_as_the_whole() {
    let mut moved = 0;
    for number in 0..CASES {
        let (mut id, mut at, mut kept) = (None, None, None);
        let whole = judgement(number, |tenant, plan, now| {
            (id, at) = (Some(plan), Some(now));
            tenant
        });
        let short = judgement(number, |tenant, plan, now| {
            let read = tenant.as_read(plan, now);
            assert!(read.unfinished.len() <= 1, "case {number}");
            assert_eq!(read.under_way(now), tenant.under_way(now), "case {number}");
            kept = Some(read.clone());
            read
        });
        let (id, at, kept) = (id.unwrap(), at.unwrap(), kept.unwrap());
        let whole = match whole {
            Judgement::Fresh {
                plan,
                stages,
                room,
                tenant,
            } => {
                moved += usize::from(tenant.is_some());
                let tenant = TenantState::left_as_read(tenant.as_ref(), &kept, id, at);
                Judgement::Fresh {
                    plan,
                    stages,
                    room,
                    tenant,
                }
            }
            other => other,
        };
        assert_eq!(whole, short, "case {number}");
    }
    assert!(moved > 50, "{moved} of them moved their tenant");
}

fn again<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(
    value: &T,
) -> T {
    let read = serde_json::from_slice(&to_canonical(value).unwrap()).unwrap();
    assert_eq!(&read, value);
    read
}

#[test]
fn the_same_case_gives_the_same_bytes_as_when_this_was_committed() {
    let mut text = String::new();
    let mut all = Vec::new();
    for number in 0..CASES {
        let bytes = judged(number);
        let plan: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let code = plan[0]["reason_code"].as_str().unwrap_or("asked");
        writeln!(
            text,
            "{number:03} {} {code}",
            Digest::of_bytes(&bytes).short()
        )
        .unwrap();
        all.push(bytes);
    }
    let whole = Digest::of_parts(all.iter().map(Vec::as_slice));
    insta::assert_snapshot!(format!("{text}all {whole}\n"));
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "that threads change nothing is what is tested; judgement itself starts none"
)]
fn threads_change_no_byte() {
    let alone: Vec<_> = (0..CASES).map(judged).collect();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| (0..CASES).rev().map(judged).collect::<Vec<_>>()))
            .collect();
        for thread in threads {
            let mut together = thread.join().unwrap();
            together.reverse();
            assert!(together == alone);
        }
    });
}

#[test]
fn the_order_that_rules_are_written_in_is_no_rule() {
    let read = |text: &str| serde_json::from_str::<Policy>(text).unwrap();
    let one = read(
        r#"{"planner":{"reply_probability":0.30,"reply_policy":"always"},"authz":{"roles":{"b":["approve","*"],"a":[]}}}"#,
    );
    let other = read(
        r#"{"authz":{"roles":{"a":[],"b":["*","approve"]}},"planner":{"reply_policy":"always","reply_probability":"0.3"}}"#,
    );
    assert_eq!(
        Digest::of_value(&one).unwrap(),
        Digest::of_value(&other).unwrap()
    );
    let text = String::from_utf8(to_canonical(&one).unwrap()).unwrap();
    assert!(text.contains(r#""reply_probability":"0.3""#), "{text}");
}
