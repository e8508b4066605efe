//! The envelope against bytes that are no envelope, and its signature against every changed field.

use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::{AgentId, AttemptRef, TaskId, WorkCancel};

fn sample() -> Envelope {
    let payload = Payload::WorkCancel(WorkCancel {
        attempt: AttemptRef {
            task_id: TaskId::from_uuid(Uuid::from_u128(7)),
            attempt: 1,
        },
        agent: "infrastructure".parse::<AgentId>().unwrap(),
        not_after: "2026-01-19T13:00:00Z".parse().unwrap(),
        reason: "asked to".to_owned(),
    });
    Envelope::new(
        &payload,
        MessageId::from_uuid(Uuid::from_u128(1)),
        TraceId::from_uuid(Uuid::from_u128(2)),
        Some(RequestId::from_uuid(Uuid::from_u128(3))),
        "2026-01-19T12:34:56Z".parse().unwrap(),
    )
    .unwrap()
}

#[test]
fn bytes_and_back_with_unknown_fields_kept() {
    let mut value = serde_json::to_value(sample()).unwrap();
    value["colour"] = json!("blue");
    let envelope = Envelope::from_bytes(value.to_string().as_bytes()).unwrap();
    assert_eq!(envelope.extra["colour"], "blue");
    assert!(matches!(envelope.open().unwrap(), Payload::WorkCancel(_)));
}

#[test]
fn what_is_wrong_is_named() {
    let with = |key: &str, to: Value| {
        let mut value = serde_json::to_value(sample()).unwrap();
        value[key] = to;
        Envelope::from_bytes(value.to_string().as_bytes()).unwrap_err()
    };
    assert!(matches!(
        with("version", json!(2)),
        EnvelopeError::Version(2)
    ));
    assert!(
        matches!(with("message_type", json!("gossip")), EnvelopeError::Type(kind) if kind == "gossip")
    );
    assert!(matches!(
        with("message_id", json!("x")),
        EnvelopeError::Malformed(_)
    ));
    assert!(matches!(
        Envelope::from_bytes(b"{"),
        Err(EnvelopeError::Malformed(_))
    ));
    let large = vec![b' '; MAX_ENVELOPE_BYTES + 1];
    assert!(matches!(
        Envelope::from_bytes(&large),
        Err(EnvelopeError::TooLarge { .. })
    ));
    let mut misfit = sample();
    misfit.payload = json!({"task_id": 1});
    assert!(matches!(misfit.open(), Err(EnvelopeError::Payload { .. })));
}

/// A list of values in the order of the fields is no object, wherever it stands.
#[test]
fn a_list_in_place_of_an_object_is_refused() {
    let opened = |payload: Value, kind: MessageType| {
        let mut message = sample();
        message.message_type = kind;
        message.payload = payload;
        message.open()
    };
    let event = |actor: Value, content: Value| {
        json!({
            "v": 0, "event_id": "e", "tenant_id": "t", "source": "s", "room_id": "r",
            "actor": actor, "content": content, "ts": "2026-01-02T03:04:05Z",
        })
    };
    let actor = json!({"id": "local:anna", "kind": "person"});
    let content = json!({"type": "text", "text": "hi", "mentions_chiffon": true});
    let whole = event(actor.clone(), content.clone());
    assert!(matches!(
        opened(whole, MessageType::Request),
        Ok(Payload::Request(_))
    ));
    for payload in [
        event(json!(["local:anna", "person"]), content.clone()),
        event(actor.clone(), json!(["text", "hi", true])),
        event(actor, json!(["text", "hi"])),
    ] {
        let refused = opened(payload.clone(), MessageType::Request);
        assert!(
            matches!(refused, Err(EnvelopeError::Payload { .. })),
            "{payload}: {refused:?}"
        );
    }
    let cancel = sample().payload;
    let fields: Vec<Value> = cancel.as_object().unwrap().values().cloned().collect();
    let refused = opened(Value::Array(fields), MessageType::WorkCancel);
    assert!(
        matches!(refused, Err(EnvelopeError::Payload { .. })),
        "{refused:?}"
    );
    let signed = sample().signed(&Signer::from_secret([7; 32])).unwrap();
    let mut value = serde_json::to_value(signed).unwrap();
    Envelope::from_bytes(value.to_string().as_bytes()).unwrap();
    let parts: Vec<Value> = value["signature"]
        .as_object()
        .unwrap()
        .values()
        .cloned()
        .collect();
    value["signature"] = Value::Array(parts);
    let refused = Envelope::from_bytes(value.to_string().as_bytes());
    assert!(
        matches!(refused, Err(EnvelopeError::Malformed(_))),
        "{refused:?}"
    );
}

#[test]
fn a_signature_covers_every_field() {
    let signer = Signer::from_secret([7; 32]);
    let mut keys = TrustedKeys::default();
    keys.trust(signer.public());
    let signed = sample().signed(&signer).unwrap();
    signed.verify(&keys).unwrap();
    assert!(
        sample().verify(&keys).is_err(),
        "an unsigned message was taken"
    );
    assert!(
        signed.verify(&TrustedKeys::default()).is_err(),
        "a stranger's key was taken"
    );
    let mut changed = signed.clone();
    changed.payload["attempt"] = json!(2);
    assert!(changed.verify(&keys).is_err());
    let mut extended = signed;
    extended.extra.insert("colour".to_owned(), json!("blue"));
    assert!(extended.verify(&keys).is_err());
}
