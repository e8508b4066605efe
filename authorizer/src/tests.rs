//! Authorisers that are slow, lie, redirect, answer garbage or are down: real ones, over real connections.

use std::sync::atomic::AtomicUsize;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

/// An authoriser that answers every question with these bytes, as often as it is asked.
struct Fake {
    address: std::net::SocketAddr,
    asked: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Fake {
    async fn start(answer: impl Fn(&str) -> Option<String> + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let fake = Self {
            address,
            asked: Arc::default(),
            connections: Arc::default(),
        };
        let (asked, connections) = (Arc::clone(&fake.asked), Arc::clone(&fake.connections));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(converse(stream, answer.clone(), Arc::clone(&asked)));
            }
        });
        fake
    }

    fn asking(&self, change: impl FnOnce(&mut Authorizer)) -> Asking {
        let mut settings = Authorizer {
            endpoint: format!("http://{}/v0/authorize", self.address)
                .parse()
                .expect("a URL"),
            ca_file: None,
            token: None,
            timeout: Duration::from_secs(60),
            in_flight: 8,
            cached: 0,
        };
        change(&mut settings);
        Asking::new(settings, 64).expect("a client")
    }
}

/// One connection: requests with a length, one after the other. `None` is no answer at all.
async fn converse(
    mut stream: TcpStream,
    answer: impl Fn(&str) -> Option<String>,
    asked: Arc<AtomicUsize>,
) {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let line = line.to_ascii_lowercase();
                line.strip_prefix("content-length: ")?
                    .trim()
                    .parse::<usize>()
                    .ok()
            });
            if body.len() >= length.unwrap_or(0) {
                asked.fetch_add(1, Ordering::SeqCst);
                bytes.clear();
                match answer(&text) {
                    Some(said) if stream.write_all(said.as_bytes()).await.is_ok() => continue,
                    Some(_) => return,
                    None => std::future::pending::<()>().await,
                }
            }
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
        }
    }
}

