//! Stage 5: whether the actor may (RFC-ARB-0001, section 11). Builtin is judged here; an external provider's word comes
//! in as a value.

use chiffon_common::{Actor, AuthZDecision, AuthZWord, Permission, ReasonCode, RoomId, TenantId};
use serde::{Deserialize, Serialize};

use super::policy::{Authz, FailMode};

/// An external authoriser's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Authorisation {
    /// The actor may.
    Allow {
        /// Which rule said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
        /// Which version of the rules.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        policy_version: Option<String>,
    },
    /// The actor may not.
    Deny {
        /// Which rule said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
        /// Which version of the rules.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        policy_version: Option<String>,
    },
    /// Nobody answered.
    Unavailable,
    /// What was answered is no decision. It may have been meant as a denial, so it permits nothing.
    Unreadable,
}

impl From<AuthZDecision> for Authorisation {
    /// A decision that does not hold its own bounds is none.
    fn from(decision: AuthZDecision) -> Self {
        if decision.validate().is_err() {
            return Self::Unreadable;
        }
        let AuthZDecision {
            reason_code: rule,
            policy_version,
            ..
        } = decision;
        match decision.decision {
            AuthZWord::Allow => Self::Allow {
                rule,
                policy_version,
            },
            AuthZWord::Deny => Self::Deny {
                rule,
                policy_version,
            },
        }
    }
}

/// What the stage says: its code (`pass` and `authz_skipped` go on), and the role or rule that decided.
pub(super) type Said = (ReasonCode, Option<String>);

impl Authz {
    /// The role by which an actor may do something in a room; the first that is granted, in the order written.
    pub fn role_for(
        &self,
        actor: &Actor,
        (tenant, room): (&TenantId, &RoomId),
        wanted: Permission,
    ) -> Option<&str> {
        let permits = |role: &str| {
            self.roles
                .get(role)
                .is_some_and(|may| may.contains(&wanted) || may.contains(&Permission::Any))
        };
        self.grants
            .iter()
            .filter(|grant| {
                grant.actor.fits(&actor.id)
                    && grant.kind.fits(&actor.kind)
                    && grant.tenant.fits(tenant.as_str())
                    && grant.room.fits(room.as_str())
            })
            .map(|grant| grant.role.as_str())
            .find(|role| permits(role))
    }

    /// What the builtin authoriser says.
    pub(super) fn builtin(
        &self,
        actor: &Actor,
        place: (&TenantId, &RoomId),
        wanted: Permission,
    ) -> Said {
        match self.role_for(actor, place, wanted) {
            Some(role) => (ReasonCode::Pass, Some(role.to_owned())),
            None => (ReasonCode::Unauthorized, None),
        }
    }

    /// What an external word comes to.
    pub(super) fn external(&self, word: &Authorisation) -> Said {
        match word {
            Authorisation::Allow { rule, .. } => (ReasonCode::Pass, rule.clone()),
            Authorisation::Deny { rule, .. } => (ReasonCode::AuthzDenied, rule.clone()),
            // There is somebody who decides, so `fail_mode` has no part in it.
            Authorisation::Unreadable => (ReasonCode::AuthzUnreadable, None),
            Authorisation::Unavailable => match self.fail_mode {
                FailMode::Deny => (ReasonCode::AuthzUnavailable, None),
                FailMode::Allow => (ReasonCode::AuthzSkipped, None),
            },
        }
    }
}
