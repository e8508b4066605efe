//! Each gate, rule and result for itself, and clocks that are wrong.

use chiffon_common::{Action, AuthZDecision, Event, Intent, Permission, ReasonCode, ResponsePlan};
use jiff::Timestamp;

use super::{super::*, world::*};

fn policy(gate: Gates) -> Policy {
    Policy {
        gate,
        authz: Authz::open(),
        ..Policy::default()
    }
}

fn gates() -> Gates {
    Gates {
        generation_timeout_ms: 60_000,
        cooldown_ms: 3_000,
        max_queue: 2,
        tenant_rate: Some(Rate {
            events: 1,
            per_ms: 1_000,
            burst: 3,
        }),
    }
}

fn ask(world: &mut World, id: &str, room: &str, now: Timestamp) -> ResponsePlan {
    let outcome = world.take(&Input::Event(Box::new(event(id, "t", room, true))), now);
    serde_json::from_slice(&outcome.answer).unwrap()
}

fn why(world: &mut World, id: &str, room: &str, now: Timestamp) -> ReasonCode {
    ask(world, id, room, now).reason_code
}

#[test]
fn the_gates_speak_in_their_order() {
    let mut world = World::new(policy(gates()));
    assert_eq!(why(&mut world, "1", "a", at(0)), ReasonCode::Mentioned);
    // The room is held, the queue has room, the bucket too.
    assert_eq!(why(&mut world, "2", "a", at(1)), ReasonCode::GeneratingLock);
    let second = ask(&mut world, "3", "b", at(2));
    assert_eq!(second.reason_code, ReasonCode::Mentioned);
    assert_eq!(why(&mut world, "4", "c", at(3)), ReasonCode::Backpressure);
    // Answered: the room rests, which is said before the queue is looked at.
    let said = Input::Generation(result("t", second.plan_id, Some("Well.")));
    world.take(&said, at(10));
    assert_eq!(why(&mut world, "5", "b", at(3_009)), ReasonCode::Cooldown);
    assert_eq!(why(&mut world, "6", "c", at(11)), ReasonCode::Mentioned);
    let third = ask(&mut world, "6", "c", at(12));
    world.take(&Input::Generation(result("t", third.plan_id, None)), at(13));
    // Three have passed at once; the next drop runs out of the bucket a second after the first.
    assert_eq!(why(&mut world, "7", "d", at(14)), ReasonCode::RateLimited);
    assert_eq!(why(&mut world, "8", "d", at(1_000)), ReasonCode::Mentioned);
}

#[test]
fn a_gate_that_is_off_is_open() {
    let mut world = World::new(policy(Gates::default()));
    for id in 0..50 {
        assert_eq!(
            why(&mut world, &id.to_string(), "a", at(0)),
            ReasonCode::Mentioned
        );
    }
    assert!(world.rooms.is_empty() && world.tenants.is_empty());
}

#[test]
fn a_result_releases_the_room_once() {
    let mut world = World::new(policy(gates()));
    let plan = ask(&mut world, "1", "a", at(0));
    let text = |world: &mut World, text, ms| {
        let said = Input::Generation(result("t", plan.plan_id, Some(text)));
        String::from_utf8(world.take(&said, at(ms)).answer).unwrap()
    };
    let first = text(&mut world, "Well.", 5);
    let said: ResponsePlan = serde_json::from_str(&first).unwrap();
    assert!(
        matches!(&said.actions[..], [Action::SendReply { text, reply_to, .. }]
        if text == "Well." && reply_to.as_str() == "1")
    );
    assert_ne!(said.plan_id, plan.plan_id);
    assert_eq!(text(&mut world, "Well.", 90_000), first);
    assert!(text(&mut world, "Other.", 6).contains("IdConflict"));
    // What was said is an action like others.
    assert_eq!(why(&mut world, "2", "a", at(3_006)), ReasonCode::Mentioned);
    let late = ask(&mut world, "2", "a", at(3_006));
    let late = Input::Generation(result("t", late.plan_id, Some("Late.")));
    let late = world.take(&late, at(63_006)).answer;
    assert!(String::from_utf8(late).unwrap().contains("GenerationLate"));
    let stranger = Input::Generation(result("other", plan.plan_id, Some("Well.")));
    let stranger = world.take(&stranger, at(7)).answer;
    assert!(String::from_utf8(stranger).unwrap().contains("UnknownPlan"));
    let nothing = ask(&mut world, "3", "a", at(63_007));
    assert_eq!(nothing.reason_code, ReasonCode::Mentioned);
}

