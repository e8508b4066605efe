//! Bad input: each gets a clear answer with its code, decides nothing, and leaves the program as it was.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    http,
    run::{OPEN, Place, Served, action_done, action_of, event, generation},
};

/// A good event is still answered, and nothing bad was decided.
#[track_caller]
fn still_well(place: &Place, served: &Served, id: &str) {
    let (status, plan) = served.post("/v0/events", &event("well", id, id));
    assert_eq!((status, action_of(&plan)), (200, "request_generation"));
    let decided = place.records();
    let decided = decided.iter().filter(|it| it["result"] == "decided");
    let mut others = decided.filter(|it| it["tenant_id"] != "well");
    assert!(others.next().is_none());
}

#[track_caller]
fn refused(served: &Served, path: &str, body: &[u8], status: u16) -> Value {
    let (found, text) = served.post_bytes(path, body);
    let problem: Value = serde_json::from_str(&text).expect("a problem is JSON");
    let shown = String::from_utf8_lossy(&body[..body.len().min(300)]);
    assert_eq!(found, status, "{shown}: {problem}");
    for field in ["type", "title", "detail", "todo", "code", "trace_id"] {
        assert!(!problem[field].is_null(), "{field}: {problem}");
    }
    assert_eq!(problem["status"], status);
    problem
}

#[test]
fn every_field_missing_and_of_another_type() {
    let place = Place::new(OPEN);
    let served = place.serve();
    let (_, plan) = served.post("/v0/events", &event("well", "e-1", "room"));
    let said = generation(&plan, "hi");
    let done = action_done(&plan);
    let documents = [
        (
            "/v0/events",
            event("bad", "e-1", "room"),
            vec!["project_id"],
        ),
        ("/v0/generations", said, vec!["error"]),
        ("/v0/action-results", done, vec!["error"]),
    ];
    for (path, good, _optional) in &documents {
        for (name, value) in good.as_object().expect("an object") {
            let mut without = good.clone();
            without.as_object_mut().expect("an object").remove(name);
            refused(&served, path, without.to_string().as_bytes(), 400);
            let others = [
                json!(null),
                json!(true),
                json!([]),
                json!({}),
                json!(-1),
                json!(1.5),
                json!(""),
            ];
            for other in others {
                if std::mem::discriminant(&other) == std::mem::discriminant(value)
                    && !value.is_string()
                    && !value.is_u64()
                {
                    continue;
                }
                let mut wrong = good.clone();
                wrong[name] = other;
                let (status, text) = served.post_bytes(path, wrong.to_string().as_bytes());
                assert!(
                    (400..500).contains(&status),
                    "{path} {wrong}: {status} {text}"
                );
            }
        }
        let mut unknown = good.clone();
        unknown["surprise"] = json!(1);
        refused(&served, path, unknown.to_string().as_bytes(), 400);
        let mut later = good.clone();
        later["v"] = json!(1);
        let problem = refused(&served, path, later.to_string().as_bytes(), 400);
        assert_eq!(problem["code"], 5002, "{problem}");
    }
    for (part, field) in [
        ("actor", "id"),
        ("actor", "kind"),
        ("content", "type"),
        ("content", "text"),
    ] {
        let mut without = event("bad", "e-1", "room");
        without[part]
            .as_object_mut()
            .expect("an object")
            .remove(field);
        refused(&served, "/v0/events", without.to_string().as_bytes(), 400);
        let mut wrong = event("bad", "e-1", "room");
        wrong[part][field] = json!(7);
        refused(&served, "/v0/events", wrong.to_string().as_bytes(), 400);
    }
    still_well(&place, &served, "e-2");
}

