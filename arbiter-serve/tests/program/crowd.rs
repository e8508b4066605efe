//! Many at once: generations under way, the same event again and again, questions that wait, and a store that is full.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

use crate::{
    forged::chained,
    http,
    run::{OPEN, Place, Served, action_of, event, generation},
};

const MOST: usize = 60;

fn queue(store: &str) -> Place {
    let gates = format!("generation_timeout_ms: 3600000, max_queue: {MOST}");
    let open = OPEN.replace("generation_timeout_ms: 3600000", &gates);
    Place::new(&format!("{open}\nstore: {{type: {store}}}\n"))
}

/// So many rooms in which a generation is under way; the plans.
fn ask(served: &Served, rooms: usize) -> Vec<Value> {
    let plans = (0..rooms).map(|n| {
        let (_, plan) = served.post(
            "/v0/events",
            &event("t", &format!("e-{n}"), &format!("room-{n}")),
        );
        assert_eq!(action_of(&plan), "request_generation", "{plan}");
        plan
    });
    plans.collect()
}

/// The next one is let through so often, and then turned away.
#[track_caller]
fn lets_through(served: &Served, name: &str, times: usize) {
    for n in 0..=times {
        let id = format!("{name}-{n}");
        let (_, plan) = served.post("/v0/events", &event("t", &id, &id));
        let expected = match n < times {
            true => "reply_always",
            false => "backpressure",
        };
        assert_eq!(plan["reason_code"], expected, "{id}");
    }
}

#[test]
fn a_record_stays_small_however_many_generations_are_under_way_and_tells_all_of_them() {
    for store in ["memory", "sqlite"] {
        let place = queue(store);
        let served = place.serve();
        let plans = ask(&served, MOST);
        lets_through(&served, "more", 0);
        served.kill();
        let records = place.records();
        let longest = records.iter().map(|it| it.to_string().len()).max();
        assert!(longest.unwrap() < 6_000, "{longest:?}");
        place.done(&["replay", "audit"]);
        // They are all known again, from the files alone.
        let forget = || match store {
            "memory" => {}
            _ => fs::remove_file(place.path().join("arbiter.db")).unwrap(),
        };
        forget();
        let served = place.serve();
        lets_through(&served, "again", 0);
        for plan in &plans[..3] {
            let (status, said) = served.post("/v0/generations", &generation(plan, "done"));
            assert_eq!((status, action_of(&said)), (200, "send_reply"));
        }
        lets_through(&served, "free", 3);
        served.kill();
        forget();
        let served = place.serve();
        lets_through(&served, "late", 0);
        let (status, _) = served.post("/v0/generations", &generation(&plans[4], "done"));
        assert_eq!(status, 200);
        lets_through(&served, "last", 1);
        served.kill();
        place.done(&["audit", "verify", "audit"]);
        place.done(&["replay", "audit"]);
    }
}