fn ok(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

fn question(tenant: &str, event: &str) -> AuthZRequest {
    let id = "0199e2f4-77a1-7c40-8000-000000000001";
    serde_json::from_value(serde_json::json!({
        "v": 0, "request_id": id, "tenant_id": tenant, "room_id": "r",
        "actor": {"id": "local:anna", "kind": "person"}, "action": "request_generation",
        "source": "chat", "event_id": event, "correlation_id": id, "ts": "2026-01-02T03:04:05Z",
    }))
    .expect("a question")
}

#[tokio::test]
async fn a_decision_is_taken_with_its_rule_over_one_connection() {
    let allow =
        ok(r#"{"v":0,"decision":"allow","reason_code":"r-7","policy_version":"3","more":1}"#);
    let fake = Fake::start(move |_| Some(allow.clone())).await;
    let asking = fake.asking(|_| {});
    for event in ["a", "b", "c"] {
        let word = asking
            .ask(&question("t", event))
            .await
            .expect("not crowded");
        let expected = Authorisation::Allow {
            rule: Some("r-7".to_owned()),
            policy_version: Some("3".to_owned()),
        };
        assert_eq!(word, expected);
    }
    assert_eq!(fake.asked.load(Ordering::SeqCst), 3);
    assert_eq!(fake.connections.load(Ordering::SeqCst), 1);
    let deny = ok(r#"{"v":0,"decision":"deny"}"#);
    let fake = Fake::start(move |_| Some(deny.clone())).await;
    let word = fake.asking(|_| {}).ask(&question("t", "a")).await;
    assert!(matches!(word, Ok(Authorisation::Deny { .. })), "{word:?}");
}

#[tokio::test]
async fn the_token_is_shown_and_the_question_is_the_contract() {
    let fake = Fake::start(|text| {
        let is_ours = text
            .to_ascii_lowercase()
            .contains("authorization: bearer 0123456789abcdef")
            && text.starts_with("POST /v0/authorize HTTP/1.1")
            && text.contains(r#""action":"request_generation""#);
        let word = if is_ours { "allow" } else { "deny" };
        Some(ok(&format!(r#"{{"v":0,"decision":"{word}"}}"#)))
    })
    .await;
    let asking = fake.asking(|settings| settings.token = Some("0123456789abcdef".to_owned()));
    let word = asking.ask(&question("t", "a")).await;
    assert!(matches!(word, Ok(Authorisation::Allow { .. })), "{word:?}");
}

/// What is said when this is answered, and how often it was asked for.
async fn heard(answer: &str) -> (Authorisation, usize) {
    let said = answer.to_owned();
    let is_cut = answer.contains("length: 99");
    let fake = Fake::start(move |_| Some(said.clone())).await;
    let asking = fake.asking(|settings| {
        // This one never ends, and is not waited for any longer than need be.
        if is_cut {
            settings.timeout = Duration::from_secs(8);
        }
    });
    let word = asking.ask(&question("t", "a")).await.expect("not crowded");
    (word, fake.asked.load(Ordering::SeqCst))
}

#[tokio::test]
async fn an_answer_that_is_no_decision_is_no_silence() {
    let long = "x".repeat(257);
    let pad = "x".repeat(MOST_BYTES);
    let elsewhere = Fake::start(|_| Some(ok(r#"{"v":0,"decision":"allow"}"#))).await;
    let there = elsewhere.address;
    let of = |status: &str, body: &str| {
        let length = body.len();
        format!("HTTP/1.1 {status} Oh\r\ncontent-length: {length}\r\n\r\n{body}")
    };
    let allow = r#"{"v":0,"decision":"allow"}"#;
    let cases = [
        ok(""),
        ok("<html>welcome</html>"),
        ok("[]"),
        ok("true"),
        ok(r#"{"decision":"allow"}"#),
        ok(r#"{"v":1,"decision":"allow"}"#),
        ok(r#"{"v":0,"decision":"ALLOW"}"#),
        ok(r#"{"v":0,"decision":true}"#),
        // A denial and its opposite, in either order, and one twice.
        ok(r#"{"v":0,"decision":"deny","decision":"allow"}"#),
        ok(r#"{"v":0,"decision":"allow","decision":"deny"}"#),
        ok(r#"{"v":0,"decision":"deny","decision":"deny"}"#),
        ok(r#"[0,"allow"]"#),
        ok(r#" [0,"allow","r","1",60000]"#),
        ok(r#"{"v":0,"decision":{"allow":null}}"#),
        // What is passed over is read all the same.
        ok(r#"{"v":0,"decision":"allow","more":1,"more":2}"#),
        ok(r#"{"v":0,"decision":"allow","more":{"a":1,"a":2}}"#),
        ok(&format!(
            r#"{{"v":0,"decision":"allow","more":{}1{}}}"#,
            "[".repeat(40),
            "]".repeat(40)
        )),
        ok(r#"{"v":0,"decision":"deny""#),
        ok(&format!(
            r#"{{"v":0,"decision":"allow","reason_code":"{long}"}}"#
        )),
        // Larger than is read, whatever it says.
        ok(&format!(r#"{{"v":0,"decision":"allow","pad":"{pad}"}}"#)),
        ok(&format!(r#"{{"v":0,"decision":"deny","pad":"{pad}"}}"#)),
        of("500", allow),
        of("503", r#"{"v":0,"decision":"deny","decision":"deny"}"#),
        of("401", ""),
        of("403", "no"),
        of("404", "nothing here"),
        "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        format!("HTTP/1.1 307 There\r\nlocation: http://{there}/\r\ncontent-length: 0\r\n\r\n"),
        format!("HTTP/1.1 302 There\r\nlocation: http://{there}/\r\ncontent-length: 0\r\n\r\n"),
        "SSH-2.0-OpenSSH\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"v\":0".to_owned(),
    ];
    for answer in cases {
        let (word, asked) = heard(&answer).await;
        assert_eq!(word, Authorisation::Unreadable, "{answer:.200}");
        assert_eq!(asked, 1, "it has answered: {answer:.200}");
    }
    let followed = elsewhere.asked.load(Ordering::SeqCst);
    assert_eq!(followed, 0, "no redirect is followed");
}

#[tokio::test]
async fn one_that_cannot_decide_is_silent() {
    for status in ["500 Oh", "502 Bad Gateway", "503 Later"] {
        for body in ["", "<html>down</html>", r#"{"error":"no database"}"#] {
            let length = body.len();
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
            let (word, _) = heard(&answer).await;
            assert_eq!(word, Authorisation::Unavailable, "{answer:.200}");
        }
    }
}

/// It begins an answer and goes away: it was there, and what it said may have been a denial.
#[tokio::test]
async fn an_answer_that_is_cut_is_asked_for_once() {
    for begun in [
        "HTTP/1.1 200 OK\r\ncontent-length: 300\r\n\r\n{\"v\":0,\"decision\":\"deny\"",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"v\":",
        "H",
        "HTTP/1.1 403 Forb",
        "HTTP/1.1 403 Forbidden\r\ncontent-ty",
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut piece = [0; 4096];
                if stream.read(&mut piece).await.is_ok_and(|read| read > 0) {
                    counted.fetch_add(1, Ordering::SeqCst);
                    let _gone = stream.write_all(begun.as_bytes()).await;
                }
            }
        });
        let fake = Fake {
            address,
            asked: Arc::clone(&asked),
            connections: Arc::default(),
        };
        let word = fake.asking(|_| {}).ask(&question("t", "a")).await;
        assert_eq!(word, Ok(Authorisation::Unreadable), "{begun}");
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{begun}");
    }
}

/// The same where it does not go on, on a connection on which it had answered before.
async fn stops_at(begun: &'static str) {
    let fake = Fake::start(move |text| {
        let is_first = text.contains(r#""event_id":"a""#);
        Some(match is_first {
            true => ok(r#"{"v":0,"decision":"allow"}"#),
            false => begun.to_owned(),
        })
    })
    .await;
    let mut asking = fake.asking(|_| {});
    let word = asking.ask(&question("t", "a")).await;
    assert!(matches!(word, Ok(Authorisation::Allow { .. })), "{word:?}");
    asking.settings.timeout = Duration::from_secs(8);
    let word = asking.ask(&question("t", "b")).await;
    assert_eq!(word, Ok(Authorisation::Unreadable), "{begun}");
    assert_eq!(fake.asked.load(Ordering::SeqCst), 2, "{begun}");
    assert_eq!(fake.connections.load(Ordering::SeqCst), 1, "{begun}");
}

#[tokio::test]
async fn an_answer_that_stops_in_its_head_is_no_silence() {
    tokio::join!(
        stops_at("H"),
        stops_at("HTTP/1.1 403 Forbidden\r\ncontent-ty")
    );
}

/// Nothing at all came back: it is asked a second time, and then it was silent.
#[tokio::test]
async fn one_that_hangs_up_without_a_byte_is_asked_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut piece = [0; 4096];
            if stream.read(&mut piece).await.is_ok_and(|read| read > 0) {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    let fake = Fake {
        address,
        asked: Arc::clone(&asked),
        connections: Arc::default(),
    };
    let word = fake.asking(|_| {}).ask(&question("t", "a")).await;
    assert_eq!(word, Ok(Authorisation::Unavailable));
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn one_that_is_down_is_no_decision() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let fake = Fake {
        address: listener.local_addr().expect("an address"),
        asked: Arc::default(),
        connections: Arc::default(),
    };
    drop(listener);
    let asking = fake.asking(|_| {});
    let word = asking.ask(&question("t", "a")).await;
    assert_eq!(word, Ok(Authorisation::Unavailable));
    // The log tells why.
    let why = asking.asked(&question("t", "a")).await.expect_err("down");
    let NoDecision::Silence(why) = why else {
        panic!("{why:?}");
    };
    assert!(why.contains("refused"), "{why}");
}

#[tokio::test]
async fn a_denial_holds_in_whatever_form() {
    let long = "x".repeat(257);
    let forbidden = r#"{"v":0,"decision":"deny"}"#;
    let length = forbidden.len();
    for answer in [
        ok(r#"{"decision":"deny"}"#),
        ok(r#"{"v":1,"decision":"deny"}"#),
        ok(r#"{"v":0,"decision":"DENY"}"#),
        ok(&format!(
            r#"{{"v":0,"decision":"deny","reason_code":"{long}"}}"#
        )),
        format!("HTTP/1.1 403 No\r\ncontent-length: {length}\r\n\r\n{forbidden}"),
    ] {
        let said = answer.clone();
        let fake = Fake::start(move |_| Some(said.clone())).await;
        let word = fake.asking(|_| {}).ask(&question("t", "a")).await;
        assert!(
            matches!(word, Ok(Authorisation::Deny { rule: None, .. })),
            "{answer:.200}: {word:?}"
        );
    }
}

#[tokio::test]
async fn waiting_for_a_place_is_no_word_of_the_authoriser() {
    let fake = Fake::start(|_| Some(ok(r#"{"v":0,"decision":"deny"}"#))).await;
    let mut asking = fake.asking(|settings| settings.in_flight = 1);
    asking.settings.timeout = Duration::from_millis(100);
    let counted = asking.count(&"t".parse().unwrap()).expect("a place");
    let held = counted.0.free.acquire().await.expect("the only place");
    assert_eq!(asking.ask(&question("t", "a")).await, Err(Crowded));
    assert_eq!(fake.asked.load(Ordering::SeqCst), 0, "it was not asked");
    drop(held);
    // Sent again, it is asked, with its whole time before it.
    asking.settings.timeout = Duration::from_secs(60);
    let word = asking.ask(&question("t", "a")).await;
    assert!(matches!(word, Ok(Authorisation::Deny { .. })), "{word:?}");
}

#[tokio::test]
async fn a_tenant_that_waits_stalls_nobody_else() {
    let fake = Fake::start(|text| {
        let is_slow = text.contains(r#""tenant_id":"slow""#);
        (!is_slow).then(|| ok(r#"{"v":0,"decision":"allow"}"#))
    })
    .await;
    let asking = Arc::new(fake.asking(|settings| settings.in_flight = 1));
    let mut waiting = tokio::task::JoinSet::new();
    for n in 0..17 {
        let asking = Arc::clone(&asking);
        waiting.spawn(async move { asking.ask(&question("slow", &n.to_string())).await });
    }
    // All of its places are taken, also those to wait in, so the next one hears so at once.
    let begun = Instant::now();
    while asking.count(&"slow".parse().unwrap()).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(50), "the places fill");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(asking.ask(&question("slow", "late")).await, Err(Crowded));
    for n in 0..20 {
        let word = asking.ask(&question("quick", &n.to_string())).await;
        assert!(matches!(word, Ok(Authorisation::Allow { .. })), "{word:?}");
    }
    waiting.abort_all();
}

#[tokio::test]
async fn a_slow_one_is_no_decision_after_its_time() {
    let fake = Fake::start(|_| None).await;
    let asking = fake.asking(|settings| settings.timeout = Duration::from_millis(100));
    let word = asking.ask(&question("t", "a")).await;
    assert_eq!(word, Ok(Authorisation::Unavailable));
}

#[tokio::test]
async fn an_answer_is_used_again_only_as_its_author_says() {
    let kept = ok(r#"{"v":0,"decision":"allow","cache_ttl_ms":3600000}"#);
    let fake = Fake::start(move |_| Some(kept.clone())).await;
    let asking = fake.asking(|settings| settings.cached = 1);
    for event in ["a", "b"] {
        asking
            .ask(&question("t", event))
            .await
            .expect("not crowded");
    }
    assert_eq!(
        fake.asked.load(Ordering::SeqCst),
        1,
        "the same actor, room and action"
    );
    asking.ask(&question("u", "a")).await.expect("not crowded");
    asking.ask(&question("u", "b")).await.expect("not crowded");
    assert_eq!(
        fake.asked.load(Ordering::SeqCst),
        3,
        "another tenant, and no place to keep its answer"
    );
    let unkept = ok(r#"{"v":0,"decision":"allow"}"#);
    let fake = Fake::start(move |_| Some(unkept.clone())).await;
    let asking = fake.asking(|settings| settings.cached = 10);
    for event in ["a", "b"] {
        asking
            .ask(&question("t", event))
            .await
            .expect("not crowded");
    }
    assert_eq!(fake.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn one_at_a_time_is_at_a_question_and_nobody_waits_for_another_one() {
    let fake = Fake::start(|_| None).await;
    let asking = Arc::new(fake.asking(|_| {}));
    let same = question("t", "a");
    let mut other = question("t", "b");
    other.request_id = "0199e2f4-77a1-7c40-8000-000000000002"
        .parse()
        .expect("an id");
    let first = asking.alone(&same).await.expect("at once");
    assert!(!first.waited);
    assert!(!asking.alone(&other).await.expect("at once").waited);
    let wait = || {
        let (asking, same) = (Arc::clone(&asking), same.clone());
        tokio::spawn(async move { asking.alone(&same).await.expect("in its turn").waited })
    };
    let (gone, next) = (wait(), wait());
    let begun = Instant::now();
    let waiting = || {
        locked(&asking.alike.0)
            .values()
            .map(Arc::strong_count)
            .sum::<usize>()
    };
    // The map's, two of the one that is at it, and two of each that waits.
    while waiting() < 7 {
        assert!(begun.elapsed() < Duration::from_secs(50), "they wait");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Whoever goes away meanwhile leaves nothing behind.
    gone.abort();
    assert!(gone.await.is_err());
    assert!(!next.is_finished());
    drop(first);
    assert!(next.await.expect("it had its turn"));
    assert!(locked(&asking.alike.0).is_empty());
}