#[test]
fn too_long_and_control_characters() {
    let place = Place::new(OPEN);
    let served = place.serve();
    for field in ["event_id", "tenant_id", "room_id", "source"] {
        for bad in [
            "",
            "a\nb",
            "a\u{0}b",
            "\u{1b}[31m",
            "\u{202e}x\u{7f}",
            &"x".repeat(300),
        ] {
            let mut wrong = event("bad", "e-1", "room");
            wrong[field] = json!(bad);
            let (status, text) = served.post_bytes("/v0/events", wrong.to_string().as_bytes());
            assert!(
                (400..500).contains(&status),
                "{field} {bad:?}: {status} {text}"
            );
            assert!(!text.chars().any(char::is_control), "{text:?}");
        }
    }
    for (text, code) in [
        ("x".repeat(8_001), 5009),
        ("a\u{0}".to_owned(), 5008),
        (" \n".to_owned(), 5007),
    ] {
        let mut wrong = event("bad", "e-1", "room");
        wrong["content"]["text"] = json!(text);
        let problem = refused(&served, "/v0/events", wrong.to_string().as_bytes(), 422);
        assert_eq!(problem["code"], code);
        assert_eq!(
            problem["errors"][0]["pointer"], "/content/text",
            "{problem}"
        );
    }
    let mut wrong = event("bad", "e-1", "room");
    wrong["actor"]["kind"] = json!("");
    let problem = refused(&served, "/v0/events", wrong.to_string().as_bytes(), 400);
    assert_eq!(problem["errors"][0]["pointer"], "/actor/kind", "{problem}");
    let (_, plan) = served.post("/v0/events", &event("well", "asks", "asks"));
    let empty = generation(&plan, " ").to_string();
    let problem = refused(&served, "/v0/generations", empty.as_bytes(), 422);
    assert_eq!(problem["errors"][0]["pointer"], "/text", "{problem}");
    assert_eq!(problem["detail"], "the text is empty");
    // The longest that is permitted.
    let mut long = event("well", "long", "long");
    long["content"]["text"] = json!("ä".repeat(8_000));
    assert_eq!(served.post("/v0/events", &long).0, 200);
    still_well(&place, &served, "e-2");
}

#[test]
fn times_that_are_decades_off_or_none() {
    let place = Place::new(OPEN);
    let served = place.serve();
    // The event's own time is told, never judged by.
    for (n, ts) in [
        "1970-01-01T00:00:00Z",
        "2999-12-31T23:59:59Z",
        "0001-01-01T00:00:00Z",
        "9998-12-31T23:59:59Z",
    ]
    .iter()
    .enumerate()
    {
        let mut odd = event("well", &format!("odd-{n}"), "clock");
        odd["ts"] = json!(ts);
        let (status, plan) = served.post("/v0/events", &odd);
        assert_eq!(status, 200, "{ts}: {plan}");
        if action_of(&plan) == "request_generation" {
            let mut said = generation(&plan, "hi");
            said["ts"] = json!(ts);
            assert_eq!(served.post("/v0/generations", &said).0, 200);
        }
    }
    for ts in [
        "yesterday",
        "2026-13-01T00:00:00Z",
        "999999-01-01T00:00:00Z",
        // Years of RFC 3339 have four digits.
        "-009998-01-01T00:00:00Z",
        "9999-01-01T00:00:00Z",
        // In UTC they are of a year that is not read again.
        "9998-12-31T23:59:59-00:01",
        "0000-01-01T00:00:00+00:01",
        "",
    ] {
        let mut wrong = event("bad", "e-1", "room");
        wrong["ts"] = json!(ts);
        refused(&served, "/v0/events", wrong.to_string().as_bytes(), 400);
    }
    // What was taken is read again.
    served.kill();
    let served = place.serve();
    still_well(&place, &served, "e-2");
}

#[test]
fn large_deep_and_broken_bodies() {
    let place = Place::new(OPEN);
    let served = place.serve();
    let large = vec![b' '; 10 * 1024 * 1024];
    let problem = refused(&served, "/v0/events", &large, 413);
    assert_eq!(problem["code"], 5003);
    let barely = vec![b' '; 256 * 1024 + 1];
    refused(&served, "/v0/events", &barely, 413);
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    refused(&served, "/v0/events", deep.as_bytes(), 400);
    let deep = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    refused(&served, "/v0/generations", deep.as_bytes(), 400);
    let mut invalid = event("bad", "e-1", "room").to_string().into_bytes();
    let at = invalid
        .windows(5)
        .position(|it| it == b"hello")
        .expect("its text");
    invalid[at] = 0xff;
    refused(&served, "/v0/events", &invalid, 400);
    for broken in [
        "",
        "{",
        "[]",
        "null",
        "1",
        "\"x\"",
        "{}{}",
        "{\"v\":0,}",
        "{\"v\":0,\"v\":0}",
        "\u{feff}{}",
    ] {
        refused(&served, "/v0/events", broken.as_bytes(), 400);
    }
    let twice = event("bad", "e-1", "room").to_string();
    let twice = twice.replacen("{", "{\"event_id\":\"other\",", 1);
    refused(&served, "/v0/events", twice.as_bytes(), 400);
    still_well(&place, &served, "e-2");
}

