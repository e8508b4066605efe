//! Proposals: a revert that somebody pushed to `refs/heads/propose/*` of the ledger becomes a request to take
//! that change back, which passes the arbiter like any other and waits for a person. Everything else that is
//! pushed there becomes an audit record and a word in `health`, and is put aside.
//!
//! The author that git names is nobody's word but the pusher's: he is the requester as `ledger:<author>`, a
//! service, who approves nothing. A reconciler: it looks at references, and may be repeated at any point, since
//! the event's id is the commit's, with the request before it where that one has ended and it is pushed again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chiffon_common::{
    Actor, Content, ErrorCode, Event, EventError, EventId, MessageId, Principal, Problem,
    RequestId, RoomId, Subject, TraceId, Undoing,
};
use chiffon_store::{Commit, InboxKey};
use serde_json::json;
use uuid::Uuid;

use super::{
    AdvanceError, Incoming, IntakeError, Shared, Way, scribe::ScribeError, shared::nudged,
    undo_words,
};
use crate::ledger::{
    CommitId, Ledger, Offered, Place, Proposal, REFUSED, TAKEN, may_have_proposals, refused,
};

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(2);
/// Looked at in one round.
const BATCH: usize = 20;
/// The room of proposals.
const ROOM: &str = "ledger";
/// Refused ones that are named in `health`.
const NAMED: usize = 10;

