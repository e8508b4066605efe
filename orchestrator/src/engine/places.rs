//! What the control plane remembers of a room and of the tenant, between the rows of the store and the values that are
//! judged. It is written in the commit of the judgement, from the version that was read.

use chiffon_arbiter::{RoomState, TenantState};
use chiffon_common::{Event, EventError, ProjectId, RoomId, TenantId};
use chiffon_store::{Expected, RoomRow, Write};
use serde::Serialize;

use super::{IntakeError, Shared};

/// The row of the tenant's own state, beside those of its rooms; no event is taken for a room of this name.
const TENANT: &str = "chiffon:tenant";

/// What is remembered, with the rows that it was read from.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) room_state: RoomState,
    pub(super) tenant_state: TenantState,
    room: Option<RoomRow>,
    tenant: Option<RoomRow>,
}

impl Shared {
    /// Reads what is remembered of a room and, where a gate asks for it, of the tenant.
    pub(super) async fn places(
        &self,
        tenant: &TenantId,
        room: &RoomId,
    ) -> Result<Places, IntakeError> {
        if room.as_str() == TENANT {
            return Err(IntakeError::Reserved {
                field: "room_id",
                not: "be `chiffon:tenant`",
            });
        }
        let mut places = Places {
            room: self.store.room(tenant, room).await?,
            ..Places::default()
        };
        if let Some(row) = &places.room {
            places.room_state = serde_json::from_value(row.doc.clone())?;
        }
        let gate = &self.settings.policy.gate;
        if gate.max_queue > 0 || gate.tenant_rate.is_some() {
            places.tenant = self.store.room(tenant, &own_room()?).await?;
            if let Some(row) = &places.tenant {
                places.tenant_state = serde_json::from_value(row.doc.clone())?;
            }
        }
        Ok(places)
    }

    /// The rows of what changed; that of a room that is new also where nothing did.
    pub(super) fn moves_of(
        &self,
        event: &Event,
        places: &Places,
        room: Option<RoomState>,
        tenant: Option<TenantState>,
    ) -> Result<Vec<Write>, IntakeError> {
        let place = Place {
            tenant_id: &event.tenant_id,
            room_id: event.room_id.clone(),
            project_id: &event.project_id,
        };
        let mut writes = Vec::new();
        if room.is_some() || places.room.is_none() {
            let state = room.unwrap_or_default();
            writes.push(self.place_write(&place, places.room.as_ref(), &state)?);
        }
        if let Some(state) = tenant {
            let place = Place {
                room_id: own_room()?,
                ..place
            };
            writes.push(self.place_write(&place, places.tenant.as_ref(), &state)?);
        }
        Ok(writes)
    }

    fn place_write<T: Serialize>(
        &self,
        place: &Place<'_>,
        was: Option<&RoomRow>,
        state: &T,
    ) -> Result<Write, IntakeError> {
        let row = RoomRow {
            tenant_id: place.tenant_id.clone(),
            room_id: place.room_id.clone(),
            project_id: was.map_or(place.project_id, |was| &was.project_id).clone(),
            version: was.map_or(1, |was| was.version.saturating_add(1)),
            updated_at: self.clock.now(),
            doc: serde_json::to_value(state)?,
        };
        let expected = was.map_or(Expected::Absent, |was| Expected::Version(was.version));
        Ok(Write::Room(expected, row))
    }
}

struct Place<'a> {
    tenant_id: &'a TenantId,
    room_id: RoomId,
    project_id: &'a ProjectId,
}

fn own_room() -> Result<RoomId, IntakeError> {
    TENANT
        .parse()
        .map_err(|_| IntakeError::Malformed(EventError::Field("room_id")))
}