#[test]
fn a_clock_that_was_wrong_closes_nothing_for_long() {
    for decades in ["1970-01-01T00:00:00Z", "2090-06-01T00:00:00Z"] {
        let mut world = World::new(policy(gates()));
        let wrong: Timestamp = decades.parse().unwrap();
        for id in 0..3 {
            why(&mut world, &id.to_string(), "a", wrong);
        }
        assert_eq!(
            why(&mut world, "4", "a", start()),
            ReasonCode::Mentioned,
            "{decades}"
        );
    }
    let mut strange = event("1", "t", "a", true);
    for ts in [Timestamp::MIN, Timestamp::MAX] {
        strange.ts = ts;
        for now in [Timestamp::MIN, start(), Timestamp::MAX] {
            let mut world = World::new(policy(gates()));
            let outcome = world.take(&Input::Event(Box::new(strange.clone())), now);
            assert!(outcome.counted);
        }
    }
}

#[test]
fn a_bucket_that_a_wrong_clock_has_filled_counts_for_empty() {
    let rate = gates().tenant_rate;
    let mut world = World::new(policy(Gates {
        tenant_rate: rate,
        ..Gates::default()
    }));
    let year = 365 * 24 * 3_600_000;
    for (id, room) in [("1", "a"), ("2", "b"), ("3", "c")] {
        let reason = why(&mut world, id, room, at(year));
        assert_eq!(reason, ReasonCode::Mentioned, "{id}");
    }
    let full = why(&mut world, "4", "d", at(year));
    assert_eq!(full, ReasonCode::RateLimited);
    for (id, room) in [("5", "e"), ("6", "f"), ("7", "g")] {
        let reason = why(&mut world, id, room, at(0));
        assert_eq!(reason, ReasonCode::Mentioned, "{id}");
    }
    // It is counted by the right clock from then on.
    assert_eq!(why(&mut world, "8", "h", at(1)), ReasonCode::RateLimited);
    assert_eq!(why(&mut world, "9", "i", at(1_001)), ReasonCode::Mentioned);
}

#[test]
fn the_dice_are_the_same_everywhere() {
    // Made with another program: int.from_bytes(sha256(id)[:8], "big") * 1000000 >> 64.
    for (id, thrown) in DICE {
        assert_eq!(
            super::super::planner::throw(&id.parse().unwrap()),
            thrown,
            "{id}"
        );
    }
}

const DICE: [(&str, u32); 4] = [
    ("e-1", 723_866),
    ("e-2", 461_382),
    ("42", 450_307),
    ("a:b/c@d", 479_325),
];