/// Why a proposal could not be judged now. It stays where it is.
#[derive(Debug, thiserror::Error)]
enum Later {
    #[error(transparent)]
    Store(#[from] chiffon_store::Error),
    #[error(transparent)]
    Scribe(#[from] ScribeError),
    #[error(transparent)]
    Intake(#[from] IntakeError),
    #[error(transparent)]
    Advance(#[from] AdvanceError),
    #[error("{}", .0.detail)]
    Problem(Problem),
    #[error("the ledger is being written")]
    Writing,
    #[error("an id cannot be made: {0}")]
    Id(String),
}

/// What becomes of a proposal.
enum Fate {
    Taken(RequestId),
    Refused { why: String, author: Option<String> },
}

impl Shared {
    /// Looks for proposals for ever.
    pub(crate) async fn hear_proposals(self: Arc<Self>) {
        let mut reasons = BTreeMap::new();
        loop {
            if let Err(error) = self.proposal_round(&mut reasons).await {
                tracing::warn!(%error, "what was proposed in the ledger cannot be taken up now; trying again");
            }
            self.tell_refused(&mut reasons);
            nudged(&self.nudges.proposals, PERIOD).await;
        }
    }

    async fn proposal_round(&self, reasons: &mut BTreeMap<String, String>) -> Result<(), Later> {
        if !may_have_proposals(&self.settings.ledger.path) {
            return Ok(());
        }
        // A commit that is written and not stored yet would be taken for a stranger's.
        let last = self.store.last_ledger_batch(&self.settings.tenant).await?;
        if last.is_some_and(|batch| batch.commit.is_none()) {
            return Err(Later::Writing);
        }
        let list = |place: &Place| Ledger::read(&place.path)?.proposals(BATCH);
        let mut first_error = None;
        for proposal in self.on_ledger(list).await? {
            // One that cannot be judged now must not hold up the others.
            match self.take_up(&proposal, reasons).await {
                Ok(()) => {}
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    async fn take_up(
        &self,
        proposal: &Proposal,
        reasons: &mut BTreeMap<String, String>,
    ) -> Result<(), Later> {
        let to = match self.fate_of(proposal).await? {
            Fate::Taken(request) => {
                chiffon_failpoint::hit!("proposals.taken");
                tracing::info!(request.id = %request, reference = %proposal.name, "a revert pushed to the ledger became a request to take a change back");
                format!("{TAKEN}{request}")
            }
            Fate::Refused { why, author } => {
                self.record_refusal(proposal, &why, author).await?;
                chiffon_failpoint::hit!("proposals.refused");
                tracing::warn!(code = %ErrorCode::ProposalRefused, reference = %proposal.name, commit = %proposal.commit, because = %why, "what was pushed to the ledger proposes no undo; it is put aside");
                reasons.insert(proposal.commit.to_string(), why);
                format!("{REFUSED}{}", proposal.commit)
            }
        };
        let proposal = proposal.clone();
        // `false`: pushed anew in between. The next round looks at that.
        self.on_ledger(move |place| Ledger::read(&place.path)?.put_aside(&proposal, &to))
            .await?;
        Ok(())
    }

    async fn fate_of(&self, proposal: &Proposal) -> Result<Fate, Later> {
        let event_id = match self.not_taken_yet(proposal).await? {
            Ok(event_id) => event_id,
            Err(fate) => return Ok(fate),
        };
        let commit = proposal.commit;
        let read = move |place: &Place| Ledger::read(&place.path)?.offered(commit);
        let offered = match self.on_ledger(read).await? {
            Ok(offered) => offered,
            Err(why) => return Ok(refused_as(why)),
        };
        let author = offered.author.clone();
        let undoing = match self.what_it_undoes(offered).await? {
            Ok(undoing) => undoing,
            Err(why) => {
                let author = Some(author);
                return Ok(Fate::Refused { why, author });
            }
        };
        match self.propose_undo(event_id, &author, undoing).await? {
            Ok(request) => Ok(Fate::Taken(request)),
            Err(why) => Ok(Fate::Refused {
                why,
                author: Some(author),
            }),
        }
    }

    /// The event that a push becomes, or what became of it before. The same commit that is pushed again after its
    /// request has ended is another event: it is judged anew, and told if there is nothing to be done.
    async fn not_taken_yet(&self, proposal: &Proposal) -> Result<Result<EventId, Fate>, Later> {
        let tenant = &self.settings.tenant;
        let mut id = format!("ledger:{}", proposal.commit);
        loop {
            let event_id = id.parse::<EventId>().map_err(unusable)?;
            let Some(row) = self.store.event(tenant, &event_id).await? else {
                return Ok(Ok(event_id));
            };
            let Some(request) = row.request_id else {
                return Ok(Err(refused_as("the arbiter did not accept it")));
            };
            // Taken before a crash: only the reference is left to be moved.
            let is_taken = move |place: &Place| Ledger::read(&place.path)?.is_taken(request);
            if !self.on_ledger(is_taken).await? {
                return Ok(Err(Fate::Taken(request)));
            }
            let found = self.store.run(tenant, request).await?;
            if found.is_some_and(|rows| !rows.request.ended) {
                return Ok(Err(Fate::Taken(request)));
            }
            id = format!("ledger:{}:{request}", proposal.commit);
        }
    }

    /// The request whose record a commit takes back, if it does that and nothing else.
    async fn what_it_undoes(&self, offered: Offered) -> Result<Result<Undoing, String>, Later> {
        let Some(base) = offered.parents.first().copied() else {
            return Ok(Err("it stands on nothing".to_owned()));
        };
        if !self.is_recorded(base).await? {
            return Ok(Err(format!(
                "it stands on {base}, which is no commit of the ledger: one revert on top of main is taken"
            )));
        }
        let request = match offered.request() {
            Ok(request) => request,
            Err(why) => return Ok(Err(why)),
        };
        let recorded = self.store.ledger_commit(request).await?;
        let Some(recorded) = recorded.and_then(|commit| commit.parse::<CommitId>().ok()) else {
            return Ok(Err(format!(
                "the ledger has no record of request {request}"
            )));
        };
        let compare = move |place: &Place| Ledger::read(&place.path)?.reverts(&offered, recorded);
        Ok(self.on_ledger(compare).await?.map(|()| Undoing {
            request,
            what_can_be: false,
        }))
    }

    /// Whether a commit is one that the scribe wrote.
    async fn is_recorded(&self, commit: CommitId) -> Result<bool, Later> {
        let claimed = move |place: &Place| Ok(Ledger::read(&place.path)?.claimed_batch(commit));
        let Some(before) = self
            .on_ledger(claimed)
            .await?
            .and_then(|no| no.checked_sub(1))
        else {
            return Ok(false);
        };
        let tenant = &self.settings.tenant;
        let batches = self.store.ledger_batches(tenant, before, 1).await?;
        let commit = commit.to_string();
        Ok(batches
            .iter()
            .any(|batch| batch.commit.as_ref() == Some(&commit)))
    }

    async fn propose_undo(
        &self,
        event_id: EventId,
        author: &str,
        undoing: Undoing,
    ) -> Result<Result<RequestId, String>, Later> {
        let loaded = self.library.current().await.map_err(Later::Problem)?;
        match self.take_back(&loaded, undoing, None).await {
            Ok(_) => {}
            Err(problem) if is_about_the_request(problem.code) => return Ok(Err(problem.detail)),
            Err(problem) => return Err(Later::Problem(problem)),
        }
        let (run, _) = self.load(undoing.request).await?;
        let event = Event {
            v: 0,
            event_id,
            tenant_id: self.settings.tenant.clone(),
            source: "ledger".to_owned(),
            room_id: ROOM.parse::<RoomId>().map_err(unusable)?,
            project_id: run.request.project_id.clone(),
            actor: requester(author),
            content: Content {
                kind: "undo".to_owned(),
                text: undo_words(&run.request, undoing),
                mentions_chiffon: true,
                call: None,
                retry_of: None,
                undo_of: Some(undoing),
                answers: None,
            },
            ts: self.clock.now(),
        };
        let incoming = Incoming {
            event,
            trace: TraceId::from_uuid(self.clock.fresh_id()),
            claim: None,
            way: Way::Own,
            schedule: None,
        };
        let taken = match self.intake(incoming).await {
            Ok(taken) => taken,
            // Another look finds the same.
            Err(IntakeError::Malformed(EventError::Field("actor.id"))) => {
                return Ok(Err(
                    "the name of its author holds control characters or is too long to be that of who asks".to_owned(),
                ));
            }
            Err(
                error @ (IntakeError::Malformed(_) | IntakeError::Conflict | IntakeError::NoWork),
            ) => {
                return Ok(Err(error.to_string()));
            }
            Err(error) => return Err(error.into()),
        };
        Ok(taken
            .request
            .ok_or_else(|| "the arbiter did not accept it".to_owned()))
    }

    /// Once for each commit, however often a crash makes it be refused.
    async fn record_refusal(
        &self,
        proposal: &Proposal,
        why: &str,
        author: Option<String>,
    ) -> Result<(), Later> {
        let commit = proposal.commit.to_string();
        let target = Subject {
            kind: "proposal".to_owned(),
            id: commit.clone(),
        };
        let data = json!({
            "because": why,
            "reference": proposal.name,
            "code": ErrorCode::ProposalRefused.number(),
        });
        let mut audit = self.audit_of_fleet(
            "ledger.proposal_refused",
            target,
            "proposal_refused",
            Vec::new(),
            data,
        );
        audit.result = "refused".to_owned();
        audit.delegated = author.map(|author| {
            // A record is of one line.
            let author = author.replace(char::is_control, "?");
            let Actor { id, kind } = requester(&author);
            Principal { id, kind }
        });
        let name = format!("chiffon:ledger-proposal\n{commit}");
        let once = InboxKey {
            consumer: "ledger.proposals".to_owned(),
            message_id: MessageId::from_uuid(Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes())),
            handled_at: self.clock.now(),
        };
        let commit = Commit {
            tenant_id: self.settings.tenant.clone(),
            inbox: Some(once),
            audit: vec![audit],
            ..Commit::default()
        };
        match self.commit(commit).await {
            Ok(_) | Err(chiffon_store::Error::AlreadyHandled) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What `health` says of refused ones, until somebody has removed them.
    fn tell_refused(&self, reasons: &mut BTreeMap<String, String>) {
        let ledger = &self.settings.ledger.path;
        let left = refused(ledger);
        reasons.retain(|commit, _| left.contains(commit));
        let unknown = "see the audit record ledger.proposal_refused".to_owned();
        let words = left.iter().take(NAMED).map(|commit| {
            let why = reasons.get(commit).unwrap_or(&unknown);
            format!(
                "{commit} was pushed to the ledger as a proposal and refused: {why} (git -C {} update-ref -d {REFUSED}{commit} takes this note away)",
                ledger.display()
            )
        });
        let mut notices: Vec<String> = words.collect();
        if let Some(more) = left.len().checked_sub(NAMED).filter(|more| *more > 0) {
            notices.push(format!("and {more} more proposals were refused"));
        }
        *self
            .notices
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = notices;
    }
}

/// What another look does not change: the request and its way back, not the store or the catalogue's state.
fn is_about_the_request(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NotFound
            | ErrorCode::NotEnded
            | ErrorCode::NothingToUndo
            | ErrorCode::UndoneAlready
            | ErrorCode::CannotUndo
            | ErrorCode::UndoOutdated
            | ErrorCode::UnknownHost
    )
}

fn requester(author: &str) -> Actor {
    Actor {
        id: format!("ledger:{author}"),
        kind: "service".to_owned(),
    }
}

fn refused_as(why: impl Into<String>) -> Fate {
    Fate::Refused {
        why: why.into(),
        author: None,
    }
}

fn unusable(error: impl std::fmt::Display) -> Later {
    Later::Id(error.to_string())
}
