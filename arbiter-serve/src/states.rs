//! States of rooms and tenants as the store keeps them: documents with the time from which they mean nothing.

use chiffon_arbiter::{Gates, RoomState, TenantState};
use chiffon_common::ResponsePlan;
use chiffon_store::{Expect, Loaded, StateChange, StateWrite, Versioned};
use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, de::DeserializeOwned};

use crate::record::Next;

/// A state that was loaded; the neutral one where there is none.
pub(crate) fn read<T: DeserializeOwned + Default>(
    found: Option<&Versioned>,
) -> Result<T, serde_json::Error> {
    found.map_or_else(
        || Ok(T::default()),
        |found| serde_json::from_str(&found.doc),
    )
}

/// What is written of room and tenant after a judgement by both: their new states, or that they have not changed.
pub(crate) fn moved(
    loaded: &Loaded,
    next: &Next<'_>,
    gate: &Gates,
) -> Result<(StateWrite, StateWrite), serde_json::Error> {
    let room = next.room.as_deref();
    let room = room.map(|room| put(room, room_until(room, gate)));
    let tenant = next.tenant.as_deref();
    let tenant = tenant.map(|tenant| put(tenant, tenant_until(tenant, gate)));
    let write = |found: Option<&Versioned>, change: Option<StateChange>| StateWrite {
        expected: Expect::of(found),
        change: change.unwrap_or(StateChange::Keep),
    };
    Ok((
        write(loaded.room.as_ref(), room.transpose()?),
        write(loaded.tenant.as_ref(), tenant.transpose()?),
    ))
}

/// A new document.
pub(crate) fn put<T: Serialize>(
    state: &T,
    keep_until: Timestamp,
) -> Result<StateChange, serde_json::Error> {
    Ok(StateChange::Put {
        doc: serde_json::to_string(state)?,
        keep_until,
    })
}

/// From when on a room means nothing under these gates.
pub(crate) fn room_until(room: &RoomState, gate: &Gates) -> Timestamp {
    let held = room.generating.as_ref().map(|held| held.span.until);
    let rests = room.answered_at.map(|at| later(at, gate.cooldown_ms));
    held.max(rests).unwrap_or(Timestamp::MIN)
}

/// Until when a plan's generation is waited for, where it asks for one.
pub(crate) fn asked_until(plan: &ResponsePlan, next: &Next<'_>) -> Option<Timestamp> {
    let held = next.room.as_deref()?.generating.as_ref()?;
    plan.asks_generation().then_some(held.span.until)
}

/// From when on a tenant means nothing under these gates.
pub(crate) fn tenant_until(tenant: &TenantState, gate: &Gates) -> Timestamp {
    let unfinished = tenant.unfinished.values().map(|span| span.until).max();
    let drained = tenant.bucket.map(|bucket| {
        let per_event = gate
            .tenant_rate
            .map_or(0, |rate| rate.per_ms / u64::from(rate.events.max(1)) + 1);
        // Rounded up: one event more than the level says.
        let events = bucket.level / 1_000_000 + 1;
        later(bucket.at, events.saturating_mul(per_event))
    });
    unfinished.max(drained).unwrap_or(Timestamp::MIN)
}

fn later(at: Timestamp, ms: u64) -> Timestamp {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    at.checked_add(SignedDuration::from_millis(ms))
        .unwrap_or(Timestamp::MAX)
}
