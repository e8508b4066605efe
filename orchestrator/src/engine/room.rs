//! A room as the place where work is asked for: what it is asked, and who answers there. What is said to it is read from
//! the stream by `http::rooms`.

use chiffon_arbiter::{Answered, Answering, DecisionKind, RequestState, Run, RunEvent, Word};
use chiffon_common::{DecisionId, Digest, Event, Principal, RequestId, Tier};
use chiffon_store::ListRequests;

use super::{Advanced, Cause, Incoming, IntakeError, Shared};

/// What a room is asked, where an event answers it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) answering: Answering,
    request: RequestId,
    decision: DecisionId,
    digest: Option<Digest>,
}

impl Shared {
    /// What the room of an event is asked, where its text is an answer: an approval that waits.
    pub(super) async fn asked_in_room(&self, event: &Event) -> Result<Option<Asked>, IntakeError> {
        let Some(word) = Word::of(&event.content.text) else {
            return Ok(None);
        };
        let list = ListRequests {
            room_id: Some(event.room_id.clone()),
            state: Some("awaiting_approval".to_owned()),
            open_only: true,
            limit: 2,
            ..ListRequests::default()
        };
        let rows = self.store.requests(&event.tenant_id, list).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let (run, _) = self.load(row.request_id).await.map_err(Box::new)?;
        let RequestState::AwaitingApproval { decision } = run.request.state else {
            return Ok(None);
        };
        Ok(Some(Asked {
            answering: Answering {
                word,
                elsewhere: elsewhere(&run, rows.len()),
            },
            request: row.request_id,
            decision,
            digest: run.plan.as_ref().map(|plan| plan.digest),
        }))
    }

    /// Brings the answer to the request. It comes before the event is stored: after a crash in between, the question is
    /// closed and the event is judged anew.
    pub(super) async fn answer_in_room(
        &self,
        asked: &Asked,
        incoming: &Incoming,
    ) -> Result<(), IntakeError> {
        let actor = &incoming.event.actor;
        let by = Principal {
            id: actor.id.clone(),
            kind: actor.kind.clone(),
        };
        let choice = match asked.answering.word {
            Word::Yes => "approve",
            Word::No => "reject",
        };
        let answer = RunEvent::Answered(Answered {
            decision: asked.decision,
            choice: choice.to_owned(),
            by: by.clone(),
            digest: asked.digest,
            confirm: None,
            comment: Some(format!("said in room {}", incoming.event.room_id)),
        });
        let cause = Cause {
            trace: Some(incoming.trace),
            ..Cause::by(by, "answered")
        };
        let advanced = self.advance(asked.request, answer, cause);
        match advanced.await.map_err(Box::new)? {
            Advanced::Refused(refusal) => Err(IntakeError::Refused(refusal)),
            Advanced::Moved | Advanced::HandledBefore => Ok(()),
        }
    }
}

/// What is said where a room is not the place: tier 2 wants more than a word, and of several questions nobody knows which
/// one is meant.
fn elsewhere(run: &Run, open: usize) -> Option<String> {
    let id = run.request.request_id;
    let asks = run.decisions.values().filter(|asked| !asked.state.ended());
    let is_approval = asks
        .filter(|asked| matches!(asked.kind, DecisionKind::Approval { .. }))
        .count()
        == 1;
    if open > 1 || !is_approval {
        return Some(
            "Several questions wait here. Answer the one you mean with `chiffon approve`; `chiffon decision list` shows them."
                .to_owned(),
        );
    }
    let tier = run.plan.as_ref().map(|plan| plan.tier);
    (tier != Some(Tier::Zero) && tier != Some(Tier::One)).then(|| {
        format!(
            "A change of tier 2 is not approved in a room. Look at it and answer it at /api/v1/requests/{id}, or with `chiffon approve {id}`."
        )
    })
}
