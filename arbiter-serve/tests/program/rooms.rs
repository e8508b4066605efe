//! Rooms in memory are bounded: those that mean nothing any more make room by themselves, those that do are put by when
//! others need the place, and are held all the same, over a crash too.

use serde_json::json;

use crate::run::{OPEN, Place, Served, action_of, event, generation};

/// Many times what fits.
const ROOMS: usize = 40;

fn asks(served: &Served, id: &str, room: &str) -> serde_json::Value {
    let (status, plan) = served.post("/v0/events", &event("t", id, room));
    let said = (status, action_of(&plan));
    assert_eq!(said, (200, "request_generation"), "{plan}");
    plan
}

fn is_held(served: &Served, id: &str, room: &str) {
    let (_, plan) = served.post("/v0/events", &event("t", id, room));
    let said = (action_of(&plan), &plan["reason_code"]);
    assert_eq!(said, ("do_nothing", &json!("generating_lock")), "{plan}");
}

#[test]
fn no_room_is_refused_and_none_forgotten_where_more_are_held_than_fit() {
    let place = Place::new(&format!("{OPEN}\nstore: {{type: memory, rooms: 3}}\n"));
    let mut served = place.serve();
    let room = |n: usize| format!("room-{n}");
    let plans: Vec<_> = (0..ROOMS)
        .map(|n| asks(&served, &format!("first-{n}"), &room(n)))
        .collect();
    for life in 0..2 {
        for n in 0..ROOMS {
            is_held(&served, &format!("held-{life}-{n}"), &room(n));
        }
        // What is put by is drawn from the audit again, so a crash loses nothing of it.
        served.kill();
        served = place.serve();
    }
    // A generation ends: its room is free, wherever its lock lay, and the others are not.
    for (n, plan) in plans.iter().enumerate().step_by(2) {
        let result = generation(plan, "there");
        assert_eq!(served.post("/v0/generations", &result).0, 200);
        asks(&served, &format!("second-{n}"), &room(n));
    }
    for n in 0..ROOMS {
        is_held(&served, &format!("last-{n}"), &room(n));
    }
    served.kill();
    let records = place.records();
    assert!(records.iter().all(|line| line["result"] != "refused"));
    place.done(&["audit", "verify", "audit"]);
    place.done(&["replay", "audit"]);
}

#[test]
fn a_folder_for_what_finds_no_place_that_cannot_be_used_is_said() {
    let place = Place::new(&format!("{OPEN}\nstore: {{type: memory, rooms: 3}}\n"));
    let nowhere = place.path().join("nowhere");
    let served = place.serve_with(&[("TMPDIR", nowhere.to_str().expect("text"))]);
    let log = place.log();
    assert!(
        log.contains("TMPDIR is") && log.contains("nowhere"),
        "{log}"
    );
    for n in 0..ROOMS {
        asks(&served, &format!("e-{n}"), &format!("room-{n}"));
    }
    drop(served);
    let _served = place.serve();
    assert!(!place.log().contains("TMPDIR"), "{}", place.log());
}
