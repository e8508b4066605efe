//! Hosts on which the outcome of a change is open: who needs a look, and a person's word that it was had.
//!
//! The mark is set and taken back with the moves of the task (`outgoing`); here it is read, and cleared by hand.

use chiffon_arbiter::Run;
use chiffon_common::{HostName, RequestId, api::NeedsLook};
use chiffon_store::{Error, HostRow, Write};
use serde::Deserialize;
use serde_json::json;

use super::{Editor, Shared};

/// What is kept with a mark.
#[derive(Debug, Deserialize)]
struct Kept {
    because: String,
    request_id: Option<RequestId>,
}

impl Shared {
    /// What is open on a host, if something is.
    pub(crate) async fn needs_look(&self, host: &HostName) -> Result<Option<NeedsLook>, Error> {
        let row = self
            .store
            .host(&self.settings.tenant, host.as_str())
            .await?;
        Ok(row.filter(|row| row.needs_look).map(|row| {
            let kept = Kept::deserialize(&row.doc).ok();
            let (because, request_id) =
                kept.map_or_else(Default::default, |kept| (kept.because, kept.request_id));
            NeedsLook {
                since: row.updated_at,
                because,
                request_id,
            }
        }))
    }

    /// What a person should know before this plan runs: hosts on which another change is unresolved.
    pub(crate) async fn warnings(&self, run: &Run) -> Result<Vec<String>, Error> {
        let mut warnings = Vec::new();
        let Some(plan) = run.plan.as_ref().filter(|_| !run.request.state.ended()) else {
            return Ok(warnings);
        };
        let mut hosts: Vec<_> = plan.steps.iter().flat_map(|step| &step.hosts).collect();
        hosts.sort();
        hosts.dedup();
        for host in hosts {
            let look = self.needs_look(host).await?;
            let of_another = |look: &NeedsLook| look.request_id != Some(run.request.request_id);
            warnings.extend(look.filter(of_another).map(|look| look.words(host)));
        }
        Ok(warnings)
    }

    /// A person has looked at a host.
    pub(crate) async fn clear_host(&self, host: &HostName, editor: &Editor) -> Result<(), Error> {
        let row = self
            .store
            .host(&self.settings.tenant, host.as_str())
            .await?;
        let Some(was) = row.filter(|row| row.needs_look) else {
            return Ok(());
        };
        let data = json!({ "needs_look": false, "was": was.doc });
        let audit = self.edited("host", host.to_string(), data, editor);
        let row = HostRow {
            needs_look: false,
            updated_at: self.clock.now(),
            doc: json!({ "because": format!("cleared by {}", editor.by.id) }),
            ..was
        };
        self.commit_edit(Write::Host(row), audit).await
    }
}
