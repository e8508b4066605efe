//! The agent's last gate: is this work exactly what was approved, for me, in this life, in time?
//! (S28, S41.) Pure comparison; what is refused is told by the caller.

use chiffon_common::{ErrorCode, Problem, WorkRequest};

use super::{Identity, Moment, clocks::Reading};

/// Holds a request against its seal and against this agent.
pub(super) fn judge_seal(me: &Identity, request: &WorkRequest) -> Result<(), Problem> {
    let claims = &request.seal.claims;
    me.keys
        .verify_seal(&request.seal)
        .map_err(|error| refused(&format!("the seal is not good: {error}")))?;
    if claims.v != 1 {
        return Err(refused(&format!(
            "the seal has version {}, not 1",
            claims.v
        )));
    }
    if request.agent_type != me.kind {
        return Err(refused("the work is for another kind of agent"));
    }
    let differs = |field: &str| Err(refused(&format!("message and seal differ in {field}")));
    let attempt = request.attempt;
    if (claims.task_id, claims.attempt) != (attempt.task_id, attempt.attempt) {
        return differs("task or attempt");
    }
    if claims.action != request.action {
        return differs("the action");
    }
    if claims.bundle != request.bundle {
        return differs("the bundle");
    }
    if claims.parameters != request.parameters {
        return differs("the parameters");
    }
    if claims.hosts != request.hosts {
        return differs("the hosts");
    }
    if claims.mode != request.mode {
        return differs("the mode");
    }
    if claims.timeout_seconds != request.timeout_seconds {
        return differs("the longest run time");
    }
    if claims.not_after != request.not_after {
        return differs("the latest start");
    }
    if claims.agent != me.agent {
        return Err(refused(&format!(
            "the seal is for agent {}, this is {}",
            claims.agent, me.agent
        )));
    }
    if claims.incarnation != me.incarnation {
        return Err(refused(&format!(
            "the seal is for incarnation {} of this agent's journal, which is {} now",
            claims.incarnation, me.incarnation
        )));
    }
    Ok(())
}

/// Holds its latest start against the orchestrator's clock.
pub(super) fn judge_time(
    request: &WorkRequest,
    reading: Reading,
    at: Moment,
) -> Result<(), Problem> {
    match reading {
        Reading::Skewed(skew) => Err(Problem::new(
            ErrorCode::ClockSkew,
            format!(
                "the orchestrator's clock differs from this agent's ({}) by {} s",
                at.now,
                skew.as_secs()
            ),
            "set the clocks of both machines by NTP, then try again",
        )),
        Reading::Shows(now) if now > request.not_after => Err(expired(request)),
        Reading::Shows(_) => Ok(()),
    }
}

/// It was to start before now.
pub(super) fn expired(request: &WorkRequest) -> Problem {
    Problem::new(
        ErrorCode::WorkExpired,
        format!(
            "the work was to start before {} and was not started",
            request.not_after
        ),
        "ask for it again; the approval may have to be given anew",
    )
}

/// It is not what was approved.
pub(super) fn refused(why: &str) -> Problem {
    Problem::new(
        ErrorCode::SealRefused,
        why,
        "nothing was run; see whether the agent trusts this orchestrator's key, then ask for it again",
    )
}

/// A later attempt was seen.
pub(super) fn stale(attempt: u32, seen: u32) -> Problem {
    Problem::new(
        ErrorCode::StaleAttempt,
        format!("attempt {attempt} came after attempt {seen} of the same task"),
        "nothing to do: the later attempt counts",
    )
}
