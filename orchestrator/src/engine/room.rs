//! A room as the place where work is asked for: what it is asked, and who answers there. What is said to it is read from
//! the stream by `http::rooms`.
//!
//! A yes is bound to one question. It names it (`content.answers`), or it is the mere word of whoever asked for the work,
//! said to Chiffon (`content.mentions_chiffon`), to the only question that waits in the room, of whatever kind, and the only
//! one that the work ever led to. So nobody's question slips under a yes that was meant for another, or for another person.
//! A no stops work and permits nothing: it may be mere wherever one question waits. What only means yes or no (`yes please`)
//! is neither, while there is a question that it could be meant for: who says it is asked for the word.

use chiffon_arbiter::{
    AnswerTo, Answered, Answering, DecisionKind, RequestState, Run, RunEvent, Word,
};
use chiffon_common::{DecisionId, Digest, Event, Principal, RequestId, Tier};
use chiffon_store::ListRequests;

use super::{
    AdvanceError, Advanced, Along, Cause, Incoming, IntakeError, Shared, told::by_command,
};

/// Open requests of a room that are looked at for one mere word. Where there are more, nobody can tell what it is meant for.
const LOOKED_AT: u32 = 100;

/// What a word in a room answers.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) answering: Answering,
    /// The question that is answered by it, where the arbiter lets it.
    pub(super) open: Option<Open>,
}

/// A question that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
    pub(super) request: RequestId,
    decision: DecisionId,
    digest: Option<Digest>,
    word: Word,
}

/// The question that a word is about.
enum Found {
    /// None waits.
    Nothing,
    /// More than one.
    Several,
    /// It is named, and does not wait in this room.
    Closed,
    One(Box<Run>, DecisionId),
}

impl Shared {
    /// What the room of an event is asked, where its text is an answer.
    pub(super) async fn asked_in_room(&self, event: &Event) -> Result<Option<Asked>, IntakeError> {
        let text = &event.content.text;
        let (said, meant) = (Word::of(text), Word::meant(text));
        let Some(word) = said.or(meant) else {
            return Ok(None);
        };
        let found = match event.content.answers {
            Some(decision) => self.named_in_room(event, decision).await?,
            None => self.waiting_in_room(event).await?,
        };
        let mut open = None;
        let to = match found {
            // Where no work is taken, a yes is a text like any other.
            Found::Nothing | Found::Closed if !self.settings.policy.jobs => return Ok(None),
            Found::Nothing if said.is_none() => return Ok(None),
            Found::Nothing => AnswerTo::Nothing(
                "Nothing waits for a yes or no in this room. `chiffon decision list` shows what waits elsewhere."
                    .to_owned(),
            ),
            Found::Several | Found::One(..) if said.is_none() => not_the_word(event),
            Found::Several => AnswerTo::Elsewhere(
                "Several questions wait here. Reply to the message of the one you mean, or answer it with `chiffon approve` or `chiffon answer`; `chiffon decision list` shows them."
                    .to_owned(),
            ),
            Found::Closed => AnswerTo::Elsewhere(
                "The question that this answers does not wait in this room, or not any more. `chiffon decision list` shows what waits."
                    .to_owned(),
            ),
            Found::One(run, decision) => match self.unfit(&run, decision, word, event) {
                Some(why) => AnswerTo::Elsewhere(why),
                None => {
                    open = Some(Open {
                        request: run.request.request_id,
                        decision,
                        digest: run.plan.as_ref().map(|plan| plan.digest),
                        word,
                    });
                    AnswerTo::Question
                }
            },
        };
        let answering = Answering { word, to };
        Ok(Some(Asked { answering, open }))
    }

    /// A yes or no that came over the bus answers nothing, and is no work either.
    pub(super) fn said_on_bus(&self, event: &Event) -> Option<Asked> {
        let word = Word::of(&event.content.text).filter(|_| self.settings.policy.jobs)?;
        let text = "Nothing is answered over the bus. `chiffon decision list` shows what waits.";
        Some(Asked {
            answering: Answering {
                word,
                to: AnswerTo::Nothing(text.to_owned()),
            },
            open: None,
        })
    }

    async fn named_in_room(
        &self,
        event: &Event,
        decision: DecisionId,
    ) -> Result<Found, IntakeError> {
        let named = decision.to_string();
        let request = self.store.request_of_decision(&event.tenant_id, &named);
        let Some(request) = request.await? else {
            return Ok(Found::Closed);
        };
        let (run, _) = self.load(request).await.map_err(Box::new)?;
        let waits = self.waits(&run, decision) && run.request.room_id == event.room_id;
        Ok(match waits {
            true => Found::One(Box::new(run), decision),
            false => Found::Closed,
        })
    }

