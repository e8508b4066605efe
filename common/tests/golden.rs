//! The golden examples of the bus protocol (`docs/protocol/*.json`), held against the types and against
//! docs/protocol.md, so that page and program cannot drift apart. What the messages mean is left to
//! the rooms that handle them.

use std::collections::BTreeSet;

use base64::{Engine, prelude::BASE64_STANDARD};
use chiffon_common::{
    Bundle, Envelope, ErrorCode, EventError, MessageType, Payload, Signer, TrustedKeys,
};
use serde_json::Value;

const PAGE: &str = include_str!("../../docs/protocol.md");

const EXAMPLES: [(&str, &str); 9] = [
    ("request", include_str!("../../docs/protocol/request.json")),
    (
        "work_request",
        include_str!("../../docs/protocol/work_request.json"),
    ),
    ("bundle", include_str!("../../docs/protocol/bundle.json")),
    (
        "work_cancel",
        include_str!("../../docs/protocol/work_cancel.json"),
    ),
    (
        "work_query",
        include_str!("../../docs/protocol/work_query.json"),
    ),
    (
        "work_status",
        include_str!("../../docs/protocol/work_status.json"),
    ),
    (
        "work_result",
        include_str!("../../docs/protocol/work_result.json"),
    ),
    (
        "heartbeat",
        include_str!("../../docs/protocol/heartbeat.json"),
    ),
    ("error", include_str!("../../docs/protocol/error.json")),
];

/// A type added without an example does not compile until it is named here and above.
fn name_of(kind: MessageType) -> &'static str {
    match kind {
        MessageType::Request => "request",
        MessageType::WorkRequest => "work_request",
        MessageType::Bundle => "bundle",
        MessageType::WorkCancel => "work_cancel",
        MessageType::WorkQuery => "work_query",
        MessageType::WorkStatus => "work_status",
        MessageType::WorkResult => "work_result",
        MessageType::Heartbeat => "heartbeat",
        MessageType::Error => "error",
    }
}

fn read(name: &str, text: &str) -> (Envelope, Payload) {
    let envelope =
        Envelope::from_bytes(text.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let payload = envelope
        .open()
        .unwrap_or_else(|error| panic!("{name}: {error:?}"));
    (envelope, payload)
}

fn example(name: &str) -> (Envelope, Payload) {
    let found = EXAMPLES.iter().find(|(other, _)| *other == name);
    read(name, found.expect("an example of this name").1)
}

/// The key that the page names: 32 bytes of value 7.
fn keys() -> TrustedKeys {
    let mut keys = TrustedKeys::default();
    keys.trust(Signer::from_secret([7; 32]).public());
    keys
}

#[test]
fn every_example_is_of_the_type_that_its_file_names() {
    let mut seen = BTreeSet::new();
    for (name, text) in EXAMPLES {
        let (envelope, payload) = read(name, text);
        assert_eq!(name_of(envelope.message_type), name);
        assert_eq!(payload.message_type(), envelope.message_type);
        assert!(seen.insert(name), "{name} stands twice");
    }
}

#[test]
fn writing_an_example_again_gives_the_same_json() {
    for (name, text) in EXAMPLES {
        let golden: Value = serde_json::from_str(text).unwrap();
        let (envelope, payload) = read(name, text);
        assert!(envelope.extra.is_empty(), "{name} has a field of no type");
        let again: Value = serde_json::from_slice(&envelope.to_bytes().unwrap()).unwrap();
        assert_eq!(again, golden, "{name}: the envelope");
        // Through the typed payload as well: a field that the type does not know would be lost here.
        let rebuilt = Envelope::new(
            &payload,
            envelope.message_id,
            envelope.trace_id,
            envelope.request_id,
            envelope.timestamp,
        );
        assert_eq!(
            rebuilt.unwrap().payload,
            golden["payload"],
            "{name}: the payload"
        );
    }
}

#[test]
fn the_page_shows_every_example_as_its_file_has_it() {
    for (name, text) in EXAMPLES {
        let block = format!("```json\n{text}```\n");
        assert!(
            PAGE.contains(&block),
            "docs/protocol.md does not show docs/protocol/{name}.json word for word"
        );
    }
    let key = Signer::from_secret([7; 32]).public().to_string();
    assert!(PAGE.contains(&key), "docs/protocol.md names another key");
}

#[test]
fn what_an_orchestrator_sends_is_signed_and_nothing_else_is() {
    for (name, text) in EXAMPLES {
        let (envelope, _) = read(name, text);
        let from_orchestrator = matches!(
            envelope.message_type,
            MessageType::WorkRequest
                | MessageType::Bundle
                | MessageType::WorkCancel
                | MessageType::WorkQuery
        );
        if from_orchestrator {
            envelope
                .verify(&keys())
                .unwrap_or_else(|error| panic!("{name}: {error}"));
        } else {
            assert_eq!(envelope.signature, None, "{name}");
        }
    }
}

#[test]
fn the_seal_of_the_example_is_good_and_says_what_the_message_says() {
    let (_, payload) = example("work_request");
    let Payload::WorkRequest(work) = payload else {
        panic!("another payload");
    };
    keys().verify_seal(&work.seal).unwrap();
    let claims = &work.seal.claims;
    assert_eq!(claims.task_id, work.attempt.task_id);
    assert_eq!(claims.attempt, work.attempt.attempt);
    assert_eq!(claims.action, work.action);
    assert_eq!(claims.bundle, work.bundle);
    assert_eq!(claims.parameters, work.parameters);
    assert_eq!(claims.hosts, work.hosts);
    assert_eq!(claims.mode, work.mode);
    assert_eq!(claims.timeout_seconds, work.timeout_seconds);
    assert_eq!(claims.not_after, work.not_after);
    let mut changed = work.seal.clone();
    changed.claims.attempt += 1;
    assert!(keys().verify_seal(&changed).is_err());
}

#[test]
fn the_bundle_of_the_example_is_the_one_that_the_work_names() {
    let (_, payload) = example("bundle");
    let Payload::Bundle(piece) = payload else {
        panic!("another payload");
    };
    assert_eq!((piece.piece, piece.pieces), (0, 1));
    let bytes = BASE64_STANDARD.decode(&piece.data).unwrap();
    let bundle = Bundle::from_bytes(&bytes, piece.digest).unwrap();
    assert!(bundle.files().count() > 0);
    let (_, payload) = example("work_request");
    assert!(matches!(payload, Payload::WorkRequest(work) if work.bundle == piece.digest));
}

#[test]
fn event_and_codes_of_the_examples_are_permitted() {
    let (_, payload) = example("request");
    let Payload::Request(event) = payload else {
        panic!("another payload");
    };
    assert_eq!(event.validate(), Ok::<(), EventError>(()));
    let (_, payload) = example("error");
    let Payload::Error(error) = payload else {
        panic!("another payload");
    };
    assert!(ErrorCode::from_number(error.code).is_some());
}
