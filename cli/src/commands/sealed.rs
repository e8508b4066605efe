//! The plan as it is sealed: its bytes, read and held against the digest that an approval names (S31). What is shown
//! at the prompt is made from these bytes, so that nobody signs what they have not seen.

use chiffon_common::{Digest, ErrorCode, Plan, Problem, api::RequestView};
use serde_json::Value;

use crate::{client::Client, failure::Failure};

/// The request with its plan as the bytes of it say, or as the server shows it where the bytes hold a secret.
pub async fn as_sealed(
    client: &Client,
    request: &RequestView,
    digest: Digest,
) -> Result<RequestView, Failure> {
    let bytes = match client.plan_bytes(request.request_id).await {
        Ok(bytes) => bytes,
        Err(failure) if failure.code == Some(ErrorCode::BytesHoldSecret) => {
            return Ok(request.clone());
        }
        Err(failure) => return Err(failure),
    };
    let (plan, requester) = read(&bytes, digest)?;
    if plan.request_id != request.request_id {
        return Err(not_as_sealed("its bytes are of another request"));
    }
    Ok(RequestView {
        plan: Some(plan),
        requester,
        ..request.clone()
    })
}

/// The bytes, if they have this digest.
pub fn held(bytes: Vec<u8>, digest: Digest) -> Result<Vec<u8>, Failure> {
    match Digest::of_bytes(&bytes) == digest {
        true => Ok(bytes),
        false => Err(not_as_sealed("its bytes have another digest")),
    }
}

/// Plan and requester that stand in the bytes.
fn read(bytes: &[u8], digest: Digest) -> Result<(Plan, String), Failure> {
    if Digest::of_bytes(bytes) != digest {
        return Err(not_as_sealed("its bytes have another digest"));
    }
    let other_form = || not_as_sealed("its bytes have another form than this program knows");
    let mut subject: Value = serde_json::from_slice(bytes).map_err(|_| other_form())?;
    let requester = subject.get("requester").and_then(Value::as_str);
    let requester = requester.ok_or_else(other_form)?.to_owned();
    if let Some(subject) = subject.as_object_mut() {
        subject.insert("digest".to_owned(), digest.to_string().into());
    }
    let plan = serde_json::from_value(subject).map_err(|_| other_form())?;
    Ok((plan, requester))
}

fn not_as_sealed(why: &str) -> Failure {
    let detail = format!("The plan that is shown is not the one that would be approved: {why}.");
    let todo = "Read it again: `chiffon plan show`. Nothing was approved.";
    Problem::new(ErrorCode::PlanNotAsSealed, detail, todo).into()
}

#[cfg(test)]
mod tests {
    use chiffon_common::to_canonical;
    use serde_json::json;

    use super::*;

    const ID: &str = "0199e2f4-77a1-7c40-8000-000000000001";

    fn plan() -> Plan {
        let none = Digest::of_bytes(b"").to_string();
        serde_json::from_value(json!({
            "plan_id": ID, "request_id": ID, "steps": [], "tier": 1, "confidence": 92, "because": "words fit",
            "cost": {"provider_usd": 0.0, "at_most_seconds": 600}, "expires_at": "2026-01-04T03:04:05Z",
            "good_for_seconds": 3600, "tier_because": "x is tier 1", "policy": none, "digest": none,
        }))
        .unwrap()
    }

    #[test]
    fn a_plan_is_read_from_the_bytes_of_its_digest_and_from_no_others() {
        let mut plan = plan();
        let tenant = "default".parse().unwrap();
        let bytes = to_canonical(&plan.subject(&tenant, "local:ada")).unwrap();
        let digest = Digest::of_bytes(&bytes);
        let subject = plan.subject(&tenant, "local:ada").digest().unwrap();
        assert_eq!(subject, digest, "the digest is over these bytes");
        plan.digest = digest;
        assert_eq!(read(&bytes, digest), Ok((plan, "local:ada".to_owned())));
        let mut other = bytes.clone();
        let at = other.windows(9).position(|w| w == b"words fit").unwrap();
        other[at] = b'W';
        for (bytes, digest) in [
            (&other[..], digest),
            (&bytes[..], Digest::of_bytes(b"x")),
            (&b"{}"[..], Digest::of_bytes(b"{}")),
            (&b"[]"[..], Digest::of_bytes(b"[]")),
            (&b"\xff"[..], Digest::of_bytes(b"\xff")),
        ] {
            let failure = read(bytes, digest).unwrap_err();
            assert_eq!(failure.code, Some(ErrorCode::PlanNotAsSealed));
        }
        assert!(held(other, digest).is_err());
        assert_eq!(held(bytes.clone(), digest), Ok(bytes));
    }
}