/// Records of version 0 named all generations under way, before and after: they are judged again and brought back as ever.
#[test]
fn records_of_the_version_before_say_the_same() {
    let place = queue("memory");
    let served = place.serve();
    let plans = ask(&served, 3);
    let (status, _) = served.post("/v0/generations", &generation(&plans[1], "done"));
    assert_eq!(status, 200);
    served.kill();
    let file = place.audit().join("audit-00000000000000000001.jsonl");
    let mut all = serde_json::Map::new();
    let mut before = Vec::new();
    for line in fs::read_to_string(&file).unwrap().lines() {
        let mut record: Value = serde_json::from_str(line).unwrap();
        let judged = ["event", "generation"].iter().find_map(|kind| {
            record
                .pointer(&format!("/judged/{kind}"))
                .map(|it| (*kind, it.clone()))
        });
        if let Some((kind, judged)) = judged {
            let state = |all: &serde_json::Map<String, Value>| match all.is_empty() {
                true => json!({}),
                false => json!({"unfinished": all}),
            };
            let found = state(&all);
            let named = |at: &str| {
                judged
                    .pointer(at)
                    .and_then(Value::as_object)
                    .cloned()
                    .unwrap_or_default()
            };
            for plan in named("/tenant/unfinished").keys() {
                all.remove(plan);
            }
            all.extend(named("/next/tenant/unfinished"));
            // In the order that was written then, which only the hash minds.
            record["v"] = json!(0);
            record["judged"][kind]["tenant"] = found;
            record["judged"][kind]["next"]["tenant"] = state(&all);
        }
        let mut fields = record.as_object().unwrap().clone();
        let [seq, prev, hash] = ["seq", "prev", "hash"].map(|key| fields.remove(key).unwrap());
        let inner = Value::from(fields).to_string();
        before.push(format!(
            "{{\"seq\":{seq},\"prev\":{prev},{},\"hash\":{hash}}}",
            &inner[1..inner.len() - 1]
        ));
    }
    assert_eq!(all.len(), 2, "two are under way");
    let text = chained(&before);
    assert!(!text.contains("others"), "{text}");
    fs::write(&file, text).unwrap();
    place.done(&["audit", "verify", "audit"]);
    place.done(&["replay", "audit"]);
    let served = place.serve();
    lets_through(&served, "more", MOST - 2);
    served.kill();
    place.done(&["replay", "audit"]);
    // What a later program writes is not guessed at.
    let text = fs::read_to_string(&file).unwrap();
    let later: Vec<String> = text
        .lines()
        .map(|line| line.replacen("\"v\":1,", "\"v\":2,", 1))
        .collect();
    fs::write(&file, chained(&later)).unwrap();
    let said = place.refused(&["replay", "audit"]);
    assert!(said.contains("version 2"), "{said}");
}

/// An authoriser that thinks for a moment, or for ever about who is called `slow`; how often it was asked.
fn authoriser(thinks: Duration) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let counted = Arc::clone(&counted);
            thread::spawn(move || -> Option<()> {
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
                    counted.fetch_add(1, Ordering::SeqCst);
                    if String::from_utf8_lossy(&body).contains("\"slow\"") {
                        // Until the other side gives up.
                        let _gone = reader.read(&mut [0]);
                        return None;
                    }
                    thread::sleep(thinks);
                    let word = r#"{"v":0,"decision":"allow"}"#;
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", word.len());
                    stream.write_all((head + word).as_bytes()).ok()?;
                }
            });
        }
    });
    (address, asked)
}

fn asking(address: &str, more: &str) -> Place {
    Place::new(&format!(
        "authz: {{mode: external_http, endpoint: \"http://{address}/v0/authorize\", {more}}}\nplanner: {{reply_policy: always}}\n"
    ))
}

/// Sends these at the same time; status and body of each.
fn at_once(served: &Served, sent: Vec<Value>) -> Vec<(u16, String)> {
    thread::scope(|scope| {
        let sent = sent.iter().map(|sent| {
            scope.spawn(move || served.post_bytes("/v0/events", sent.to_string().as_bytes()))
        });
        let sent: Vec<_> = sent.collect();
        sent.into_iter()
            .map(|it| it.join().expect("answered"))
            .collect()
    })
}

