//! Rooms in memory are bounded: those that mean nothing any more make room by themselves, those that do are never
//! forgotten, and what is refused for that is told and recorded.

use serde_json::json;

use crate::run::{OPEN, Place, action_of, event, generation};

#[test]
fn a_room_too_many_is_refused_on_record_until_one_is_free() {
    let place = Place::new(&format!("{OPEN}\nstore: {{type: memory, rooms: 2}}\n"));
    let served = place.serve();
    let mut plans = Vec::new();
    for room in ["a", "b"] {
        let (status, plan) = served.post("/v0/events", &event("t", &format!("e-{room}"), room));
        assert_eq!(
            (status, action_of(&plan)),
            (200, "request_generation"),
            "{plan}"
        );
        plans.push(plan);
    }
    let third = event("t", "e-c", "c");
    let (status, told) = served.post("/v0/events", &third);
    assert_eq!(status, 503, "{told}");
    assert_eq!(
        (&told["code"], &told["reason_code"]),
        (&json!(5602), &json!("backpressure"))
    );
    // The busy ones are as they were.
    let is_held = |id: &str, room: &str| {
        let (_, plan) = served.post("/v0/events", &event("t", id, room));
        assert_eq!(
            (action_of(&plan), &plan["reason_code"]),
            ("do_nothing", &json!("generating_lock"))
        );
    };
    is_held("e-a2", "a");
    let refusals = |place: &Place| {
        let lines = place.records();
        let is_ours = |line: &&serde_json::Value| line["reason_code"] == "backpressure";
        lines.iter().filter(is_ours).cloned().collect::<Vec<_>>()
    };
    let [refused] = refusals(&place).try_into().expect("one refusal");
    assert_eq!(refused["result"], "refused", "{refused}");
    assert_eq!(
        (&refused["room_id"], &refused["tenant_id"]),
        (&json!("c"), &json!("t"))
    );
    // A generation ends: its room means nothing any more, and the same event is decided as a new one.
    let result = generation(&plans[0], "there");
    assert_eq!(served.post("/v0/generations", &result).0, 200);
    let (status, plan) = served.post("/v0/events", &third);
    assert_eq!(
        (status, action_of(&plan)),
        (200, "request_generation"),
        "{plan}"
    );
    is_held("e-b2", "b");
    served.kill();
    place.done(&["audit", "verify", "audit"]);
    place.done(&["replay", "audit"]);
}
