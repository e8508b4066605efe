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

use crate::{
    http,
    run::{Place, Served, action_of, event},
};

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

fn terminated(served: &Served) {
    let pid = i32::try_from(served.pid()).ok();
    let pid = pid.and_then(rustix::process::Pid::from_raw).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
}

/// Posts these beside whatever else is done.
fn beside(served: &Arc<Served>, sent: &Value) -> thread::JoinHandle<(u16, String)> {
    let (served, body) = (Arc::clone(served), sent.to_string());
    thread::spawn(move || served.post_bytes("/v0/events", body.as_bytes()))
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whoever waits for it at the end is told so, over the connection that it waits on, and that stands on record.
#[test]
fn who_waits_for_it_at_the_end_is_told_to_come_again() {
    let (address, waiting) = authoriser();
    let place = place(&address, "");
    let served = Arc::new(place.serve());
    let waits = beside(&served, &event("slow", "e-1", "room"));
    until("it is asked", || waiting.load(Ordering::SeqCst) == 1);
    terminated(&served);
    let (status, text) = waits.join().expect("it is answered");
    let problem: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(status, 503, "{problem}");
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("shutting down"), "{problem}");
    let served = Arc::into_inner(served).expect("nobody else has it");
    assert!(served.ended().success(), "{}", place.log());
    let records = place.records();
    let last = records.last().expect("a record");
    assert_eq!(
        (&last["tenant_id"], &last["result"]),
        (&json!("slow"), &json!("refused"))
    );
}

/// The connections are what all tenants share: slow answers for one leave some to the others, and to who asks for health.
#[test]
fn slow_answers_do_not_take_all_connections() {
    let (address, waiting) = authoriser();
    let place = Place::new(&format!(
        "authz: {{mode: external_http, endpoint: \"http://{address}/v0/authorize\", timeout_ms: 60000, max_in_flight: 100}}\nplanner: {{reply_policy: always}}\nlimits: {{connections: 16}}\n"
    ));
    let said = place.run(&["config", "check"]);
    let said = String::from_utf8(said.stderr).expect("text");
    assert!(said.contains("limits.connections"), "{said}");
    let served = Arc::new(place.serve());
    let slow: Vec<_> = (0..40)
        .map(|n| {
            beside(
                &served,
                &event("slow", &format!("e-{n}"), &format!("room-{n}")),
            )
        })
        .collect();
    until("it is asked", || waiting.load(Ordering::SeqCst) > 0);
    let begun = Instant::now();
    let (status, plan) = served.post("/v0/events", &event("quick", "e-1", "room"));
    assert_eq!((status, action_of(&plan)), (200, "request_generation"));
    let (status, _) = http::call(served.address(), "GET", "/v0/healthz", &[], b"");
    assert_eq!(status, 200);
    assert!(
        begun.elapsed() < Duration::from_secs(30),
        "{:?}",
        begun.elapsed()
    );
    let away = || slow.iter().filter(|it| it.is_finished()).count();
    until("the others of that tenant are told to come again", || {
        away() == 40 - 6
    });
    assert_eq!(waiting.load(Ordering::SeqCst), 6, "half of three quarters");
    terminated(&served);
    for one in slow {
        let (status, text) = one.join().expect("it is answered");
        assert_eq!(status, 503, "{text}");
    }
    let served = Arc::into_inner(served).expect("nobody else has it");
    assert!(served.ended().success(), "{}", place.log());
}

/// Connections over which nothing is asked give their places to who comes.
#[test]
fn connections_that_rest_keep_nobody_out() {
    let place = Place::new("limits: {connections: 3}\n");
    let served = place.serve();
    let mut silent: Vec<TcpStream> = (0..3)
        .map(|_| TcpStream::connect(served.address()).expect("a connection"))
        .collect();
    // One in the middle of a head, and one that was answered and is kept.
    write!(silent[1], "GET /v0/heal").expect("sent");
    let host = served.address();
    write!(
        silent[2],
        "GET /v0/healthz HTTP/1.1\r\nhost: {host}\r\n\r\n"
    )
    .expect("sent");
    silent[2].read_exact(&mut [0; 12]).expect("answered");
    for _ in 0..3 {
        let begun = Instant::now();
        let (status, _) = http::call(served.address(), "GET", "/v0/healthz", &[], b"");
        assert_eq!(status, 200);
        // Resting ones are closed by themselves after 30 s.
        assert!(
            begun.elapsed() < Duration::from_secs(15),
            "{:?}",
            begun.elapsed()
        );
        silent.push(TcpStream::connect(served.address()).expect("a connection"));
    }
}

/// HEAD is answered wherever GET is, without a body.
#[test]
fn head_is_taken_where_get_is() {
    let place = Place::new("{}\n");
    let served = place.serve();
    for path in ["/v0/healthz", "/v0/contracts", "/errors/5001"] {
        let (head, body) = http::whole(served.address(), "HEAD", path, &[], b"");
        assert!(
            head.starts_with("HTTP/1.1 200") && body.is_empty(),
            "{head}\n{body}"
        );
    }
    let (status, _) = http::call(served.address(), "HEAD", "/v0/events", &[], b"");
    assert_eq!(status, 405);
}
