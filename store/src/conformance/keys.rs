//! What was handled or answered before is not done again.

use std::sync::Arc;

use chiffon_common::Digest;
use serde_json::json;

use super::{
    crowd::join_all,
    make::{at, commit, done, message_id, request_row},
};
use crate::{Commit, Error, Expected, IdempotencyClaim, InboxKey, Store, StoredAnswer, Write};

pub(super) async fn a_message_is_handled_once(store: Arc<dyn Store>) {
    let key = InboxKey {
        consumer: "orchestrator.results".to_owned(),
        message_id: message_id(),
        handled_at: at(0),
    };
    let handling = |key: &InboxKey| Commit {
        inbox: Some(key.clone()),
        ..commit([Write::Request(Expected::Absent, request_row(at(0)))])
    };
    done(store.commit(handling(&key)).await);
    let again = store.commit(handling(&key)).await;
    assert!(matches!(again, Err(Error::AlreadyHandled)), "{again:?}");
    let mut other = key.clone();
    other.consumer = "scribe".to_owned();
    done(store.commit(handling(&other)).await);
}

fn claiming(body: &[u8], answer: i32) -> Commit {
    Commit {
        idempotency: Some(IdempotencyClaim {
            key: "local:ann/42".to_owned(),
            body: Digest::of_bytes(body),
            answer: json!({"answer": answer}),
            at: at(0),
        }),
        ..commit([Write::Request(Expected::Absent, request_row(at(0)))])
    }
}

pub(super) async fn an_idempotency_key_gives_the_same_answer_to_the_same_body(
    store: Arc<dyn Store>,
) {
    done(store.commit(claiming(b"a", 1)).await);
    match store.commit(claiming(b"a", 2)).await {
        Err(Error::Replay { answer }) => assert_eq!(answer, json!({"answer": 1})),
        other => panic!("{other:?} is no replay"),
    }
    let other = store.commit(claiming(b"b", 3)).await;
    assert!(matches!(other, Err(Error::KeyReused)), "{other:?}");
    let mut of_another_tenant = claiming(b"b", 3);
    of_another_tenant.tenant_id = super::make::name("other");
    of_another_tenant.writes.clear();
    done(store.commit(of_another_tenant).await);
}

pub(super) async fn a_stored_answer_is_read_back(store: Arc<dyn Store>) {
    let (mine, key) = (super::make::name("default"), "local:ann/42");
    assert_eq!(done(store.stored_answer(&mine, key).await), None);
    done(store.commit(claiming(b"a", 1)).await);
    let kept = StoredAnswer {
        body: Digest::of_bytes(b"a"),
        answer: json!({"answer": 1}),
    };
    assert_eq!(done(store.stored_answer(&mine, key).await), Some(kept));
    let other = done(store.stored_answer(&mine, "local:ann/43").await);
    assert_eq!(other, None);
    let theirs = super::make::name("other");
    assert_eq!(done(store.stored_answer(&theirs, key).await), None);
    done(store.forget(at(1)).await);
    assert_eq!(done(store.stored_answer(&mine, key).await), None);
}

pub(super) async fn a_key_is_forgotten_with_the_answer_that_was_read(store: Arc<dyn Store>) {
    let (mine, key) = (super::make::name("default"), "local:ann/42");
    done(store.commit(claiming(b"a", 1)).await);
    let Some(kept) = done(store.stored_answer(&mine, key).await) else {
        panic!("the claim is gone");
    };
    let forget = |kept: &StoredAnswer| {
        let (key, kept) = (key.to_owned(), kept.clone());
        commit([Write::ForgetKey { key, kept }])
    };
    let other = StoredAnswer {
        answer: json!({"answer": 2}),
        ..kept.clone()
    };
    done(store.commit(forget(&other)).await);
    assert_eq!(
        done(store.stored_answer(&mine, key).await),
        Some(kept.clone())
    );
    let mut of_another = forget(&kept);
    of_another.tenant_id = super::make::name("other");
    done(store.commit(of_another).await);
    assert_eq!(
        done(store.stored_answer(&mine, key).await),
        Some(kept.clone())
    );
    done(store.commit(forget(&kept)).await);
    assert_eq!(done(store.stored_answer(&mine, key).await), None);
    done(store.commit(claiming(b"b", 3)).await);
}

pub(super) async fn of_many_claims_of_one_key_one_wins(store: Arc<dyn Store>) {
    let claims = (0..20).map(|number| {
        let store = store.clone();
        async move { store.commit(claiming(b"a", number)).await }
    });
    let results = join_all(claims).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    let replays = results
        .iter()
        .filter(|one| matches!(one, Err(Error::Replay { .. })));
    assert_eq!(replays.count(), 19);
}
