//! An external authoriser beside the program, over real connections: its word is followed, its silence denies, and one
//! tenant's slow answers hold up nobody else.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::run::{Place, action_of, event};

/// Answers each question by its tenant: `deny`, `slow` (never), `lies`, and allows all others.
fn authoriser() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let waiting = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&waiting);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counted = Arc::clone(&counted);
            thread::spawn(move || converse(stream, &counted));
        }
    });
    (address, waiting)
}

fn converse(mut stream: TcpStream, waiting: &AtomicUsize) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().ok()?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let question: Value = serde_json::from_slice(&body).ok()?;
        let word = match question["tenant_id"].as_str()? {
            "deny" => r#"{"v":0,"decision":"deny","reason_code":"not-at-night"}"#,
            "lies" => r#"{"v":0,"decision":"ALLOW"}"#,
            "slow" => {
                waiting.fetch_add(1, Ordering::SeqCst);
                // Until the other side gives up.
                let _gone = reader.read(&mut [0]);
                return None;
            }
            _ => r#"{"v":0,"decision":"allow"}"#,
        };
        let length = word.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{word}"
        )
        .ok()?;
    }
}

fn place(address: &str, more: &str) -> Place {
    Place::new(&format!(
        "authz: {{mode: external_http, endpoint: \"http://{address}/v0/authorize\", timeout_ms: 60000, {more}}}\nplanner: {{reply_policy: always}}\n"
    ))
}

#[test]
fn its_word_is_followed_and_stands_in_the_record() {
    let (address, _) = authoriser();
    // One that answers is there, so it is not let pass for being silent.
    let place = place(&address, "fail_mode: allow");
    let served = place.serve();
    for (tenant, action, reason) in [
        ("fine", "request_generation", "reply_always"),
        ("deny", "do_nothing", "authz_denied"),
        ("lies", "do_nothing", "authz_unreadable"),
    ] {
        let (status, plan) = served.post("/v0/events", &event(tenant, "e-1", "room"));
        assert_eq!((status, action_of(&plan)), (200, action), "{tenant}");
        assert_eq!(plan["reason_code"], reason);
    }
    drop(served);
    let records = place.records();
    let denied = records
        .iter()
        .find(|it| it["tenant_id"] == "deny")
        .expect("a record");
    assert_eq!(denied["stages"][4]["detail"], "not-at-night");
    assert_eq!(
        denied["judged"]["event"]["authorisation"]["decision"],
        "deny"
    );
    // The word is in the record, so nobody has to be asked to judge again.
    place.done(&["replay", "audit"]);
}

#[test]
fn a_gate_that_is_shut_asks_nobody_and_one_that_is_down_denies_unless_told_otherwise() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    drop(listener);
    for (mode, action, stage) in [
        ("fail_mode: deny", "do_nothing", "authz_unavailable"),
        ("fail_mode: allow", "request_generation", "authz_skipped"),
    ] {
        let place = place(&address, mode);
        let served = place.serve();
        let (_, plan) = served.post("/v0/events", &event("t", "e-1", "room"));
        assert_eq!(action_of(&plan), action, "{mode}");
        let (_, second) = served.post("/v0/events", &event("t", "e-2", "room"));
        drop(served);
        let records = place.records();
        let decided: Vec<_> = records
            .iter()
            .filter(|it| it["result"] == "decided")
            .collect();
        assert_eq!(decided[0]["stages"][4]["reason_code"], stage);
        if action == "request_generation" {
            assert_eq!(second["reason_code"], "generating_lock");
            assert_eq!(decided[1]["judged"]["event"].get("authorisation"), None);
        }
    }
}

#[test]
fn a_slow_answer_holds_up_nobody_else() {
    let (address, waiting) = authoriser();
    let place = place(&address, "max_in_flight: 2");
    let served = Arc::new(place.serve());
    let slow: Vec<_> = (0..4)
        .map(|n| {
            let served = Arc::clone(&served);
            let sent = event("slow", &format!("e-{n}"), &format!("room-{n}"));
            // It is still waiting when the program ends, which may cut the line.
            thread::spawn(move || {
                let body = sent.to_string();
                std::panic::catch_unwind(|| served.post_bytes("/v0/events", body.as_bytes()))
            })
        })
        .collect();
    let begun = Instant::now();
    while waiting.load(Ordering::SeqCst) < 2 {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "two questions are under way"
        );
        thread::sleep(Duration::from_millis(10));
    }
    for n in 0..20 {
        let (status, plan) = served.post(
            "/v0/events",
            &event("quick", &format!("e-{n}"), &format!("room-{n}")),
        );
        assert_eq!((status, action_of(&plan)), (200, "request_generation"));
    }
    assert_eq!(
        waiting.load(Ordering::SeqCst),
        2,
        "and no more than its places"
    );
    let records = place.records();
    let slow_ones = records.iter().filter(|it| it["tenant_id"] == json!("slow"));
    assert_eq!(slow_ones.count(), 0, "they still wait");
    // At the end they are not waited for any longer than need be, and are told so.
    let pid = i32::try_from(served.pid()).ok();
    let pid = pid.and_then(rustix::process::Pid::from_raw).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    for one in slow {
        let _unanswered = one.join();
    }
    let served = Arc::into_inner(served).expect("nobody else has it");
    assert!(served.ended().success(), "{}", place.log());
    place.done(&["audit", "verify", "audit"]);
}