#[test]
fn an_event_that_comes_often_at_once_is_asked_about_once() {
    let (address, asked) = authoriser(Duration::from_millis(400));
    let place = asking(&address, "timeout_ms: 20000");
    let served = place.serve();
    let answers = at_once(&served, vec![event("t", "e-1", "room"); 12]);
    assert!(answers.iter().all(|it| *it == answers[0]), "{answers:?}");
    assert_eq!(answers[0].0, 200, "{answers:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    // Another body under the same id waits too, and is a conflict.
    let mut sent = vec![event("t", "e-2", "other"); 3];
    sent.push(event("t", "e-2", "another"));
    let answers = at_once(&served, sent);
    assert!(answers.iter().any(|it| it.0 == 409), "{answers:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    drop(served);
    let records = place.records();
    let of = |result: &str| records.iter().filter(|it| it["result"] == result).count();
    assert_eq!(of("decided"), 2);
}

/// Everything that is answered is on record, also that nothing could be decided.
#[test]
fn what_is_turned_away_because_too_much_waits_is_on_record() {
    let (address, _) = authoriser(Duration::ZERO);
    let place = asking(&address, "timeout_ms: 700, max_in_flight: 1");
    let served = place.serve();
    let sent = (0..8).map(|n| event("slow", &format!("e-{n}"), &format!("room-{n}")));
    let answers = at_once(&served, sent.collect());
    let away: Vec<&(u16, String)> = answers.iter().filter(|it| it.0 == 503).collect();
    assert!(!away.is_empty(), "{answers:?}");
    for (_, text) in &away {
        let problem: Value = serde_json::from_str(text).unwrap();
        assert_eq!(
            (&problem["code"], &problem["reason_code"]),
            (&json!(5602), &json!("backpressure"))
        );
    }
    drop(served);
    let records = place.records();
    let recorded: Vec<&Value> = records
        .iter()
        .filter(|it| it["result"] == "refused")
        .collect();
    assert_eq!(recorded.len(), away.len());
    for record in recorded {
        assert_eq!(
            (&record["tenant_id"], &record["reason_code"]),
            (&json!("slow"), &json!("backpressure"))
        );
        assert!(
            record["room_id"].is_string() && record.get("judged").is_none(),
            "{record}"
        );
    }
    place.done(&["audit", "verify", "audit"]);
}

/// Whether health says that something can be decided, as far as files and store go.
fn health(served: &Served) -> (u16, Value) {
    let (status, text) = http::call(served.address(), "GET", "/v0/healthz", &[], b"");
    (status, serde_json::from_str(&text).expect("JSON"))
}

#[test]
fn health_tells_that_nothing_can_be_decided_and_goes_back_by_itself() {
    let place = Place::new(&format!("{OPEN}\nstore: {{type: sqlite}}\n"));
    // A file that grows beyond the limit below is an error for who writes it, and not the end of it.
    let mut command = std::process::Command::new("sh");
    command
        .args([
            "-c",
            "trap '' XFSZ; exec \"$0\" serve --listen 127.0.0.1:0",
            env!("CARGO_BIN_EXE_arbiter"),
        ])
        .current_dir(place.path())
        .stdin(Stdio::null());
    let served = place.served(command);
    let (status, _) = served.post("/v0/events", &event("t", "first", "first"));
    assert_eq!((status, health(&served).0), (200, 200));
    // From here on nothing grows: neither the database nor the record, nor the log on standard error, which ends nobody.
    let pid = Pid::from_raw(i32::try_from(served.pid()).unwrap());
    let limit = |bytes| Rlimit {
        current: bytes,
        maximum: None,
    };
    let none = prlimit(pid, Resource::Fsize, limit(Some(1))).unwrap();
    let (status, problem) = served.post("/v0/events", &event("t", "full", "full"));
    assert!(status >= 500, "{problem}");
    for _ in 0..3 {
        let (status, said) = health(&served);
        assert_eq!(
            (status, &said["status"]),
            (503, &json!("failing")),
            "{said}"
        );
        let (status, _) = served.post("/v0/events", &event("t", "still", "still"));
        assert!(status >= 500);
    }
    prlimit(pid, Resource::Fsize, none).unwrap();
    let begun = Instant::now();
    while health(&served).0 != 200 {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{}",
            health(&served).1
        );
        thread::sleep(Duration::from_millis(50));
    }
    let (status, plan) = served.post("/v0/events", &event("t", "after", "after"));
    assert_eq!((status, action_of(&plan)), (200, "request_generation"));
    assert!(served.terminate().success(), "{}", place.log());
    place.done(&["audit", "verify", "audit"]);
    place.done(&["replay", "audit"]);
}