#[test]
fn another_tenants_plans_are_nobodys() {
    let place = Place::new(OPEN);
    let served = place.serve();
    let (_, plan) = served.post("/v0/events", &event("well", "e-1", "room"));
    for path in ["/v0/generations", "/v0/action-results"] {
        let mut theirs = match path {
            "/v0/generations" => generation(&plan, "hi"),
            _ => action_done(&plan),
        };
        theirs["tenant_id"] = json!("thief");
        let problem = refused(&served, path, theirs.to_string().as_bytes(), 404);
        assert_eq!(problem["code"], 5021);
    }
    // The room of another tenant, of the same name, is another room.
    let (_, other) = served.post("/v0/events", &event("well2", "e-1", "room"));
    assert_eq!(action_of(&other), "request_generation");
}

#[test]
fn addresses_methods_types_tokens_and_names() {
    let place = Place::new(&format!("{OPEN}\ntoken: 0123456789abcdef\n"));
    let served = place.serve();
    let at = served.address();
    let body = event("well", "e-1", "room").to_string();
    let json_type = ("content-type", "application/json");
    let good = ("authorization", "Bearer 0123456789abcdef");
    let post =
        |headers: &[(&str, &str)]| http::call(at, "POST", "/v0/events", headers, body.as_bytes()).0;
    assert_eq!(post(&[json_type]), 401);
    assert_eq!(
        post(&[json_type, ("authorization", "Bearer 0123456789abcdeg")]),
        401
    );
    assert_eq!(
        post(&[json_type, ("authorization", "Basic 0123456789abcdef")]),
        401
    );
    assert_eq!(post(&[good, ("content-type", "text/plain")]), 415);
    assert_eq!(post(&[good]), 415);
    assert_eq!(post(&[good, json_type]), 200);
    let get = |path| http::call(at, "GET", path, &[good], b"");
    assert_eq!(get("/v0/events").0, 405);
    for (method, path, allowed) in [
        ("GET", "/v0/events", "post"),
        ("POST", "/v0/healthz", "get, head"),
        ("HEAD", "/v0/events", "post"),
    ] {
        let (head, _) = http::whole(at, method, path, &[good], b"");
        let head = head.to_lowercase() + "\r\n";
        assert!(
            head.contains(&format!("\r\nallow: {allowed}\r\n")),
            "{head}"
        );
    }
    assert_eq!(get("/v0/nothing").0, 404);
    assert_eq!(get("/").0, 404);
    let (status, contracts) = get("/v0/contracts");
    let contracts: Value = serde_json::from_str(&contracts).expect("JSON");
    assert_eq!((status, &contracts["versions"]), (200, &json!([0])));
    assert_eq!(http::call(at, "GET", "/v0/contracts", &[], b"").0, 401);
    let (status, health) = http::call(at, "GET", "/v0/healthz", &[], b"");
    assert_eq!(status, 200);
    assert!(health.contains("\"status\":\"ok\""), "{health}");
    let (status, page) = http::call(at, "GET", "/errors/5020", &[], b"");
    assert_eq!(status, 200);
    assert!(page.starts_with("# 5020"));
    drop(served);
    // Without a token, no page of a browser and no other name.
    let place = Place::new(OPEN);
    let served = place.serve();
    let at = served.address();
    let post =
        |headers: &[(&str, &str)]| http::call(at, "POST", "/v0/events", headers, body.as_bytes()).0;
    assert_eq!(post(&[json_type, ("host", "evil.example")]), 403);
    assert_eq!(post(&[json_type, ("origin", "http://evil.example")]), 403);
    assert_eq!(post(&[json_type]), 200);
}

/// What is turned away before its body is read ends its connection, and says so; what has none does not.
#[test]
fn a_connection_that_is_not_gone_on_with_is_said_to_end() {
    let place = Place::new(&format!("{OPEN}\ntoken: 0123456789abcdef\n"));
    let served = place.serve();
    let ask = |first: &str, headers: &str, length: usize| {
        let mut stream = TcpStream::connect(served.address()).expect("it listens");
        let limit = Some(Duration::from_secs(60));
        stream.set_read_timeout(limit).expect("a bound");
        // The body does not come before the answer.
        let call = format!(
            "{first} HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: {length}\r\n\r\n"
        );
        stream.write_all(call.as_bytes()).expect("sent");
        let (mut head, mut byte) = (Vec::new(), [0; 1]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).expect("an answer");
            head.extend_from_slice(&byte);
        }
        String::from_utf8(head).expect("text").to_lowercase()
    };
    let token = "authorization: Bearer 0123456789abcdef\r\n";
    for (status, first, headers) in [
        (401, "POST /v0/events", ""),
        (404, "POST /v0/nothing", token),
        (405, "PUT /v0/events", token),
        (415, "POST /v0/events", token),
    ] {
        let head = ask(first, headers, 5);
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{head}");
        assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
        let head = ask(first, headers, 0);
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{head}");
        assert!(!head.contains("connection: close"), "{head}");
    }
}

