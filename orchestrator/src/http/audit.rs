//! The audit trail: records in the order of their numbers, and their verification.

use axum::{Json, extract::State as Extract};
use chiffon_common::{
    ErrorCode, FieldError, Problem,
    api::{AcceptKey, AuditAnchor, AuditReport, LedgerKey, NumberedRecord, Page, VerifyAudit},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    State,
    cursor::{List, page},
    frame::Trace,
    input::{Asked, Body, NoQuery, Perhaps, page_size, permitted, unfit_query},
    problem::Refused,
};
use crate::engine::Editor;

/// Anchors in one verification, at most.
const ANCHORS: usize = 1000;
/// Longest hash, in characters.
const HASH: usize = 100;
/// Longest reason, in characters.
const REASON: usize = 500;

/// Which records to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// Records after this number; a cursor says the same.
    #[param(maximum = 9223372036854775807u64)]
    after: Option<u64>,
    /// At most this many.
    #[param(minimum = 1, maximum = 500, default = 100)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// Lists audit records, lowest number first.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "audit", operation_id = "list_audit",
    params(AuditQuery),
    responses((status = 200, description = "A page", body = Page<NumberedRecord>))
)]
pub(super) async fn list(
    Extract(state): Extract<State>,
    Asked(asked): Asked<AuditQuery>,
) -> Result<Json<Page<NumberedRecord>>, Refused> {
    let limit = page_size(asked.limit, 100)?;
    let cursors = List::new("audit", &[]);
    let place = cursors.place(asked.cursor.as_deref(), |place| place.parse().ok())?;
    let after = match (place, asked.after) {
        (Some(_), Some(_)) => {
            return Err(unfit_query("after", "give a cursor or a number, not both"));
        }
        (place, after) => place.or(after).unwrap_or_default(),
    };
    if i64::try_from(after).is_err() {
        return Err(unfit_query(
            "after",
            "there is no record of so high a number",
        ));
    }
    let rows = state.shared.store.audit_after(after, limit + 1).await?;
    let (rows, next_cursor) = page(rows, limit, |row| cursors.cursor(&row.seq.to_string()));
    let items = rows
        .into_iter()
        .map(|row| NumberedRecord {
            seq: row.seq,
            record: row.record,
        })
        .collect();
    Ok(Json(Page::new(items, next_cursor)))
}

/// Holds every record against its chain, every seal against its batch, the rows of every request against its last
/// record, the ledger against the database, and what was noted elsewhere against all of it. A ledger that was put back from
/// the database since the last time is a fault once, and a note from then on.
#[utoipa::path(
    post, path = "/api/v1/audit/verify", tag = "audit", operation_id = "verify_audit",
    request_body(content = Option<VerifyAudit>, description = "What was noted elsewhere, if anything was"),
    responses(
        (status = 200, description = "What was held, and what does not fit", body = AuditReport),
        (status = 404, description = "The ledger has no remote")
    )
)]
pub(super) async fn verify(
    Extract(state): Extract<State>,
    _: NoQuery,
    Trace(trace): Trace,
    Perhaps(Body { value: asked, .. }): Perhaps<VerifyAudit>,
) -> Result<Json<AuditReport>, Refused> {
    if asked.anchors.len() > ANCHORS {
        let problem = Problem::new(
            ErrorCode::MalformedMessage,
            format!(
                "{} anchors were given; {ANCHORS} are looked at in one go",
                asked.anchors.len()
            ),
            "give the newest ones",
        );
        let place = FieldError::body("/anchors", "too many");
        return Err(problem.at(place).into());
    }
    for (no, anchor) in asked.anchors.iter().enumerate() {
        fits(no, anchor)?;
    }
    let editor = Editor {
        by: state.principal.clone(),
        trace,
    };
    Ok(Json(state.shared.verify_audit(asked, &editor).await?))
}

/// Accepts the key that is here in the place of the one that signed the ledger so far, for good. Without effect where it
/// signs already.
#[utoipa::path(
    post, path = "/api/v1/audit/key", tag = "audit", operation_id = "accept_ledger_key",
    request_body = AcceptKey,
    responses(
        (status = 200, description = "It signs from now on", body = LedgerKey),
        (status = 409, description = "Another key is here")
    )
)]
pub(super) async fn accept_key(
    Extract(state): Extract<State>,
    _: NoQuery,
    Trace(trace): Trace,
    Body { value: asked, .. }: Body<AcceptKey>,
) -> Result<Json<LedgerKey>, Refused> {
    permitted("/key", &asked.key, HASH)?;
    permitted("/because", &asked.because, REASON)?;
    let because = asked.because.trim();
    if because.is_empty() {
        let detail =
            "that a key was replaced without a reason helps nobody who looks for one later";
        let problem = Problem::new(
            ErrorCode::MalformedMessage,
            detail,
            "say why, in a few words",
        );
        return Err(problem.at(FieldError::body("/because", "empty")).into());
    }
    let editor = Editor {
        by: state.principal.clone(),
        trace,
    };
    let shared = &state.shared;
    let key = shared
        .accept_ledger_key(&asked.key, because, &editor)
        .await?;
    Ok(Json(key))
}

/// Within the bounds that the document names.
fn fits(no: usize, anchor: &AuditAnchor) -> Result<(), Refused> {
    let numbers = [
        ("seal_no", anchor.seal_no),
        ("first_seq", anchor.first_seq),
        ("last_seq", anchor.last_seq),
    ];
    let too_high = numbers
        .iter()
        .find(|(_, number)| i64::try_from(*number).is_err());
    let commit = anchor.ledger_commit.as_ref();
    let texts = [
        ("root", Some(&anchor.root)),
        ("previous", Some(&anchor.previous)),
        ("hash", Some(&anchor.hash)),
        ("ledger_commit", commit),
    ];
    let long = |text: &Option<&String>| text.is_some_and(|text| text.chars().count() > HASH);
    let too_long = texts.iter().find(|(_, text)| long(text));
    let wrong = too_high.map(|(name, _)| (*name, "there is no record or seal of so high a number"));
    let wrong = wrong.or(too_long.map(|(name, _)| (*name, "no hash is so long")));
    let Some((name, why)) = wrong else {
        return Ok(());
    };
    let problem = Problem::new(
        ErrorCode::MalformedMessage,
        format!("anchor {no} is none that was ever noted: {why}"),
        "give it as `chiffon audit anchor` wrote it",
    );
    let place = FieldError::body(format!("/anchors/{no}/{name}"), why);
    Err(problem.at(place).into())
}

/// The last seal and the last ledger commit, to be noted elsewhere.
#[utoipa::path(
    get, path = "/api/v1/audit/head", tag = "audit", operation_id = "audit_head",
    responses(
        (status = 200, description = "What to note", body = AuditAnchor),
        (status = 404, description = "Nothing is recorded yet")
    )
)]
pub(super) async fn head(
    Extract(state): Extract<State>,
    _: NoQuery,
) -> Result<Json<AuditAnchor>, Refused> {
    let head = state.shared.audit_head().await?;
    head.map(Json).ok_or_else(|| {
        let problem = Problem::new(
            ErrorCode::NotFound,
            "nothing is recorded yet, so there is no seal to note",
            "ask for something first",
        );
        problem.into()
    })
}
