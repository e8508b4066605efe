//! What happens to the ledger from outside while the program works: somebody proposes an undo, a disk rots.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use super::{
    cell::Cell,
    dice::Dice,
    history::{About, End},
};

/// Longest time until git can write to a ledger that is being made anew.
const GIT_PATIENCE: Duration = Duration::from_secs(60);

/// Runs git in a folder as somebody. Under load it may fail; what it says then is the error.
fn git(folder: &Path, args: &[&str]) -> Result<String, String> {
    let output = chiffon_tests::git(folder, args);
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

impl Cell {
    /// Makes a change that has a way back, and pushes its revert as a person would; whether that came to pass.
    pub async fn propose_an_undo(&self, name: &str, dice: &mut Dice) -> bool {
        let Some((request, commit)) = self.load.write_on("alpha", dice).await else {
            return false;
        };
        let (ledger, clone) = (
            self.yard.home.path().join("ledger"),
            self.yard.home.scratch().join(name),
        );
        let place = |path: &Path| path.to_str().unwrap().to_owned();
        let about = About {
            kind: "undo".to_owned(),
            key: Some(format!("proposal-{name}")),
            id: Some(request),
            ..About::default()
        };
        let no = self.history.invoke(about);
        let pushed = git(
            self.yard.home.scratch(),
            &["clone", "-q", &place(&ledger), &place(&clone)],
        )
        .and_then(|_| git(&clone, &["revert", "--no-edit", &commit]))
        .and_then(|_| {
            git(
                &clone,
                &[
                    "push",
                    "-q",
                    "origin",
                    &format!("HEAD:refs/heads/propose/{name}"),
                ],
            )
        });
        self.history.end(no, End::Info, 0, serde_json::Value::Null);
        pushed.is_ok()
    }

    /// Proposes what is no revert. The ledger may be on its way back from a fault, so git is asked until it does it.
    pub async fn propose_nonsense(&self, name: &str) {
        let ledger = self.yard.home.path().join("ledger");
        let branch = format!("refs/heads/propose/{name}");
        let until = Instant::now() + GIT_PATIENCE;
        loop {
            let done = git(
                &ledger,
                &["commit-tree", "-m", "Something of my own", "main^{tree}"],
            )
            .and_then(|commit| git(&ledger, &["update-ref", &branch, &commit]));
            match done {
                Ok(_) => return,
                Err(said) => assert!(Instant::now() < until, "git refuses a proposal: {said}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Bits of the newest commit have flipped on the disk.
    pub fn rot_the_ledger(&mut self) -> bool {
        let ledger = self.yard.home.path().join("ledger");
        let is_rotten = chiffon_tests::rot(&ledger, "main").is_ok();
        self.rotted |= is_rotten;
        is_rotten
    }
}