#[test]
fn a_caller_that_hangs_up_or_dawdles_harms_nobody() {
    let place = Place::new(OPEN);
    let served = place.serve();
    for partial in [
        "POST /v0/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"v\":",
        "GET",
        "\u{0}\u{1}\u{2}\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(served.address()).expect("it listens");
        stream.write_all(partial.as_bytes()).expect("sent");
    }
    let mut slow = TcpStream::connect(served.address()).expect("it listens");
    slow.write_all(b"POST /v0/events HTTP/1.1\r\n")
        .expect("sent");
    // A whole event from somebody who does not wait for the answer is decided and recorded all the same.
    let body = event("well", "gone", "gone").to_string();
    let head = format!(
        "POST /v0/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut gone = TcpStream::connect(served.address()).expect("it listens");
    gone.write_all((head + &body).as_bytes()).expect("sent");
    drop(gone);
    still_well(&place, &served, "e-2");
    slow.set_read_timeout(Some(Duration::from_millis(1)))
        .expect("a bound");
    let _nothing = slow.read(&mut [0; 1]);
}

#[test]
fn an_audit_folder_that_goes_away_stops_all_decisions() {
    let place = Place::new(OPEN);
    let served = place.serve();
    let (_, plan) = served.post("/v0/events", &event("well", "e-1", "room"));
    assert_eq!(action_of(&plan), "request_generation");
    fs::remove_dir_all(place.audit()).expect("it is removed");
    for id in ["e-2", "e-3"] {
        let sent = event("well", id, id).to_string();
        let problem = refused(&served, "/v0/events", sent.as_bytes(), 503);
        assert_eq!(problem["code"], 5030, "{problem}");
    }
    let (status, health) = http::call(served.address(), "GET", "/v0/healthz", &[], b"");
    assert_eq!(status, 503, "{health}");
    assert!(health.contains("moved away"), "{health}");
}

#[test]
fn a_configuration_that_is_not_there_is_not_in_order() {
    let place = Place::new("");
    place.done(&["config", "check"]);
    fs::remove_file(place.path().join("config.yaml")).expect("it is removed");
    let output = place.run(&["config", "check"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(said.contains("there is no config.yaml"), "{said}");
    place.configure("store: {type: postgres, url: \"postgres://u:hidden@[\"}");
    let said = place.refused(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(
        said.contains("store.url") && !said.contains("hidden") && !said.contains("report"),
        "{said}"
    );
    // Nobody has sent anything yet that could be sent again.
    place.configure("store: {type: postgres, url: \"postgres://u:hidden@127.0.0.1:1/db\"}");
    let said = place.refused(&["serve", "--listen", "127.0.0.1:0"]);
    let words = ["5501", "store.url", "start the database"];
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
    assert!(
        !said.contains("hidden") && !said.contains("again"),
        "{said}"
    );
}

#[test]
fn a_folder_that_cannot_be_written_and_a_second_program() {
    let place = Place::new(OPEN);
    let served = place.serve();
    let said = place.refused(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(said.contains("5832"), "{said}");
    let (_, plan) = served.post("/v0/events", &event("well", "e-1", "room"));
    assert_eq!(action_of(&plan), "request_generation");
    drop(served);
    let said = place.refused(&["serve", "--listen", "0.0.0.0:0"]);
    assert!(said.contains("5831"), "{said}");
    place.configure("gate: {cooldwn_ms: 1}\nplanner: {reply_probability: 2}");
    let output = place.run(&["config", "check"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(
        said.contains("did you mean gate.cooldown_ms?") && said.contains("5802"),
        "{said}"
    );
    place.configure("audit: {path: occupied}\n");
    fs::write(place.path().join("occupied"), "a file").expect("a file");
    let said = place.refused(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(said.contains("occupied"), "{said}");
}