    /// The approval that waits in the room of an event, where no other question does: a mere word says to neither which
    /// one it is meant for.
    async fn waiting_in_room(&self, event: &Event) -> Result<Found, IntakeError> {
        let list = ListRequests {
            room_id: Some(event.room_id.clone()),
            open_only: true,
            limit: LOOKED_AT,
            ..ListRequests::default()
        };
        let rows = self.store.requests(&event.tenant_id, list).await?;
        let (mut approval, mut waiting) = (None, 0);
        for row in &rows {
            let run = match self.load(row.request_id).await {
                Ok((run, _)) => run,
                Err(AdvanceError::Store(error)) => return Err(IntakeError::Store(error)),
                // What it asks cannot be read.
                Err(_) => {
                    waiting += 1;
                    continue;
                }
            };
            let asks = run.decisions.keys().copied();
            let asks: Vec<_> = asks.filter(|asked| self.waits(&run, *asked)).collect();
            waiting += asks.len();
            if let RequestState::AwaitingApproval { decision } = run.request.state
                && asks.contains(&decision)
            {
                approval = Some((Box::new(run), decision));
            }
        }
        let is_all = rows.len() < LOOKED_AT as usize;
        Ok(match approval {
            None if is_all => Found::Nothing,
            Some((run, decision)) if is_all && waiting == 1 => Found::One(run, decision),
            _ => Found::Several,
        })
    }

    fn waits(&self, run: &Run, decision: DecisionId) -> bool {
        let now = self.clock.now();
        let asked = run.decisions.get(&decision);
        asked.is_some_and(|asked| !asked.state.ended() && now <= asked.deadline)
    }

    /// Why a word does not answer a question that waits, as it is told to who said it.
    fn unfit(&self, run: &Run, decision: DecisionId, word: Word, event: &Event) -> Option<String> {
        let id = run.request.request_id;
        let kind = run.decisions.get(&decision).map(|asked| &asked.kind);
        let Some(DecisionKind::Approval { tier, .. }) = kind else {
            return Some(format!(
                "This question takes more than a yes or no. Answer it with `chiffon answer {id}`."
            ));
        };
        if word == Word::No {
            return None;
        }
        if !matches!(tier, Tier::Zero | Tier::One) {
            return Some(by_command(run));
        }
        // The gate before the start would turn it away for good: better said now than after an "approved".
        if !self.is_under_rules(run) {
            return Some(format!(
                "The rules have changed since this was planned, so it would not be started. Cancel it with `chiffon request cancel {id}` and ask again."
            ));
        }
        if event.content.answers.is_some() {
            return None;
        }
        // What people say to each other permits nothing.
        if !event.content.mentions_chiffon {
            return Some(format!(
                "This yes was not said to Chiffon, so it approves nothing. Reply to the message that asks, say it to Chiffon, or approve it with `chiffon approve {id}`."
            ));
        }
        let is_own = run.request.requester.id == event.actor.id && run.request.schedule.is_none();
        (!is_own || run.decisions.len() > 1).then(|| {
            format!(
                "A mere yes may be meant for another question, so it approves only what you have asked for yourself. Reply to the message that asks this one, or approve it with `chiffon approve {id}`."
            )
        })
    }

    /// Brings the answer to the request, in one commit with its event: neither is there without the other. Whether it
    /// was taken; where not, the event is to be judged anew.
    pub(super) async fn answer_in_room(
        &self,
        open: Open,
        incoming: &Incoming,
        along: Along,
    ) -> Result<Advanced, IntakeError> {
        let actor = &incoming.event.actor;
        let by = Principal {
            id: actor.id.clone(),
            kind: actor.kind.clone(),
        };
        let choice = match open.word {
            Word::Yes => "approve",
            Word::No => "reject",
        };
        let answer = RunEvent::Answered(Answered {
            decision: open.decision,
            choice: choice.to_owned(),
            by: by.clone(),
            digest: open.digest,
            confirm: None,
            comment: Some(format!("said in room {}", incoming.event.room_id)),
        });
        let cause = Cause {
            trace: Some(incoming.trace),
            along: Some(Box::new(along)),
            ..Cause::by(by, "answered")
        };
        let advanced = self.advance(open.request, answer, cause).await;
        advanced.map_err(|error| match error {
            AdvanceError::Store(error) => IntakeError::Store(error),
            error => IntakeError::Unanswered(Box::new(error)),
        })
    }
}

/// What is said of a text that means yes or no and is neither.
fn not_the_word(event: &Event) -> AnswerTo {
    let text = "A question waits here, and this answers it with neither yes nor no, so nothing was done. Answer with `yes` or `no` and nothing beside it."
        .to_owned();
    let is_for_us = event.content.mentions_chiffon || event.content.answers.is_some();
    match is_for_us {
        true => AnswerTo::Elsewhere(text),
        // What people say to each other is for the reply policy.
        false => AnswerTo::Nothing(text),
    }
}
