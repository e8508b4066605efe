//! `Idempotency-Key` (R47, draft-ietf-httpapi-idempotency-key-header-07): the same question under the same key
//! gets the same answer, another question 422, and a question that is still being handled 409.
//!
//! The answer is kept by the commit that does the work; this is only the way there and back.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use axum::http::HeaderMap;
use chiffon_common::{Digest, ErrorCode, FieldError, Problem, to_canonical};

use super::{
    State,
    problem::{Refused, key_reused, replay_of},
};
use crate::engine::KeyClaim;

const HEADER: &str = "idempotency-key";

/// Keys that are being handled by this process. Two processes are kept apart by the store: one of them
/// gets the other's answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct InHand(Arc<Mutex<HashSet<String>>>);

/// A key in hand, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    keys: InHand,
    pub(super) claim: KeyClaim,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.keys.with(|keys| keys.remove(&self.claim.key));
    }
}

impl InHand {
    fn with<T>(&self, look: impl FnOnce(&mut HashSet<String>) -> T) -> T {
        // Each use is one operation, so a panic elsewhere leaves nothing half done.
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What the key of a call is held against: the call itself.
pub(super) struct Call<'a> {
    /// The operation, with the id that it is about; two addresses of one handler are the same operation.
    pub(super) operation: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    /// A key that stands in the body, where the header has none.
    pub(super) key: Option<&'a str>,
}

/// Takes the key in hand, if there is one.
///
/// # Errors
/// The stored answer where the same was asked before; 422 where something else was; 409 where it is still being
/// handled.
pub(super) async fn hold(state: &State, call: &Call<'_>) -> Result<Option<Held>, Refused> {
    let Some(key) = key_of(call)? else {
        return Ok(None);
    };
    let key = format!("{}/{key}", state.principal.id);
    let asked = Digest::of_parts([call.operation.as_bytes(), &meaning(call.body)]);
    let is_ours = state.in_hand.with(|keys| keys.insert(key.clone()));
    if !is_ours {
        let detail = "a request with this idempotency key is still being handled";
        let todo = "send the same again in a second: you get its answer";
        let problem = Problem::new(ErrorCode::IdempotencyInFlight, detail, todo);
        return Err(Refused::Later(Box::new(problem), 1));
    }
    let held = Held {
        keys: state.in_hand.clone(),
        claim: KeyClaim { key, asked },
    };
    let shared = &state.shared;
    let tenant = &shared.settings.tenant;
    let stored = shared.store.stored_answer(tenant, &held.claim.key).await?;
    match shared.still_answered(&held.claim.key, stored).await? {
        Some(stored) if stored.body == asked => Err(replay_of(stored.answer)),
        Some(_) => Err(key_reused()
            .at(FieldError::header(HEADER, "used before"))
            .into()),
        None => Ok(Some(held)),
    }
}

/// The body without what means nothing: spaces, and the order of keys.
fn meaning(body: &[u8]) -> Vec<u8> {
    let canonical = serde_json::from_slice::<serde_json::Value>(body)
        .ok()
        .and_then(|value| to_canonical(&value).ok());
    canonical.unwrap_or_else(|| body.to_vec())
}

fn key_of(call: &Call<'_>) -> Result<Option<String>, Refused> {
    let header = call.headers.get(HEADER);
    let header = header.map(|value| value.to_str().unwrap_or_default());
    let Some(key) = header.or(call.key) else {
        return Ok(None);
    };
    // The draft writes the key as a structured string, in quotes; most clients do not.
    let bare = key
        .strip_prefix('"')
        .and_then(|key| key.strip_suffix('"'))
        .unwrap_or(key);
    let fits = !bare.is_empty() && bare.len() <= 255 && !bare.chars().any(char::is_control);
    if fits {
        return Ok(Some(bare.to_owned()));
    }
    let detail = "an idempotency key has 1 to 255 characters without control characters";
    let field = match header {
        Some(_) => FieldError::header(HEADER, detail),
        None => FieldError::body("/idempotency_key", detail),
    };
    Err(
        Problem::new(ErrorCode::MalformedMessage, detail, "use a UUID")
            .at(field)
            .into(),
    )
}