#[test]
fn a_probability_is_exact() {
    let read = |text: &str| serde_json::from_str::<Probability>(text).ok();
    let of = |millionths| Probability::from_millionths(millionths);
    for (text, millionths) in [
        ("0.3", 300_000),
        ("0.1", 100_000),
        ("\"0.3\"", 300_000),
        ("1", 1_000_000),
        ("1.0", 1_000_000),
        ("0", 0),
        ("0.000001", 1),
        ("0.999999", 999_999),
    ] {
        assert_eq!(read(text), of(millionths), "{text}");
    }
    for text in [
        "1.1",
        "-0.1",
        "2",
        "0.0000001",
        "\"\"",
        "\"1.\"",
        "\".5\"",
        "\"0,3\"",
        "null",
        "1e400",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
    for millionths in [0, 1, 10, 300_000, 999_999, 1_000_000] {
        let probability = of(millionths).unwrap();
        assert_eq!(probability.to_string().parse(), Ok(probability));
    }
    assert_eq!(
        serde_json::to_string(&of(300_000).unwrap()).unwrap(),
        "\"0.3\""
    );
}

#[test]
fn the_reply_policy_says_what_is_answered() {
    use ReplyPolicy::{Always, MentionFirst, Never, Probability as Dice};
    let intent = |reply_policy, odds: &str, mentioned| {
        let planner = Planner {
            reply_policy,
            reply_probability: odds.parse().unwrap(),
        };
        planner.intent(&event("e-1", "t", "r", mentioned)).0
    };
    for (policy, odds, mentioned, expected) in [
        (MentionFirst, "0", true, Intent::Reply),
        (MentionFirst, "0", false, Intent::Ignore),
        (MentionFirst, "1", false, Intent::Message),
        (Always, "0", true, Intent::Reply),
        (Always, "0", false, Intent::Message),
        (Never, "1", true, Intent::Ignore),
        (Dice, "1", true, Intent::Reply),
        (Dice, "1", false, Intent::Message),
        (Dice, "0", true, Intent::Ignore),
    ] {
        assert_eq!(
            intent(policy, odds, mentioned),
            expected,
            "{policy:?} {odds} {mentioned}"
        );
    }
}

#[test]
fn a_role_counts_where_it_is_granted() {
    let authz: Authz = serde_json::from_value(serde_json::json!({
        "roles": {"talker": ["request_generation"], "boss": ["*"]},
        "grants": [
            {"role": "talker", "kind": "person", "tenant": "t", "room": "team:*"},
            {"role": "boss", "actor": "chat:otto"},
        ],
    }))
    .unwrap();
    let role = |who: &str, tenant: &str, room: &str, wanted| {
        let mut event = event("e", tenant, room, true);
        event.actor.id = who.to_owned();
        let place = (&event.tenant_id, &event.room_id);
        authz
            .role_for(&event.actor, place, wanted)
            .map(str::to_owned)
    };
    let (talk, approve) = (Permission::RequestGeneration, Permission::Approve);
    assert_eq!(
        role("chat:anna", "t", "team:a", talk).as_deref(),
        Some("talker")
    );
    assert_eq!(role("chat:anna", "t", "team:a", approve), None);
    assert_eq!(role("chat:anna", "t", "other", talk), None);
    assert_eq!(role("chat:anna", "u", "team:a", talk), None);
    assert_eq!(
        role("chat:otto", "u", "other", approve).as_deref(),
        Some("boss")
    );
}

#[test]
fn an_external_word_is_asked_for_behind_the_gate_and_heard() {
    let mut policy = policy(gates());
    policy.authz.mode = AuthzMode::ExternalHttp;
    let event = event("e", "t", "r", true);
    let held = World::new(policy.clone());
    let judge = |policy: &Policy, room: &RoomState, word: Option<Authorisation>| {
        process(&Case {
            event: &event,
            prior: None,
            room,
            tenant: &TenantState::default(),
            policy,
            authorisation: word.as_ref(),
            now: start(),
        })
        .unwrap()
    };
    let room = RoomState::default();
    let Judgement::NeedsAuthorisation(question) = judge(&policy, &room, None) else {
        panic!("nobody was asked");
    };
    assert_eq!(question.action, Permission::RequestGeneration);
    let resting = RoomState {
        answered_at: Some(start()),
        ..RoomState::default()
    };
    let code = |judged: Judgement| match judged {
        Judgement::Fresh {
            plan, tenant, room, ..
        } => {
            assert_eq!(room.is_some(), plan.asks_generation());
            (plan.reason_code, tenant.is_some())
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(
        code(judge(&policy, &resting, None)),
        (ReasonCode::Cooldown, false)
    );
    let allow = Authorisation::Allow {
        rule: None,
        policy_version: None,
    };
    let deny = Authorisation::Deny {
        rule: Some("no".to_owned()),
        policy_version: None,
    };
    assert_eq!(
        code(judge(&policy, &room, Some(allow))),
        (ReasonCode::Mentioned, true)
    );
    assert_eq!(
        code(judge(&policy, &room, Some(deny))),
        (ReasonCode::AuthzDenied, true)
    );
    let silent = Some(Authorisation::Unavailable);
    assert_eq!(
        code(judge(&policy, &room, silent.clone())),
        (ReasonCode::AuthzUnavailable, true)
    );
    let garbage = Some(Authorisation::Unreadable);
    for fail_mode in [FailMode::Deny, FailMode::Allow] {
        policy.authz.fail_mode = fail_mode;
        assert_eq!(
            code(judge(&policy, &room, garbage.clone())),
            (ReasonCode::AuthzUnreadable, true)
        );
    }
    assert_eq!(
        code(judge(&policy, &room, silent)),
        (ReasonCode::Mentioned, true)
    );
    assert!(held.rooms.is_empty());
}

#[test]
fn a_word_out_of_bounds_is_none() {
    let decision = |v, reason: &str| AuthZDecision {
        v,
        decision: chiffon_common::AuthZWord::Allow,
        reason_code: Some(reason.to_owned()),
        policy_version: None,
        cache_ttl_ms: None,
    };
    assert!(matches!(
        Authorisation::from(decision(0, "r")),
        Authorisation::Allow { .. }
    ));
    for bad in [
        decision(1, "r"),
        decision(0, "a\nb"),
        decision(0, &"x".repeat(257)),
    ] {
        assert_eq!(Authorisation::from(bad), Authorisation::Unreadable);
    }
}

#[test]
fn what_contradicts_itself_is_named() {
    let paths = |policy: &Policy| {
        policy
            .faults()
            .into_iter()
            .map(|fault| fault.path)
            .collect::<Vec<_>>()
    };
    assert!(paths(&policy(gates())).is_empty());
    let mut wild = policy(Gates {
        generation_timeout_ms: 0,
        cooldown_ms: 86_400_001,
        max_queue: 10_001,
        tenant_rate: Some(Rate {
            events: 0,
            per_ms: 0,
            burst: 0,
        }),
    });
    wild.authz.grants[0].role = "nobody".to_owned();
    wild.authz.grants[0].room = Pattern("a*b".to_owned());
    assert_eq!(
        paths(&wild),
        [
            "gate.cooldown_ms",
            "gate.max_queue",
            "gate.max_queue",
            "gate.tenant_rate.events",
            "gate.tenant_rate.burst",
            "gate.tenant_rate.per_ms",
            "grants[0].role",
            "grants[0].room",
        ]
    );
}

#[test]
fn a_word_in_a_room_is_heard_of_those_who_may_approve() {
    for (text, word) in [
        ("yes", Some(Word::Yes)),
        (" Yes! ", Some(Word::Yes)),
        ("approve.", Some(Word::Yes)),
        ("NO", Some(Word::No)),
        ("reject", Some(Word::No)),
        ("yes please", None),
        ("", None),
        ("yesno", None),
    ] {
        assert_eq!(Word::of(text), word, "{text:?}");
    }
    let may = |permission| {
        let mut policy = policy(Gates::default());
        policy.jobs = true;
        policy.authz.roles = [("everybody".to_owned(), [permission].into())].into();
        policy
    };
    let event = event("e", "t", "r", false);
    let heard_by = |policy: &Policy, event: &Event, room: &RoomState, to: AnswerTo| {
        let case = Case {
            event,
            prior: None,
            room,
            tenant: &TenantState::default(),
            policy,
            authorisation: None,
            now: start(),
        };
        let word = Word::Yes;
        match process_answer(&case, &Answering { word, to }).unwrap() {
            Judgement::Fresh { plan, .. } => plan,
            other => panic!("{other:?}"),
        }
    };
    let judge = |policy: &Policy, elsewhere: Option<&str>| {
        let to = elsewhere.map_or(AnswerTo::Question, |text| {
            AnswerTo::Elsewhere(text.to_owned())
        });
        heard_by(policy, &event, &RoomState::default(), to)
    };
    let heard = judge(&may(Permission::Approve), None);
    assert_eq!(heard.reason_code, ReasonCode::Approved);
    // Who may have work started may not approve it by that.
    let asker = judge(&may(Permission::StartAgentJob), None);
    assert_eq!(asker.reason_code, ReasonCode::Unauthorized);
    let link = judge(&may(Permission::Approve), Some("over there"));
    assert_eq!(link.reason_code, ReasonCode::ApprovalByLink);
    assert!(matches!(&link.actions[..], [Action::SendReply { text, .. }] if text == "over there"));
    // No role makes a person of a service.
    let mut service = event.clone();
    service.actor.kind = "service".to_owned();
    let room = RoomState::default();
    let said = heard_by(
        &may(Permission::Approve),
        &service,
        &room,
        AnswerTo::Question,
    );
    assert_eq!(said.reason_code, ReasonCode::Unauthorized);
    // A room that rests may answer what it is asked, and nothing else passes.
    let mut resting = may(Permission::Approve);
    resting.gate.cooldown_ms = 60_000;
    let room = RoomState {
        answered_at: Some(start()),
        ..RoomState::default()
    };
    let said = heard_by(&resting, &event, &room, AnswerTo::Question);
    assert_eq!(said.reason_code, ReasonCode::Approved);
    let nothing = || AnswerTo::Nothing("nothing".to_owned());
    let said = heard_by(&resting, &event, &room, nothing());
    assert_eq!(said.reason_code, ReasonCode::Cooldown);
    // A word where nothing is asked: told to whoever spoke to Chiffon, and never a request.
    let room = RoomState::default();
    let asker = may(Permission::StartAgentJob);
    let said = heard_by(&asker, &event, &room, nothing());
    assert_eq!(said.reason_code, ReasonCode::ReplyPolicy);
    let mut spoken = event.clone();
    spoken.content.mentions_chiffon = true;
    let said = heard_by(&asker, &spoken, &room, nothing());
    assert_eq!(said.reason_code, ReasonCode::NothingAsked);
    assert!(matches!(&said.actions[..], [Action::SendReply { .. }]));
}
