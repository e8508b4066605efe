//! The ledger of an orchestrator whose job it is not to write it: the same commits, made from the rows that the scribe of
//! another one has decided and stored (DESIGN section 7). A clone that is merely behind is no damage and needs no record.

use super::{Shared, scribe::ScribeError};

impl Shared {
    /// Fills in what was written elsewhere; whether there was something.
    pub(super) async fn follow_ledger(&self) -> Result<bool, ScribeError> {
        let Some(last) = self.store.last_ledger_batch(&self.settings.tenant).await? else {
            return Ok(false);
        };
        let Some(written) = self.last_written(&last).await? else {
            return Ok(false);
        };
        let head = self.on_ledger(|place| place.open()?.head()).await?;
        let begin = match head {
            None => 0,
            Some(head) if written.commit.as_ref() == Some(&head.to_string()) => return Ok(false),
            Some(head) => match self.batch_of(head, &last).await? {
                Some(begin) => begin,
                // Written here as the last word of a scribe that then died: whoever has the job writes the same.
                None if last.commit.is_none() => return Ok(false),
                // What no row knows is a stranger's; the look says so.
                None => return self.look_at_main(Some(written)).await.map(|()| false),
            },
        };
        // Nobody else may put it back meanwhile.
        let _turn = self.ledger_turn.lock().await;
        self.fill_in(begin).await?;
        Ok(true)
    }
}
