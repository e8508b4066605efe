//! Stage 4: whether load permits it (RFC-ARB-0001, section 9). Generating lock, cooldown, backpressure, rate of the
//! tenant, in this order and no other. Time is a value.

use chiffon_common::{EventId, PlanId, ReasonCode};
use jiff::Timestamp;

use super::{
    policy::{Gates, Rate},
    state::{Bucket, Generating, RoomState, Span, TenantState, is_far_behind},
};

/// An event, in millionths.
const EVENT: u64 = 1_000_000;

/// The first gate that is shut, or the tenant as it is once the event is counted: nothing where it is as before.
pub(super) fn pass(
    room: &RoomState,
    tenant: &TenantState,
    gate: &Gates,
    now: Timestamp,
) -> Result<Option<TenantState>, ReasonCode> {
    if gate.generation_timeout_ms > 0 && room.held_by(now).is_some() {
        return Err(ReasonCode::GeneratingLock);
    }
    if gate.cooldown_ms > 0 && room.rests(now, gate) {
        return Err(ReasonCode::Cooldown);
    }
    if gate.max_queue > 0 && tenant.under_way(now) >= gate.max_queue as usize {
        return Err(ReasonCode::Backpressure);
    }
    let Some(rate) = &gate.tenant_rate else {
        return Ok(None);
    };
    let filled = level(tenant.bucket.as_ref(), rate, now).saturating_add(EVENT);
    if filled > u64::from(rate.burst) * EVENT {
        return Err(ReasonCode::RateLimited);
    }
    // A clock a little behind another replica's empties nothing twice.
    let at = match tenant.bucket {
        Some(bucket) if !is_far_behind(now, bucket.at) => now.max(bucket.at),
        _ => now,
    };
    let mut counted = tenant.clone();
    counted.bucket = Some(Bucket { level: filled, at });
    Ok(Some(counted))
}

/// How full the bucket is now, in millionths of an event.
pub(super) fn level(bucket: Option<&Bucket>, rate: &Rate, now: Timestamp) -> u64 {
    // One that is far ahead was filled by a wrong clock; what is in it would never drain.
    let Some(bucket) = bucket.filter(|bucket| !is_far_behind(now, bucket.at)) else {
        return 0;
    };
    let passed = now.duration_since(bucket.at).as_nanos();
    let passed = u128::try_from(passed).unwrap_or(0);
    // events * 1,000,000 millionths in per_ms * 1,000,000 nanoseconds: the millions cancel.
    let drained = passed * u128::from(rate.events) / u128::from(rate.per_ms.max(1));
    u64::try_from(u128::from(bucket.level).saturating_sub(drained)).unwrap_or(u64::MAX)
}

/// Room and tenant once a generation is asked for, which holds the room and counts as under way.
pub(super) fn begin(
    room: &mut RoomState,
    tenant: &mut TenantState,
    gate: &Gates,
    (plan_id, event_id): (PlanId, &EventId),
    now: Timestamp,
) {
    let span = Span::from(now, gate.generation_timeout_ms);
    if gate.generation_timeout_ms > 0 {
        room.generating = Some(Generating {
            plan_id,
            event_id: event_id.clone(),
            span,
        });
    }
    tenant.unfinished.retain(|_, span| now < span.until);
    if gate.max_queue > 0 {
        tenant.unfinished.insert(plan_id, span);
    }
}
